import { effect, type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { link } from "../../address";
import { live } from "../../house";
import { useKeys } from "../../keys";
import { lookAt } from "../../moment";
import { endedWith } from "../../rpc";
import { dateTime, duration } from "../../time";
import { Icon } from "../../ui/icon";
import { Loading, Problem } from "../../ui/parts";
import { Plot } from "../../ui/plot";
import { type Band, looksOf } from "../../ui/plot-draw";
import { zoomed } from "../../ui/plot-hand";
import { AddEntity } from "./add";
import { Figures } from "./figures";
import { choose, hold, latest, moment, presets, shownWindow, type Window, zoom } from "./range";
import { choices, keyOf, type Series, seriesOf } from "./series";
import { Table } from "./table";
import { mostSteps, Track } from "./track";

/** The histories of some entities, kept while they are among those that are asked for. */
function useTracks(ids: readonly string[]): readonly Track[] {
  const kept = useRef(new Map<string, Track>());
  const tracks = useMemo(() => {
    for (const [id, track] of kept.current) if (!ids.includes(id)) track.stop(), kept.current.delete(id);
    return ids.map((id) => {
      const track = kept.current.get(id) ?? new Track(id);
      kept.current.set(id, track);
      return track;
    });
  }, [ids.join()]);
  useEffect(() => () => kept.current.forEach((t) => t.stop()), []);
  useEffect(
    () =>
      effect(() => {
        void live.revision.value;
        for (const t of tracks) t.follow();
      }),
    [tracks],
  );
  return tracks;
}

/** Asks for what a window shows, and for some around it that one may come to next. Not while the hand is still moving. */
function useWindow(tracks: readonly Track[], w: Window): void {
  const asked = useRef(false);
  useEffect(() => {
    const around = w.to >= latest.peek() || w.from === -Infinity ? 0 : (w.to - w.from) / 2;
    const ask = () => tracks.forEach((t) => t.want(w.from - around / 4, w.to + around));
    const timer = setTimeout(ask, asked.current ? 200 : 0);
    asked.current = true;
    return () => clearTimeout(timer);
  }, [tracks, w.from, w.to]);
}

/** Where a window begins that has not to begin before anything was. */
function begin(w: Window, tracks: readonly Track[]): number {
  if (!w.preset) return w.from;
  const first = Math.min(...tracks.map((t) => Date.parse((t.start?.state && t.start.from?.recordedAt) || "") || t.rows[0]?.t || Infinity));
  const known = Number.isFinite(first) && first < w.to ? first : w.to - 3600_000;
  return w.from > known ? w.from : Math.min(known, w.to - 10_000);
}

const colors = ["--accent", "--wait", "--on", "--bad", "--good", "--soft"];
const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 5]];

/** A series with its place in the plot; none for a third unit. */
export interface Placed {
  series: Series;
  color: string;
  dash: number[];
  band: Band | undefined;
  refused: boolean;
}

function place(all: readonly Series[]): Placed[] {
  const units = [...new Set(all.filter((s) => s.numbers).map((s) => s.unit))];
  let lines = 0;
  return all.map((series) => ({
    series,
    color: colors[lines % colors.length] ?? "",
    dash: dashes[(series.numbers ? lines++ : 0) % dashes.length] ?? [],
    band: series.words && {
      key: keyOf(series.choice),
      name: series.name,
      course: series.words,
      say: series.say,
      looks: looksOf(series.words.v.filter((w) => w !== null)),
    },
    refused: series.numbers !== undefined && units.indexOf(series.unit) > 1,
  }));
}

