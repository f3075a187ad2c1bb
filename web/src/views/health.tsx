import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { listSnapshots, stats } from "../api";
import type { SnapshotJson, StatsResponseJson } from "../gen/statehouse/v1/admin_service_pb";
import { counted } from "../count";
import { past } from "../moment";
import { get, RpcError } from "../rpc";
import { duration, now } from "../time";
import { Icon } from "../ui/icon";
import { Age, Facts, Loading, Problem } from "../ui/parts";
import { useAsk } from "../ui/use";
import { type Metrics, parse, rate, sum } from "./health/metrics";
import { Spark } from "./health/spark";
import { Save, Verify } from "./health/verify";
import "./health.css";

/** How often it is asked, and for how long what was answered is kept: two minutes. */
const every = 2000;
const kept = 60;

interface Vitals {
  readonly metrics: readonly Metrics[];
  readonly stats?: StatsResponseJson;
  /** What /readyz says: empty for a program that is ready. */
  readonly notReady: string;
  readonly error?: unknown;
}

/** How the program is: whether it keeps up, whether it is safe, whether it is full. It is of now, whichever moment one looks at. */
export function Health() {
  const [vitals, again] = useVitals();
  const snapshots = useAsk((signal) => listSnapshots(signal), [vitals.stats?.snapshot]);
  const m = vitals.metrics.at(-1);
  if (!m && vitals.error === undefined) return <Loading />;
  return (
    <div class="health">
      <div class="row">
        <h1 class="grow">Health</h1>
        {past.value && <span class="faint">as it is now: the program's own figures have no past</span>}
      </div>
      {vitals.error !== undefined && <Problem error={denied(vitals.error)} retry={again} />}
      {m && <Verdict vitals={vitals} m={m} />}
      {m && (
        <div class="health-cards">
          <Ingest all={vitals.metrics} m={m} />
          <Log all={vitals.metrics} m={m} s={vitals.stats} />
          <Storage m={m} snapshots={snapshots.value?.snapshots ?? []} again={again} />
          <Proof m={m} again={again} />
          <Readers m={m} s={vitals.stats} />
          <Broker m={m} />
        </div>
      )}
    </div>
  );
}

function denied(error: unknown): unknown {
  return error instanceof RpcError && ["forbidden", "permission_denied"].includes(error.code) ? new Error("These figures are for tokens that may read everything.") : error;
}

function useVitals(): [Vitals, () => void] {
  const [vitals, set] = useState<Vitals>({ metrics: [], notReady: "" });
  const [turn, next] = useState(0);
  useEffect(() => {
    const end = new AbortController();
    let under = false;
    const ask = async () => {
      // What is slow is not made slower.
      if (under) return;
      under = true;
      try {
        const [text, figures, ready] = await Promise.all([get("metrics", end.signal), stats(end.signal), get("readyz", end.signal)]);
        if (text.status === 403) throw new RpcError("forbidden", "");
        if (text.status !== 200) throw new Error(`/metrics answered ${text.status}`);
        const read = parse(text.text, Date.now());
        set((v) => ({ metrics: [...v.metrics, read].slice(-kept), stats: figures, notReady: ready.status === 200 ? "" : problemOf(ready.text) }));
      } catch (error) {
        if (!end.signal.aborted) set((v) => ({ ...v, error }));
      }
      under = false;
    };
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), every);
    return () => {
      clearInterval(timer);
      end.abort();
    };
  }, [turn]);
  return [vitals, () => next((n) => n + 1)];
}

function problemOf(text: string): string {
  try {
    const body = JSON.parse(text) as { problem?: string; error?: { message?: string }; status?: string };
    return body.problem ?? body.error?.message ?? body.status ?? text;
  } catch {
    return text;
  }
}

/** What somebody would have to do something about. */
function worries({ stats: s, notReady, metrics }: Vitals, m: Metrics): string[] {
  const all: string[] = [];
  const is = (name: string) => sum(m, name) ?? 0;
  if (notReady) all.push(`The program is not ready: ${notReady}`);
  if (is("log_damaged")) all.push("The log is damaged and can only be read. “statehouse repair” makes a whole one of it.");
  if (s?.fault) all.push(`Nothing can be recorded: ${s.fault}`);
  if (is("verify_findings")) all.push(`The last verification found ${wrongs(is("verify_findings"))}: “statehouse verify” names them.`);
  const free = sum(m, "disk_free_bytes");
  if (free !== undefined && free < 512e6) all.push(`Only ${bytes(free)} are free beside the database.`);
  if (is("log_waiting_for_room")) all.push(`${counted(is("log_waiting_for_room"), "writer waits", "writers wait")} because the queue is full.`);
  if (is("http_panics_total") + is("mqtt_broker_panics_total")) all.push("The program met a defect of its own and went on; its log says which.");
  if ((rate(metrics, "log_batches_failed_total") ?? 0) > 0) all.push("Writes fail.");
  return all;
}

