// Ways through the past: play it, step from change to change, move by a piece of the window.

import { signal } from "@preact/signals";
import { param, view } from "../../address";
import { readLog } from "../../api";
import { arrivedThen, arriving, live, then } from "../../house";
import { at, lookAt, passBy } from "../../moment";
import { messageOf } from "../../rpc";
import { bounds, follow, looking, oldest, present } from "./range";

/** How much faster than life the past is played. */
export const speed = signal(10);

/** The speeds that there are. */
export const speeds = [1, 10, 60, 600] as const;

/** Whether it is played. */
export const playing = signal(false);

/** What became of a step; empty for nothing that is worth a word. */
export const said = signal("");

/** The longest time that one picture may stand for while it is played, in milliseconds of the clock on the wall. */
const longest = 250;

let frame = 0;
let last = 0;

/** Plays on from the moment that is looked at, until now. */
export function play(): void {
  if (playing.peek() || !at.peek()) return;
  playing.value = true;
  last = performance.now();
  frame = requestAnimationFrame(onward);
}

/** Stops where it is. */
export function pause(): void {
  cancelAnimationFrame(frame);
  playing.value = false;
}

/** One frame. The next moment is asked for when the one before is shown, so that each change between them is: where answers take
 * longer it goes slower, and nothing is left out. */
function onward(frameTime: number): void {
  if (!at.peek()) return pause();
  frame = requestAnimationFrame(onward);
  const time = looking.peek();
  if (arriving.peek() || time === undefined) return;
  const passed = Math.min(Math.max(frameTime - last, 0), longest);
  last = frameTime;
  const next = time + passed * speed.peek();
  if (next < present()) return passBy({ time: next });
  pause();
  lookAt(undefined);
}

/** Goes to a time, or to now for one that is not before it. What is the first of a movement is a step in the browser's history. */
export function moveTo(time: number, first: boolean): void {
  if (time >= present()) lookAt(undefined);
  else if (first || !at.peek()) lookAt({ time: Math.round(time) });
  else passBy({ time: Math.round(time) });
}

/** Moves by a part of the window. */
export function nudge(part: number): void {
  pause();
  const { from, to } = bounds();
  const time = at.peek() ? looking.peek() : present();
  if (time !== undefined) moveTo(Math.max(time + part * (to - from), oldest.peek() ?? 0), false);
}

/** Looks at now, with a window that ends there. */
export function backToNow(): void {
  pause();
  follow();
  lookAt(undefined);
}

let stepping = false;

/** Goes to the next change of a state, or to the one before: of the entity whose view is shown, or else of any. */
export async function change(direction: 1 | -1): Promise<void> {
  if (stepping || (direction > 0 && !at.peek())) return;
  pause();
  stepping = true;
  said.value = "";
  try {
    const found = await neighbor(direction);
    if (found) lookAt({ position: found });
    else say(direction > 0 ? "Nothing has changed since" : "No change before this");
  } catch (err) {
    say(messageOf(err));
  } finally {
    stepping = false;
  }
}

/** The position of that change; undefined where there is none. */
async function neighbor(direction: 1 | -1): Promise<string | undefined> {
  const m = at.peek();
  if (m && "time" in m) await arrivedThen();
  const position = BigInt(m && "position" in m ? m.position : ((m ? then : live).asOf.peek().position ?? "0"));
  // At a time one is behind the last event before it, and at a position on the very event.
  const until = m && "position" in m ? position - 1n : position;
  if (direction < 0 && until <= 0n) return undefined;
  const about = view.peek() === "entity" ? param("id") : "";
  const query = { kinds: ["state_changed"], ...(about && { entityIds: [about] }), ...(direction > 0 ? { after: String(position) } : { until: String(until) }) };
  for await (const { events } of readLog({ query, backward: direction < 0, limit: "1" })) {
    const found = events?.[0]?.position;
    if (found) return found;
  }
  return undefined;
}

let silence: ReturnType<typeof setTimeout> | undefined;

/** Says something for a while. */
export function say(words: string): void {
  clearTimeout(silence);
  said.value = words;
  silence = setTimeout(() => (said.value = ""), 4000);
}

/** Copies the address of what is shown, at its position: that means the same for good. */
export async function copyLink(): Promise<void> {
  const address = new URL(location.href);
  const position = (at.peek() ? then : live).asOf.peek().position;
  if (position) address.searchParams.set("at", `@${position}`);
  const text = address.href.replaceAll("%3A", ":").replaceAll("%40", "@");
  try {
    await navigator.clipboard.writeText(text);
    say(`Link to @${position ?? ""} copied`);
  } catch {
    // Browsers have no clipboard for pages that come without TLS.
    prompt("The link to this moment", text);
  }
}
