// The moment that the page looks at: now, or one of the past. It is in the address as "at", a time in RFC 3339 or @position.

import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { param, params, push, replace } from "./address";
import type { AtJson } from "./gen/statehouse/v1/moment_pb";

/** A moment of the past: a position, or milliseconds since 1970. */
export type Moment = { position: string } | { time: number };

/** The moment that is looked at; undefined for now. */
export const at = signal<Moment | undefined>(undefined);

/** Whether the past is looked at. */
export const past = computed(() => at.value !== undefined);

/** Reads a moment as it stands in an address; undefined for one that is none. */
export function parse(text: string): Moment | undefined {
  if (/^@\d{1,19}$/.test(text)) return { position: text.slice(1).replace(/^0+(?=\d)/, "") };
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : { time };
}

/** Writes one as it stands in an address. */
export function format(m: Moment): string {
  return "position" in m ? `@${m.position}` : new Date(m.time).toISOString();
}

/** Writes one as procedures take it; now is not set. */
export function request(m: Moment | undefined): AtJson | undefined {
  if (!m) return undefined;
  return "position" in m ? { position: m.position } : { time: new Date(m.time).toISOString() };
}

/** Looks at another moment, with a step in the browser's history. */
export function lookAt(m: Moment | undefined): void {
  settle(m, push);
}

/** Looks at another moment on the way to one, as while the time bar is dragged: the address follows when it comes to rest. */
export function passBy(m: Moment): void {
  clearTimeout(rest);
  at.value = m;
  rest = setTimeout(() => settle(at.peek(), replace), 300);
}

let rest: ReturnType<typeof setTimeout> | undefined;

function settle(m: Moment | undefined, write: typeof push): void {
  clearTimeout(rest);
  batch(() => {
    at.value = m;
    write({ at: m && format(m) });
  });
}

/** The moment that the address said last. */
let said = "";

// The address leads where somebody goes back, follows a link, or opens one. While a moment is passed by the address is behind it:
// what else changes in the address does not lead back there.
effect(() => {
  void params.value;
  const text = param("at");
  untracked(() => {
    if (text === said) return;
    said = text;
    if (at.value && format(at.value) === text) return;
    clearTimeout(rest);
    at.value = parse(text);
  });
});
