// Entities that somebody may mean, while he types.

import type { StateJson } from "../gen/statehouse/v1/state_pb";
import { shown } from "../house";

const plain = (text: string): string => text.toLowerCase().replaceAll("_", " ");

/** Some of the states that have each of the words in their id, name or area; those that say little else come first. */
export function matching(text: string): StateJson[] {
  const wanted = plain(text).split(/\s+/).filter(Boolean);
  if (!wanted.length) return [];
  const found = [...shown.peek().states.values()].filter((s) => {
    const all = plain(`${s.entityId} ${s.name} ${s.areaName ?? ""}`);
    return wanted.every((w) => all.includes(w));
  });
  const length = (s: StateJson) => (s.name + (s.entityId ?? "")).length;
  return found.sort((a, b) => length(a) - length(b)).slice(0, 20);
}

/** What an input with this list offers for a text. */
export function Suggestions({ id, text }: { id: string; text: string }) {
  return (
    <datalist id={id}>
      {matching(text).map((s) => (
        <option key={s.entityId} value={s.entityId}>
          {[s.name, s.areaName].filter(Boolean).join(", ")}
        </option>
      ))}
    </datalist>
  );
}
