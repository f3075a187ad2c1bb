// Commands that were given on this page: what became of each, as the log says it.

import { effect, signal, untracked } from "@preact/signals";
import { command, readLog } from "./api";
import type { FieldJson, ValueJson } from "./gen/statehouse/entity/v1/value_pb";
import { live } from "./house";
import { endedWith, messageOf } from "./rpc";

/** What became of a command: it is on its way to the server, recorded and waiting for the device, or done with. */
export type Stage = "sending" | "waiting" | "confirmed" | "failed";

/** The last command to an entity that was given here. */
export interface Given {
  readonly stage: Stage;
  readonly action: string;
  /** What is wrong, for people; empty for nothing. */
  readonly reason: string;
  /** The position of the command_issued; empty where nothing was recorded. */
  readonly position: string;
}

/** The last command to each entity, by its id. One that was confirmed is forgotten after a few seconds, another with the next one. */
export const given = signal<ReadonlyMap<string, Given>>(new Map());

/** Has an entity do something. It never fails: what is wrong is in `given`. */
export async function give(entityId: string, action: string, args: FieldJson[] = []): Promise<void> {
  const sent: Given = { stage: "sending", action, reason: "", position: "" };
  note(entityId, sent);
  // What comes late of one command must not stand in the place of the next.
  const over = () => given.peek().get(entityId) !== sent;
  try {
    const answer = await command({ entityId, action, ...(args.length > 0 && { arguments: args }) });
    if (over()) return;
    const position = answer.position ?? "";
    if (answer.outcome) conclude(entityId, { stage: "waiting", action, reason: "", position }, answer.outcome, answer.reason);
    else note(entityId, { stage: "waiting", action, reason: "", position });
  } catch (err) {
    if (over()) return;
    const unknown = endedWith(err, "network");
    const reason = unknown ? "The connection was lost: whether it was given is not known." : messageOf(err);
    note(entityId, { stage: "failed", action, reason, position: "" });
  }
}

/** Forgets what became of the last command to an entity. */
export function dismiss(entityId: string): void {
  note(entityId, undefined);
}

/** A number as the value of an argument. */
export const numberValue = (n: number): ValueJson => (Number.isSafeInteger(n) ? { intValue: String(n) } : { doubleValue: n });

function note(entityId: string, g: Given | undefined): void {
  const all = new Map(given.peek());
  if (g) all.set(entityId, g);
  else all.delete(entityId);
  given.value = all;
}

const outcomes: Record<string, string> = {
  COMMAND_OUTCOME_FAILED: "It could not be sent",
  COMMAND_OUTCOME_SUPERSEDED: "A later command took its place",
  COMMAND_OUTCOME_TIMED_OUT: "The device did not answer in time",
};

function conclude(entityId: string, g: Given, outcome: string, reason: string | undefined): void {
  const why = outcomes[outcome];
  if (why !== undefined) {
    note(entityId, { ...g, stage: "failed", reason: reason ? `${why}: ${reason}` : `${why}.` });
    return;
  }
  const done: Given = { ...g, stage: "confirmed" };
  note(entityId, done);
  setTimeout(() => given.peek().get(entityId) === done && note(entityId, undefined), 3000);
}

// A command that the state does not name as pending any more is settled, and the log says how.
effect(() => {
  void live.revision.value;
  untracked(() => {
    for (const [id, g] of given.value) {
      if (g.stage !== "waiting" || asking.has(g.position)) continue;
      if (BigInt(live.asOf.value.position ?? 0) < BigInt(g.position)) continue;
      if (live.states.get(id)?.pending?.some((p) => p.position === g.position)) continue;
      void settle(id, g);
    }
  });
});

const asking = new Set<string>();

async function settle(entityId: string, g: Given): Promise<void> {
  asking.add(g.position);
  try {
    // Not of this id alone: the entity may be called otherwise by now.
    for await (const part of readLog({ query: { after: g.position, kinds: ["command_settled"] } })) {
      for (const e of part.events ?? []) {
        const settled = e.payload?.commandSettled;
        if (settled?.command !== g.position) continue;
        if (given.peek().get(entityId) === g) conclude(entityId, g, settled.outcome ?? "", settled.reason);
        return;
      }
    }
  } catch {
    // The next change of the house asks again.
  } finally {
    asking.delete(g.position);
  }
}
