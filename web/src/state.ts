// What is said of a state: its words, and what sort of a state it is. The sorts look different everywhere on the page.

import type { AttributesJson } from "./gen/statehouse/entity/v1/attributes_pb";
import type { StateJson } from "./gen/statehouse/v1/state_pb";
import { reference } from "./time";

/** What a state is like for the eye. "on" is whatever is active; "value" a number or a word. */
export type Sort = "unavailable" | "unknown" | "pending" | "stale" | "on" | "off" | "value";

/** A device that says nothing for longer than this is taken for lost: battery devices report once a day, with an hour's grace. */
export const staleAfter = 25 * 3600 * 1000;

const active = new Set(["on", "open", "opening", "unlocked", "unlocking", "home", "playing", "cleaning", "heat", "cool", "heat_cool", "auto", "dry", "fan_only", "triggered", "active"]);
const resting = new Set(["off", "closed", "closing", "locked", "locking", "not_home", "idle", "docked", "paused", "standby", "disarmed", "ok", "clear"]);

/** The sort of a state, as of a time if it is of another one than the rest of the page. Pending comes before what is pending of, since
 * that is about to change. */
export function sortOf(s: StateJson, to?: number): Sort {
  if (s.text === "unavailable") return "unavailable";
  if (s.pending?.length) return "pending";
  if (s.text === "unknown" || !s.text) return "unknown";
  if (s.updatedAt && (to ?? reference.value) - Date.parse(s.updatedAt) > staleAfter) return "stale";
  if (active.has(s.text)) return "on";
  if (resting.has(s.text)) return "off";
  return "value";
}

/** The order of names, for people: "lamp 9" comes before "lamp 10". */
export const { compare } = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** The part of an entity id before the dot. */
export function domainOf(id: string): string {
  return id.slice(0, id.indexOf("."));
}

/** What a person calls an entity within its device: the name without the device's. */
export function shortName(s: StateJson): string {
  const name = s.name || s.entityId || "";
  const device = s.deviceName ?? "";
  const rest = device && name.startsWith(device + " ") ? name.slice(device.length + 1) : name;
  return rest;
}

/** What on and off mean of a binary sensor, by its device class: the words are those that Home Assistant has for it. */
const meanings = new Map(
  (
    [
      ["battery", "low", "normal"],
      ["battery_charging", "charging", "not charging"],
      ["carbon_monoxide gas motion occupancy power smoke sound vibration", "detected", "clear"],
      ["cold", "cold", "normal"],
      ["connectivity", "connected", "disconnected"],
      ["door garage_door opening window", "open", "closed"],
      ["heat", "hot", "normal"],
      ["light", "light detected", "no light"],
      ["lock", "unlocked", "locked"],
      ["moisture", "wet", "dry"],
      ["moving", "moving", "not moving"],
      ["plug", "plugged in", "unplugged"],
      ["presence", "home", "away"],
      ["problem", "problem", "OK"],
      ["running", "running", "not running"],
      ["safety", "unsafe", "safe"],
      ["tamper", "tampering detected", "clear"],
      ["update", "update available", "up-to-date"],
    ] as const
  ).flatMap(([classes, on, off]) => classes.split(" ").map((name) => [name, new Map([["on", on], ["off", off]])] as const)),
);

/** A state in words: what it means, where that is known of its device class; a number with as many digits as it came with, and thin
 * spaces between thousands; others as they are. */
export function words(s: StateJson): string {
  const text = s.text ?? "unknown";
  const meant = domainOf(s.entityId ?? "") === "binary_sensor" && meanings.get(s.deviceClass ?? "")?.get(text);
  if (meant) return meant;
  if (s.deviceClass === "timestamp" || /^\d{4}-\d\d-\d\dT/.test(text)) {
    const time = Date.parse(text);
    if (!Number.isNaN(time)) return new Date(time).toLocaleString();
  }
  if (/^-?\d{5,}(\.\d+)?$/.test(text)) return text.replace(/\B(?=(\d{3})+(?!\d))/g, (m, _g, i: number) => (text.lastIndexOf(".", i) < 0 ? "\u202f" : m));
  return text.replaceAll("_", " ");
}

/** The unit, with the space that stands before it; empty for none. */
export function unitOf(s: StateJson): string {
  return s.unit && s.text !== "unknown" && s.text !== "unavailable" ? `\u202f${s.unit}` : "";
}

/** The name of a field in JSON: "target_temperature" or "target temperature" is "targetTemperature". */
export const camel = (name: string): string => name.replace(/[_ ]([a-z])/g, (_m, c: string) => c.toUpperCase());

/** The typed part of attributes, which has the fields of an entity's domain, and the name of that domain; empty where there is none. */
export function typed(a: AttributesJson | undefined): [domain: string, fields: Record<string, unknown>] {
  for (const [name, value] of Object.entries(a ?? {})) if (name !== "availability" && name !== "extra") return [name, value as Record<string, unknown>];
  return ["", {}];
}
