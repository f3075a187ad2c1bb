// The window of time of a history. It is in the address: "range" is one that goes up to the moment that is looked at, "from" and
// "to" are one that stays where it is.

import { computed, signal } from "@preact/signals";
import { param, replace } from "../../address";
import { then } from "../../house";
import { at, past } from "../../moment";
import { now, stretches } from "../../time";
import { precise } from "./track";

/** What can be chosen: its name in the address, its words, and how long it is. */
export const presets = [...stretches, ["all", "all", Infinity]] as const;

/** A window. It begins at -Infinity where it begins with the beginning. */
export interface Window {
  from: number;
  to: number;
  /** The name of the preset; nothing for one that stays. */
  preset: string | undefined;
}

/** The moment that is looked at, in milliseconds since 1970; nothing for now. */
export const moment = computed(() => {
  const m = at.value;
  if (!m) return undefined;
  if ("time" in m) return m.time;
  const recorded = then.asOf.value.recordedAt;
  return recorded ? precise(recorded) : now.value;
});

/** What is zoomed or panned to, before it is in the address. */
const passing = signal<{ from: number; to: number } | undefined>(undefined);
let rest: ReturnType<typeof setTimeout> | undefined;

const chosen = computed(() => {
  if (passing.value) return passing.value;
  const from = Date.parse(param("from"));
  if (Number.isNaN(from)) return undefined;
  const to = Date.parse(param("to"));
  return { from, to: to > from ? to : Infinity };
});

const preset = computed(() => presets.find(([name]) => name === param("range")) ?? presets[3]);

/** The end of a window that goes up to the present: it moves on by what is about a pixel. */
const present = computed(() => {
  const c = chosen.value;
  const width = c ? (c.to === Infinity ? now.value - c.from : c.to - c.from) : Math.min(preset.value[2], presets[5][2]);
  const step = Math.min(60_000, Math.max(1000, width / 600));
  return Math.ceil(now.value / step) * step;
});

/** Up to where there can be something. */
export const latest = computed(() => Math.max(present.value, moment.value ?? 0));

/** The window that is shown. */
export const shownWindow = computed<Window>(() => {
  const c = chosen.value;
  const m = moment.value;
  const end = m ?? present.value;
  if (!c) return { from: end - preset.value[2], to: end, preset: preset.value[0] };
  const to = c.to === Infinity ? Math.max(latest.value, c.from + 1000) : c.to;
  if (m === undefined || (c.from <= m && m <= to)) return { from: c.from, to, preset: undefined };
  // The moment has left it, and it follows.
  const from = m - (to - c.from) * 0.75;
  return { from, to: from + to - c.from, preset: undefined };
});

/** Shows another window, which comes into the address when the hand rests. One that reaches the present goes on with it. */
export function zoom(from: number, to: number): void {
  clearTimeout(rest);
  const live = !past.peek() && to >= now.peek() - (to - from) / 200;
  passing.value = { from, to: live ? Infinity : to };
  rest = setTimeout(settle, 300);
}

/** Puts the window that is passed by into the address, now. */
export function settle(): void {
  clearTimeout(rest);
  const p = passing.peek();
  if (!p) return;
  replace({ from: new Date(p.from).toISOString(), to: p.to === Infinity ? undefined : new Date(p.to).toISOString() });
  passing.value = undefined;
}

/** Holds the window where it is, while another moment is looked at. One that goes on with the present goes on. */
export function hold(from: number, to: number): void {
  passing.value = { from, to: to >= latest.peek() ? Infinity : to };
  settle();
}

/** Chooses one of the presets; the one of before where none is named. */
export function choose(name?: string): void {
  clearTimeout(rest);
  passing.value = undefined;
  replace({ from: undefined, to: undefined, ...(name && { range: name }) });
}
