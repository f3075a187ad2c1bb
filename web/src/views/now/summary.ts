// What an area is like, in a few words: what one would look for in passing.

import type { StateJson } from "../../gen/statehouse/v1/state_pb";
import { domainOf } from "../../state";
import type { Area } from "./board";

/** A part of a summary. "alarm" is what one has to see, "wrong" what is not as it should be. */
export interface Fact {
  readonly text: string;
  readonly sort?: "alarm" | "on" | "wrong";
}

const openings: Record<string, string> = { door: "door", window: "window", garage_door: "garage door", garage: "garage door", opening: "opening" };
const alarms: Record<string, string> = { moisture: "water", smoke: "smoke", gas: "gas", carbon_monoxide: "carbon monoxide" };
const presence = new Set(["motion", "occupancy", "presence"]);

const several = (n: number, what: string) => (n === 1 ? what : `${n} ${what}s`);

/** Sums up what is of use every day in an area. */
export function sumUp(area: Area): Fact[] {
  const count = new Map<string, number>();
  const note = (what: string) => count.set(what, (count.get(what) ?? 0) + 1);
  const degrees: number[] = [];
  const units = new Set<string>();
  for (const e of area.entries) {
    const s = e.state.peek();
    if (s.text === "unavailable") note("unavailable");
    if (e.aside) continue;
    const said = speaksOf(s);
    if (said) note(said);
    const number = Number(s.text);
    if (e.domain === "sensor" && s.deviceClass === "temperature" && s.text && Number.isFinite(number)) {
      degrees.push(number);
      units.add(s.unit ?? "");
    }
  }
  const facts: Fact[] = [];
  for (const word of Object.values(alarms)) if (count.has(word)) facts.push({ text: word, sort: "alarm" });
  const lights = count.get("light");
  if (lights) facts.push({ text: `${several(lights, "light")} on`, sort: "on" });
  for (const word of new Set(Object.values(openings))) {
    const n = count.get(word);
    if (n) facts.push({ text: `${several(n, word)} open`, sort: "on" });
  }
  if (count.has("lock")) facts.push({ text: "unlocked", sort: "on" });
  if (count.has("presence")) facts.push({ text: "presence" });
  const sum = degrees.reduce((a, b) => a + b, 0);
  if (units.size === 1) facts.push({ text: `${degrees.length > 1 ? "average " : ""}${(sum / degrees.length).toFixed(1)}\u202f${[...units][0]}` });
  const gone = count.get("unavailable");
  if (gone) facts.push({ text: gone === area.entries.length ? "all unavailable" : `${gone} unavailable`, sort: "wrong" });
  return facts;
}

/** What a state adds to its area's summary; undefined for nothing. */
function speaksOf(s: StateJson): string | undefined {
  const kind = s.deviceClass ?? "";
  switch (domainOf(s.entityId ?? "")) {
    case "light":
      return s.text === "on" ? "light" : undefined;
    case "lock":
      return s.text === "unlocked" ? "lock" : undefined;
    case "binary_sensor":
      if (s.text !== "on") return undefined;
      return presence.has(kind) ? "presence" : (openings[kind] ?? alarms[kind]);
    case "cover":
      return s.text === "open" ? openings[kind] : undefined;
    default:
      return undefined;
  }
}
