// Small things that every view has.

import { computed } from "@preact/signals";
import { type ComponentChildren, Fragment } from "preact";
import { useMemo } from "preact/hooks";
import { link } from "../address";
import type { StateJson } from "../gen/statehouse/v1/state_pb";
import { messageOf } from "../rpc";
import { sortOf, unitOf, words } from "../state";
import { age, dateTime } from "../time";

const hints = { pending: "a command waits for its answer", stale: "not heard of for more than a day", unavailable: "its device cannot be reached", unknown: "nothing is known of its state" } as Record<string, string>;

/** A state in words, which look as its sort wants: that of a time, if it is of another one than the rest of the page. Nothing where an
 * entity has none. It is drawn anew when time alone makes another sort of it. */
export function StateText({ state, to }: { state: StateJson | undefined; to?: number | undefined }) {
  const sort = useMemo(() => computed(() => (state ? sortOf(state, to) : "unknown")), [state, to]).value;
  if (!state) return <span class="state faint">—</span>;
  return (
    <span class="state" data-sort={sort} title={hints[sort]}>
      {words(state)}
      {unitOf(state) && <span class="unit">{unitOf(state)}</span>}
      {hints[sort] && !["unknown", "unavailable"].includes(sort) && <span class="hidden"> ({hints[sort]})</span>}
    </span>
  );
}

/** How long ago something was, with the time itself when one points at it. It counts on, and is drawn anew when it reads otherwise. */
export function Age({ time }: { time: string | undefined }) {
  const text = useMemo(() => computed(() => age(time)), [time]).value;
  if (!time) return null;
  return (
    <time dateTime={time} title={dateTime(Date.parse(time))}>
      {text}
    </time>
  );
}

/** A link to an entity's view. */
export function EntityLink({ id, children }: { id: string; children?: ComponentChildren }) {
  return <a href={link("entity", { id })}>{children ?? id}</a>;
}

/** A link to a moment, by its position, in the view that is shown, or in another one. */
export function PositionLink({ position, view = "now" }: { position: string; view?: string }) {
  return (
    <a class="mono" href={link(view, { at: `@${position}` })} title="the house as of this position">
      @{position}
    </a>
  );
}

/** What went wrong, in the words of the server, and a way to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div class="note bad row" role="alert">
      <span class="grow">{messageOf(error)}</span>
      {retry && <button onClick={retry}>Try again</button>}
    </div>
  );
}

/** A name and what is to be said of it. */
export type Fact = readonly [name: string, what: ComponentChildren, mono?: boolean];

/** Facts below each other; those of which there is nothing to say are left out. */
export function Facts({ of }: { of: readonly Fact[] }) {
  return (
    <dl class="facts">
      {of.map(
        ([name, what, mono]) =>
          what && (
            <Fragment key={name}>
              <dt>{name}</dt>
              <dd class={mono ? "mono" : undefined}>{what}</dd>
            </Fragment>
          ),
      )}
    </dl>
  );
}

/** Something takes a moment. */
export function Loading({ what = "Loading" }: { what?: string }) {
  return (
    <p class="faint" role="status">
      {what} …
    </p>
  );
}
