import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { link } from "../../address";
import type { StateJson } from "../../gen/statehouse/v1/state_pb";
import { shown } from "../../house";
import { registry } from "../../registry";
import { shortName } from "../../state";
import { QuickControl } from "../../ui/controls";
import { Icon, iconOf } from "../../ui/icon";
import { Age, StateText } from "../../ui/parts";
import type { Device, Entry } from "./board";
import { words } from "./filters";
import type { Line } from "./layout";

/** Draws a line. */
export const drawLine = (line: Line) => <LineView line={line} />;

function LineView({ line: { device, first, entries, shape } }: { line: Line }) {
  return (
    <div class="now-line" data-first={first || undefined} data-narrow={shape.narrow || undefined} data-device={device.id}>
      {first ? <DeviceName device={device} /> : !shape.narrow && <span />}
      <ul aria-label={device.name || "No device"} style={{ gridTemplateColumns: `repeat(${shape.columns}, minmax(0, 1fr))` }}>
        {entries.map((e) => (
          <EntryView key={e.id} entry={e} />
        ))}
      </ul>
    </div>
  );
}

function DeviceName({ device }: { device: Device }) {
  const known = registry.value.devices.get(device.id);
  const model = [known?.manufacturer, known?.model].filter(Boolean).join(" ");
  return (
    <h3 class={device.name ? undefined : "faint"} title={model ? `${device.name}\n${model}` : device.name}>
      <Found text={device.name || "No device"} />
    </h3>
  );
}

/** One entity. It is drawn anew when its state is another one, and its age when that reads otherwise. */
function EntryView({ entry }: { entry: Entry }) {
  const state = entry.state.value;
  const time = entry.flash.value;
  const flash = time > 0 && performance.now() - time < flashing;
  return (
    <li class="now-entry" data-entity={entry.id} data-flash={flash || undefined}>
      {flash && <Flash key={time} entry={entry} time={time} />}
      <Icon name={iconOf(entry.domain, state.deviceClass)} />
      <a class="now-name" href={link("entity", { id: entry.id })} title={`${state.name || entry.id}\n${entry.id}`}>
        <Name entry={entry} />
      </a>
      {shown.value.phase.value === "ready" && <QuickControl state={state} />}
      <span class="now-state">
        <StateText state={state} />
      </span>
      <span class="now-age">
        <Age time={state.changedAt} />
      </span>
      <a class="now-why" href={link("why", { id: entry.id })} title="Why is it so?" aria-label={`Why is ${state.name || entry.id} so?`}>
        <Icon name="help" />
      </a>
    </li>
  );
}

/** What an entity is called beside its device's name: where that says all, what it is. */
function nameIn(state: StateJson, domain: string): string {
  const name = shortName(state);
  if (name !== state.deviceName) return name;
  const kind = (domain.endsWith("sensor") && state.deviceClass ? state.deviceClass : domain).replaceAll("_", " ");
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

/** What an entity is called in its row; its id, where that alone is what was found of it. */
function Name({ entry }: { entry: Entry }) {
  const said = words.value;
  const state = entry.state.value;
  const name = nameIn(state, entry.domain);
  const seen = [name, state.name, state.deviceName, state.areaName].join("\n").toLowerCase();
  if (said.every((w) => seen.includes(w))) return <Found text={name} />;
  return (
    <span class="mono">
      <Found text={entry.id} />
    </span>
  );
}

/** A text in which what is searched for is marked. */
export function Found({ text }: { text: string }) {
  const said = words.value;
  const small = text.toLowerCase();
  // Small letters may be more than large ones were: then no place in them is one in the text.
  if (said.length === 0 || small.length !== text.length) return <>{text}</>;
  const parts: ComponentChildren[] = [];
  let done = 0;
  while (done < text.length) {
    const next = said.map((w) => ({ at: small.indexOf(w, done), length: w.length })).filter((hit) => hit.at >= 0);
    const hit = next.sort((a, b) => a.at - b.at || b.length - a.length)[0];
    if (!hit) break;
    parts.push(text.slice(done, hit.at), <mark>{text.slice(hit.at, hit.at + hit.length)}</mark>);
    done = hit.at + hit.length;
  }
  parts.push(text.slice(done));
  return <>{parts}</>;
}

/** How long a change is to be seen, in milliseconds, as now.css has it. */
const flashing = 1200;

/** Says to the eye that an entity changed at a time. One that comes into sight late goes on where it would be. */
function Flash({ entry, time }: { entry: Entry; time: number }) {
  const delay = useMemo(() => `${Math.round(time - performance.now())}ms`, []);
  const over = () => {
    if (entry.flash.peek() === time) entry.flash.value = 0;
  };
  return <i class="now-flash" style={{ animationDelay: delay }} onAnimationEnd={over} />;
}
