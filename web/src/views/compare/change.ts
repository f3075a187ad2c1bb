// What is different of an entity between two moments, in words. The view of causes has it too.

import type { EntityChangeJson, EntityVersionJson } from "../../gen/statehouse/v1/timeline_service_pb";
import type { StateJson } from "../../gen/statehouse/v1/state_pb";
import { attributeList, wish } from "../../ui/event";

/** Kinds of differences, in the order in which they are shown, and their words. */
export const kinds = {
  appeared: "appeared",
  gone: "gone",
  renamed: "renamed",
  moved: "moved",
  disabled: "disabled or enabled",
  state: "state",
  attributes: "other attributes",
  pending: "commands",
  entry: "registry entry",
  report: "reported again",
} as const;

export type Kind = keyof typeof kinds;

/** Those that nobody would call a change: they are counted, and shown when they are asked for. */
export const quiet: ReadonlySet<Kind> = new Set(["entry", "report"]);

const spelled: Record<string, Kind> = { id: "renamed", name: "renamed", area: "moved" };

/** A change with what is said of it, which is worked out once. */
export interface Told {
  change: EntityChangeJson;
  kinds: Kind[];
  also: Difference[];
  last: StateJson;
  /** What the search looks in. */
  text: string;
}

/** Works out what is said of a change. */
export function tell(change: EntityChangeJson): Told {
  const also = differences(change);
  const last = lastOf(change);
  const text = [change.entityId, last.name, last.areaName, last.deviceName, change.before?.state?.name, change.before?.state?.entityId].join(" ").toLowerCase();
  return { change, kinds: kindsOf(change, also), also, last, text };
}

function kindsOf(c: EntityChangeJson, also: readonly Difference[]): Kind[] {
  const all = new Set((c.what ?? []).map((what) => spelled[what] ?? (what in kinds ? (what as Kind) : "entry")));
  // The state is one of the attributes, and would always be told twice.
  if (all.has("state") && !also.some((d) => d.attribute)) all.delete("attributes");
  return [...all];
}

/** The entity as it is after a change, or was last. */
export function lastOf(c: EntityChangeJson): StateJson {
  return (c.after ?? c.before)?.state ?? { entityId: c.entityId ?? "" };
}

/** What a person calls the entity of a version. */
export function nameOf(v: EntityVersionJson | undefined, id = ""): string {
  return v?.state?.name || v?.entry?.userName || v?.entry?.name || v?.state?.entityId || v?.entry?.id || id;
}

/** One thing that is different besides the state: its name, and what it was and is; empty for nothing. */
export interface Difference {
  name: string;
  before: string;
  after: string;
  attribute: boolean;
}

/** What is different besides the state: ids, names, areas, attributes and commands. */
export function differences(c: EntityChangeJson): Difference[] {
  const { before, after } = c;
  if (!before || !after) return [];
  const a = before.state ?? {};
  const b = after.state ?? {};
  const found: Difference[] = [];
  const compare = (name: string, was: string, is: string, attribute = false) => was !== is && found.push({ name, before: was, after: is, attribute });
  compare("id", a.entityId ?? before.entry?.id ?? "", b.entityId ?? after.entry?.id ?? "");
  compare("name", nameOf(before), nameOf(after));
  compare("area", a.areaName ?? a.areaId ?? "", b.areaName ?? b.areaId ?? "");
  const old = attributesOf(before);
  const young = attributesOf(after);
  for (const name of new Set([...old.keys(), ...young.keys()])) {
    // That a device cannot be reached is its state.
    if (name === "availability" && (a.text === "unavailable") !== (b.text === "unavailable")) continue;
    compare(name, old.get(name) ?? "", young.get(name) ?? "", true);
  }
  if (c.what?.includes("pending")) compare("asked to", wishes(a), wishes(b));
  return found;
}

function attributesOf(v: EntityVersionJson): Map<string, string> {
  return new Map(v.disabled ? [] : attributeList(v.state?.attributes));
}

function wishes(s: StateJson): string {
  return (s.pending ?? []).map((p) => wish(p.action, p.arguments)).join("; ");
}
