// The two moments: which they are, and how one chooses them.

import { useEffect, useRef, useState } from "preact/hooks";
import { link } from "../../address";
import { resolve } from "../../api";
import type { AsOfJson } from "../../gen/statehouse/v1/moment_pb";
import { format, parse } from "../../moment";
import { dateTime, fieldTime, now } from "../../time";

const hour = 3600_000;

/** What the address says of a moment: one of the past, "now", or nothing. */
export type Said = string;

/** The oldest moment that there is. */
export async function oldest(signal?: AbortSignal): Promise<Said> {
  return `@${(await resolve({ oldest: {} }, signal)).asOf?.position ?? "0"}`;
}

type Preset = readonly [name: string, said: () => Said | Promise<Said>];

function presets(lookedAt: Said): Preset[] {
  const ago = (ms: number) => () => format({ time: now.peek() - ms });
  const morning = () => {
    const d = new Date(now.peek());
    d.setHours(6, 0, 0, 0);
    if (d.getTime() > now.peek()) d.setDate(d.getDate() - 1);
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
  const chosen = (text: string) => {
    const t = Date.parse(text);
    if (!Number.isNaN(t)) choose(format({ time: t }));
    return "";
  };
  const positioned = (text: string) => {
    const at = `@${text.replaceAll(/[@\s,]/g, "")}`;
    if (!parse(at)) return "A position is a number, as in @1204.";
    choose(at);
    return "";
  };
  const day = useTyped(said, fieldTime(time), chosen);
  const place = useTyped(said, position ? `@${position}` : "", positioned);
  return (
    <fieldset class="card compare-picker" data-side={title.toLowerCase()}>
      <legend>{title}</legend>
      <div class="compare-fields">
        <input type="datetime-local" step="1" aria-label={`${title}: day and time`} {...day} />
        <input class="mono compare-position" inputMode="numeric" aria-label={`${title}: position`} {...place} />
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

/** What a field of a moment has to have: it shows a value, and keeps what somebody types until that is taken or given up, whatever is
 * answered meanwhile. What takes it says what is wrong with it, and nothing where nothing is. */
function useTyped(said: Said, value: string, take: (text: string) => string) {
  const [typed, type] = useState<string>();
  const ref = useRef<HTMLInputElement>(null);
  const settle = () => {
    ref.current?.setCustomValidity("");
    type(undefined);
  };
  useEffect(settle, [said]);
  const keep = ({ currentTarget: e }: { currentTarget: HTMLInputElement }) => type(e.value);
  return {
    ref,
    value: typed ?? value,
    // A part of a date is no value yet, and nothing but its keys tells of it.
    onKeyDown: keep,
    onInput: keep,
    onChange: ({ currentTarget: e }: { currentTarget: HTMLInputElement }) => {
      e.setCustomValidity(take(e.value));
      if (e.validity.customError) e.reportValidity();
    },
    onBlur: ({ currentTarget: e }: { currentTarget: HTMLInputElement }) => {
      if (!e.validity.customError) settle();
    },
  };
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
