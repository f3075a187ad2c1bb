// The keyboard. A view says which keys it has, and what for; the list of them is shown with "?".

import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";

/** A key and what it does. */
export interface Key {
  /** As KeyboardEvent.key has it. */
  key: string;
  what: string;
  run: () => void;
}

/** The keys that there are at present, in the order in which they came. */
export const keys = signal<readonly Key[]>([]);

/** Has keys as long as a component is there. */
export function useKeys(list: readonly Key[]): void {
  useEffect(() => {
    keys.value = [...keys.peek(), ...list];
    return () => {
      keys.value = keys.peek().filter((k) => !list.includes(k));
    };
  }, []);
}

addEventListener("keydown", (e) => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey) return;
  const target = e.target as HTMLElement | null;
  // For a moment the focus is still in a dialog that was closed.
  if (target?.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
  // Space and enter are those of a button that has the focus.
  if ((e.key === " " || e.key === "Enter") && target?.closest("button, a, summary, [role=slider]")) return;
  const found = keys.peek().findLast((k) => k.key === e.key);
  if (!found) return;
  e.preventDefault();
  found.run();
});
