// One event of a chain of causes, as a card.

import type { ComponentChildren } from "preact";
import { link as address } from "../../address";
import type { EventJson } from "../../gen/statehouse/v1/event_pb";
import type { StateJson } from "../../gen/statehouse/v1/state_pb";
import type { LinkJson } from "../../gen/statehouse/v1/timeline_service_pb";
import { live, shown } from "../../house";
import { dateTime, span } from "../../time";
import { differences, lastOf, nameOf } from "../compare/change";
import { BeforeAfter, Differences } from "../compare/parts";
import { EventSummary, eventWords, sourceWords } from "../../ui/event";
import { EntityLink, PositionLink, StateText } from "../../ui/parts";

/** When an event was recorded, in milliseconds since 1970. */
export const timeOf = (e: EventJson | undefined): number => Date.parse(e?.recordedAt ?? "");

/** What an entity is called, as the link knows it, or else the house that is shown. */
export function nameIn(link: LinkJson | undefined, id = ""): string {
  const change = link?.changes?.find((c) => c.entityId === id || c.before?.state?.entityId === id);
  const saw = link?.saw?.find((s) => s.entityId === id);
  return (change && nameOf(change.after ?? change.before)) || saw?.name || shown.peek().states.get(id)?.name || live.states.get(id)?.name || id;
}

/** How many changes of one event are shown at once. */
const most = 6;

/** One link: what happened, by whom, what it changed, what there was before it. */
export function LinkCard({ link, asked }: { link: LinkJson; asked: LinkJson }) {
  const event = link.event ?? {};
  const id = event.entityId ?? "";
  const position = event.position ?? "0";
  const isAsked = link === asked;
  const label = `${id && `${nameIn(link, id)}: `}${eventWords(event).title}`;
  const earlier = timeOf(asked.event) - timeOf(event);
  return (
    <article class="card why-card" data-kind={event.kind} data-position={position} aria-current={isAsked ? "true" : undefined} aria-label={label}>
      <header class="row">
        <h2 class="grow">
          {id && (
            <>
              <EntityLink id={id}>{nameIn(link, id)}</EntityLink>
              {": "}
            </>
          )}
          <EventSummary event={event} />
        </h2>
        {isAsked && <span class="why-asked">asked about</span>}
      </header>
      <p class="why-when">
        <PositionLink position={position} />
        <time dateTime={event.recordedAt} title={event.recordedAt}>
          {dateTime(timeOf(event))}
        </time>
        {!isAsked && <span>{earlier < 1 ? "just" : span(earlier)} before</span>}
        <span title={event.source}>by {sourceWords(event.source)}</span>
        {event.correlationId && (
          <span>
            <span class="faint">correlation </span>
            <a
              class="mono"
              href={address("log", { correlation: event.correlationId, position, at: undefined })}
              title="All events with this correlation, in the log"
            >
              {event.correlationId}
            </a>
          </span>
        )}
      </p>
      <OwnTime event={event} />
      <Changed link={link} />
      <Saw link={link} />
      <Batch link={link} />
    </article>
  );
}

/** The time of the source, where it is another one than that of the log. */
function OwnTime({ event }: { event: EventJson }) {
  const late = timeOf(event) - Date.parse(event.timestamp ?? "");
  if (!(Math.abs(late) >= 1000)) return null;
  return (
    <p class="faint">
      It happened {span(late)} {late > 0 ? "earlier" : "later"}, as its source says.
    </p>
  );
}

function Part({ title, hint, children }: { title: string; hint?: string; children: ComponentChildren }) {
  return (
    <div class="why-part">
      <span class="why-label" title={hint}>
        {title}
      </span>
      {children}
    </div>
  );
}

function Changed({ link }: { link: LinkJson }) {
  const all = link.changes ?? [];
  // That something was heard of again is no change.
  const told = all.filter((c) => !c.what?.includes("report"));
  const time = timeOf(link.event);
  if (!told.length) return <Part title="Changed">nothing{all.length > 0 && " but that it was heard of"}</Part>;
  const row = (c: (typeof told)[number]) => {
    const id = lastOf(c).entityId ?? "";
    return (
      <li key={id}>
        <EntityLink id={id}>{nameOf(c.after ?? c.before, id)}</EntityLink> <BeforeAfter change={c} from={time} to={time} />
        <Differences all={differences(c)} />
      </li>
    );
  };
  return (
    <Part title="Changed">
      <ul>{told.slice(0, most).map(row)}</ul>
      {told.length > most && (
        <details>
          <summary>{told.length - most} more</summary>
          <ul>{told.slice(most).map(row)}</ul>
        </details>
      )}
    </Part>
  );
}

/** The states just before, of the entities of the chain: for how long they had been so, and why. */
function Saw({ link }: { link: LinkJson }) {
  const saw = link.saw ?? [];
  const before = (BigInt(link.event?.position ?? "1") - 1n).toString();
  return (
    <Part title="It saw" hint="What there was just before it, as its source could see it">
      {saw.length ? (
        <ul>
          {saw.map((s) => (
            <Seen key={s.entityId} state={s} before={before} time={timeOf(link.event)} />
          ))}
        </ul>
      ) : (
        <span class="faint">none of the entities here: they had no states yet</span>
      )}
    </Part>
  );
}

function Seen({ state, before, time }: { state: StateJson; before: string; time: number }) {
  const id = state.entityId ?? "";
  const name = state.name || id;
  const since = Date.parse(state.changedAt ?? "");
  return (
    <li>
      <EntityLink id={id}>{name}</EntityLink> <StateText state={state} to={time} />
      {time - since >= 1 && <span class="faint"> for {span(time - since)}</span>}{" "}
      <a class="why-why" href={address("why", { id, at: `@${before}` })} aria-label={`Why was ${name} so?`}>
        why?
      </a>
    </li>
  );
}

/** The first event of the message that it came in, where it is not that itself. */
function Batch({ link }: { link: LinkJson }) {
  const { batch } = link;
  if (!batch) return null;
  return (
    <Part title="Came with">
      <span>
        <a class="mono" href={address("why", { position: batch.position, at: undefined })}>
          @{batch.position}
        </a>{" "}
        {batch.entityId && `${nameIn(link, batch.entityId)}: `}
        <EventSummary event={batch} />
      </span>
    </Part>
  );
}
