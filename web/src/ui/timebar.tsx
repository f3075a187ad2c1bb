// The time bar, in the header of every view: which moment one looks at, and the ways to another.

import { effect, untracked } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { counted } from "../count";
import { useKeys } from "../keys";
import { past } from "../moment";
import { colors } from "../theme";
import { duration, now as tick } from "../time";
import { placeOf, timeAt } from "./axis";
import { Controls } from "./timebar/controls";
import { count, countAt, counts, width } from "./timebar/density";
import { draw, stretch } from "./timebar/draw";
import { dragging, handle, pressed } from "./timebar/hand";
import { backToNow, change, nudge, pause, play, playing } from "./timebar/play";
import { chosen, looking, oldest, passing, present, reveal, zoom } from "./timebar/range";
import { ago, Status, whole } from "./timebar/status";
import "./timebar.css";

/** The bar with all that belongs to it. */
export function TimeBar() {
  useEffect(count, []);
  useKeys([
    { key: "n", what: "Back to now", run: backToNow },
    { key: ",", what: "Previous change", run: () => void change(-1) },
    { key: ".", what: "Next change", run: () => void change(1) },
    { key: "[", what: "Back by a hundredth of the time bar", run: () => nudge(-0.01) },
    { key: "]", what: "Forward by a hundredth of it", run: () => nudge(0.01) },
    { key: " ", what: "Play the past, or pause", run: toggle },
    { key: "+", what: "Zoom the time bar in", run: () => zoom(0.5) },
    { key: "-", what: "Zoom it out", run: () => zoom(2) },
  ]);
  return (
    <section class="timebar" aria-label="Time">
      <Status />
      <Controls />
      <Bar />
    </section>
  );
}

const toggle = () => (playing.peek() ? pause() : play());

function Bar() {
  const bar = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  useEffect(() => (bar.current && canvas.current && tip.current ? show(bar.current, canvas.current, tip.current) : undefined), []);
  const { from, to } = passing.value;
  const time = past.value ? looking.value : present();
  const value = Math.round(Math.min(to, Math.max(from, time ?? from)));
  return (
    <div
      ref={bar}
      class="timebar-bar"
      role="slider"
      tabIndex={0}
      aria-label="The moment that is looked at"
      aria-valuemin={Math.round(from)}
      aria-valuemax={Math.round(to)}
      aria-valuenow={value}
      aria-valuetext={past.value ? (time === undefined ? "the past" : `${whole(time)}, ${ago(time)}`) : "now"}
      onKeyDown={(e) => {
        if (e.ctrlKey || e.metaKey || e.altKey) return;
        if (e.key === " ") toggle();
        else if (!pressed(e.key)) return;
        e.preventDefault();
      }}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <div ref={tip} class="timebar-tip" aria-hidden="true" hidden />
    </div>
  );
}

/** Draws the bar whenever something in it is different, at most once a frame, until what it returns is called. */
function show(bar: HTMLElement, canvas: HTMLCanvasElement, tip: HTMLElement): () => void {
  let frame = 0;
  let pointed: number | undefined;
  const paint = () => {
    frame = 0;
    const s = stretch(bar);
    const time = past.peek() ? looking.peek() : present();
    const hover = pointed !== undefined && pointed >= s.left && pointed <= s.right ? timeAt(s, pointed) : undefined;
    draw(canvas, bar.clientWidth, bar.clientHeight, { ...s, time, past: past.peek(), hover });
    point(tip, hover, pointed ?? 0, bar.clientWidth);
    Object.assign(bar.dataset, { from: Math.round(s.from), to: Math.round(s.to), at: past.peek() ? (time ?? "") : "now", playhead: time === undefined ? "" : placeOf(s, time).toFixed(1) });
  };
  const soon = () => (frame ||= requestAnimationFrame(paint));
  const size = new ResizeObserver(() => {
    width.value = bar.clientWidth;
    soon();
  });
  size.observe(bar);
  const ends = [
    effect(() => {
      for (const s of [chosen, counts, oldest, looking, past, colors, tick]) void s.value;
      soon();
    }),
    effect(() => {
      const time = looking.value;
      const least = oldest.value;
      // There is nothing to be seen before the oldest moment.
      if (time !== undefined && least !== undefined && !dragging) untracked(() => reveal(Math.max(time, least)));
    }),
  ];
  const gone = new AbortController();
  const hovered = (x: number | undefined) => {
    pointed = x;
    soon();
  };
  handle(bar, hovered, gone.signal);
  return () => {
    cancelAnimationFrame(frame);
    size.disconnect();
    gone.abort();
    for (const end of ends) end();
  };
}

/** Says what is under the pointer. */
function point(tip: HTMLElement, time: number | undefined, x: number, wide: number): void {
  tip.hidden = time === undefined;
  if (time === undefined) return;
  const there = countAt(time);
  tip.textContent = there ? `${whole(time)} · ${counted(there.count, "event")} in ${there.step < 1000 ? `${there.step} ms` : duration(there.step)}` : whole(time);
  tip.style.left = `${Math.min(Math.max(x, tip.offsetWidth / 2), wide - tip.offsetWidth / 2)}px`;
}
