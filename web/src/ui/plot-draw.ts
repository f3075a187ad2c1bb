// The picture of a plot: numbers as lines with their axes, bands of words below them over the same time, the moment that is looked at.

import { sortOf } from "../state";
import { color } from "../theme";
import { date } from "../time";
import { blank, fill, placeOf, type Stretch, timeAxis } from "./axis";
import { type Course, type Point, stretches } from "./plot-data";

/** A number over time. */
export interface Line {
  key: string;
  unit: string;
  course: Course<number>;
  /** A color of style.css, and the dashes of it: lines are told apart by both. */
  color: string;
  dash: number[];
}

/** How a word looks in a band: by its sort, or with a number of its own, from 0, which is a color and a pattern. */
export type Look = "on" | "off" | "unknown" | "unavailable" | number;

/** A word over time. */
export interface Band {
  key: string;
  name: string;
  course: Course<string>;
  /** A word as people read it. */
  say: (word: string) => string;
  looks: ReadonlyMap<string, Look>;
}

/** How many looks there are for words that are of no sort; style.css of whoever has a legend has them too. */
export const lookCount = 6;

/** Gives each word its look. */
export function looksOf(words: Iterable<string>): Map<string, Look> {
  const looks = new Map<string, Look>();
  let next = 0;
  for (const word of words) {
    if (looks.has(word)) continue;
    const sort = sortOf({ text: word });
    looks.set(word, sort === "on" || sort === "off" || sort === "unknown" || sort === "unavailable" ? sort : next++ % lookCount);
  }
  return looks;
}

/** What a plot shows. */
export interface Shown {
  /** Lines of at most two units: each has an axis. */
  lines: readonly Line[];
  /** Bands have their places below the lines. */
  bands: readonly Band[];
  from: number;
  to: number;
  /** Up to where the last value holds, if the window goes on. */
  end: number;
  /** The moment that is looked at. */
  mark: number | undefined;
}

/** The height of a band and of the name above it, in pixels of CSS. */
const bandHeight = 24;
const nameHeight = 20;

type Canvas = CanvasRenderingContext2D;

/** What is drawn. */
export interface Picture extends Shown {
  /** The points of each line. */
  points: readonly (readonly Point[])[];
  /** The time that is pointed at. */
  hover: number | undefined;
  /** The places that are dragged over. */
  dragged: readonly [number, number] | undefined;
}

/** Draws a plot in so many pixels. It says where the time is in it. */
export function draw(canvas: HTMLCanvasElement, wide: number, { lines, bands, from, to, end, mark, points, hover, dragged }: Picture): Stretch {
  const named = lines.length + bands.length > 1;
  const each = bandHeight + (named ? nameHeight : 6);
  const middle = top + (lines.length && (wide < 560 ? 190 : 260));
  const bottom = middle + bands.length * each + (lines.length && bands.length && 10);
  const stretch = { from, to, left: 12, right: wide - 12 };
  canvas.style.height = `${bottom + 38}px`;
  const c = blank(canvas, wide, bottom + 38);
  if (!c) return stretch;
  const units = [...new Set(lines.map((l) => l.unit))];
  const scales = units.map((unit) => scaleOf(c, unit, points.filter((_p, i) => lines[i]?.unit === unit).flat(), middle));
  stretch.left = scales[0]?.wide ?? stretch.left;
  stretch.right = wide - (scales[1]?.wide ?? 12);
  timeAxis(c, stretch, top, bottom, wide, []);
  c.textAlign = "left";
  c.fillStyle = color("--soft");
  c.fillText(date(from), stretch.left, bottom + 27);
  scales.forEach((s, i) => valueAxis(c, s, stretch, i > 0));
  lines.forEach((l, i) => drawLine(c, l, points[i] ?? [], stretch, scales[units.indexOf(l.unit)]?.y ?? Number));
  bands.forEach((band, i) => {
    const bar = bottom - each * (bands.length - i - 1) - bandHeight;
    c.fillStyle = color("--soft");
    c.textAlign = "left";
    if (named) c.fillText(band.name, stretch.left + 2, bar - nameHeight / 2 + 2);
    // What lasts is below, so that a short pulse is not covered by it.
    for (const below of [true, false]) drawBand(c, band, below, bar, stretch, end);
    c.strokeStyle = color("--line");
    c.lineWidth = 1;
    c.strokeRect(stretch.left + 0.5, bar + 0.5, stretch.right - stretch.left, bandHeight);
  });
  if (mark !== undefined) drawMark(c, stretch, mark, bottom);
  if (dragged) {
    c.globalAlpha = 0.18;
    fill(c, "--accent", dragged[0], top, dragged[1] - dragged[0], bottom - top);
    c.globalAlpha = 1;
  }
  if (hover !== undefined) fill(c, "--soft", Math.round(placeOf(stretch, hover)), top, 1, bottom - top);
  return stretch;
}

/** Where the pictures begin, below what stands out of them. */
const top = 10;

/** An axis of numbers. */
interface Scale {
  y: (value: number) => number;
  ticks: (readonly [value: number, label: string])[];
  /** How much room it takes. */
  wide: number;
}

