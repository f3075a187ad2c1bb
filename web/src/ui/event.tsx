// How an event is put into words, and what stands in attributes. What an event is about stands beside the words, not in them.

import { counted } from "../count";
import type { AttributesJson } from "../gen/statehouse/entity/v1/attributes_pb";
import type { DeviceJson, EntityJson } from "../gen/statehouse/entity/v1/registry_pb";
import type { FieldJson, ValueJson } from "../gen/statehouse/entity/v1/value_pb";
import type { CommandIssuedJson, CommandSettledJson, CustomJson, PayloadJson, SystemJson } from "../gen/statehouse/event/v1/event_pb";
import type { EventJson } from "../gen/statehouse/v1/event_pb";
import { kindOf, registry } from "../registry";
import { typed, words } from "../state";
import { dateTime } from "../time";

/** What an event says: in a few words, and what else there is to it. */
export interface EventWords {
  title: string;
  detail?: string;
}

/** What an event says, without the entity that it is about: "on", "asked to turn on", "area Kitchen registered". */
export function eventWords(event: EventJson): EventWords {
  const { title, detail } = said(event.payload ?? {}, event);
  return detail ? { title, detail } : { title };
}

/** An event in a line: its title, and the rest fainter. */
export function EventSummary({ event }: { event: EventJson }) {
  const { title, detail } = eventWords(event);
  return (
    <>
      <b>{title}</b>
      {detail && <span class="faint"> {detail}</span>}
    </>
  );
}

/** Who recorded an event: "token alice", "Statehouse itself", or what brought it in, as it calls itself. */
export function sourceWords(source: string | undefined): string {
  if (!source) return "somebody unknown";
  if (source === "api:local") return "somebody on the house's machine";
  if (source === "statehouse") return "Statehouse itself";
  return source.startsWith("api:") ? `token ${source.slice(4)}` : source;
}

function said(p: PayloadJson, event: EventJson): EventWords {
  if (p.stateChanged) return changed(p.stateChanged.attributes ?? {}, event.entityId ?? "");
  if (p.stateReported) return { title: "heard of, nothing new" };
  if (p.entityRegistered) return registered(p.entityRegistered.entity ?? {});
  if (p.entityUnregistered) return { title: "removed from the registry" };
  if (p.entityRenamed) return { title: `renamed to ${p.entityRenamed.newId ?? "another id"}` };
  if (p.deviceRegistered) return device(p.deviceRegistered.device ?? {});
  if (p.deviceUnregistered) return { title: `device ${deviceName(p.deviceUnregistered.deviceId)} removed` };
  if (p.areaRegistered) return { title: `area ${p.areaRegistered.area?.name ?? ""} registered`, detail: p.areaRegistered.area?.id ?? "" };
  if (p.areaUnregistered) return { title: `area ${areaName(p.areaUnregistered.areaId)} removed` };
  if (p.commandIssued) return issued(p.commandIssued);
  if (p.commandSettled) return settled(p.commandSettled);
  if (p.system) return system(p.system);
  if (p.historyRemoved) {
    const last = p.historyRemoved.recorded;
    return { title: `history removed up to @${p.historyRemoved.through ?? "0"}`, detail: last ? `recorded until ${dateTime(Number(last) / 1e6)}` : "" };
  }
  if (p.custom) return custom(p.custom);
  return { title: (event.kind ?? "something that this page does not know").replaceAll("_", " ") };
}

function changed(a: AttributesJson, id: string): EventWords {
  const [domain] = typed(a);
  // Of something that happens, what did is the point; that the state is its time goes without saying.
  const happened = domain === "event" && a.event?.eventType;
  const kind = kindOf(id);
  const { unit } = kind;
  const text = happened && a.availability !== "AVAILABILITY_OFFLINE" ? happened.replaceAll("_", " ") : words({ ...kind, entityId: id, text: attributesText(a) });
  const number = unit && /^-?\d/.test(text);
  const rest = attributeList(a).filter(([name]) => name !== "availability" && (!happened || name !== "event type"));
  return { title: number ? `${text}\u202f${unit}` : text || "an empty text", detail: list(rest) };
}

