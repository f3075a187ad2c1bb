import { link } from "../../address";
import type { EventJson } from "../../gen/statehouse/v1/event_pb";
import { stateOf } from "../../house";
import { clockTime, date } from "../../time";
import { EventSummary, sourceWords } from "../../ui/event";
import { EntityLink } from "../../ui/parts";

/** Words for the kinds of events, in the order of the filter. */
export const kinds: Readonly<Record<string, string>> = {
  state_changed: "changed",
  state_reported: "reported",
  command_issued: "command",
  command_settled: "settled",
  entity_registered: "entity",
  entity_renamed: "renamed",
  entity_unregistered: "entity gone",
  device_registered: "device",
  device_unregistered: "device gone",
  area_registered: "area",
  area_unregistered: "area gone",
  system: "system",
  history_removed: "removed",
};

/** An event in a line, or in two where there is no room. */
export function Row({ event, marked }: { event: EventJson; marked: boolean }) {
  const position = event.position ?? "";
  const recorded = Date.parse(event.recordedAt ?? "");
  const id = event.entityId;
  return (
    <div class="log-row" data-position={position} aria-current={marked ? "true" : undefined}>
      <a class="mono log-position" href={link("log", { position, at: undefined })} title="A link to this event">
        @{position}
      </a>
      <time class="faint" dateTime={event.recordedAt} title={`${date(recorded)}, recorded ${event.recordedAt}`}>
        {clockTime(recorded)}
      </time>
      <span class="log-kind" data-kind={event.kind}>
        {kinds[event.kind ?? ""] ?? event.kind}
      </span>
      <span class="log-what">
        {id && <EntityLink id={id}>{stateOf(id)?.name ?? id}</EntityLink>} <EventSummary event={event} />
      </span>
      <span class="log-by faint">
        {sourceWords(event.source)}
        {event.causePosition && (
          <>
            {" · because of "}
            <a class="mono" href={link("log", { position: event.causePosition, at: undefined })}>
              @{event.causePosition}
            </a>
          </>
        )}
      </span>
      <span class="log-links">
        <a href={link("why", { position, at: undefined })}>why</a> <a href={link("now", { at: `@${position}` })}>house then</a>
      </span>
    </div>
  );
}
