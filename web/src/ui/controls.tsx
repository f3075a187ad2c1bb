import { useState } from "preact/hooks";
import { actions } from "../api";
import { dismiss, give, given, numberValue } from "../commands";
import type { FieldJson } from "../gen/statehouse/entity/v1/value_pb";
import type { ActionArgumentJson, ActionJson, ActionsResponseJson } from "../gen/statehouse/v1/command_service_pb";
import type { StateJson } from "../gen/statehouse/v1/state_pb";
import { live } from "../house";
import { past } from "../moment";
import { camel, domainOf, typed } from "../state";
import { link } from "../address";
import { Icon, type IconName } from "./icon";
import { useAsk } from "./use";
import "./controls.css";

const toggled = new Set(["light", "switch", "fan", "siren", "humidifier"]);

/** The one thing that one mostly wants of an entity, small enough for a row; nothing for those that are only looked at, and in the past. */
export function QuickControl({ state }: { state: StateJson }) {
  const id = state.entityId ?? "";
  const domain = domainOf(id);
  if (past.value || state.text === "unavailable") return null;
  const buttons = quick(domain, state);
  if (!buttons) return null;
  return (
    <span class="quick">
      {buttons.map(([action, label, icon]) =>
        action === "toggle" ? (
          <Toggle state={state} />
        ) : (
          <button onClick={() => void give(id, action)} title={label} aria-label={`${label}: ${state.name}`}>
            <Icon name={icon} />
          </button>
        ),
      )}
      <Outcome id={id} />
    </span>
  );
}

type Quick = readonly [action: string, label: string, icon: IconName];

function quick(domain: string, state: StateJson): readonly Quick[] | undefined {
  if (toggled.has(domain)) return [["toggle", "Switch", "switch"]];
  switch (domain) {
    case "cover":
    case "valve":
      return [
        [`open_${domain}`, "Open", "up"],
        [`stop_${domain}`, "Stop", "stop"],
        [`close_${domain}`, "Close", "down"],
      ];
    case "lock":
      return [state.text === "locked" ? ["unlock", "Unlock", "lock"] : ["lock", "Lock", "lock"]];
    case "button":
      return [["press", "Press", "button"]];
    case "scene":
      return [["turn_on", "Activate", "play"]];
    default:
      return undefined;
  }
}

/** A switch that shows the state that the device reported, never the one that is wished for; a wish shows as pending. ARIA has switches that
 * are on or off, and nothing between: one of which neither is known is a checkbox that is mixed, which is what it looks like. */
function Toggle({ state }: { state: StateJson }) {
  const id = state.entityId ?? "";
  const stage = given.value.get(id)?.stage;
  const waiting = stage === "sending" || stage === "waiting" || !!state.pending?.length;
  const on = state.text === "on";
  const known = on || state.text === "off";
  return (
    <button
      class="toggle"
      role={known ? "switch" : "checkbox"}
      aria-checked={known ? on : "mixed"}
      aria-busy={waiting}
      aria-label={state.name}
      title={waiting ? "waits for the device" : on ? "on: switch off" : known ? "switch on" : "not known: switch on"}
      onClick={() => void give(id, on ? "turn_off" : "turn_on")}
    />
  );
}

/** What became of the last command that was given here. */
function Outcome({ id }: { id: string }) {
  const g = given.value.get(id);
  if (!g || g.stage === "sending" || g.stage === "waiting") return null;
  if (g.stage === "confirmed") {
    return (
      <span class="outcome" data-stage="confirmed" role="status">
        done
      </span>
    );
  }
  return (
    <span class="outcome" data-stage="failed" role="alert">
      <Icon name="warning" />
      {g.position ? <a href={link("why", { position: g.position, at: undefined })}>{g.reason}</a> : g.reason}
      <button class="plain" onClick={() => dismiss(id)} aria-label="Dismiss">
        <Icon name="close" />
      </button>
    </span>
  );
}

