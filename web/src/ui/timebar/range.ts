// The window of time that the bar shows. All times are the server's, in milliseconds since 1970.

import { computed, signal } from "@preact/signals";
import { then } from "../../house";
import { at, past } from "../../moment";
import { now as tick, skew } from "../../time";

/** When the oldest event was recorded that there is; undefined as long as that is not known. */
export const oldest = signal<number | undefined>(undefined);

/** The present by the server's clock. */
export const present = (): number => Date.now() + skew.value;

const day = 86_400e3;
const shortest = 10e3;

/** How long the window is, and when it ends: undefined for all that there is, and for now, with which the window goes on. */
export const chosen = signal<{ span: number | undefined; end: number | undefined }>({ span: undefined, end: undefined });

/** The position of that event. Where it is not the first one, what was before it has been removed. */
export const first = signal("1");

let sized = false;

/** Learns when the house begins. The first time this says what the window is: all that there is, or the last day. */
export function begin(time: number, position: string): void {
  oldest.value = time;
  first.value = position;
  if (!sized && present() - time > day) chosen.value = { ...chosen.value, span: day };
  sized = true;
}

const whole = (): number => Math.max(60e3, present() - (oldest.value ?? present() - day));

/** The window as it is at this very moment. */
export function bounds(): { from: number; to: number } {
  const { span, end } = chosen.value;
  const to = end ?? present();
  return { from: to - (span ?? whole()), to };
}

/** The window, second by second. */
export const passing = computed(() => (void tick.value, bounds()));

/** Shows a window, as far as there is one: nothing is behind now, and only so much before the beginning. */
function show(span: number, end: number): void {
  const now = present();
  const size = Math.min(Math.max(span, shortest), Math.max(whole(), 30 * day));
  const to = Math.max(end, Math.min(oldest.value ?? 0, now - size) + size);
  // Whoever comes close to now means now.
  chosen.value = { span: size, end: to > now - size / 200 ? undefined : to };
}

/** Makes the window longer or shorter around a time, which stays where it is. */
export function zoom(factor: number, around = focus()): void {
  const { from, to } = bounds();
  const size = Math.max((to - from) * factor, shortest);
  show(size, around + ((to - around) * size) / (to - from));
}

/** Moves the window. */
export function pan(by: number): void {
  const { from, to } = bounds();
  show(to - from, to + by);
}

/** Shows so much time, up to now or around what is looked at; undefined for everything. */
export function preset(span: number | undefined): void {
  if (span === undefined) chosen.value = { span, end: undefined };
  else show(span, past.value ? (looking.value ?? present()) + span / 2 : present());
}

/** The time that is looked at in the past; undefined for now, and as long as it is not known. Of a position it is that of the
 * moment before until the answer is there. */
export const looking = computed(() => {
  const m = at.value;
  if (!m || "time" in m) return m?.time;
  const { position, recordedAt } = then.asOf.value;
  return recordedAt ? Date.parse(recordedAt) : position === undefined ? undefined : oldest.value;
});

/** Has a time in the window. One that is just leaving it does not count as outside. */
export function reveal(time: number): void {
  const { from, to } = bounds();
  const near = (to - from) / 100;
  if (time < from - near || time > to + near) show(to - from, time + (to - from) / 2);
}

/** Has the window end with now again. */
export function follow(): void {
  if (chosen.value.end !== undefined) chosen.value = { ...chosen.value, end: undefined };
}

/** What stays where it is where nobody points at anything. */
function focus(): number {
  const { from, to } = bounds();
  const time = past.value ? looking.value : present();
  return time !== undefined && time >= from && time <= to ? time : (from + to) / 2;
}
