import { useMemo, useRef } from "preact/hooks";
import { param, replace } from "../address";
import { diff, resolve } from "../api";
import { counted } from "../count";
import type { AsOfJson } from "../gen/statehouse/v1/moment_pb";
import type { EntityChangeJson } from "../gen/statehouse/v1/timeline_service_pb";
import { useKeys } from "../keys";
import { format, parse, request } from "../moment";
import { endedWith } from "../rpc";
import { dateTime, now, span } from "../time";
import { Icon } from "../ui/icon";
import { Loading, Problem } from "../ui/parts";
import { useAsk } from "../ui/use";
import { type Kind, kinds, quiet, tell, type Told } from "./compare/change";
import { oldest, Picker } from "./compare/moments";
import { Rooms } from "./compare/rooms";
import "./compare.css";

/** Two moments and what differs between them. */
interface Answer {
  from: AsOfJson;
  to: AsOfJson;
  changes: EntityChangeJson[];
}

/** Two moments side by side: which they are is in the address as a and b. */
export function Compare() {
  const lookedAt = said(param("at"));
  const a = said(param("a"));
  const b = said(param("b")) || lookedAt || "now";
  const asked = useAsk((signal) => ask(a, b, signal), [a, b]);
  const answer = asked.value;
  const choose = (edit: { a?: string; b?: string }) => replace({ a, b, ...edit });
  const page = useRef<HTMLDivElement>(null);
  const press = (what: string) => page.current?.querySelector<HTMLElement>(`[data-key="${what}"]`);
  useKeys([
    { key: "/", what: "Search in what differs", run: () => press("search")?.focus() },
    { key: "x", what: "Swap the two moments", run: () => press("swap")?.click() },
    { key: "r", what: "Compare with now anew", run: () => press("refresh")?.click() },
  ]);
  const swap = () => answer && replace({ a: b, b: a || `@${answer.from.position ?? "0"}` });
  return (
    <div class="compare" ref={page}>
      <h1>What differs</h1>
      <div class="compare-moments">
        <Picker title="Before" said={a} asOf={answer?.from} lookedAt={lookedAt} choose={(m) => choose({ a: m })} />
        <div class="compare-between">
          <button data-key="swap" onClick={swap} disabled={!answer} aria-label="Swap the two moments">
            <Icon name="compare" /> Swap
          </button>
          {answer && <Distance answer={answer} />}
        </div>
        <Picker title="After" said={b} asOf={answer?.to} lookedAt={lookedAt} choose={(m) => choose({ b: m })} />
      </div>
      {asked.error !== undefined && <Problem error={asked.error} retry={asked.again} />}
      {!answer && asked.error === undefined && <Loading what="Comparing" />}
      {answer && asked.error === undefined && <Answered answer={answer} now={a === "now" || b === "now"} loading={asked.loading} again={asked.again} />}
    </div>
  );
}

/** What the address says of a moment, if it is one. */
function said(text: string): string {
  return text === "now" || parse(text) ? text : "";
}

async function ask(a: string, b: string, signal: AbortSignal): Promise<Answer> {
  // The present goes on: it is asked for once, and both are of that position.
  const fixed = async (text: string): Promise<string> => (text === "now" ? `@${(await resolve(undefined, signal)).asOf?.position ?? "0"}` : text);
  const second = await fixed(b);
  const first = a ? (a === b ? second : await fixed(a)) : await anHourBefore(second, signal);
  const answer: Answer = { from: {}, to: {}, changes: [] };
  for await (const part of diff({ from: request(parse(first)) ?? {}, to: request(parse(second)) ?? {} }, signal)) {
    answer.from = part.from ?? answer.from;
    answer.to = part.to ?? answer.to;
    answer.changes.push(...(part.changes ?? []));
  }
  return answer;
}

/** The moment an hour before another one, or the oldest that there is. */
async function anHourBefore(second: string, signal: AbortSignal): Promise<string> {
  const time = Date.parse((await resolve(request(parse(second)), signal)).asOf?.recordedAt ?? "");
  const before = format({ time: (Number.isNaN(time) ? now.peek() : time) - 3600_000 });
  try {
    await resolve(request(parse(before)), signal);
    return before;
  } catch (err) {
    if (endedWith(err, "out_of_range")) return oldest(signal);
    throw err;
  }
}

const timeOf = (m: AsOfJson): number => Date.parse(m.recordedAt ?? "");

/** How far the two are from each other. */
function Distance({ answer: { from, to } }: { answer: Answer }) {
  const milliseconds = timeOf(to) - timeOf(from);
  const events = BigInt(to.position ?? "0") - BigInt(from.position ?? "0");
  if (events === 0n) return <p>the same moment</p>;
  return (
    <p>
      {Number.isNaN(milliseconds) ? "from the empty house" : `${span(milliseconds)} ${milliseconds < 0 ? "earlier" : "later"}`}
      <span class="faint"> {counted(Math.abs(Number(events)), "event")}</span>
    </p>
  );
}

function Answered({ answer, now, loading, again }: { answer: Answer; now: boolean; loading: boolean; again: () => void }) {
  const between = { from: timeOf(answer.from), to: timeOf(answer.to), position: answer.to.position ?? "0" };
  const text = param("q");
  const only = param("only").split(",").filter((k): k is Kind => k in kinds);
  const all = useMemo(() => answer.changes.map(tell), [answer]);
  const loud = all.filter((t) => !isQuiet(t));
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (only.length ? all.filter((t) => t.kinds.some((k) => only.includes(k))) : loud).filter((t) => wanted.every((w) => t.text.includes(w)));
  return (
    <section class={loading ? "compare-old" : ""} aria-busy={loading} aria-label="Differences">
      <div class="row">
        <p class="compare-summary grow" role="status">
          {loud.length === 0 ? "Nothing is different" : `${counted(loud.length, "entity is", "entities are")} different`}
          {(only.length > 0 || wanted.length > 0) && `, ${found.length.toLocaleString()} shown`}
          {now && <span class="faint"> · as of {dateTime(timeOf(answer.to))}</span>}
        </p>
        {now && <button data-key="refresh" onClick={again}>Refresh</button>}
        <input
          data-key="search"
          type="search"
          aria-label="Search in what differs"
          placeholder="Name, room, id"
          value={text}
          onInput={(e) => replace({ q: e.currentTarget.value })}
        />
      </div>
      <Chips all={all} only={only} />
      {loud.length > 0 && found.length === 0 && <p class="note">None of them is like that.</p>}
      <Rooms key={`${answer.from.position} ${answer.to.position}`} changes={found} between={between} />
    </section>
  );
}

const isQuiet = (t: Told): boolean => t.kinds.every((k) => quiet.has(k));

/** How many there are of each kind; one shows those of the kinds that are pressed. */
function Chips({ all, only }: { all: readonly Told[]; only: readonly Kind[] }) {
  const toggle = (k: Kind) => replace({ only: (only.includes(k) ? only.filter((o) => o !== k) : [...only, k]).join(",") });
  const counts = (Object.keys(kinds) as Kind[]).map((k) => [k, all.filter((t) => t.kinds.includes(k)).length] as const);
  return (
    <div class="compare-chips" role="group" aria-label="Kinds of difference">
      {counts
        .filter(([k, n]) => n > 0 || only.includes(k))
        .map(([k, n]) => (
          <button key={k} data-kind={k} class={quiet.has(k) ? "compare-quiet" : ""} aria-pressed={only.includes(k)} onClick={() => toggle(k)}>
            {kinds[k]} <b>{n.toLocaleString()}</b>
          </button>
        ))}
    </div>
  );
}
