// What the pictures on canvases have in common, the time bar and the plots: sharp pixels, and the axis of time, in local time.

import { color } from "../theme";
import { clockTime, date } from "../time";

export const font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/** Where a stretch of time is on a canvas, in pixels of CSS. */
export interface Stretch {
  from: number;
  to: number;
  left: number;
  right: number;
}

/** Where a time is in it. */
export const placeOf = (s: Stretch, time: number): number => s.left + ((time - s.from) / (s.to - s.from)) * (s.right - s.left);

/** The time at a place of it, or at the end that is nearest. */
export const timeAt = (s: Stretch, x: number): number => s.from + ((Math.min(Math.max(x, s.left), s.right) - s.left) / (s.right - s.left)) * (s.to - s.from);

/** Empties a canvas that is shown in a size, whatever the screen's pixels are. What is drawn on it then is in pixels of CSS. */
export function blank(canvas: HTMLCanvasElement, wide: number, high: number): CanvasRenderingContext2D | null {
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(wide * ratio), Math.round(high * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const c = canvas.getContext("2d");
  c?.setTransform(ratio, 0, 0, ratio, 0, 0);
  c?.clearRect(0, 0, wide, high);
  if (c) Object.assign(c, { font, textBaseline: "middle" });
  return c;
}

/** Fills a rectangle with a color of style.css. Lines are rectangles, too: they are sharp. */
export function fill(c: CanvasRenderingContext2D, name: string, x: number, y: number, wide: number, high: number): void {
  c.fillStyle = color(name);
  c.fillRect(x, y, wide, high);
}

/** Draws the axis below a picture and its lines into that; those of days are stronger. Labels come one after the other, those of days
 * first, each where there is room beside what is taken. */
export function timeAxis(c: CanvasRenderingContext2D, s: Stretch, top: number, bottom: number, wide: number, taken: [number, number][]): void {
  const apart = (s.to - s.from) / Math.max(2, wide / 72);
  for (const { time, label, day } of ticks(s.from, s.to, apart).sort((a, b) => Number(b.day) - Number(a.day))) {
    const at = Math.round(placeOf(s, time));
    if (at < s.left || at > s.right) continue;
    fill(c, day ? "--faint" : "--line", at, top, 1, bottom - top + (day ? 2 : 0));
    const half = c.measureText(label).width / 2;
    const middle = Math.min(Math.max(at, half + 2), wide - half - 2);
    if (taken.some(([a, b]) => middle + half + 6 > a && middle - half - 6 < b)) continue;
    taken.push([middle - half, middle + half]);
    c.fillStyle = color(day ? "--ink" : "--soft");
    c.textAlign = "center";
    c.fillText(label, middle, bottom + 10.5);
  }
}

/** A time on the axis. */
interface Tick {
  time: number;
  label: string;
  /** Whether a day, or something longer, begins here. */
  day: boolean;
}

const second = 1000;
const min = 60 * second;
const hour = 60 * min;
const day = 24 * hour;
/** Steps in milliseconds of which people make more: ticks stand at them, and events are counted in them. */
export const steps = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400,
].map((n) => n * second);
const days = [1, 2, 7, 14];
const months = [1, 3, 6, 12, 60, 120];

const format = (o: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(undefined, o);
const minutes = (time: number): string => clockTime(time).slice(0, 5);
const dayMonth = format({ day: "numeric", month: "short" });
const monthYear = format({ month: "short", year: "numeric" });

/** The ticks between two times that are at least so far apart, in milliseconds. The first is before the beginning. */
function ticks(from: number, to: number, apart: number): Tick[] {
  const step = steps.find((n) => n >= apart) ?? day;
  return step < hour ? even(from, to, step) : calendar(from, to, apart, step / hour);
}

/** Steps below an hour: they are the same in every zone and through every change of clocks, but for whole zones of 15 minutes. */
function even(from: number, to: number, step: number): Tick[] {
  const zone = new Date(from).getTimezoneOffset() * min;
  const list: Tick[] = [];
  for (let time = Math.floor((from - zone) / step) * step + zone; time <= to; time += step) {
    const midnight = new Date(time).setHours(0, 0, 0, 0) === time;
    const tenth = step < second ? `.${Math.round(time / 100) % 10}` : "";
    list.push({ time, day: midnight, label: midnight ? date(time) : (step < min ? clockTime(time) : minutes(time)) + tenth });
  }
  return list;
}

/** Steps of hours, days and months, which are of different lengths. */
function calendar(from: number, to: number, apart: number, h: number): Tick[] {
  const first = new Date(from);
  const [y, m, d] = [first.getFullYear(), first.getMonth(), first.getDate()];
  const list: Tick[] = [];
  const add = (time: number, label: (time: number) => string, begins: boolean) => {
    // An hour that a change of clocks leaves out is the one after it.
    if (time > (list.at(-1)?.time ?? -Infinity)) list.push({ time, label: label(time), day: begins });
    return time <= to;
  };
  const n = days.find((n) => n * day >= apart);
  if (h < 24) for (let k = 0; add(+new Date(y, m, d, k * h), (t) => (new Date(t).getHours() ? minutes(t) : date(t)), (k * h) % 24 === 0); k++);
  else if (n) for (let k = 0, back = n > 2 ? d - 1 : (Date.UTC(y, m, d) / day) % n; add(+new Date(y, m, d - back + k * n), dayMonth.format, true); k++);
  else {
    const size = months.find((n) => n * 28 * day >= apart) ?? Math.ceil(apart / day / 3650) * 120;
    for (let k = 0, back = (y * 12 + m) % size; add(+new Date(y, m - back + k * size, 1), monthYear.format, true); k++);
  }
  return list;
}
