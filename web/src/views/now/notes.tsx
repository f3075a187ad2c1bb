import { effect, signal } from "@preact/signals";
import { replace } from "../../address";
import { counted } from "../../count";
import { live, shown } from "../../house";
import { at, lookAt, past } from "../../moment";
import { dateTime } from "../../time";
import { Loading, Problem } from "../../ui/parts";
import { clear, domain, only, searched, tally } from "./filters";

/** When the server was last heard of, in milliseconds since 1970; 0 for never. */
const heard = signal(0);

effect(() => {
  if (live.asOf.value.position !== undefined) heard.value = Date.now();
});

/** What stands above the house where it is not as it should be; nothing where it is. */
export function Connection() {
  const house = shown.value;
  if (house.phase.value !== "lost" || house.states.size === 0) return null;
  return (
    <p class="note bad" role="alert">
      As of {dateTime(heard.value)}: {house.problem.value || "the server does not answer"}. Trying to reconnect …
    </p>
  );
}

/** What stands in the place of a house of which nothing is to be shown. */
export function Nothing() {
  const phase = shown.value.phase.value;
  if (phase === "loading") return <Loading what="Asking for the house" />;
  // What is wrong with a moment of the past is said above each view.
  if (phase === "failed") return past.value ? null : <Problem error={shown.value.problem.value} />;
  if (phase === "lost" && tally.value.all === 0) return past.value ? <Problem error={shown.value.problem.value} retry={askAgain} /> : <Loading what="The server does not answer. Trying to reconnect" />;
  if (tally.value.all > 0) return <NoMatch />;
  return past.value ? <Unborn /> : <Newborn />;
}

/** Asks for the moment that is looked at once more. */
function askAgain(): void {
  const moment = at.peek();
  at.value = moment && { ...moment };
}

function NoMatch() {
  const filtered = searched.value || domain.value || only.value;
  const { aside } = tally.value;
  return (
    <div class="card now-nothing">
      <h2>{filtered ? "Nothing matches" : "Nothing to see every day"}</h2>
      {aside > 0 && <p>{counted(aside, "that is", "that are")} there for diagnosis or configuration would.</p>}
      <div class="row">
        {filtered && <button onClick={clear}>Clear the filters</button>}
        {aside > 0 && <button onClick={() => replace({ all: "1" })}>Show diagnostic and configuration</button>}
      </div>
    </div>
  );
}

function Unborn() {
  return (
    <div class="card now-nothing">
      <h2>No entity yet</h2>
      <p>At this moment the house had none.</p>
      <button onClick={() => lookAt(undefined)}>Look at the present</button>
    </div>
  );
}

/** How a new house gets its devices. */
function Newborn() {
  return (
    <div class="card now-nothing">
      <h2>No entity yet</h2>
      <p>Devices come over MQTT: let Zigbee2MQTT, Tasmota, Shelly, or what speaks Home Assistant's MQTT discovery connect to Statehouse's own broker (docs/devices.md).</p>
      <p>
        It listens at <code class="mono">mqtt://127.0.0.1:1883</code>, for programs on its own machine alone, unless its configuration says otherwise (docs/configuration.md).{" "}
        <code class="mono">statehouse mqtt sniff</code> shows what arrives.
      </p>
    </div>
  );
}
