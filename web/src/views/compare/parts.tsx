// A change for the eye: in the view of differences, and in that of causes.

import type { EntityChangeJson, EntityVersionJson } from "../../gen/statehouse/v1/timeline_service_pb";
import { StateText } from "../../ui/parts";
import type { Difference } from "./change";
import "./parts.css";

/** An entity in one moment: its state as of a time, or why it has none. */
export function Version({ version, to }: { version: EntityVersionJson | undefined; to: number | undefined }) {
  if (!version) return <i class="faint">not there</i>;
  if (version.disabled) return <i class="faint">disabled</i>;
  return <StateText state={version.state} to={to} />;
}

/** What an entity was and is. Where the word is the same it stands once. */
export function BeforeAfter({ change, from, to }: { change: EntityChangeJson; from: number | undefined; to: number | undefined }) {
  const { before, after } = change;
  const same = before && after && before.disabled === after.disabled && before.state?.text === after.state?.text && before.state?.unit === after.state?.unit;
  return (
    <span class="change-states">
      {!same && (
        <>
          <span class="hidden">was </span>
          <Version version={before} to={from} />
          <Arrow />
          <span class="hidden">is </span>
        </>
      )}
      <Version version={after} to={to} />
    </span>
  );
}

const shown = 5;

/** What else is different, the first of it at once. */
export function Differences({ all }: { all: readonly Difference[] }) {
  if (!all.length) return null;
  // One more is not worth hiding.
  const first = all.length > shown + 1 ? all.slice(0, shown) : all;
  const rest = all.slice(first.length);
  return (
    <>
      <List all={first} />
      {rest.length > 0 && (
        <details class="change-rest">
          <summary>{rest.length} more</summary>
          <List all={rest} />
        </details>
      )}
    </>
  );
}

function List({ all }: { all: readonly Difference[] }) {
  return (
    <ul class="change-list">
      {all.map((d) => (
        <li key={d.name}>
          <span class="faint">{d.name}: </span>
          {d.before || <i class="faint">none</i>}
          <Arrow />
          {d.after || <i class="faint">none</i>}
        </li>
      ))}
    </ul>
  );
}

function Arrow() {
  return (
    <>
      <span class="change-arrow" aria-hidden="true">
        {" → "}
      </span>
      <span class="hidden"> then </span>
    </>
  );
}
