// What is plotted: the state of an entity, or one of the numbers among its attributes, over time.

import { param, replace } from "../../address";
import type { AttributesJson } from "../../gen/statehouse/entity/v1/attributes_pb";
import { states } from "../../house";
import { kindOf } from "../../registry";
import { camel, domainOf, typed, words } from "../../state";
import type { Course } from "../../ui/plot-data";
import { precise, type Row, type Track } from "./track";

/** What of which entity: the name of an attribute, or nothing for the state. */
export interface Choice {
  id: string;
  value: string;
}

/** How many entities may be over each other. */
export const mostChoices = 8;

/** What the address names: "id" with "value", and "with", which has others as id:value. */
export function choices(id: string): Choice[] {
  const others = param("with").split(",").map((word) => {
    const [other = "", value = ""] = word.split(":");
    return { id: other, value };
  });
  const all = [{ id, value: param("value") }, ...others].filter((c) => c.id);
  return all.filter((c, i) => all.findIndex((d) => keyOf(d) === keyOf(c)) === i).slice(0, mostChoices);
}

/** Puts into the address what is plotted; the first one is always of the view's entity. */
export function choose([first, ...others]: readonly Choice[]): void {
  replace({ value: first?.value, with: others.map(keyOf).join(",") });
}

/** What tells choices apart. */
export const keyOf = ({ id, value }: Choice) => (value ? `${id}:${value}` : id);

/** One of them over time: numbers or words. */
export interface Series {
  choice: Choice;
  name: string;
  unit: string;
  numbers: Course<number> | undefined;
  words: Course<string> | undefined;
  /** A word of the course as people read it. */
  say: (word: string) => string;
  /** It says when something happened, and not what is. */
  momentary: boolean;
  /** The attributes that could be plotted instead of the state. */
  values: string[];
}

const made = new WeakMap<Track, Map<string, { revision: string; series: Series }>>();

/** The series of what is known by now. As long as that is the same, it is the same one. */
export function seriesOf(track: Track, choice: Choice): Series {
  const { name, unit, deviceClass } = kindOf(choice.id);
  const revision = [track.revision.value, name, unit, deviceClass].join("\n");
  const known = made.get(track) ?? new Map<string, { revision: string; series: Series }>();
  made.set(track, known);
  const key = keyOf(choice);
  const before = known.get(key);
  if (before?.revision === revision) return before.series;
  const series = make(track, choice);
  known.set(key, { revision, series });
  return series;
}

function make(track: Track, choice: Choice): Series {
  const state = states().get(choice.id);
  const name = state?.name ?? track.start?.name ?? choice.id;
  const unit = state?.unit ?? track.start?.unit ?? "";
  const values = plottable(track, state?.attributes);
  const momentary = ["event", "button", "scene"].includes(domainOf(choice.id)) || state?.deviceClass === "timestamp";
  const kind = kindOf(choice.id);
  const say = (word: string) => words({ ...kind, entityId: choice.id, text: word });
  const base = { choice, name, values, say, momentary: false };
  if (choice.value) {
    const numbers = course(track, (r) => (r.text === "unavailable" ? null : attribute(r.attributes, choice.value)));
    return { ...base, name: `${name}, ${choice.value.replaceAll("_", " ")}`, unit: unitOf(choice.value, unit), numbers, words: undefined };
  }
  if (momentary) return { ...base, momentary, unit: "", numbers: undefined, words: moments(track) };
  const texts = course(track, (r) => r.text ?? null);
  const known = texts.v.filter((w) => w !== null && w !== "unknown" && w !== "unavailable");
  if (!known.length ? !unit : !known.every((w) => number(w) !== null)) return { ...base, unit: "", numbers: undefined, words: texts };
  return { ...base, unit, numbers: { t: texts.t, v: texts.v.map(number) }, words: undefined };
}

function course<V>(track: Track, value: (r: Pick<Row, "text" | "attributes">) => V | null): Course<V> {
  const t: number[] = [];
  const v: (V | null)[] = [];
  const add = (time: number, became: V | null) => {
    if (!t.length || became !== v.at(-1)) t.push(time), v.push(became);
  };
  const { state, from } = track.start ?? {};
  if (state) add(from?.recordedAt ? precise(from.recordedAt) : -Infinity, value({ text: state.text, attributes: state.attributes }));
  for (const r of track.rows) add(r.t, value(r));
  return { t, v };
}

/** Of what happens in a moment: marks that have no length. */
function moments(track: Track): Course<string> {
  const t: number[] = [];
  const v: (string | null)[] = [];
  let before = track.start?.state?.text;
  for (const r of track.rows) {
    if (r.text !== before && r.text && r.text !== "unknown" && r.text !== "unavailable") t.push(r.t, r.t), v.push(r.attributes?.event?.eventType ?? "happened", null);
    before = r.text;
  }
  return { t, v };
}

function number(text: string | null): number | null {
  const n = text?.trim() ? Number(text) : NaN;
  return Number.isFinite(n) ? n : null;
}

const snake = (name: string) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function attribute(a: AttributesJson | undefined, name: string): number | null {
  const value = typed(a)[1][camel(name)];
  return typeof value === "number" ? value : null;
}

/** The numbers among the attributes of now and of the last rows; those that are the state itself are not. */
function plottable(track: Track, now: AttributesJson | undefined): string[] {
  const names = new Set<string>();
  for (const a of [now, ...track.rows.slice(-50).map((r) => r.attributes)]) {
    for (const [name, value] of Object.entries(typed(a)[1])) if (typeof value === "number" && name !== "number") names.add(snake(name));
  }
  return [...names];
}

/** The unit of an attribute, by its name, where the entity has a unit of its own. */
export function unitOf(value: string, unit: string): string {
  if (value.includes("temperature") || value === "dew_point") return unit || "°C";
  if (value.endsWith("kelvin")) return "K";
  return /humidity|position|percentage|battery|coverage/.test(value) && !value.startsWith("media") ? "%" : "";
}
