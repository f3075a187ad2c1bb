// A history as a file. It is made here, of what the table has.

import { eventWords } from "../../ui/event";
import type { Row } from "./track";

const columns = ["entity", "recorded_at", "timestamp", "position", "kind", "state", "what", "source", "cause_position", "attributes"] as const;

/** Rows as RFC 4180 has them. A text that a spreadsheet would take for a formula has an apostrophe before it. */
export function csv(rows: readonly Row[]): string {
  const lines = [columns.join(",")];
  for (const r of rows) {
    const e = r.event;
    const cells = [e.entityId, e.recordedAt, e.timestamp, e.position, e.kind, r.text, eventWords(e).title, e.source, e.causePosition, r.attributes && JSON.stringify(r.attributes)];
    lines.push(cells.map((c) => cell(c ?? "")).join(","));
  }
  return lines.join("\r\n") + "\r\n";
}

function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows for programs: the events as they are, and the states that they left. */
export function json(rows: readonly Row[]): string {
  return JSON.stringify(rows.map((r) => ({ entityId: r.event.entityId, state: r.text, attributes: r.attributes, event: r.event })), undefined, 1);
}

/** Gives the user a file. */
export function save(name: string, type: string, text: string): void {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(new Blob([text], { type }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}
