// Times and ages, as people write them.

import { computed, signal } from "@preact/signals";
import { shown } from "./house";
import { past } from "./moment";

/** How far the server's clock is ahead of the browser's, as far as that is known. */
export const skew = signal(0);

const tick = signal(Date.now());
setInterval(() => {
  if (!document.hidden) tick.value = Date.now();
}, 1000);
addEventListener("visibilitychange", () => {
  if (!document.hidden) tick.value = Date.now();
});

/** What ages are counted to, in milliseconds since 1970: now, which goes on, or the moment that is looked at. */
export const reference = computed(() => {
  if (!past.value) return now.value;
  const recorded = shown.value.asOf.value.recordedAt;
  return recorded ? Date.parse(recorded) : now.value;
});

/** The present by the server's clock, second by second. */
export const now = computed(() => tick.value + skew.value);

const units = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
] as const;

/** How long something takes or took: "4 s", "12 min", "3 h", "20 d". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  for (const [size, unit] of units) {
    if (seconds >= size * (size === 86_400 ? 2 : 1)) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return "0 s";
}

/** How far two times are from each other, in two units at most: "230 ms", "1.2 s", "3 min 4 s", "2 d 4 h". */
export function span(milliseconds: number): string {
  const ms = Math.abs(milliseconds);
  if (ms < 1000) return `${Math.round(ms)}\u202fms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)}\u202fs`;
  const seconds = Math.floor(ms / 1000);
  const at = units.findIndex(([size]) => seconds >= size);
  const [size, unit] = units[at] ?? units[3];
  const [part, name] = units[at + 1] ?? [1, ""];
  const rest = name && Math.floor((seconds % size) / part);
  return `${Math.floor(seconds / size)}\u202f${unit}${rest ? ` ${rest}\u202f${name}` : ""}`;
}

/** A time as a field of a form has it: local, to the second; empty for none. */
export function fieldTime(ms: number): string {
  return Number.isNaN(ms) ? "" : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Stretches of time to choose from: the name in an address, the words, and how long each is. */
export const stretches = [
  ["10m", "10 min", 600_000],
  ["1h", "1 h", 3600_000],
  ["6h", "6 h", 6 * 3600_000],
  ["24h", "24 h", 86_400_000],
  ["7d", "7 d", 7 * 86_400_000],
  ["30d", "30 d", 30 * 86_400_000],
] as const;

/** How long ago a time in RFC 3339 is; empty where there is none. */
export function age(time: string | undefined): string {
  return time ? duration(reference.value - Date.parse(time)) : "";
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const year = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** The time of day with seconds. */
export const clockTime = (ms: number): string => clock.format(ms);

/** The day, with the year if it is another one. */
export function date(ms: number): string {
  return (new Date(ms).getFullYear() === new Date().getFullYear() ? day : year).format(ms);
}

/** A moment whole: the day, unless it is today, and the time. */
export function dateTime(ms: number): string {
  return new Date(ms).toDateString() === new Date().toDateString() ? clockTime(ms) : `${date(ms)}, ${clockTime(ms)}`;
}
