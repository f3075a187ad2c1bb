// What is registered: areas, devices and entities of the moment that is looked at. It is asked for when it may be different, which
// is far less often than states are.

import { effect, signal } from "@preact/signals";
import { listRegistry } from "./api";
import type { AreaJson, DeviceJson, EntityJson } from "./gen/statehouse/entity/v1/registry_pb";
import type { StateJson } from "./gen/statehouse/v1/state_pb";
import { shown, then } from "./house";
import { past } from "./moment";
import { token } from "./session";

/** The registry of one moment, by id. */
export interface Registry {
  readonly areas: ReadonlyMap<string, AreaJson>;
  readonly devices: ReadonlyMap<string, DeviceJson>;
  readonly entities: ReadonlyMap<string, EntityJson>;
}

const empty: Registry = { areas: new Map(), devices: new Map(), entities: new Map() };

/** The registry; empty until it is known. */
export const registry = signal<Registry>(empty);

/** What sort of thing an entity is at the moment that is looked at, also one that has no state. Who reads this comes again when it may
 * be different. */
export function kindOf(id: string): Pick<StateJson, "name" | "unit" | "deviceClass"> {
  void shown.value.names.value;
  return shown.value.states.get(id) ?? registry.value.entities.get(id) ?? {};
}

let timer: ReturnType<typeof setTimeout> | undefined;

effect(() => {
  const house = shown.value;
  void house.names.value;
  clearTimeout(timer);
  if (!token.value) {
    registry.value = empty;
    return;
  }
  if (house.phase.value !== "ready") return;
  const end = new AbortController();
  // Not while somebody drags through the past.
  timer = setTimeout(() => void load(end.signal), registry.peek() === empty ? 0 : 400);
  return () => end.abort();
});

async function load(signal: AbortSignal): Promise<void> {
  const areas = new Map<string, AreaJson>();
  const devices = new Map<string, DeviceJson>();
  const entities = new Map<string, EntityJson>();
  const position = past.peek() ? then.asOf.peek().position : undefined;
  try {
    for await (const part of listRegistry(position === undefined ? undefined : { position }, signal)) {
      for (const a of part.areas ?? []) areas.set(a.id ?? "", a);
      for (const d of part.devices ?? []) devices.set(d.id ?? "", d);
      for (const e of part.entities ?? []) entities.set(e.id ?? "", e);
    }
    registry.value = { areas, devices, entities };
  } catch {
    // The states say what is wrong; the next change of theirs asks again.
  }
}
