// The two moments: which they are, and how one chooses them.

import { link } from "../../address";
import { resolve } from "../../api";
import type { AsOfJson } from "../../gen/statehouse/v1/moment_pb";
import { format, parse } from "../../moment";
import { dateTime, fieldTime } from "../../time";

const hour = 3600_000;

/** What the address says of a moment: one of the past, "now", or nothing. */
export type Said = string;

/** The oldest moment that there is. */
export async function oldest(signal?: AbortSignal): Promise<Said> {
  return `@${(await resolve({ oldest: {} }, signal)).asOf?.position ?? "0"}`;
}

type Preset = readonly [name: string, said: () => Said | Promise<Said>];

function presets(lookedAt: Said): Preset[] {
  const ago = (ms: number) => () => format({ time: Date.now() - ms });
  const morning = () => {
    const d = new Date();
    d.setHours(6, 0, 0, 0);
    if (d.getTime() > Date.now()) d.setDate(d.getDate() - 1);
    return format({ time: d.getTime() });
  };
  const all: Preset[] = [
    ["now", () => "now"],
    ["5 minutes ago", ago(hour / 12)],
    ["an hour ago", ago(hour)],
    ["yesterday this time", ago(24 * hour)],
    ["this morning, 06:00", morning],
    ["the oldest moment", () => oldest()],
  ];
  return lookedAt ? [["the moment looked at", () => lookedAt], ...all] : all;
}

interface Choice {
  title: string;
  /** What the address says; empty for nothing. */
  said: Said;
  /** Which moment that stands for; not known until it is answered. */
  asOf: AsOfJson | undefined;
  /** The moment of the past that the page looks at; empty for now. */
  lookedAt: Said;
  choose: (said: Said) => void;
}

/** Chooses one moment. */
export function Picker({ title, said, asOf, lookedAt, choose }: Choice) {
  const m = parse(said);
  const time = m && "time" in m ? m.time : Date.parse(asOf?.recordedAt ?? "");
  const position = m && "position" in m ? m.position : asOf && (asOf.position ?? "0");
  const all = presets(lookedAt);
  const chosen = (e: HTMLInputElement) => {
    const t = Date.parse(e.value);
    if (!Number.isNaN(t)) choose(format({ time: t }));
  };
  const positioned = (e: HTMLInputElement) => {
    const text = `@${e.value.replaceAll(/[@\s,]/g, "")}`;
    e.setCustomValidity(parse(text) ? "" : "A position is a number, as in @1204.");
    if (e.reportValidity()) choose(text);
  };
  return (
    <fieldset class="card compare-picker" data-side={title.toLowerCase()}>
      <legend>{title}</legend>
      <div class="compare-fields">
        <input type="datetime-local" step="1" aria-label={`${title}: day and time`} value={fieldTime(time)} onChange={(e) => chosen(e.currentTarget)} />
        <input
          class="mono compare-position"
          inputMode="numeric"
          aria-label={`${title}: position`}
          value={position ? `@${position}` : ""}
          onChange={(e) => positioned(e.currentTarget)}
        />
        <select
          aria-label={`${title}: choose a moment`}
          value=""
          onChange={(e) => {
            const preset = all[Number(e.currentTarget.value)];
            e.currentTarget.value = "";
            if (preset) void Promise.resolve(preset[1]()).then(choose, () => {});
          }}
        >
          <option value="" disabled>
            Choose …
          </option>
          {all.map(([name], i) => (
            <option key={name} value={i}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <p class="faint">{asOf ? <Stands said={said} asOf={asOf} /> : "…"}</p>
    </fieldset>
  );
}

/** Which moment of the house a choice stands for. */
function Stands({ said, asOf }: { said: Said; asOf: AsOfJson }) {
  const { position = "0", recordedAt } = asOf;
  if (!recordedAt) return <>the empty house, before everything</>;
  return (
    <>
      {said === "now" ? "now, as of " : "as of "}
      <a href={link("now", { at: `@${position}` })}>{dateTime(Date.parse(recordedAt))}</a>
      , when @{position} was recorded
    </>
  );
}