/** What an entity was over time: drawn, in figures, and row by row. */
export function History({ id }: { id: string }) {
  const chosen = choices(id);
  const tracks = useTracks([...new Set(chosen.map((c) => c.id))]);
  const w = shownWindow.value;
  useWindow(tracks, w);
  const series = chosen.flatMap((c) => seriesOf(tracks.find((t) => t.id === c.id) ?? new Track(c.id), c));
  const placed = useMemo(() => place(series), series);
  const drawn = useMemo(
    () => ({
      lines: placed.flatMap((p) => (p.series.numbers && !p.refused ? { key: keyOf(p.series.choice), unit: p.series.unit, course: p.series.numbers, color: p.color, dash: p.dash } : [])),
      bands: placed.flatMap((p) => p.band ?? []),
    }),
    [placed],
  );
  const hover = useSignal<number | undefined>(undefined);
  const from = begin(w, tracks);
  const end = Math.min(w.to, latest.value);
  const mark = moment.value;
  // The plot goes on around the moment that is looked at, and nothing else does.
  const until = Math.min(end, mark ?? end);
  const something = tracks.some((t) => t.rows.length > 0 || t.start?.state);
  if (chosen.length === 1 && tracks.some(unheardOf)) return null;
  return (
    <section class="card entity-history" aria-labelledby="entity-history">
      <div class="row">
        <h2 id="entity-history" class="grow">
          History
        </h2>
        <Ranges from={from} to={w.to} preset={w.preset} />
      </div>
      <Notes tracks={tracks} placed={placed} from={w.from} />
      {something && (
        <>
          <When from={from} to={end} hover={hover} />
          <Plot
            {...drawn}
            from={from}
            to={w.to}
            end={end}
            mark={mark}
            hover={hover}
            label={`Plot of ${series.map((s) => s.name).join(", ")}. The figures and all values follow.`}
            window={zoom}
            reset={() => choose()}
            pick={(time) => (hold(from, w.to), lookAt(time < latest.peek() ? { time: Math.round(time) } : undefined))}
          />
          <Figures placed={placed} from={from} to={until} hover={hover} id={id} />
        </>
      )}
      <AddEntity id={id} />
      {something && <Table tracks={tracks} from={from} to={until} />}
    </section>
  );
}

/** The choice of the window, also for who has no pointer. */
function Ranges({ from, to, preset }: { from: number; to: number; preset: string | undefined }) {
  const now = useRef([from, to] as const);
  now.current = [from, to];
  const scale = (factor: number) => () => {
    const [from, to] = now.current;
    zoom(...zoomed(from, to, from + (to - from) * 0.75, factor));
  };
  const move = (share: number) => () => {
    const [from, to] = now.current;
    zoom(from + (to - from) * share, to + (to - from) * share);
  };
  const moves = [
    ["Earlier", "previous", move(-0.5)],
    ["A longer stretch (-)", "minus", scale(2)],
    ["A shorter stretch (+)", "plus", scale(0.5)],
    ["Later", "next", move(0.5)],
  ] as const;
  useKeys([
    { key: "+", what: "A shorter stretch of the history", run: scale(0.5) },
    { key: "-", what: "A longer stretch of the history", run: scale(2) },
  ]);
  return (
    <div class="row entity-ranges">
      <div role="group" aria-label="How much of the history" class="entity-presets">
        {presets.map(([name, words]) => (
          <button aria-pressed={preset === name} data-range={name} onClick={() => choose(name)}>
            {words}
          </button>
        ))}
      </div>
      <div role="group" aria-label="Move in the history" class="entity-presets">
        {moves.map(([words, icon, run]) => (
          <button key={icon} aria-label={words} title={words} disabled={icon === "next" && to >= latest.value} onClick={run}>
            <Icon name={icon} />
          </button>
        ))}
      </div>
    </div>
  );
}

/** Which times the plot is of, or which one is pointed at. */
function When({ from, to, hover }: { from: number; to: number; hover: Signal<number | undefined> }) {
  return (
    <p class="faint entity-when">
      {hover.value === undefined ? `${dateTime(from)} – ${dateTime(to)} (${duration(to - from)})` : <b>{dateTime(hover.value)}</b>}
    </p>
  );
}

/** Whether nothing was ever recorded of an entity. */
function unheardOf({ problem: { value } }: Track): boolean {
  return endedWith(value, "not_found");
}

/** What is to be said about the histories: what is missing, what went wrong. */
function Notes({ tracks, placed, from }: { tracks: readonly Track[]; placed: readonly Placed[]; from: number }) {
  return (
    <>
      {tracks.map((t) => {
        const problem = t.problem.value;
        if (unheardOf(t))
          return (
            <p class="note">
              Nothing was ever recorded of <span class="mono">{t.id}</span>. <a href={link("log", { id: t.id })}>Look for it in the log</a>
            </p>
          );
        if (problem !== undefined) return <Problem error={problem} retry={() => t.again()} />;
        if (t.loading.value) return <Loading what={`Loading the history of ${t.id}${t.rows.length > 1000 ? `, ${t.rows.length.toLocaleString()} events` : ""}`} />;
        if (t.cut !== undefined && t.cut > from)
          return (
            <p class="note" data-cut>
              There is too much of {t.id}: only about the last {mostSteps.toLocaleString()} events are shown, from {dateTime(t.cut)} on. Choose a shorter stretch to see what was before.
            </p>
          );
        return t.removed && <p class="note">The log begins later than this: what was before has been removed.</p>;
      })}
      {placed.map(
        (p) =>
          p.refused && (
            <p class="note bad" role="alert">
              {p.series.name} is not drawn: there is room for two units, and {p.series.unit || "a number without a unit"} is a third one.
            </p>
          ),
      )}
    </>
  );
}