/** Everything that an entity can be asked to do, with what it takes. */
export function Controls({ state }: { state: StateJson }) {
  const id = state.entityId ?? "";
  const asked = useAsk((signal) => (past.value ? Promise.resolve<ActionsResponseJson>({}) : actions(id, signal)), [id, past.value, live.phase.value]);
  if (past.value || !asked.value?.actions?.length) return null;
  const all = asked.value.actions.filter((a) => a.name !== "toggle");
  const bare = all.filter((a) => !required(a).length && !a.name?.startsWith("set_"));
  const pending = state.pending?.length ? `Waits for the device: ${state.pending.map((p) => readable(p.action ?? "")).join(", ")}` : "";
  return (
    <section class="card controls" aria-label="Controls">
      <div class="row">
        {bare.map((a) => (
          <button onClick={() => void give(id, a.name ?? "")} aria-pressed={pressed(a, state)}>
            {readable(a.name ?? "")}
          </button>
        ))}
        {pending && (
          <span class="outcome" data-stage="waiting" role="status">
            {pending} …
          </span>
        )}
        <Outcome id={id} />
      </div>
      {formsOf(all).map(({ action, args }) => (
        <Form key={`${id} ${action.name} ${args[0]?.name}`} state={state} action={action} args={args} />
      ))}
    </section>
  );
}

interface Ask {
  action: ActionJson;
  args: ActionArgumentJson[];
}

/** What has a form of its own: all that an action needs, and each value that it can set besides. What two actions can set is asked
 * for once. */
function formsOf(all: readonly ActionJson[]): Ask[] {
  const needed = all.filter((action) => required(action).length).map((action) => ({ action, args: required(action) }));
  const other = all.flatMap((action) => (action.name === "turn_off" ? [] : (action.arguments ?? []).filter((arg) => !arg.required && simple(arg)).map((arg) => ({ action, args: [arg] }))));
  const seen = new Set<string>();
  return [...needed, ...other].filter(({ args }) => {
    const name = args.map((arg) => arg.name).join();
    return !seen.has(name) && seen.add(name);
  });
}

const required = (a: ActionJson) => (a.arguments ?? []).filter((arg) => arg.required);

/** Whether an action says what the state already is. */
function pressed(a: ActionJson, state: StateJson): boolean | undefined {
  const shown = { turn_on: "on", turn_off: "off", lock: "locked", unlock: "unlocked" }[a.name ?? ""];
  return shown === undefined ? undefined : state.text === shown;
}

/** The arguments that are worth a field of their own: what sets a value. Steps and times are for programs. */
function simple(arg: ActionArgumentJson): boolean {
  if (/_step|transition|duration|flash/.test(arg.name ?? "")) return false;
  return arg.kind === "rgb" || arg.kind === "option" || arg.kind === "number" || arg.kind === "integer";
}

/** An action with what it is given, as one form. */
function Form({ state, action, args }: { state: StateJson; action: ActionJson; args: ActionArgumentJson[] }) {
  const id = state.entityId ?? "";
  const [values, setValues] = useState<Record<string, string>>({});
  const current = (arg: ActionArgumentJson) => values[arg.name ?? ""] ?? reported(state, arg);
  const send = (e: Event) => {
    e.preventDefault();
    void give(id, action.name ?? "", args.map((arg) => field(arg, current(arg))));
    // From here on what the device says is shown again.
    setValues({});
  };
  const title = args.length === 1 && args[0]?.name !== "value" ? readable(args[0]?.name ?? "") : readable(action.name ?? "");
  const touched = args.some((arg) => values[arg.name ?? ""] !== undefined);
  return (
    <form class="row argument" onSubmit={send}>
      <span class="title">{title}</span>
      {args.map((arg) => (
        <Input arg={arg} label={args.length === 1 ? title : readable(arg.name ?? "")} value={current(arg)} change={(v) => setValues({ ...values, [arg.name ?? ""]: v })} />
      ))}
      <button class={touched ? "primary" : ""} disabled={!touched && args.every((arg) => current(arg) === "")}>
        Set
      </button>
    </form>
  );
}

