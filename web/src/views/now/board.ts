// The house as the view has it: entities by area and device. What stays as it is costs nothing: names are sorted when one is
// different, and a row hears of its own state alone.

import { batch, effect, type Signal, signal, untracked } from "@preact/signals";
import type { StateJson } from "../../gen/statehouse/v1/state_pb";
import { type House, live, shown } from "../../house";
import { type Registry, registry } from "../../registry";
import { compare, domainOf, sortOf, staleAfter } from "../../state";
import { reference } from "../../time";

/** What one may want to see alone: what is wrong, and what is waited for. */
export type Only = "problems" | "pending";

/** An entity. There is one of it as long as the view is there. */
export class Entry {
  readonly id: string;
  readonly domain: string;
  readonly state: Signal<StateJson>;
  /** When its last change was seen, as performance.now has it; 0 for none that is to be shown. */
  readonly flash = signal(0);
  /** Whether it is there for diagnosis or configuration alone. */
  aside = false;
  /** What a search looks at, in small letters. */
  words = "";
  kind: Only | undefined;
  area: Area | undefined;
  private heard = 0;
  private stale = false;

  constructor(id: string, state: StateJson) {
    this.id = id;
    this.domain = domainOf(id);
    this.state = signal(state);
    this.classify(state);
  }

  /** Takes another state; it says whether the kind is another one. */
  take(state: StateJson): boolean {
    this.state.value = state;
    return this.classify(state);
  }

  /** Looks whether time alone has made another kind of it. */
  age(to: number): boolean {
    return this.heard > 0 && to - this.heard > staleAfter !== this.stale && this.classify(this.state.peek());
  }

  private classify(state: StateJson): boolean {
    const before = this.kind;
    this.heard = Date.parse(state.updatedAt ?? "") || 0;
    this.stale = this.heard > 0 && reference.peek() - this.heard > staleAfter;
    const sort = sortOf(state);
    this.kind = sort === "pending" ? "pending" : sort === "unknown" || sort === "unavailable" || sort === "stale" ? "problems" : undefined;
    return this.kind !== before;
  }
}

/** A device, or what has none, within an area. */
export interface Device {
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly entries: Entry[];
}

/** An area, or what is in none. */
export interface Area {
  readonly key: string;
  /** Empty for none. */
  readonly name: string;
  readonly devices: Device[];
  readonly entries: Entry[];
  /** Grows when one of its states is different. */
  readonly revision: Signal<number>;
}

/** More changes than these in one step of the past are a jump, in which a flash would say nothing. */
const mostFlashes = 16;

/** All areas of the moment that is looked at, sorted. */
export const areas = signal<readonly Area[]>([]);

/** Grows when an entity is of another kind than before. */
export const kinds = signal(0);

const entries = new Map<string, Entry>();

/** What the areas were made of. */
let made: { house?: House; names?: number; known?: Registry } = {};

/** Follows the house until the function that it returns is called. */
export function followHouse(): () => void {
  return effect(() => {
    const house = shown.value;
    void house.revision.value;
    const known = registry.value;
    const to = reference.value;
    untracked(() => batch(() => update(house, known, to)));
  });
}

function update(house: House, known: Registry, to: number): void {
  const changed: Entry[] = [];
  let kind = false;
  for (const [id, state] of house.states) {
    const e = entries.get(id);
    if (!e) {
      entries.set(id, new Entry(id, state));
    } else if (e.state.peek() !== state) {
      changed.push(e);
      kind = e.take(state) || kind;
    } else if (e.age(to)) {
      kind = true;
    }
  }
  const came = house === made.house;
  const flash = came && (house === live || changed.length <= mostFlashes);
  for (const e of changed) {
    e.flash.value = flash ? (house.changed.get(e.id) ?? 0) : 0;
    if (e.area) e.area.revision.value++;
  }
  const names = house.names.peek();
  if (!came || made.names !== names || made.known !== known) {
    for (const id of entries.keys()) if (!house.states.has(id)) entries.delete(id);
    areas.value = grouped(known);
    made = { house, names, known };
    kind = true;
  }
  if (kind) kinds.value++;
}

/** Names in the order of people; what has none comes last. */
const byName = (a: { name: string }, b: { name: string }) => Number(!a.name) - Number(!b.name) || compare(a.name, b.name);

/** Puts the entities into areas and devices, anew. */
function grouped(known: Registry): Area[] {
  const places = new Map<string, Area>();
  const devices = new Map<string, Device>();
  for (const e of entries.values()) {
    const s = e.state.peek();
    const category = known.entities.get(e.id)?.category;
    e.aside = category === "ENTITY_CATEGORY_DIAGNOSTIC" || category === "ENTITY_CATEGORY_CONFIG";
    e.words = [s.name, e.id, s.areaName, s.deviceName].join("\n").toLowerCase();
    const place = s.areaId ?? "";
    let area = places.get(place);
    if (!area) places.set(place, (area = { key: place, name: s.areaName ?? place, devices: [], entries: [], revision: signal(0) }));
    const key = `${place} ${s.deviceId ?? ""}`;
    let device = devices.get(key);
    if (!device) {
      devices.set(key, (device = { key, id: s.deviceId ?? "", name: s.deviceName ?? s.deviceId ?? "", entries: [] }));
      area.devices.push(device);
    }
    device.entries.push(e);
    area.entries.push(e);
    e.area = area;
  }
  for (const d of devices.values()) sortEntries(d);
  for (const a of places.values()) a.devices.sort(byName);
  return [...places.values()].sort(byName);
}

/** What is of use every day comes before what is there for diagnosis; among them as they are called. */
function sortEntries(d: Device): void {
  const name = (e: Entry) => e.state.peek().name || e.id;
  d.entries.sort((a, b) => Number(a.aside) - Number(b.aside) || compare(name(a), name(b)));
}
