import type { AttributesJson } from "../../gen/statehouse/entity/v1/attributes_pb";
import type { ValueJson } from "../../gen/statehouse/entity/v1/value_pb";
import type { StateJson } from "../../gen/statehouse/v1/state_pb";
import { camel, domainOf, typed, words } from "../../state";
import { attributeList, valueText } from "../../ui/event";
import { type Fact, Facts } from "../../ui/parts";
import { unitOf } from "./series";

/** Everything that is known of a state besides its words: also the very word that is recorded, where people read another one. */
export function Attributes({ state }: { state: StateJson }) {
  const a = state.attributes ?? {};
  const extra = new Set(a.extra?.map((f) => f.name));
  const [, numbers] = typed(a);
  const rows = attributeList(a).filter(([name]) => !extra.has(name) && !name.endsWith(" (as sent)"));
  return (
    <section class="card" aria-labelledby="entity-attributes">
      <h2 id="entity-attributes">Attributes</h2>
      {!Object.keys(numbers).length && <p class="faint">{nothing(a, state)}</p>}
      <Facts
        of={[
          ...rows.map(([name, text]): Fact => [name, text + unit(numbers, name, state.unit ?? "")]),
          ["recorded as", words(state) !== state.text && state.text, true],
          ["heard from", state.updatedBy, true],
        ]}
      />
      {!!a.extra?.length && (
        <>
          <h3>Beyond that, as sent</h3>
          <Facts of={a.extra.map(({ name = "", value }): Fact => [name, <Value value={value} />])} />
        </>
      )}
    </section>
  );
}

function nothing(a: AttributesJson, state: StateJson): string {
  return a.availability === "AVAILABILITY_OFFLINE" ? "The device cannot be reached, and nothing is known of its state." : `Nothing was said yet about the state of this ${domainOf(state.entityId ?? "").replaceAll("_", " ")}.`;
}

function unit(of: Record<string, unknown>, name: string, own: string): string {
  const unit = typeof of[camel(name)] === "number" && unitOf(name.replaceAll(" ", "_"), own);
  return unit ? `\u202f${unit}` : "";
}

/** A value that a source sent: in a line, or folded up where it is long. */
export function Value({ value }: { value: ValueJson | undefined }) {
  const whole = written(value ?? {}, "");
  if (whole.length <= 80) return <span>{valueText(value)}</span>;
  return (
    <details>
      <summary>{valueText(value).slice(0, 60)}…</summary>
      <pre class="mono">{whole}</pre>
    </details>
  );
}

/** A value as JSON, with the digits that it came with. */
export function written(v: ValueJson, indent: string): string {
  const deeper = `${indent}  `;
  const among = (open: string, items: string[], close: string) => (items.length ? `${open}\n${items.map((i) => deeper + i).join(",\n")}\n${indent}${close}` : open + close);
  if (v.listValue) return among("[", (v.listValue.values ?? []).map((e) => written(e, deeper)), "]");
  if (v.structValue) return among("{", (v.structValue.fields ?? []).map((f) => `${JSON.stringify(f.name ?? "")}: ${written(f.value ?? {}, deeper)}`), "}");
  if (v.stringValue !== undefined || v.bytesValue !== undefined) return JSON.stringify(v.stringValue ?? v.bytesValue);
  return String(v.boolValue ?? v.intValue ?? v.doubleValue ?? v.numberValue ?? null);
}
