import { useEffect, useMemo, useState } from "preact/hooks";
import { link, params } from "../../address";
import { counted } from "../../count";
import { shown } from "../../house";
import { past } from "../../moment";
import { clockTime, date } from "../../time";
import { EventSummary, sourceWords } from "../../ui/event";
import { Icon } from "../../ui/icon";
import { EntityLink } from "../../ui/parts";
import { upToOf } from "../../ui/plot-data";
import { csv, json, save } from "./download";
import type { Row, Track } from "./track";

const page = 15;

/** The rows of all tracks in a window, newest first. */
function merged(tracks: readonly Track[], from: number, to: number): Row[] {
  const parts = tracks.map(({ rows }) => {
    const count = (time: number) => upToOf(rows.length, (i) => rows[i]?.t ?? 0, time);
    return rows.slice(count(from - 1), count(to)).reverse();
  });
  if (parts.length === 1) return parts[0] ?? [];
  return parts.flat().sort((a, b) => b.t - a.t || Number(b.event.position) - Number(a.event.position));
}

/** Every event of the histories in the window, newest first, and as files. */
export function Table({ tracks, from, to }: { tracks: readonly Track[]; from: number; to: number }) {
  const [first, setFirst] = useState(0);
  const revisions = tracks.map((t) => t.revision.value).join();
  const rows = useMemo(() => merged(tracks, from, to), [tracks, revisions, from, to]);
  useEffect(() => setFirst(0), [tracks, params.value.get("from"), params.value.get("range")]);
  const top = Math.min(first, Math.max(0, Math.floor((rows.length - 1) / page) * page));
  const name = tracks.map((t) => t.id).join("+");
  const several = tracks.length > 1;
  return (
    <div class="entity-table">
      <div class="row">
        <h3 class="grow">
          {counted(rows.length, "event")} {past.value && "up to this moment"}
        </h3>
        <button onClick={() => save(`${name}.csv`, "text/csv", csv(rows))} disabled={!rows.length}>
          <Icon name="download" /> CSV
        </button>
        <button onClick={() => save(`${name}.json`, "application/json", json(rows))} disabled={!rows.length}>
          <Icon name="download" /> JSON
        </button>
      </div>
      {rows.length > 0 && (
        <table aria-label="Events, newest first">
          <thead>
            <tr>
              <th>Time</th>
              <th>What</th>
              <th>Source</th>
              <th>Cause</th>
              <th>Position</th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(top, top + page).map((r, i, all) => (
              <Line key={r.event.position} row={r} day={i === 0 || date(r.t) !== date(all[i - 1]?.t ?? 0)} several={several} />
            ))}
          </tbody>
        </table>
      )}
      {rows.length > page && (
        <div class="row" role="group" aria-label="Pages of the table">
          <button disabled={!top} onClick={() => setFirst(0)} aria-label="Newest" title="Newest">
            <Icon name="first" />
          </button>
          <button disabled={!top} onClick={() => setFirst(top - page)}>
            Newer
          </button>
          <span class="faint">
            {(top + 1).toLocaleString()}–{Math.min(rows.length, top + page).toLocaleString()} of {rows.length.toLocaleString()}
          </span>
          <button disabled={top + page >= rows.length} onClick={() => setFirst(top + page)}>
            Older
          </button>
        </div>
      )}
    </div>
  );
}

function Line({ row, day, several }: { row: Row; day: boolean; several: boolean }) {
  const { event, t } = row;
  const { position = "0", entityId: id = "" } = event;
  const here = Object.fromEntries(params.value);
  return (
    <tr data-position={position}>
      <td class="entity-time">
        <a href={link("entity", { ...here, at: `@${position}` })} title="look at this moment">
          <time dateTime={event.recordedAt}>
            {clockTime(t)}
            <small class="faint">.{String(Math.floor(t) % 1000).padStart(3, "0")}</small>
          </time>
        </a>
        {day && <div class="faint">{date(t)}</div>}
      </td>
      <td class="entity-what">
        {several && <EntityLink id={id}>{shown.value.states.get(id)?.name ?? id}</EntityLink>}
        <EventSummary event={event} />
      </td>
      <td class="faint entity-source" title={event.source}>
        <div>{sourceWords(event.source)}</div>
      </td>
      <td class="entity-cause">{event.causePosition && event.causePosition !== "0" && <Why position={event.causePosition} what="its cause" />}</td>
      <td>
        <Why position={position} what="why it came to this" />
      </td>
    </tr>
  );
}

/** A link to the chain of causes of an event. */
function Why({ position, what }: { position: string; what: string }) {
  return (
    <a class="mono" href={link("why", { position })} title={what}>
      @{position}
    </a>
  );
}