function registered(e: EntityJson): EventWords {
  const name = e.userName ?? e.name;
  return {
    title: name ? `registered as ${name}` : "registered",
    detail: joined([
      (e.deviceClass ?? "").replaceAll("_", " "),
      e.unit && `in ${e.unit}`,
      e.deviceId && `of ${deviceName(e.deviceId)}`,
      e.areaId && `in area ${areaName(e.areaId)}`,
      e.disabled && "disabled",
    ]),
  };
}

function device(d: DeviceJson): EventWords {
  return { title: `device ${d.userName ?? d.name ?? d.id ?? ""} registered`, detail: joined([joined([d.manufacturer, d.model], " "), d.areaId && `in area ${areaName(d.areaId)}`]) };
}

function issued(c: CommandIssuedJson): EventWords {
  return { title: `asked to ${wish(c.action, c.arguments)}`, detail: c.deadline ? `waits until ${dateTime(Number(c.deadline) / 1e6)}` : "" };
}

/** A command in words: "turn on, brightness 128 (50 %)". */
export function wish(action: string | undefined, args: readonly FieldJson[] | undefined): string {
  const how = list(
    (args ?? []).map(({ name = "", value }) => [name.replaceAll("_", " "), name === "brightness" ? brightness(valueText(value)) : valueText(value)]),
  );
  return joined([(action ?? "do something").replaceAll("_", " "), how]);
}

const outcomes: Record<string, string> = { CONFIRMED: "confirmed", FAILED: "failed", SUPERSEDED: "overtaken by a later one", TIMED_OUT: "timed out: nothing answered" };

/** What became of a command, in words. */
function outcomeWords(outcome: string | undefined, reason?: string): string {
  const word = outcomes[(outcome ?? "").slice("COMMAND_OUTCOME_".length)] ?? "settled";
  return reason ? `${word}: ${reason}` : word;
}

function settled(c: CommandSettledJson): EventWords {
  return { title: `command ${outcomeWords(c.outcome, c.reason)}`, detail: `the command is @${c.command ?? "0"}` };
}

function system(s: SystemJson): EventWords {
  const what = (s.what ?? "").replaceAll("_", " ");
  const subject = s.subject ?? "";
  const title = !subject ? what : what.includes(" ") ? `${what}: ${subject}` : `${subject} ${what}`;
  return { title: title || "something about the system", detail: s.detail ?? "" };
}

function custom(c: CustomJson): EventWords {
  return { title: c.kind ?? "a kind without a name", detail: joined([c.typeUrl, c.value && readable(c.value)]) };
}

/** Bytes in base64 as the text that they are, or how many they are. */
function readable(base64: string): string {
  try {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return /[\0-\x08\x0e-\x1f]/.test(text) ? counted(bytes.length, "byte") : cut(text);
  } catch {
    return counted(Math.floor((base64.length * 3) / 4), "byte");
  }
}

/** The field of each domain that is its state; no domain has two of them, and an update has none. */
const stateFields =
  "on number decimal text timestamp date hvacMode state option value pressed occurred activated location activity operationMode condition".split(" ");

/** Fields that hold a moment, in nanoseconds since 1970. */
const moments = new Set(["timestamp", "lastReset", "pressed", "occurred", "activated", "mediaPositionUpdatedAt"]);

/** What is left out of a color where it is zero. */
const colors: Record<string, string> = { xy: "x y", hs: "hue saturation", rgb: "red green blue", rgbw: "red green blue white", rgbww: "red green blue coldWhite warmWhite" };

/** The one word or number that attributes say, as State.text has it; a moment as Date reads it. */
function attributesText(a: AttributesJson): string {
  if (a.availability === "AVAILABILITY_OFFLINE") return "unavailable";
  const [domain, of] = typed(a);
  if (domain === "update") return updateText(of);
  const field = stateFields.find((name) => name in of);
  if (!field) return "unknown";
  const value = of[field];
  if (domain === "generic") return genericText(value as ValueJson);
  if (moments.has(field)) return new Date(Number(value) / 1e6).toISOString();
  return typeof value === "boolean" ? (value ? "on" : "off") : plain(value);
}

