// How many events there are where: what the bar's markers show. They are counted in parts whose ends are the same whatever the
// window is, so that they stand still while it slides.

import { effect, signal, untracked } from "@preact/signals";
import { density, readLog } from "../../api";
import { live } from "../../house";
import { endedWith } from "../../rpc";
import { now as tick, skew } from "../../time";
import { steps } from "../axis";
import { begin, bounds, chosen, first, oldest, present } from "./range";

/** Events in equal parts of a time. A part is behind its beginning and up to its end. */
export interface Counts {
  begin: number;
  step: number;
  counts: readonly number[];
  /** Until when they are known; the last parts may be longer. */
  until: number;
}

/** What is known; it may be of another window than the one that is shown, while the answer for that is under way. */
export const counts = signal<Counts | undefined>(undefined);

/** How wide the bar is, in pixels. */
export const width = signal(0);

const s = 1000;
const day = 86_400 * s;

/** The most parts that are asked for; the server would count 2,000. */
const most = 1900;

/** The shortest part that is wide enough to be seen as one. */
function stepOf(span: number): number {
  const least = (span * 3) / Math.max(width.peek(), 100);
  return steps.find((n) => n >= least) ?? Math.ceil(least / day) * day;
}

/** Counts are asked for again after this, in milliseconds, and where the house begins and what the server's clock says after that. */
const fresh = 3 * s;
const lasting = 120 * s;

/** How exactly it is known what the server's clock says, with all that is under way. */
const exact = s;

let timer: ReturnType<typeof setTimeout> | undefined;
let under: AbortController | undefined;
let idle = Promise.resolve();
let compared = 0;
let pause = 0;

/** Keeps the counts up to date from now on; it returns what ends that. */
export function count(): () => void {
  compared = 0;
  const ends = [
    effect(() => {
      void tick.value;
      void live.phase.value;
      void oldest.value;
      void width.value;
      untracked(refresh);
    }),
    effect(() => {
      void chosen.value;
      void width.value;
      clearTimeout(timer);
      timer = setTimeout(() => oldest.peek() && ask(everything), 120);
    }),
  ];
  return () => {
    clearTimeout(timer);
    under?.abort();
    for (const end of ends) end();
    counts.value = undefined;
    oldest.value = undefined;
  };
}

/** Asks for what is not known, or not any more. */
function refresh(): void {
  if (under || document.hidden) return;
  const known = counts.value;
  const { from, to } = bounds();
  // The browser's clock may be set, also back.
  if (Math.abs(Date.now() - compared) > (oldest.value ? lasting : fresh)) ask(bearings);
  else if (!oldest.value) return;
  else if (!known || known.step !== stepOf(to - from)) ask(everything);
  else if (to > known.until + fresh && present() > known.until + fresh) ask(newest);
}

/** Asks one question once the one before has ended, which is given up. A bar without markers is a bar still: nobody hears of a failure. */
function ask(question: (signal: AbortSignal) => Promise<void>): void {
  if (live.phase.peek() !== "ready" || Date.now() < pause || !width.peek()) return;
  under?.abort();
  const mine = (under = new AbortController());
  idle = idle
    .then(() => (mine.signal.aborted ? undefined : question(mine.signal)))
    .catch((err: unknown) => {
      if (mine.signal.aborted) return;
      // A server that does not know the question, or not any more, is not asked all the time.
      pause = Date.now() + (endedWith(err, "network") ? fresh : lasting / 4);
      compared = 0;
    })
    .finally(() => {
      if (under === mine) under = undefined;
    });
}

/** Where the house begins, and what the server's clock says. */
async function bearings(signal: AbortSignal): Promise<void> {
  compared = Date.now();
  for await (const { events } of readLog({ limit: "1" }, signal)) {
    const event = events?.[0];
    if (event?.recordedAt) begin(Date.parse(event.recordedAt), event.position ?? "1");
  }
  const sent = Date.now();
  const { end } = await density({ from: { position: live.asOf.peek().position ?? "0" }, parts: 1 }, signal);
  const got = Date.now();
  const ahead = end ? Date.parse(end) - (sent + got) / 2 : 0;
  // The server's answer is somewhere between both. What does not contradict that stays, so that nothing trembles.
  if (Math.abs(ahead - skew.peek()) > (got - sent) / 2 + 5) skew.value = ahead;
}

/** Counts the window, and something on both sides of it. */
async function everything(signal: AbortSignal): Promise<void> {
  const { from, to } = bounds();
  const step = stepOf(to - from);
  const margin = (to - from) / 8;
  // The server refuses what is before the oldest moment, where something was removed.
  const least = (first.peek() === "1" ? Math.floor : Math.ceil)((oldest.peek() ?? from) / step);
  counts.value = await parts(Math.max(Math.floor((from - margin) / step), least) * step, step, to + margin, signal);
}

/** Counts anew what may have been on its way when it was counted. */
async function newest(signal: AbortSignal): Promise<void> {
  const known = counts.peek();
  if (!known) return;
  const kept = Math.max(0, Math.floor((known.until - exact - known.begin) / known.step));
  const start = known.begin + kept * known.step;
  // After a night's sleep there is more to count than there was.
  if ((present() - start) / known.step > most / 2) return everything(signal);
  const tail = await parts(start, known.step, present(), signal);
  const drop = Math.max(0, kept - most);
  counts.value = { ...tail, begin: known.begin + drop * known.step, counts: [...known.counts.slice(drop, kept), ...tail.counts] };
}

async function parts(start: number, step: number, end: number, signal: AbortSignal): Promise<Counts> {
  const until = Math.max(start, Math.min(end, present()));
  const n = Math.min(most, Math.max(1, Math.ceil((until - start) / step)));
  const time = (ms: number) => ({ time: new Date(ms).toISOString() });
  const answer = await density({ from: time(start), to: time(start + n * step), parts: n }, signal);
  return { begin: start, step, counts: (answer.counts ?? []).map(Number), until };
}

/** The events at a time, and how long the part is that they are in; undefined where that is not known. */
export function countAt(time: number): { count: number; step: number } | undefined {
  const known = counts.peek();
  if (!known || time > known.until) return undefined;
  const count = known.counts[Math.floor((time - known.begin) / known.step)];
  return count === undefined ? undefined : { count, step: known.step };
}