function Verdict({ vitals, m }: { vitals: Vitals; m: Metrics }) {
  const all = worries(vitals, m);
  return all.length ? (
    <ul class="note bad health-verdict" role="alert">
      {all.map((text) => (
        <li>
          <Icon name="warning" /> <span>{text}</span>
        </li>
      ))}
    </ul>
  ) : (
    <p class="note health-verdict good" role="status">
      <Icon name="health" /> <span>All is well: everything that comes in is recorded, and nothing is known to be wrong.</span>
    </p>
  );
}

function Card({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Ingest({ all, m }: { all: readonly Metrics[]; m: Metrics }) {
  const rates = all.slice(1).map((_, i) => rate(all.slice(i, i + 2), "mqtt_received_total") ?? 0);
  const sources = (m.samples.get("mqtt_received_total") ?? []).filter((s) => s.value > 0);
  const of = (name: string, source: string | undefined) => (m.samples.get(name) ?? []).filter((s) => s.labels["source"] === source);
  return (
    <Card title="Taken in">
      <p class="health-rate">
        <b>{figure(rate(all.slice(-8), "mqtt_received_total"))}</b> messages a second → <b>{figure(rate(all.slice(-8), "mqtt_events_total"))}</b> events
        <Spark values={rates} label="messages a second, the last two minutes" />
      </p>
      {sources.length === 0 && <p class="faint">No message has come since the start.</p>}
      {sources.map((s) => {
        const source = s.labels["source"];
        const drops = of("mqtt_dropped_total", source).filter((d) => d.value > 0).sort((a, b) => b.value - a.value);
        return (
          <details>
            <summary>
              {source}: {counted(s.value, "message")}, {counted(of("mqtt_events_total", source)[0]?.value ?? 0, "event")}
            </summary>
            <Facts of={drops.map((d) => [reasons[d.labels["reason"] ?? ""] ?? (d.labels["reason"] ?? "").replaceAll("_", " "), count(d.value)] as const)} />
            {drops.length === 0 && <p class="faint">None without effect.</p>}
          </details>
        );
      })}
      <Facts of={[["ignored, as configured", count(sum(m, "mqtt_ignored_total"))], ["waiting for a device list", count(sum(m, "mqtt_waiting"))]]} />
    </Card>
  );
}

/** What the reasons of messages without effect mean. */
const reasons: Record<string, string> = {
  unchanged: "said nothing new",
  unknown_device: "of devices that are not known",
  action_copy: "copies of an action",
  copy: "copies of another dialect",
  retained: "retained, and known",
  bridge: "the bridge's own",
  malformed: "could not be read",
  too_large: "too large",
  too_soon: "sooner than the interval",
  too_many_entities: "beyond the quota of entities",
  waiting_full: "beyond what may wait",
  fault: "this program failed on; its log says how",
};

function Log({ all, m, s }: { all: readonly Metrics[]; m: Metrics; s: StatsResponseJson | undefined }) {
  const appends = sum(m, "log_append_duration_seconds_count");
  const took = sum(m, "log_append_duration_seconds_sum");
  return (
    <Card title="Log">
      <Facts
        of={[
          ["position", count(sum(m, "log_position"))],
          ["last event", s?.headRecordedAt && <><Age time={s.headRecordedAt} /> ago</>],
          ["events a second", figure(rate(all.slice(-8), "log_events_appended_total"))],
          ["durable after", appends && took !== undefined ? `${((took / appends) * 1000).toFixed(1)} ms, on average` : undefined],
          ["waiting to be written", `${count(sum(m, "log_queue_batches"))} (${bytes(sum(m, "log_queue_bytes") ?? 0)})`],
          ["failed writes", count(sum(m, "log_batches_failed_total"))],
          ["history since", s?.base && s.base !== "0" ? <><Age time={s.baseRecordedAt} /> ago</> : "the beginning"],
          ["in it", s && [counted(Number(s.entities ?? 0), "entity", "entities"), counted(Number(s.devices ?? 0), "device"), counted(Number(s.areas ?? 0), "area")].join(", ")],
        ]}
      />
    </Card>
  );
}

function Storage({ m, snapshots, again }: { m: Metrics; snapshots: readonly SnapshotJson[]; again: () => void }) {
  const newest = snapshots.reduce<SnapshotJson | undefined>((a, b) => (Number(b.position ?? 0) > Number(a?.position ?? -1) ? b : a), undefined);
  const faults = snapshots.filter((s) => s.fault);
  return (
    <Card title="Storage">
      <Facts
        of={[
          ["database", bytes(sum(m, "db_size_bytes") ?? 0)],
          ["write-ahead log", bytes(sum(m, "wal_size_bytes") ?? 0)],
          ["free on the disk", sum(m, "disk_free_bytes") === undefined ? undefined : bytes(sum(m, "disk_free_bytes") ?? 0)],
          ["sealed up to", `@${count(sum(m, "log_sealed_position"))}`],
          ["snapshots", count(snapshots.length)],
          ["newest snapshot", newest ? <>@{count(Number(newest.position ?? 0))}, {newest.recordedAt ? <>the house of <Age time={newest.recordedAt} /> ago</> : ""}</> : "none"],
          ["a start would fold", events(sum(m, "snapshot_behind_events"))],
        ]}
      />
      {faults.map((s) => (
        <p class="note bad">
          Snapshot @{s.position} cannot be used: {s.fault}
        </p>
      ))}
      <Save done={again} />
    </Card>
  );
}

function Proof({ m, again }: { m: Metrics; again: () => void }) {
  const at = sum(m, "verify_last_timestamp_seconds");
  return (
    <Card title="Verification">
      <Facts
        of={[
          ["last one", at ? `${duration(now.value - at * 1000)} ago` : "none since the file was made"],
          ["it found", at ? wrongs(sum(m, "verify_findings") ?? 0) : undefined],
          ["log", sum(m, "log_damaged") ? "damaged" : "whole, as far as it was read"],
        ]}
      />
      <Verify done={again} />
    </Card>
  );
}

function Readers({ m, s }: { m: Metrics; s: StatsResponseJson | undefined }) {
  const consumers = s?.consumers ?? [];
  return (
    <Card title="Readers">
      <Facts
        of={[
          ["open streams", count(sum(m, "http_open_streams"))],
          ["the slowest is behind", events(sum(m, "http_stream_behind_events"))],
          ["wrong tokens", count(sum(m, "auth_failures_total"))],
        ]}
      />
      {consumers.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Consumer</th>
              <th>has</th>
              <th>behind</th>
            </tr>
          </thead>
          <tbody>
            {consumers.map((c) => (
              <tr>
                <td>{c.name}</td>
                <td class="mono">@{c.acked ?? "0"}</td>
                <td>{count(Number(c.behind ?? 0))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Broker({ m }: { m: Metrics }) {
  if (sum(m, "mqtt_broker_clients") === undefined) return null;
  return (
    <Card title="MQTT broker">
      <Facts
        of={[
          ["clients", count(sum(m, "mqtt_broker_clients"))],
          ["kept sessions", count(sum(m, "mqtt_broker_sessions"))],
          ["retained", `${count(sum(m, "mqtt_broker_retained"))} (${bytes(sum(m, "mqtt_broker_retained_bytes") ?? 0)})`],
          ["not delivered", count(sum(m, "mqtt_broker_dropped_total"))],
          ["not accepted", count(sum(m, "mqtt_broker_failed_total"))],
          ["forbidden", count(sum(m, "mqtt_broker_refused_total"))],
          ["sent away", count(sum(m, "mqtt_broker_connects_refused_total"))],
          ["too slow", count(sum(m, "mqtt_broker_slow_clients_total"))],
        ]}
      />
    </Card>
  );
}

const count = (n: number | undefined): string => (n === undefined ? "not known" : n.toLocaleString());
const events = (n: number | undefined): string => (n === undefined ? "not known" : counted(n, "event"));
const wrongs = (n: number): string => (n ? counted(n, "thing that is wrong", "things that are wrong") : "nothing wrong");

function figure(perSecond: number | undefined): string {
  if (perSecond === undefined) return "–";
  return perSecond >= 100 ? Math.round(perSecond).toLocaleString() : perSecond.toFixed(1);
}

function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const i = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, n)) / 3)));
  return `${(n / 1000 ** i).toFixed(i === 0 || n / 1000 ** i >= 100 ? 0 : 1)} ${units[i]}`;
}
