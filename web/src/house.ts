// The house that is shown: its states, now or in a moment of the past. Components read `shown` and its revision; what changes
// within a frame comes as one.

import { computed, effect, signal, untracked } from "@preact/signals";
import { diff, listStates, watch } from "./api";
import type { AsOfJson, CursorJson } from "./gen/statehouse/v1/moment_pb";
import type { StateJson } from "./gen/statehouse/v1/state_pb";
import { at, type Moment, past, request } from "./moment";
import { endedWith, messageOf, RpcError } from "./rpc";
import { token } from "./session";

/** How far a house is: "loading" until it is whole once, then "ready", or "lost" while the server does not answer. */
export type Phase = "loading" | "ready" | "lost" | "failed";

/** What a state has from the registry. */
const registered = ["name", "areaName", "deviceName", "deviceClass", "unit"] as const;

/** A house: the states of one moment, by entity id. Nobody but its owner below changes one. */
export class House {
  /** The states, by entity id. */
  readonly states = new Map<string, StateJson>();
  /** Grows with each change of what is above, at most once a frame. */
  readonly revision = signal(0);
  /** Grows when an entity comes, goes, or is called, placed or meant otherwise: when the registry may be different, too. */
  readonly names = signal(0);
  readonly phase = signal<Phase>("loading");
  /** What is wrong, for people; empty for nothing. */
  readonly problem = signal("");
  /** The moment that the states are of; of the present the position alone. */
  readonly asOf = signal<AsOfJson>({});
  /** When an entity last came with another state while somebody watched, as performance.now has it. */
  readonly changed = new Map<string, number>();

  private frame = 0;

  /** Replaces everything. */
  reset(states: Iterable<StateJson>): void {
    this.states.clear();
    this.changed.clear();
    for (const s of states) this.states.set(s.entityId ?? "", s);
    // An effect that calls this must not come again because of it.
    this.names.value = this.names.peek() + 1;
    this.touch();
  }

  /** Changes some. */
  apply(states: readonly StateJson[], removed: readonly string[]): void {
    const now = performance.now();
    let named = false;
    for (const id of removed) named = this.states.delete(id) || named;
    for (const s of states) {
      const id = s.entityId ?? "";
      const before = this.states.get(id);
      if (before && before.changedAt !== s.changedAt) this.changed.set(id, now);
      named ||= !before || registered.some((field) => before[field] !== s[field]);
      this.states.set(id, s);
    }
    if (named) this.names.value = this.names.peek() + 1;
    this.touch();
  }

  /** Says with the next frame that something is different. */
  touch(): void {
    if (this.frame) return;
    const say = () => {
      cancelAnimationFrame(this.frame);
      clearTimeout(timer);
      this.frame = 0;
      this.revision.value++;
    };
    // A page that is not seen has no frames.
    const timer = setTimeout(say, 200);
    this.frame = requestAnimationFrame(say);
  }
}

/** The present, kept up to date as long as somebody is signed in. */
export const live = new House();

/** The moment of the past that was asked for last. */
export const then = new House();

/** The one of both that is looked at. */
export const shown = computed(() => (at.value ? then : live));

/** The states that are shown, as of now: who reads this comes again when they are different. */
export function states(): ReadonlyMap<string, StateJson> {
  void shown.value.revision.value;
  return shown.value.states;
}

/** One state that is shown. */
export function stateOf(id: string): StateJson | undefined {
  return states().get(id);
}

/** The uuid of the database that positions are of; empty as long as it is not known. */
export const database = signal("");

effect(() => {
  if (!token.value) {
    live.reset([]);
    live.phase.value = "loading";
    return;
  }
  const end = new AbortController();
  void follow(end.signal);
  return () => end.abort();
});

/** Watches the present until the signal, and comes back with the last cursor when the connection is lost. */
async function follow(signal: AbortSignal): Promise<void> {
  const kept: { cursor?: CursorJson } = {};
  for (let wait = 250; !signal.aborted; wait = Math.min(wait * 2, 5000)) {
    try {
      for await (const heard of received(kept, signal)) if (heard) wait = 250;
    } catch (err) {
      if (signal.aborted) return;
      live.phase.value = live.states.size || endedWith(err, "network") ? "lost" : "failed";
      live.problem.value = messageOf(err);
    }
    await pause(wait, signal);
  }
}

