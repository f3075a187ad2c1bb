// What a hand does in a plot: points, drags a stretch, turns the wheel, puts two fingers on it.

import { type Stretch, timeAt } from "./axis";
import { across, listening, otherThan, turned } from "./pointer";

/** What is to come of it. Times are in milliseconds since 1970. */
export interface Wishes {
  /** Shows another window. */
  window(from: number, to: number): void;
  /** Shows the window that there was before any of that. */
  reset(): void;
  /** Looks at a moment. */
  pick(time: number): void;
  /** Reads the values of a time; of none any more. */
  hover(time: number | undefined): void;
  /** Shows which places are dragged over; none any more. */
  drag(places: readonly [number, number] | undefined): void;
}

/** A window that is as many times as wide, with a time of it where that is. */
export function zoomed(from: number, to: number, center: number, factor: number): [number, number] {
  const width = Math.max(1000, (to - from) * factor) / (to - from);
  return [center - (center - from) * width, center + (to - center) * width];
}

let scrolled = -Infinity;
addEventListener("scroll", (e) => (scrolled = e.timeStamp), { passive: true, capture: true });

/** Listens in a plot until the signal. */
export function listen(over: HTMLElement, stretch: () => Stretch, wishes: () => Wishes | undefined, signal: AbortSignal): void {
  const on = listening(over, signal);
  const inside = (x: number) => x >= stretch().left && x <= stretch().right;
  const read = (x: number) => wishes()?.hover(inside(x) ? timeAt(stretch(), x) : undefined);
  /** Where the pointers that are down are; of a mouse where it went down. */
  const down = new Map<number, number>();
  let places: readonly [number, number] | undefined;
  let click: ReturnType<typeof setTimeout> | undefined;
  const drag = (to: typeof places) => wishes()?.drag((places = to));
  signal.addEventListener("abort", () => clearTimeout(click));

  on("pointerdown", (e) => {
    const x = across(e);
    places = undefined;
    if (e.button !== 0 || !inside(x)) return;
    down.set(e.pointerId, x);
    if (e.pointerType === "mouse") over.setPointerCapture(e.pointerId);
    else read(x);
  });
  on("pointermove", (e) => {
    const x = across(e);
    const before = down.get(e.pointerId);
    if (e.pointerType === "mouse" || (before !== undefined && down.size === 1)) read(x);
    if (before === undefined) return;
    if (e.pointerType === "mouse") {
      const { left, right } = stretch();
      const end = Math.min(Math.max(x, left), right);
      if (places || Math.abs(x - before) > 6) drag([Math.min(before, end), Math.max(before, end)]);
      return;
    }
    down.set(e.pointerId, x);
    const other = otherThan(e, down);
    if (other === undefined || Math.abs(x - other) < 8) return;
    // The times that were below the two fingers are below them again.
    const { from, to } = stretch();
    const factor = (before - other) / (x - other);
    if (factor > 0) wishes()?.window(...zoomed(from, to, timeAt(stretch(), other), factor));
  });
  for (const type of ["pointerup", "pointercancel"] as const) {
    on(type, (e) => {
      down.delete(e.pointerId);
      if (!places) return;
      if (type === "pointerup" && places[1] - places[0] > 6) wishes()?.window(timeAt(stretch(), places[0]), timeAt(stretch(), places[1]));
      wishes()?.drag(undefined);
    });
  }
  on("pointerleave", (e) => e.pointerType === "mouse" && read(NaN));
  // What a finger read stays until one touches something else.
  addEventListener("pointerdown", (e) => e.target !== over && read(NaN), { signal });
  on("click", (e) => {
    clearTimeout(click);
    const x = across(e);
    // It may be the first one of two, or the end of a drag.
    if (e.detail < 2 && inside(x) && !places) click = setTimeout(() => wishes()?.pick(timeAt(stretch(), x)), 250);
  });
  on("dblclick", () => {
    clearTimeout(click);
    wishes()?.reset();
  });
  on("wheel", (e) => turn(e, stretch(), wishes()));
}

function turn(e: WheelEvent, s: Stretch, wishes: Wishes | undefined): void {
  // Who scrolls the page and comes across a plot goes on scrolling.
  if (!e.ctrlKey && e.timeStamp - scrolled < 400) return;
  e.preventDefault();
  const x = across(e);
  const { along, factor } = turned(e);
  const moved = (along / (s.right - s.left)) * (s.to - s.from);
  if (!along) return wishes?.window(...zoomed(s.from, s.to, timeAt(s, x), factor));
  wishes?.window(s.from + moved, s.to + moved);
  // Another time is below the pointer now.
  if (x >= s.left && x <= s.right) wishes?.hover(timeAt(s, x) + moved);
}
