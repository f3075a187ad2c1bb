// What differs, by room and device.

import { useState } from "preact/hooks";
import { link } from "../../address";
import { compare, shortName } from "../../state";
import { EntityLink } from "../../ui/parts";
import { type Kind, kinds, nameOf, type Told } from "./change";
import { BeforeAfter, Differences } from "./parts";

/** The moments that changes lie between, in milliseconds since 1970 and as the second one's position. */
export interface Between {
  from: number;
  to: number;
  position: string;
}

/** How many changes are shown at once; a page of all of a large house would be slow. */
const page = 300;

/** The changes, by room: the rooms by name, and what is in none last. */
export function Rooms({ changes, between }: { changes: readonly Told[]; between: Between }) {
  const [most, setMost] = useState(page);
  const sorted = changes.toSorted((x, y) => order(placeOf(x), placeOf(y)));
  const sizes = grouped(sorted, 0);
  return (
    <>
      {[...grouped(sorted.slice(0, most), 0)].map(([room, all]) => (
        <section key={room} class="compare-room" aria-label={room || "In no area"}>
          <h2>
            {room || "In no area"} <span class="compare-count">{sizes.get(room)?.length}</span>
          </h2>
          {[...grouped(all, 1)].map(([device, those]) => (
            <div key={device} class="compare-device">
              {device && <h3>{device}</h3>}
              <ul>
                {those.map((told) => (
                  <Row key={told.change.entityId} told={told} between={between} />
                ))}
              </ul>
            </div>
          ))}
        </section>
      ))}
      {sorted.length > most && <button onClick={() => setMost(sorted.length)}>Show the other {(sorted.length - most).toLocaleString()}</button>}
    </>
  );
}

type Place = readonly [room: string, device: string, name: string];

function placeOf({ last }: Told): Place {
  return [last.areaName || last.areaId || "", last.deviceName ?? "", last.name || (last.entityId ?? "")];
}

function grouped(all: readonly Told[], by: 0 | 1): Map<string, Told[]> {
  const groups = new Map<string, Told[]>();
  for (const told of all) {
    const name = placeOf(told)[by];
    const group = groups.get(name);
    if (group) group.push(told);
    else groups.set(name, [told]);
  }
  return groups;
}

function order(a: Place, b: Place): number {
  for (let i = 0; i < 3; i++) {
    const [x = "", y = ""] = [a[i], b[i]];
    // What is nowhere comes last.
    if (x !== y) return !x ? 1 : !y ? -1 : compare(x, y) || (x < y ? -1 : 1);
  }
  return 0;
}

/** What the kinds are called beside one entity. */
const tags = { ...kinds, disabled: "disabled" };

/** Kinds that one sees without a word. */
const evident: ReadonlySet<Kind> = new Set(["state", "attributes"]);

function Row({ told: { change, also, kinds: its, last }, between }: { told: Told; between: Between }) {
  const id = last.entityId || change.entityId || "";
  const name = last.name ? shortName(last) : nameOf(change.after ?? change.before, id);
  return (
    <li class="compare-row" data-entity={id}>
      <span class="compare-name">
        <EntityLink id={id}>{name}</EntityLink>
        <span class="mono faint">{id}</span>
      </span>
      <span>
        <BeforeAfter change={change} from={between.from} to={between.to} />
        <Differences all={also} />
      </span>
      <span class="compare-kinds">
        {its
          .filter((k) => !evident.has(k))
          .map((k) => (
            <span key={k} class="compare-kind" data-kind={k}>
              {k === "disabled" && !change.after?.disabled ? "enabled" : tags[k]}
            </span>
          ))}
      </span>
      {change.after && !change.after.disabled ? (
        <a class="compare-why" href={link("why", { id, at: `@${between.position}` })} aria-label={`Why is ${name} so?`}>
          why?
        </a>
      ) : (
        <span />
      )}
    </li>
  );
}