interface InputProps {
  arg: ActionArgumentJson;
  label: string;
  value: string;
  change: (value: string) => void;
}

function Input({ arg, label, value, change }: InputProps) {
  const heard = (e: Event) => change((e.currentTarget as HTMLInputElement | HTMLSelectElement).value);
  if (arg.options?.length) {
    return (
      <select aria-label={label} value={value} onChange={heard}>
        {!arg.options.includes(value) && <option value={value}>{value || "choose"}</option>}
        {arg.options.map((o) => (
          <option value={o}>{o.replaceAll("_", " ")}</option>
        ))}
      </select>
    );
  }
  if (arg.kind === "bool") return <input type="checkbox" aria-label={label} checked={value === "true"} onChange={(e) => change(String(e.currentTarget.checked))} />;
  if (arg.kind === "rgb") return <input type="color" aria-label={label} value={value || "#ffffff"} onInput={heard} />;
  if (arg.kind !== "number" && arg.kind !== "integer") return <input type="text" aria-label={label} value={value} onInput={heard} />;
  const bounds = { min: arg.minimum, max: arg.maximum, step: arg.step || (arg.kind === "integer" ? 1 : "any") } as Record<string, string | number>;
  const bounded = arg.minimum !== undefined && arg.maximum !== undefined;
  return (
    <span class="row number">
      {bounded && <input type="range" aria-label={label} {...bounds} value={value || String(arg.minimum)} onInput={heard} />}
      <input type="number" required aria-label={bounded ? `${label}, as a number` : label} {...bounds} value={value} onInput={heard} />
      {arg.unit && <span class="faint">{arg.unit}</span>}
    </span>
  );
}

// Arguments that are called otherwise in the state.
const elsewhere: Record<string, string> = { temperature: "targetTemperature", value: "number", humidity: "targetHumidity" };

/** The value that the device reported of what an argument sets, as an input has it; empty where it said nothing. */
function reported(state: StateJson, arg: ActionArgumentJson): string {
  const [, attributes] = typed(state.attributes);
  const name = camel(arg.name ?? "");
  const found = attributes[name] ?? attributes[elsewhere[name] ?? name];
  if (arg.kind === "rgb") return hexOf(attributes["color"] ?? attributes["rgb"]);
  if (typeof found === "number" || typeof found === "boolean") return String(found);
  if (typeof found !== "string") return "";
  // Words are enums in JSON, which are named after their type: HVAC_MODE_HEAT.
  return arg.options?.find((o) => o === found || found.toLowerCase().endsWith(`_${o.toLowerCase()}`)) ?? (arg.options ? "" : found);
}

function hexOf(color: unknown): string {
  const { red = 0, green = 0, blue = 0 } = (color ?? {}) as Record<string, number>;
  return color ? `#${[red, green, blue].map((n) => Math.round(n).toString(16).padStart(2, "0")).join("")}` : "";
}

/** An argument as the procedure takes it. */
function field(arg: ActionArgumentJson, value: string): FieldJson {
  const name = arg.name ?? "";
  switch (arg.kind) {
    case "number":
    case "integer":
      return { name, value: numberValue(Number(value)) };
    case "bool":
      return { name, value: { boolValue: value === "true" } };
    case "rgb": {
      const parts = [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
      return { name, value: { listValue: { values: parts.map(numberValue) } } };
    }
    default:
      return { name, value: { stringValue: value } };
  }
}

/** A word of the interface as a person writes it: "set_hvac_mode" is "Set hvac mode". */
function readable(name: string): string {
  const text = name.replaceAll("_", " ").replace(/^set /, "").replace("hvac", "HVAC").replace("temp kelvin", "temperature").replace(/^rgb$/, "color");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