/** One connection of watching: it yields with each message that has been dealt with. */
async function* received(kept: { cursor?: CursorJson }, signal: AbortSignal): AsyncGenerator<boolean> {
  // The server sends a heartbeat every 15 seconds. A connection that is silent for longer is dead, whatever the browser believes.
  const silent = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), 40_000);
  };
  heard();
  let whole: StateJson[] | undefined = kept.cursor ? undefined : [];
  // What comes before a cursor is of no position yet.
  let states: StateJson[] = [];
  let removed: string[] = [];
  const arrived = (cursor: CursorJson) => {
    kept.cursor = cursor;
    database.value = cursor.database ?? "";
    live.asOf.value = { position: cursor.position ?? "0" };
    live.phase.value = "ready";
    live.problem.value = "";
  };
  try {
    for await (const m of watch(kept.cursor ? { cursor: kept.cursor } : {}, AbortSignal.any([signal, silent.signal]))) {
      heard();
      if (m.reset) {
        // Positions have gone, or mean something else now, and they are everywhere on the page.
        return location.reload();
      } else if (m.states) {
        whole?.push(...(m.states.states ?? []));
      } else if (m.ready) {
        if (whole) live.reset(whole);
        whole = undefined;
        arrived(m.ready.cursor ?? {});
      } else if (m.changes) {
        states.push(...(m.changes.states ?? []));
        removed.push(...(m.changes.removed ?? []));
        if (m.changes.cursor) {
          live.apply(states, removed);
          [states, removed] = [[], []];
          arrived(m.changes.cursor);
        }
      } else if (m.heartbeat?.cursor) {
        arrived(m.heartbeat.cursor);
      }
      yield true;
    }
  } catch (err) {
    if (silent.signal.aborted && !signal.aborted) throw new RpcError("network", "the server has been silent");
    throw err;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits, until the signal at the longest. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const stop = () => {
      clearTimeout(timer);
      // The signal may be there for weeks.
      signal.removeEventListener("abort", stop);
      done();
    };
    const timer = setTimeout(stop, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
}

// The past. One question is under way at a time; when its answer is there the moment that is wanted by then is asked for, and
// those between are never asked. From one moment to another only what differs comes.
let wanted: Moment | undefined;
let asking: Promise<void> | undefined;
// Ends what somebody asked for who is not signed in any more.
let asker = new AbortController();
const answered = signal<Moment | undefined>(undefined);

/** Whether the answer for the moment that is looked at is still under way. What is shown until then is the moment before. */
export const arriving = computed(() => past.value && at.value !== answered.value);

effect(() => {
  wanted = at.value;
  // Who has lost the connection is told again when it is back.
  void live.phase.value;
  if (!token.value) {
    asker.abort();
    asker = new AbortController();
    then.reset([]);
    then.asOf.value = {};
    answered.value = undefined;
    return;
  }
  untracked(() => {
    if (wanted && (arriving.value || then.phase.value === "lost")) asking ??= ask().finally(() => (asking = undefined));
  });
});

/** Resolves when the moment that is looked at is shown. */
export async function arrivedThen(): Promise<void> {
  await asking;
}

async function ask(): Promise<void> {
  const { signal } = asker;
  for (let done: Moment | undefined; wanted && wanted !== done; ) {
    done = wanted;
    try {
      if (stands()) await step(done, signal);
      else await jump(done, signal);
      then.phase.value = "ready";
      then.problem.value = "";
    } catch (err) {
      if (signal.aborted) return;
      then.phase.value = endedWith(err, "network", "unavailable") ? "lost" : "failed";
      then.problem.value = messageOf(err);
      then.asOf.value = {};
      then.reset([]);
    }
    answered.value = done;
  }
}

/** Whether there is a moment of the past to go on from. */
function stands(): boolean {
  return then.asOf.value.position !== undefined && then.phase.value === "ready";
}

/** Asks for the whole house. */
async function jump(m: Moment, signal: AbortSignal): Promise<void> {
  const all: StateJson[] = [];
  let asOf: AsOfJson = {};
  for await (const part of listStates({ at: request(m)! }, signal)) {
    asOf = part.asOf ?? asOf;
    all.push(...(part.states ?? []));
  }
  then.reset(all);
  then.asOf.value = { position: "0", ...asOf };
}

/** Asks for what differs from the moment before. */
async function step(m: Moment, signal: AbortSignal): Promise<void> {
  const states: StateJson[] = [];
  const removed: string[] = [];
  let asOf: AsOfJson = {};
  for await (const part of diff({ from: { position: then.asOf.value.position ?? "0" }, to: request(m)!, statesOnly: true }, signal)) {
    asOf = part.to ?? asOf;
    for (const change of part.changes ?? []) {
      const before = change.before?.state?.entityId ?? change.entityId ?? "";
      // What is registered and has no state has its names all the same.
      const after = change.after?.state?.position && !change.after.disabled ? change.after.state : undefined;
      if (!after || after.entityId !== before) removed.push(before);
      if (after) states.push(after);
    }
  }
  then.apply(states, removed);
  then.asOf.value = { position: "0", ...asOf };
}
