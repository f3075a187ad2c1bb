// What hands do on the bar: drag the playhead, move and zoom the window. Nothing here waits for an answer.

import { replace } from "../../address";
import { at, format } from "../../moment";
import { timeAt } from "../axis";
import { across, listening, otherThan, turned } from "../pointer";
import { axis, inset, stretch } from "./draw";
import { moveTo, nudge, pause } from "./play";
import { bounds, chosen, pan, zoom } from "./range";

/** Whether the playhead is dragged; the window stands still meanwhile. */
export let dragging = false;

/** Listens at a bar until the signal. It tells where a pointer is above the bar, in its pixels, or that there is none any more. */
export function handle(bar: HTMLElement, hover: (x: number | undefined) => void, signal: AbortSignal): void {
  const on = listening(bar, signal);
  const time = (x: number) => timeAt(stretch(bar), x);
  /** How long a pixel is. */
  const scale = () => time(inset + 1) - time(inset);
  const pointers = new Map<number, number>();
  let what: "nothing" | "time" | "window" = "nothing";
  /** How far the pointers have come since the first one went down. */
  let moved = 0;
  /** Where the playhead is to be with the next frame, and whether that is the first step of the movement. */
  let wanted: number | undefined;
  let first = true;
  let frame = 0;
  /** Takes the playhead where it is wanted. */
  const go = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (wanted === undefined) return;
    // The last pixels are now: nobody meets the very last one.
    const now = chosen.peek().end === undefined && wanted >= bar.clientWidth - inset - 3;
    moveTo(now ? Infinity : time(wanted), first);
    wanted = undefined;
    first = false;
  };
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));

  on("pointerdown", (e) => {
    if (e.button !== 0) return;
    const x = across(e);
    pointers.set(e.pointerId, x);
    bar.setPointerCapture(e.pointerId);
    pause();
    what = pointers.size > 1 || e.clientY > bar.getBoundingClientRect().bottom - axis ? "window" : "time";
    dragging = what === "time";
    moved = 0;
    first = true;
    wanted = dragging ? x : undefined;
    // A finger may be the first of two.
    if (e.pointerType !== "touch") go();
  });
  on("pointermove", (e) => {
    const x = across(e);
    const before = pointers.get(e.pointerId);
    hover(x);
    if (before === undefined) return;
    pointers.set(e.pointerId, x);
    moved += Math.abs(x - before);
    if (what === "time" && moved > 2) {
      wanted = x;
      frame ||= requestAnimationFrame(go);
    } else if (what === "window") {
      const other = otherThan(e, pointers);
      if (other === undefined) pan((before - x) * scale());
      else if (Math.abs(x - other) > 8) zoom(Math.abs((before - other) / (x - other)), time(other));
    }
  });
  const up = (e: PointerEvent) => {
    if (!pointers.delete(e.pointerId)) return;
    if (e.type !== "pointerup") wanted = undefined;
    else if (what === "window" && moved < 3 && !pointers.size) wanted = across(e);
    go();
    const m = at.peek();
    if (what === "time" && m) replace({ at: format(m) });
    dragging = false;
    if (!pointers.size) what = "nothing";
    if (e.pointerType === "touch") hover(undefined);
  };
  on("pointerup", up);
  on("pointercancel", up);
  on("pointerleave", () => hover(undefined));
  on("wheel", (e) => {
    e.preventDefault();
    const { along, factor } = turned(e);
    if (along) pan(along * scale());
    else zoom(factor, time(across(e)));
  });
}

/** What a key does while the bar has the focus; it says whether it was one of them. */
export function pressed(key: string): boolean {
  const step = { ArrowLeft: -0.01, ArrowDown: -0.01, ArrowRight: 0.01, ArrowUp: 0.01, PageDown: -0.1, PageUp: 0.1 }[key];
  if (step !== undefined) nudge(step);
  else if (key === "Home") moveTo(bounds().from, true);
  else if (key === "End") moveTo(chosen.peek().end ?? Infinity, true);
  else return false;
  return true;
}
