// The picture of the bar: markers, axis, playhead.

import { clockTime } from "../../time";
import { color } from "../../theme";
import { blank, fill, placeOf, type Stretch, timeAxis } from "../axis";
import { type Counts, counts } from "./density";
import { bounds, oldest, present } from "./range";

/** The room at both ends, so that the playhead is whole there. */
export const inset = 10;

/** How high the axis is; the markers are above it. */
export const axis = 19;

/** The window where it is in the bar. */
export const stretch = (bar: HTMLElement): Stretch => ({ ...bounds(), left: inset, right: bar.clientWidth - inset });

/** What is drawn: a window, the time that is looked at in it, and the one that is pointed at. */
export interface Picture extends Stretch {
  /** The time of the playhead; undefined where it is not known. */
  time: number | undefined;
  past: boolean;
  hover: number | undefined;
}

/** Draws the bar on a canvas that is as large as it is shown. */
export function draw(canvas: HTMLCanvasElement, wide: number, high: number, p: Picture): void {
  const c = blank(canvas, wide, high);
  if (!c) return;
  const x = (time: number) => placeOf(p, time);
  ground(c, p, x, wide, high - axis);
  const marked = p.time === undefined ? undefined : playhead(c, x(p.time), p, wide);
  // The label of the playhead has its place before all others.
  timeAxis(c, p, 0, high - axis, wide, marked ? [marked] : []);
  if (counts.value) markers(c, counts.value, p, x, high - axis);
  if (p.hover !== undefined) fill(c, "--soft", Math.round(x(p.hover)), 0, 1, high - axis);
  if (p.time !== undefined) grip(c, x(p.time), p, wide, high);
}

type To = (time: number) => number;

/** The part of the time that there is something of. */
function ground(c: CanvasRenderingContext2D, p: Picture, x: To, wide: number, high: number): void {
  const left = Math.max(x(oldest.value ?? p.from), inset);
  const right = Math.min(x(present()), wide - inset);
  c.fillStyle = color("--sunken");
  c.beginPath();
  c.roundRect(inset, 0, wide - 2 * inset, high, 4);
  c.fill();
  if (right > left) fill(c, "--surface", left, 1, right - left, high - 2);
}

/** The events. A part with ten times as many is not ten times as high, and one event can be seen. */
function markers(c: CanvasRenderingContext2D, known: Counts, p: Picture, x: To, high: number): void {
  const first = Math.max(0, Math.floor((p.from - known.begin) / known.step));
  const last = Math.min(known.counts.length, Math.ceil((p.to - known.begin) / known.step));
  let most = 10;
  for (let i = first; i < last; i++) most = Math.max(most, known.counts[i] ?? 0);
  const top = Math.log1p(most);
  const now = x(p.time ?? p.to);
  // Rectangles one by one take a third of the time of a path of them.
  for (let i = first; i < last; i++) {
    const n = known.counts[i] ?? 0;
    if (n === 0) continue;
    const left = Math.max(x(known.begin + i * known.step), inset);
    const right = Math.min(x(known.begin + (i + 1) * known.step), x(p.to));
    const tall = Math.max(2, (Math.log1p(n) / top) * (high - 6));
    c.globalAlpha = left >= now ? 0.5 : 0.75;
    fill(c, left >= now ? "--faint" : tint(p), left, high - 1 - tall, Math.max(1, right - left - 1), tall);
  }
  c.globalAlpha = 1;
}

/** The color of what is looked at. */
const tint = (p: Picture): string => (p.past ? "--then" : "--accent");

const words = (p: Picture): string => (p.past ? clockTime(p.time ?? 0) : "now");

/** Where the label of the playhead is. Outside the window there is none. */
function playhead(c: CanvasRenderingContext2D, at: number, p: Picture, wide: number): [number, number] | undefined {
  if (at < inset - 1 || at > wide - inset + 1) return undefined;
  const half = c.measureText(words(p)).width / 2 + 6;
  const middle = Math.min(Math.max(at, half), wide - half);
  return [middle - half, middle + half];
}

function grip(c: CanvasRenderingContext2D, at: number, p: Picture, wide: number, high: number): void {
  const place = playhead(c, at, p, wide);
  c.fillStyle = color(tint(p));
  if (!place) return arrow(c, at < inset ? 1 : wide - 1, at < inset ? 1 : -1, (high - axis) / 2);
  const [left, right] = place;
  c.fillRect(at - 1.25, 0, 2.5, high - axis + 2);
  c.beginPath();
  c.roundRect(at - 5, 0, 10, 11, 3);
  c.roundRect(left, high - axis + 2, right - left, axis - 3, 5);
  c.fill();
  c.fillStyle = color(`${tint(p)}-ink`);
  c.textAlign = "center";
  c.fillText(words(p), (left + right) / 2, high - axis / 2 + 1);
}

/** Says on which side of the window the playhead is. */
function arrow(c: CanvasRenderingContext2D, at: number, inward: number, middle: number): void {
  c.beginPath();
  c.moveTo(at, middle);
  c.lineTo(at + 8 * inward, middle - 7);
  c.lineTo(at + 8 * inward, middle + 7);
  c.fill();
}
