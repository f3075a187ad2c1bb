// The expression in CEL. The server evaluates it, as it does for every program; here is which entities it chose.
//
// It is asked again when the house is different, once a second at most, and every ten seconds where nothing is: a watch with the
// expression would not do, since an expression about ages chooses others also when nothing changes.

import { batch, effect, type ReadonlySignal, signal } from "@preact/signals";
import { listStates } from "../../api";
import { live, pause, shown, then } from "../../house";
import { past } from "../../moment";
import { endedWith } from "../../rpc";

/** Ids of the entities that it chose; undefined as long as there is none that was answered. While another is typed the last answer stays. */
export const chosen = signal<ReadonlySet<string> | undefined>(undefined);

/** What is wrong with the expression, or with asking. */
export const problem = signal<unknown>(undefined);

/** Whether its first answer is being waited for. */
export const waiting = signal(false);

/** Asks about an expression, and about each that takes its place, until the function that it returns is called. */
export function followWhere(expression: ReadonlySignal<string>): () => void {
  return effect(() => {
    const text = expression.value.trim();
    // What is asked depends on which house is looked at; of its moments the loop itself takes care.
    void past.value;
    if (!text) {
      answer(undefined);
      return;
    }
    const ended = new AbortController();
    waiting.value = true;
    // Not each letter on its way.
    const timer = setTimeout(() => void keepAsking(text, ended.signal), 300);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  });
}

function answer(ids: ReadonlySet<string> | undefined, wrong?: unknown): void {
  batch(() => {
    chosen.value = ids;
    problem.value = wrong;
    waiting.value = false;
  });
}

async function keepAsking(text: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const seen = shown.peek().revision.peek();
    const began = performance.now();
    try {
      const ids = await ask(text, signal);
      if (ids) answer(ids);
    } catch (err) {
      if (signal.aborted) return;
      answer(chosen.peek(), err);
      // An expression that is wrong stays wrong.
      if (endedWith(err, "invalid_argument")) return;
    }
    // A house that takes long to look through is asked less often. Through the past one drags, and wants to see.
    const rest = past.peek() ? 50 : 1000;
    await pause(Math.max(rest, 4 * (performance.now() - began)), signal);
    await different(seen, signal);
  }
}

/** The entities that are chosen, of the moment that is shown; undefined where there is none yet. */
async function ask(text: string, signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
  const position = past.peek() ? then.asOf.peek().position : undefined;
  if (past.peek() && position === undefined) return undefined;
  const ids = new Set<string>();
  for await (const part of listStates({ selection: { where: text }, ...(position !== undefined && { at: { position } }) }, signal)) {
    for (const s of part.states ?? []) ids.add(s.entityId ?? "");
  }
  return ids;
}

/** Waits until the house is another than it was, or time has passed in it. */
async function different(seen: number, signal: AbortSignal): Promise<void> {
  const end = new AbortController();
  const house = shown.peek();
  const stop = effect(() => {
    if (house.revision.value !== seen) end.abort();
  });
  await pause(house === live ? 10_000 : 3_600_000, AbortSignal.any([signal, end.signal]));
  stop();
}