/** A scale that has all values, with ticks at 1, 2 or 5 times a power of ten. Where nothing is below zero, it does not go there. */
function scaleOf(c: Canvas, unit: string, points: readonly Point[], bottom: number): Scale {
  let [low, high] = [Infinity, -Infinity];
  for (const [, v] of points) {
    if (v === null) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (low > high) [low, high] = [0, 1];
  const room = (high - low) / 20 || Math.abs(high) / 10 || 1;
  const least = ((high - low + 2 * room) / (bottom - top)) * 40;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = ([1, 2, 5].find((n) => n * power >= least) ?? 10) * power;
  const first = Math.floor((low < 0 ? low - room : Math.max(0, low - room)) / step);
  const last = Math.ceil((low < 0 && high <= 0 ? Math.min(0, high + room) : high + room) / step);
  const most = Math.max(-first, last);
  // As many digits as tell ticks apart. Numbers come from outside: they may be of any size, and too close to each other to be told apart.
  const digits: Intl.NumberFormatOptions = { maximumSignificantDigits: Math.min(15, Math.ceil(Math.log10(most || 1)) + 1) };
  if (most * step >= 1e9 || most * step < 1e-3) digits.notation = "scientific";
  const labelOf = (value: number) => value.toLocaleString(undefined, digits) + (unit && `\u202f${unit}`);
  const values = Array.from({ length: Math.min(last - first + 1, 20) }, (_, i) => (first + i) * step);
  const ticks = values.map((value) => [value, labelOf(value)] as const);
  // In steps, so that the plot stands still while labels change.
  const wide = Math.ceil((Math.max(...ticks.map(([, label]) => c.measureText(label).width), 0) + 12) / 12) * 12;
  return { y: (value) => bottom - ((value / step - first) / (last - first)) * (bottom - top), ticks, wide };
}

function valueAxis(c: Canvas, { y, ticks }: Scale, { left, right }: Stretch, second: boolean): void {
  c.textAlign = second ? "left" : "right";
  for (const [value, label] of ticks) {
    const at = Math.round(y(value));
    // The lines of two axes would be a thicket.
    if (second) fill(c, "--line", right, at, 4, 1);
    else fill(c, "--line", left - 4, at, right - left + 4, 1);
    c.fillStyle = color("--soft");
    c.fillText(label, second ? right + 7 : left - 7, at);
  }
}

/** A line in steps: each value holds until the next one. */
function drawLine(c: Canvas, line: Line, points: readonly Point[], stretch: Stretch, y: (value: number) => number): void {
  c.strokeStyle = color(line.color);
  c.lineWidth = 1.75;
  c.setLineDash(line.dash);
  c.beginPath();
  let held: number | null = null;
  points.forEach(([time, value], i) => {
    const x = placeOf(stretch, time);
    if (held !== null) c.lineTo(x, y(held));
    // Many short paths are drawn ten times as fast as one of thousands of points, all of which lie on its way.
    if (i % 32 === 0) {
      c.stroke();
      c.beginPath();
      if (held !== null) c.moveTo(x, y(held));
    }
    if (value !== null) held === null ? c.moveTo(x, y(value)) : c.lineTo(x, y(value));
    held = value;
  });
  c.stroke();
  c.setLineDash([]);
}

const strong = ["--accent", "--wait", "--soft"];
const fills: Record<string, string> = { on: "--on", off: "--sunken", unknown: "--surface", unavailable: "--bad-wash" };
const inks: Record<string, string> = { on: "--surface", off: "--ink", unknown: "--soft", unavailable: "--bad" };
const quiet = new Set<Look>(["off", "unknown"]);

/** Draws the words of a band that last, or the others. A word that held for less than a pixel is seen nevertheless. */
function drawBand(c: Canvas, band: Band, below: boolean, top: number, stretch: Stretch, end: number): void {
  let drawn = -Infinity;
  let last: Look | undefined;
  stretches(band.course, stretch.from, end, (word, begin, until) => {
    const look = band.looks.get(word) ?? 0;
    if (quiet.has(look) !== below) return;
    const left = Math.round(placeOf(stretch, begin));
    const right = Math.max(Math.round(placeOf(stretch, until)), left + 2);
    if (right <= drawn && look === last) return;
    [drawn, last] = [right, look];
    fillLook(c, look, left, top, right - left);
    const text = band.say(word);
    if (right - left < 26 || c.measureText(text).width > right - left - 12) return;
    c.fillStyle = color(inks[look] ?? "--surface");
    c.fillText(text, left + 6, top + bandHeight / 2 + 1);
  });
}

function fillLook(c: Canvas, look: Look, x: number, y: number, wide: number): void {
  const plain = typeof look === "number";
  fill(c, plain ? (strong[look % strong.length] ?? "") : (fills[look] ?? ""), x, y, wide, bandHeight);
  if ((plain && look < strong.length) || look === "on" || look === "off") return;
  c.save();
  c.beginPath();
  c.rect(x, y, wide, bandHeight);
  c.clip();
  c.strokeStyle = color(plain ? "--surface" : look === "unavailable" ? "--bad" : "--faint");
  c.globalAlpha = plain ? 0.3 : 0.45;
  c.lineWidth = plain ? 3 : 1;
  c.beginPath();
  for (let at = Math.floor((x - bandHeight) / 8) * 8; at < x + wide; at += 8) {
    c.moveTo(at, y + bandHeight);
    c.lineTo(at + bandHeight, y);
    if (look === "unavailable") c.moveTo(at, y), c.lineTo(at + bandHeight, y + bandHeight);
  }
  c.stroke();
  c.restore();
}

/** Draws the moment that is looked at, and fades what came after it. */
function drawMark(c: Canvas, stretch: Stretch, mark: number, bottom: number): void {
  const x = Math.round(placeOf(stretch, mark));
  if (x < stretch.left || x > stretch.right + 1) return;
  c.globalAlpha = 0.6;
  fill(c, "--surface", x, top, stretch.right - x, bottom - top);
  c.globalAlpha = 1;
  fill(c, "--then", x - 1, top, 2, bottom - top);
  c.beginPath();
  c.moveTo(x - 6, top - 2);
  c.lineTo(x + 6, top - 2);
  c.lineTo(x, top + 6);
  c.fill();
}