function genericText(v: ValueJson): string {
  if (v.boolValue !== undefined) return v.boolValue ? "on" : "off";
  return v.nullValue ? "unknown" : valueText(v);
}

function updateText({ installedVersion, latestVersion, skippedVersion }: Record<string, unknown>): string {
  if (installedVersion === undefined || latestVersion === undefined) return "unknown";
  if (latestVersion === skippedVersion) return "off";
  const [latest, installed] = [String(latestVersion), String(installedVersion)];
  const numbers = /^v?\d+(\.\d+)*$/;
  // A device that was given a newer version than its index knows is not offered the older one.
  const newer = numbers.test(latest) && numbers.test(installed) ? latest.localeCompare(installed, undefined, { numeric: true }) > 0 : latest !== installed;
  return newer ? "on" : "off";
}

/** What attributes say besides the state: names and values in words. What the source said beyond them comes last. */
export function attributeList(a: AttributesJson | undefined): [string, string][] {
  if (!a) return [];
  const rows: [string, string][] = [];
  if (a.availability) rows.push(["availability", plain(a.availability)]);
  for (const [name, value] of Object.entries(typed(a)[1])) {
    if (stateFields.includes(name)) continue;
    rows.push([name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`), attribute(name, value)]);
  }
  for (const { name = "", value } of a.extra ?? []) {
    rows.push([rows.some(([taken]) => taken === name) ? `${name} (as sent)` : name, valueText(value)]);
  }
  return rows;
}

function attribute(name: string, value: unknown): string {
  if (moments.has(name)) return dateTime(Number(value) / 1e6);
  if (name === "brightness") return brightness(plain(value));
  const color = colors[name];
  if (color) return color.split(" ").map((part) => plain((value as Record<string, unknown>)[part] ?? 0)).join(", ");
  return Array.isArray(value) ? value.map(plain).join(", ") : plain(value);
}

function brightness(text: string): string {
  const n = Number(text);
  return Number.isInteger(n) && text ? `${text} (${Math.round((n * 100) / 255)}\u202f%)` : text;
}

const enums = /^(?:AVAILABILITY|COLOR_MODE|HVAC_(?:MODE|ACTION)|[A-Z_]+_STATE|(?:FAN|VACUUM|HUMIDIFIER)_(?:DIRECTION|ACTIVITY|ACTION)|WEATHER_CONDITION|TRACKER_SOURCE_TYPE|REPEAT_MODE)_(?=[A-Z])/;

/** A plain value in words: a name of an enum without what all of its names begin with. */
function plain(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const word = text.replace(enums, "");
  return cut(word === text ? text : word.toLowerCase());
}

/** Any value that a source sent, in words. */
export function valueText(v: ValueJson | undefined): string {
  if (!v || v.nullValue !== undefined) return "nothing";
  if (v.boolValue !== undefined) return v.boolValue ? "yes" : "no";
  if (v.listValue) return cut(`[${(v.listValue.values ?? []).map(valueText).join(", ")}]`);
  if (v.structValue) return cut(`{${(v.structValue.fields ?? []).map((f) => `${f.name ?? ""}: ${valueText(f.value)}`).join(", ")}}`);
  return cut(String(v.intValue ?? v.doubleValue ?? v.numberValue ?? v.stringValue ?? v.bytesValue ?? ""));
}

function deviceName(id = ""): string {
  const d = registry.value.devices.get(id);
  return d?.userName ?? d?.name ?? id;
}

function areaName(id = ""): string {
  return registry.value.areas.get(id)?.name ?? id;
}

function list(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => (name === "value" || name === "option" ? value : `${name} ${value}`)).join(", ");
}

function joined(parts: readonly (string | false | undefined)[], by = ", "): string {
  return parts.filter(Boolean).join(by);
}

/** What nobody reads in a line is not in one. */
function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
