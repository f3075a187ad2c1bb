// What the page has to show of a state, worked out anew from what the server says.

import assert from "node:assert/strict";
import { zone } from "./browser.mjs";

const pad = "\u202f";

/** What on and off mean of a binary sensor, class by class; others are on and off. */
export const meanings = {
  battery: ["low", "normal"],
  battery_charging: ["charging", "not charging"],
  carbon_monoxide: ["detected", "clear"],
  cold: ["cold", "normal"],
  connectivity: ["connected", "disconnected"],
  door: ["open", "closed"],
  garage_door: ["open", "closed"],
  gas: ["detected", "clear"],
  heat: ["hot", "normal"],
  light: ["light detected", "no light"],
  lock: ["unlocked", "locked"],
  moisture: ["wet", "dry"],
  motion: ["detected", "clear"],
  moving: ["moving", "not moving"],
  occupancy: ["detected", "clear"],
  opening: ["open", "closed"],
  plug: ["plugged in", "unplugged"],
  power: ["detected", "clear"],
  presence: ["home", "away"],
  problem: ["problem", "OK"],
  running: ["running", "not running"],
  safety: ["unsafe", "safe"],
  smoke: ["detected", "clear"],
  sound: ["detected", "clear"],
  tamper: ["tampering detected", "clear"],
  update: ["update available", "up-to-date"],
  vibration: ["detected", "clear"],
  window: ["open", "closed"],
};

/** The words of a state, with its unit. */
export function wordsOf(state) {
  const text = state.text ?? "unknown";
  if (text === "unknown" || text === "unavailable") return text;
  const meant = state.entityId?.startsWith("binary_sensor.") && meanings[state.deviceClass]?.[["on", "off"].indexOf(text)];
  if (meant) return meant;
  const unit = state.unit ? pad + state.unit : "";
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return new Date(text).toLocaleString(zone.locale, { timeZone: zone.timezoneId }) + unit;
  const [, sign, whole, rest = ""] = /^(-?)(\d{5,})(\.\d+)?$/.exec(text) ?? [];
  if (whole) return sign + whole.replace(/(?<=\d)(?=(\d{3})+$)/g, pad) + rest + unit;
  return text.replaceAll("_", " ") + unit;
}

/** The sorts that have to be told apart; undefined for what is simply known. */
export function oddityOf(state, now = Date.now()) {
  if (state.text === "unavailable") return "unavailable";
  if (state.pending?.length) return "pending";
  if (!state.text || state.text === "unknown") return "unknown";
  return now - Date.parse(state.updatedAt) > 25 * 3600_000 ? "stale" : undefined;
}

const oddities = new Set(["unavailable", "pending", "unknown", "stale"]);

/** What shownStates answers of states, as {id: …}: what is not odd has no sort. */
export function expectedStates(states, now) {
  const all = {};
  for (const [id, s] of states) all[id] = { text: wordsOf(s), sort: oddityOf(s, now), area: s.areaName ?? "No area", device: s.deviceName ?? "No device" };
  return all;
}

/** The same of what is shown, to be compared with that. */
export function withoutEvident(shown) {
  return Object.fromEntries(Object.entries(shown).map(([id, s]) => [id, { ...s, sort: oddities.has(s.sort) ? s.sort : undefined }]));
}

/** Fails with the first few of the entries that are different in two objects, instead of with both of them. */
export function sameEntries(got, want) {
  const keys = [...new Set([...Object.keys(got), ...Object.keys(want)])];
  const different = keys.filter((k) => JSON.stringify(got[k]) !== JSON.stringify(want[k]));
  const few = different.slice(0, 5).map((k) => `${k}: ${JSON.stringify(got[k])}, and not ${JSON.stringify(want[k])}`);
  assert.equal(different.length, 0, `${different.length} of ${keys.length} are different:\n${few.join("\n")}`);
}
