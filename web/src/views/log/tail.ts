// The end of the log, as far as a filter lets it through. Every event comes once and in order, also when the connection is lost, and also
// when somebody pauses or reads further down: then what comes is held, and where that becomes too much it is left to the server to keep.

import { signal } from "@preact/signals";
import { readLog, resolve, subscribe } from "../../api";
import type { EventJson } from "../../gen/statehouse/v1/event_pb";
import type { QueryJson } from "../../gen/statehouse/v1/log_service_pb";

/** What is asked for at once when somebody looks further back. */
const page = 200;
/** The most that is kept; the oldest are let go, and come again when somebody scrolls there. */
const most = 20_000;
/** The most that is held. */
const mostHeld = 5000;

/** Which events: fields that are empty restrict nothing. */
export interface Filter {
  readonly entityIds: readonly string[];
  readonly kinds: readonly string[];
  readonly sources: readonly string[];
  readonly correlationIds: readonly string[];
}

/** One reading of the log. It begins with the moment that it is made for, and is not used again for another one. */
export class Tail {
  /** The newest first. */
  readonly events = signal<readonly EventJson[]>([]);
  /** Whether the oldest event that the filter lets through is there. */
  readonly complete = signal(false);
  /** Whether older ones are being asked for, or the first ones at all. */
  readonly loading = signal(true);
  readonly error = signal<unknown>(undefined);
  /** Why what comes is held: somebody paused, or is away from the top, where what came would move what is read there. */
  readonly paused = signal(false);
  readonly away = signal(false);
  /** How many are held; with `full` there may be more. */
  readonly heldCount = signal(0);
  readonly full = signal(false);

  private held: EventJson[] = [];
  private cursor = "";
  private readonly end = new AbortController();
  private wake: (() => void) | undefined;

  /** Begins at a position and looks back from there, or at the end of the log, and then follows it. */
  constructor(
    private readonly filter: Filter,
    private readonly from: string | undefined,
  ) {}

  /** Reads until it is closed. It does not fail: what is wrong is in `error`, and is tried again. */
  async run(): Promise<void> {
    const signal = this.end.signal;
    for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 5000)) {
      try {
        if (!this.cursor) await this.begin();
        this.error.value = undefined;
        if (this.from !== undefined) return;
        await this.follow(() => (wait = 500));
      } catch (err) {
        if (signal.aborted) return;
        this.error.value = err;
      }
      this.loading.value = false;
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  /** Ends it. */
  close(): void {
    this.end.abort();
    this.wake?.();
  }

  /** Holds back what comes from now on, or shows it unless there is another reason. */
  hold(why: "paused" | "away", on: boolean): void {
    this[why].value = on;
    if (this.holds) return;
    this.add(this.held);
    this.held = [];
    this.heldCount.value = 0;
    this.full.value = false;
    this.wake?.();
  }

  /** Asks for older events. */
  async older(): Promise<void> {
    const last = this.events.peek().at(-1)?.position;
    if (this.loading.peek() || this.complete.peek() || !last) return;
    this.loading.value = true;
    let again = false;
    try {
      const more = await this.back(String(BigInt(last) - 1n));
      // Where what came meanwhile has pushed the last one out, these are not what follows.
      if (this.events.peek().at(-1)?.position === last) this.events.value = [...this.events.peek(), ...more];
      else {
        this.complete.value = false;
        again = this.away.peek(); // who has come to the end meanwhile waits there for those that do
      }
      this.error.value = undefined;
    } catch (err) {
      if (!this.end.signal.aborted) this.error.value = err;
    }
    this.loading.value = false;
    if (again) await this.older();
  }

  private get holds(): boolean {
    return this.paused.peek() || this.away.peek();
  }

  private async begin(): Promise<void> {
    const end = this.from ?? (await resolve(undefined, this.end.signal)).asOf?.position ?? "0";
    this.events.value = await this.back(end);
    this.cursor = end;
    this.loading.value = false;
  }

  /** The page of events up to a position, the newest first. */
  private async back(until: string): Promise<EventJson[]> {
    if (until === "0") {
      this.complete.value = true;
      return [];
    }
    const got: EventJson[] = [];
    for await (const part of readLog({ query: this.query({ until }), backward: true, limit: String(page) }, this.end.signal)) got.push(...(part.events ?? []));
    this.complete.value = got.length < page;
    return got;
  }

  private async follow(heard: () => void): Promise<void> {
    const one = new AbortController();
    try {
      for await (const part of subscribe({ query: this.query({ after: this.cursor }) }, AbortSignal.any([this.end.signal, one.signal]))) {
        heard();
        this.error.value = undefined;
        this.take(part.events ?? []);
        this.cursor = part.cursor?.position ?? this.cursor;
        if (this.held.length >= mostHeld) break;
      }
    } finally {
      one.abort();
    }
    if (this.held.length < mostHeld) return;
    // What follows is in the log, and comes when there is room for it.
    this.full.value = true;
    await new Promise<void>((done) => (this.wake = done));
  }

  private take(events: readonly EventJson[]): void {
    if (!this.holds) {
      this.add(events);
      return;
    }
    this.held.push(...events);
    this.heldCount.value = this.held.length;
  }

  private add(events: readonly EventJson[]): void {
    if (!events.length) return;
    const all = [...events].reverse().concat(this.events.peek());
    if (all.length > most) {
      all.length = most;
      this.complete.value = false;
    }
    this.events.value = all;
  }

  private query(more: QueryJson): QueryJson {
    // An empty list restricts nothing, as a missing one.
    return { ...more, ...(this.filter as QueryJson) };
  }
}
