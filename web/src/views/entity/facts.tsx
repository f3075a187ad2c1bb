import type { CapabilitiesJson, DeviceJson, EntityJson } from "../../gen/statehouse/entity/v1/registry_pb";
import { registry } from "../../registry";
import { type Fact, Facts } from "../../ui/parts";
import { written } from "./attributes";

/** The word of an enum, without what all of its names begin with. */
const word = (text: string | undefined, prefix: string) => text?.slice(prefix.length).toLowerCase().replaceAll("_", " ");

/** What the registry has of an entity and of its device. */
export function Registered({ entry }: { entry: EntityJson }) {
  const { devices, areas } = registry.value;
  const device = devices.get(entry.deviceId ?? "");
  return (
    <section class="card" aria-labelledby="entity-facts">
      <h2 id="entity-facts">Registry</h2>
      <Facts
        of={[
          ["unique id", entry.uniqueId, true],
          ["area", areas.get(entry.areaId || device?.areaId || "")?.name],
          ["kind of sensor", entry.deviceClass?.replaceAll("_", " ")],
          ["unit", entry.unit],
          ["kind of number", word(entry.stateClass, "STATE_CLASS_")],
          ["category", word(entry.category, "ENTITY_CATEGORY_")],
          ["disabled", entry.disabled && `by ${entry.userDisabled ? "the user" : "its source"}`],
          ["property", entry.property, true],
          ["source", entry.source, true],
        ]}
      />
      {device && <Device of={device} via={devices.get(device.viaDevice ?? "")} />}
      {entry.capabilities && <Capabilities of={entry.capabilities} unit={entry.unit ?? ""} />}
    </section>
  );
}

const nameOf = (d: DeviceJson | undefined) => d?.userName || d?.name;

function Device({ of: d, via }: { of: DeviceJson; via: DeviceJson | undefined }) {
  return (
    <>
      <h3>Device</h3>
      <Facts
        of={[
          ["name", nameOf(d)],
          ["name at its source", d.userName && d.name],
          ["manufacturer", d.manufacturer],
          ["model", [d.model, d.modelId && `(${d.modelId})`].filter(Boolean).join(" ")],
          ["software", d.softwareVersion],
          ["hardware", d.hardwareVersion],
          ["serial number", d.serialNumber, true],
          ["kind", d.kind !== "DEVICE_KIND_DEVICE" && word(d.kind, "DEVICE_KIND_")],
          ["address", d.address, true],
          ["topic", d.topic, true],
          ["reached through", nameOf(via) || d.viaDevice],
          ["id", d.id, true],
        ]}
      />
    </>
  );
}

function Capabilities({ of, unit }: { of: CapabilitiesJson; unit: string }) {
  const does = [of.readable && "can be read", of.writable && "can be set"].filter(Boolean).join(", ");
  const details = of.featureDetails ?? [];
  return (
    <>
      <h3>Capabilities</h3>
      <Facts
        of={[
          ["value", does || "comes by itself"],
          ["limits", limits(of, unit)],
          ["options", options(of.options)],
          ["features", !details.length && of.features?.join(", ").replaceAll("_", " ")],
          ...details.map((f): Fact => [
            (f.name ?? "").replaceAll("_", " "),
            <>
              {[f.writable ? "can be set" : "is reported", limits(f, f.unit ?? "")].filter(Boolean).join(", ")} {options(f.options)}
            </>,
          ]),
        ]}
      />
      {of.definition && (
        <details>
          <summary>What the source said of it</summary>
          <pre class="mono">{written(of.definition, "")}</pre>
        </details>
      )}
    </>
  );
}

/** Options in a line, or folded up where they are many. */
function options(all: readonly string[] | undefined) {
  if (!all?.length) return undefined;
  if (all.length <= 5) return all.join(", ");
  return (
    <details>
      <summary>{all.length} options</summary>
      {all.join(", ")}
    </details>
  );
}

function limits({ minimum, maximum, step }: { minimum?: unknown; maximum?: unknown; step?: unknown }, unit: string): string {
  const said = [minimum !== undefined && `from ${minimum}`, maximum !== undefined && `to ${maximum}`, step !== undefined && `in steps of ${step}`].filter(Boolean).join(" ");
  return said && unit ? `${said} ${unit}` : said;
}
