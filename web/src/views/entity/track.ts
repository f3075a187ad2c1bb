// What happened to an entity: asked for window by window, and gone on with while it happens.

import { signal, untracked } from "@preact/signals";
import { density, history } from "../../api";
import type { AttributesJson } from "../../gen/statehouse/entity/v1/attributes_pb";
import type { EventJson } from "../../gen/statehouse/v1/event_pb";
import type { AtJson } from "../../gen/statehouse/v1/moment_pb";
import type { HistoryStartJson, StepJson } from "../../gen/statehouse/v1/timeline_service_pb";
import { live } from "../../house";
import { endedWith } from "../../rpc";
import { now } from "../../time";

/** The most steps of an entity that are asked for. So many take about 250 MB of the browser's. */
export const mostSteps = 200_000;

/** The least time between two questions for what is new, in milliseconds. */
const breath = 1000;

/** One event about the entity, and the state that it left; no text where it left none. */
export interface Row {
  t: number;
  text: string | undefined;
  attributes: AttributesJson | undefined;
  event: EventJson;
}

/** The history of one entity as far as it is known. */
export class Track {
  /** Grows when there is more, or something else. */
  readonly revision = signal(0);
  readonly loading = signal(false);
  /** What went wrong; undefined for nothing. */
  readonly problem = signal<unknown>(undefined);
  /** Oldest first. */
  rows: Row[] = [];
  start: HistoryStartJson | undefined;
  /** The rows begin here because there would be too many; undefined if they do not. */
  cut: number | undefined;
  /** What was before the rows has been removed from the log. */
  removed = false;

  private asked: { from: number; to: number } | undefined;
  private end = new AbortController();
  private through = 0;
  private heard = 0;
  private told = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly id: string) {}

  /** Asks for a window unless it is there. One that reaches the present goes on with what comes. */
  want(from: number, to: number): void {
    const wanted = { from, to: to >= now.peek() ? Infinity : to };
    if (this.covers(wanted)) return;
    this.stop();
    this.asked = wanted;
    this.end = new AbortController();
    void this.load(wanted, this.end.signal);
  }

  /** Forgets what went wrong and asks anew. */
  again(): void {
    const asked = this.asked;
    this.asked = undefined;
    if (asked) this.want(asked.from, asked.to);
  }

  stop(): void {
    this.end.abort();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Asks for what is behind the last row if the present has more of the entity. */
  follow(): void {
    const state = live.states.get(this.id);
    const position = Number(state ? state.position : this.rows.at(-1)?.text !== undefined ? live.asOf.peek().position : 0);
    if (this.loading.peek() || this.problem.peek() !== undefined || this.timer || this.asked?.to !== Infinity || position <= this.through) return;
    const wait = Math.max(0, this.heard + breath - performance.now());
    this.timer = setTimeout(() => void this.goOn(this.end.signal), wait);
  }

  private covers(w: { from: number; to: number }): boolean {
    const a = this.asked;
    if (!a || w.to > a.to || w.from < a.from) return false;
    // What was cut off may come whole where the window is narrower; asked again for as much, it would be cut off again.
    return this.cut === undefined || w.from >= this.cut || (Math.min(w.to, now.peek()) - w.from) * 1.2 > Math.min(a.to, now.peek()) - a.from;
  }

  private async load(w: { from: number; to: number }, signal: AbortSignal): Promise<void> {
    const rows: Row[] = [];
    // What is there stays until the other is whole.
    if (!this.rows.length) this.rows = rows;
    this.loading.value = true;
    this.problem.value = undefined;
    try {
      const to = moment(w.to);
      let from = moment(w.from);
      let removed = false;
      let start = await this.read(rows, from, to, signal).catch((err: unknown) => {
        if (!endedWith(err, "out_of_range") || !from) throw err;
        removed = true;
        from = { oldest: {} };
        return this.read(rows, from, to, signal);
      });
      let cut: number | undefined;
      if (rows.length >= mostSteps) {
        const later = await this.lastOnes(from, to, signal);
        rows.length = 0;
        start = await this.read(rows, { position: later.position }, to, signal);
        cut = later.time;
      }
      Object.assign(this, { rows, start, cut, removed });
      this.through = Number(start?.to?.position ?? 0);
    } catch (err) {
      if (signal.aborted) return;
      this.problem.value = err;
    }
    this.loading.value = false;
    this.tell();
    this.follow();
  }

  private async goOn(signal: AbortSignal): Promise<void> {
    // What is not whole comes once more.
    const more: Row[] = [];
    try {
      const start = await this.read(more, { position: String(this.through) }, undefined, signal);
      this.through = Number(start?.to?.position ?? this.through);
      this.add(more);
    } catch {
      // The next change asks again.
    }
    if (signal.aborted) return;
    this.heard = performance.now();
    this.timer = undefined;
    this.tell();
    this.follow();
  }

  /** Adds what is new. Who stays here for weeks keeps the last ones. */
  private add(more: readonly Row[]): void {
    const all = this.rows.concat(more);
    this.rows = all.slice(-mostSteps);
    if (all.length === this.rows.length) return;
    this.cut = this.rows[0]?.t;
    // What was before all is not what was before these.
    delete this.start?.state;
  }

  private async read(rows: Row[], from: AtJson | undefined, to: AtJson | undefined, signal: AbortSignal): Promise<HistoryStartJson | undefined> {
    let start: HistoryStartJson | undefined;
    for await (const part of history({ entityId: this.id, ...(from && { from }), ...(to && { to }), limit: String(mostSteps) }, signal)) {
      start ??= part.start;
      this.start ??= part.start;
      for (const step of part.steps ?? []) rows.push(row(step));
      if (performance.now() - this.told > 300) this.tell();
    }
    return start;
  }

  /** Where the last ones of too many begin. */
  private async lastOnes(from: AtJson | undefined, to: AtJson | undefined, signal: AbortSignal): Promise<{ position: string; time: number }> {
    const d = await density({ ...(from && { from }), ...(to && { to }), parts: 2000, entityIds: [this.id] }, signal);
    const counts = d.counts ?? [];
    let sum = 0;
    let i = counts.length;
    while (i > 1 && sum + Number(counts[i - 1]) < mostSteps) sum += Number(counts[--i]);
    const begin = Date.parse(d.begin ?? "");
    return { position: d.positions?.[i - 1] ?? "0", time: begin + ((Date.parse(d.end ?? "") - begin) * i) / counts.length };
  }

  private tell(): void {
    this.told = performance.now();
    untracked(() => this.revision.value++);
  }
}

function moment(time: number): AtJson | undefined {
  return Number.isFinite(time) ? { time: new Date(time).toISOString() } : undefined;
}

/** A time in milliseconds, with the microseconds that Date leaves out: events of one millisecond are told apart. */
export function precise(time: string): number {
  return Date.parse(time) + Number(`0.${/\.\d{3}(\d+)/.exec(time)?.[1] ?? 0}`);
}

function row({ event = {}, after }: StepJson): Row {
  return { t: precise(event.recordedAt ?? ""), text: after?.text, attributes: event.payload?.stateChanged?.attributes ?? after?.attributes, event };
}
