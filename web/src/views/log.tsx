import { useCallback, useEffect, useMemo, useRef } from "preact/hooks";
import { param, push, replace } from "../address";
import { counted } from "../count";
import type { EventJson } from "../gen/statehouse/v1/event_pb";
import { shown } from "../house";
import { useKeys } from "../keys";
import { past } from "../moment";
import { dateTime } from "../time";
import { Icon } from "../ui/icon";
import { Loading, Problem } from "../ui/parts";
import { Virtual } from "../ui/virtual";
import { kinds, Row } from "./log/row";
import { Tail } from "./log/tail";
import "./log.css";

const listed = (name: string) => param(name).split(",").filter(Boolean);

/** The log: what happened, the newest first, as it comes, unless somebody reads further down. In the past, and around an event that is
 * linked to, it stands still. */
export function Log() {
  const [ids, chosen, sources, correlation] = [param("id"), param("kind"), param("source"), param("correlation")];
  const marked = /^\d{1,19}$/.test(param("position")) ? param("position") : "";
  // Of the past it is the position that counts, which is known when the house is there.
  const moment = marked ? String(BigInt(marked) + 20n) : past.value ? shown.value.asOf.value.position : undefined;
  const waiting = past.value && !marked && moment === undefined;
  const tail = useMemo(
    () => (waiting ? undefined : new Tail({ entityIds: listed("id"), kinds: listed("kind"), sources: listed("source"), correlationIds: correlation ? [correlation] : [] }, moment)),
    [ids, chosen, sources, correlation, moment, waiting],
  );
  useEffect(() => {
    void tail?.run();
    return () => tail?.close();
  }, [tail]);
  const key = `${ids} ${chosen} ${sources} ${correlation} ${moment}`;
  return (
    <div class="log">
      <div class="row log-head">
        <h1>Log</h1>
        <span class="grow faint">
          {marked ? `around @${marked}` : past.value ? `up to @${moment ?? "…"}` : "as it comes, the newest first"}
        </span>
        {marked && <button onClick={() => push({ position: undefined })}>Go to the newest</button>}
        {tail && moment === undefined && <Pause key={key} tail={tail} />}
      </div>
      <Filters />
      {tail ? <Events key={key} tail={tail} marked={marked} /> : <Loading />}
    </div>
  );
}

/** Holds the list still. What comes meanwhile is counted, and there when it goes on. */
function Pause({ tail }: { tail: Tail }) {
  const toggle = () => tail.hold("paused", !tail.paused.value);
  useKeys([{ key: "p", what: "Pause the log, or go on", run: () => toggle() }]);
  const on = tail.paused.value;
  return (
    <>
      <span class="faint" role="status">
        {on && `${tail.heldCount.value.toLocaleString()}${tail.full.value ? " and more" : ""} new`}
      </span>
      <button aria-pressed={on} onClick={toggle}>
        <Icon name={on ? "play" : "pause"} /> {on ? "Go on" : "Pause"}
      </button>
    </>
  );
}

/** Says to who reads further down how many came since, and leads to them. */
function Newer({ tail }: { tail: Tail }) {
  const n = tail.heldCount.value;
  const show = () => {
    tail.hold("paused", false);
    scrollTo(0, 0);
    // The button goes, and the focus does not go with it.
    document.getElementById("view")?.focus({ preventScroll: true });
  };
  return (
    <div class="log-newer">
      {tail.away.value && n > 0 && (
        <button class="primary" onClick={show}>
          <Icon name="up" /> {tail.full.value ? `${n.toLocaleString()} and more new events` : counted(n, "new event")}
        </button>
      )}
    </div>
  );
}

function Filters() {
  const chosen = new Set(listed("kind"));
  const toggle = (kind: string) => {
    if (!chosen.delete(kind)) chosen.add(kind);
    replace({ kind: [...chosen].join(","), position: undefined });
  };
  const heard = (name: string) => (e: Event) => replace({ [name]: (e.currentTarget as HTMLInputElement).value.replaceAll(" ", ""), position: undefined });
  const correlation = param("correlation");
  const some = chosen.size > 0 || param("id") + param("source") + correlation !== "";
  return (
    <div class="log-filters">
      <div class="row">
        <input class="grow" type="search" list="log-ids" aria-label="Entities: ids, with commas between" placeholder="entity ids, as light.hall" value={param("id")} onChange={heard("id")} />
        <datalist id="log-ids">
          {[...shown.peek().states.values()].map((s) => (
            <option value={s.entityId}>{s.name}</option>
          ))}
        </datalist>
        <input class="grow" type="search" aria-label="Sources, with commas between" placeholder="sources, as api:alice" value={param("source")} onChange={heard("source")} />
        {correlation && <span class="faint">only what belongs to “{correlation}”</span>}
        {some && (
          <button class="plain" onClick={() => replace({ id: undefined, kind: undefined, source: undefined, correlation: undefined })}>
            <Icon name="close" /> All events
          </button>
        )}
      </div>
      <div class="row log-kinds" role="group" aria-label="Kinds of events">
        {Object.entries(kinds).map(([kind, title]) => (
          <button aria-pressed={chosen.has(kind)} title={kind} onClick={() => toggle(kind)}>
            {title}
          </button>
        ))}
      </div>
    </div>
  );
}

const narrow = matchMedia("(max-width: 900px)");

function Events({ tail, marked }: { tail: Tail; marked: string }) {
  const events = tail.events.value;
  const sections = useMemo(() => [{ key: "log", items: events }], [events]);
  const draw = useCallback((event: EventJson) => <Row event={event} marked={event.position === marked} />, [marked]);
  const height = useCallback(() => (narrow.matches ? 76 : 38), []);
  useEffect(() => {
    const look = () => tail.hold("away", scrollY >= 1);
    look();
    addEventListener("scroll", look, { passive: true });
    return () => removeEventListener("scroll", look);
  }, [tail]);
  const below = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const seen = new IntersectionObserver((all) => all.some((e) => e.isIntersecting) && void tail.older(), { rootMargin: "800px" });
    if (below.current) seen.observe(below.current);
    return () => seen.disconnect();
  }, [tail, events.length]);
  useEffect(() => {
    if (!marked || !events.length) return;
    document.querySelector('.log-row[aria-current="true"]')?.scrollIntoView({ block: "center" });
  }, [marked, events.length > 0]);
  const oldest = events.at(-1);
  return (
    <>
      {tail.error.value !== undefined && <Problem error={tail.error.value} retry={() => void tail.older()} />}
      <div>
        <Newer tail={tail} />
        <Virtual sections={sections} height={height} id={(event) => event.position ?? ""} draw={draw} />
      </div>
      <div ref={below} class="faint log-end">
        {tail.loading.value ? (
          <Loading />
        ) : tail.complete.value ? (
          events.length === 0 ? (
            "No such event."
          ) : (
            `That is all, since ${dateTime(Date.parse(oldest?.recordedAt ?? ""))}.`
          )
        ) : (
          <button onClick={() => void tail.older()}>Older ones</button>
        )}
      </div>
    </>
  );
}
