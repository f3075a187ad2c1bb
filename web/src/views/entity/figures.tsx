import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { counted } from "../../count";
import { duration } from "../../time";
import { Icon } from "../../ui/icon";
import { EntityLink } from "../../ui/parts";
import { figures, shares, upTo, valueAt } from "../../ui/plot-data";
import { lookCount } from "../../ui/plot-draw";
import type { Placed } from "./history";
import { choices, choose, keyOf } from "./series";

interface Shown {
  from: number;
  /** The values here are shown while nothing is pointed at. */
  to: number;
  hover: Signal<number | undefined>;
}

/** The legend of a plot, which says in figures what the plot shows. */
export function Figures({ placed, id, ...shown }: Shown & { placed: readonly Placed[]; id: string }) {
  return (
    <ul class="entity-figures" aria-label="Figures of the plot">
      {placed.map((p, i) => (
        <li key={keyOf(p.series.choice)} data-series={keyOf(p.series.choice)}>
          <div class="row">
            {p.series.numbers && <Stroke color={p.color} dash={p.dash} />}
            <span class="grow">{p.series.choice.id === id ? p.series.name : <EntityLink id={p.series.choice.id}>{p.series.name}</EntityLink>}</span>
            <Value placed={p} place={i} id={id} />
            <Pointed placed={p} {...shown} />
            {i > 0 && (
              <button class="plain" aria-label={`Take ${p.series.name} out`} title="Take it out" onClick={() => choose(choices(id).filter((_c, j) => j !== i))}>
                <Icon name="close" />
              </button>
            )}
          </div>
          {p.series.numbers ? <Numbers placed={p} {...shown} /> : <Words placed={p} {...shown} />}
        </li>
      ))}
    </ul>
  );
}

function Stroke({ color, dash }: { color: string; dash: number[] }) {
  return (
    <svg class="entity-stroke" width="34" height="10" aria-hidden="true">
      <line x1="0" y1="5" x2="34" y2="5" style={{ stroke: `var(${color})`, strokeDasharray: dash.join(" ") }} />
    </svg>
  );
}

/** The choice of what is plotted of an entity that has numbers besides its state. */
function Value({ placed: { series }, place, id }: { placed: Placed; place: number; id: string }) {
  if (!series.values.length) return null;
  return (
    <select
      aria-label={`What is plotted of ${series.choice.id}`}
      value={series.choice.value}
      onChange={(e) => choose(choices(id).map((c, i) => (i === place ? { id: c.id, value: e.currentTarget.value } : c)))}
    >
      {["", ...series.values].map((v) => (
        <option key={v} value={v}>
          {v.replaceAll("_", " ") || "state"}
        </option>
      ))}
    </select>
  );
}

const rounded = (n: number) => new Intl.NumberFormat(undefined, { maximumSignificantDigits: 5 }).format(n);

/** The value at the time that is pointed at. */
function Pointed({ placed: { series }, to, hover }: Shown & { placed: Placed }) {
  const time = hover.value ?? to;
  if (series.numbers) {
    const value = valueAt(series.numbers, time);
    return <b class="entity-value">{value === null ? "—" : `${rounded(value)}\u202f${series.unit}`}</b>;
  }
  if (!series.words) return null;
  if (series.momentary) {
    const last = series.words.v[(upTo(series.words.t, time) - 1) & ~1];
    return <b class="entity-value">{last ?? "—"}</b>;
  }
  const word = valueAt(series.words, time);
  return <b class="entity-value">{word === null ? "—" : series.say(word)}</b>;
}

function Numbers({ placed: { series }, from, to }: Shown & { placed: Placed }) {
  const f = useMemo(() => series.numbers && figures(series.numbers, from, to), [series, from, to]);
  if (!f) return <p class="faint">no number in this time</p>;
  return (
    <p class="faint entity-numbers">
      {(["min", "mean", "max", "last"] as const).map((name) => (
        <span key={name}>
          {name} {rounded(f[name])}
          {series.unit && `\u202f${series.unit}`}
        </span>
      ))}
    </p>
  );
}

/** How many words are listed, those that held longest first. */
const mostWords = 12;

function Words({ placed: { series, band }, from, to }: Shown & { placed: Placed }) {
  const all = useMemo(() => [...(series.words ? shares(series.words, from, to) : [])].sort(([, a], [, b]) => b.time - a.time || b.times - a.times), [series, from, to]);
  if (!all.length) return <p class="faint">nothing in this time</p>;
  const whole = all.reduce((sum, [, s]) => sum + s.time, 0);
  return (
    <p class="faint entity-numbers">
      {all.slice(0, mostWords).map(([word, share]) => (
        <span key={word}>
          <i class="entity-look" data-look={band?.looks.get(word) ?? lookCount} aria-hidden="true" /> <span class="entity-word">{series.say(word)}</span>{" "}
          {series.momentary ? `${share.times}×` : `${percent(share.time, whole)}, ${duration(share.time)}${share.times > 1 ? `, ${share.times}×` : ""}`}
        </span>
      ))}
      {all.length > mostWords && <span>and {counted(all.length - mostWords, "other")}</span>}
    </p>
  );
}

function percent(part: number, whole: number): string {
  const p = whole ? (part / whole) * 100 : 100;
  return `${p > 0 && p < 1 ? "<1" : Math.round(p)}\u202f%`;
}
