import { useState } from "preact/hooks";
import { link, param } from "../address";
import type { PendingCommandJson } from "../gen/statehouse/entity/v1/registry_pb";
import type { StateJson } from "../gen/statehouse/v1/state_pb";
import { shown, stateOf } from "../house";
import { past } from "../moment";
import { registry } from "../registry";
import { domainOf } from "../state";
import { dateTime } from "../time";
import { Controls } from "../ui/controls";
import { sourceWords, wish } from "../ui/event";
import { Icon, iconOf } from "../ui/icon";
import { Age, Loading, StateText } from "../ui/parts";
import { Attributes } from "./entity/attributes";
import { Registered } from "./entity/facts";
import { History } from "./entity/history";
import "./entity.css";

/** One entity: what it is, what it was, and what is known of it. */
export function Entity() {
  const id = param("id");
  if (!id)
    return (
      <p class="note">
        The address names no entity. <a href={link("now")}>All of them</a>
      </p>
    );
  return <Page key={id} id={id} />;
}

function Page({ id }: { id: string }) {
  const state = stateOf(id);
  const entry = registry.value.entities.get(id);
  const phase = shown.value.phase.value;
  return (
    <article class="entity" data-entity={id}>
      <Heading id={id} state={state} />
      {!state && (phase === "loading" ? <Loading /> : <Missing id={id} disabled={entry?.disabled ?? false} />)}
      {state && <Present state={state} />}
      <History id={id} />
      <div class="entity-known">
        {state && <Attributes state={state} />}
        {entry && <Registered entry={entry} />}
      </div>
    </article>
  );
}

function Heading({ id, state }: { id: string; state: StateJson | undefined }) {
  const entry = registry.value.entities.get(id);
  const where = [state?.areaName, state?.deviceName !== state?.name && state?.deviceName].filter(Boolean).join(" · ");
  return (
    <header class="entity-heading">
      <Icon name={iconOf(domainOf(id), state?.deviceClass ?? entry?.deviceClass)} />
      <div class="grow">
        <h1>{state?.name || entry?.userName || entry?.name || id}</h1>
        <p class="row faint">
          {where && <span>{where}</span>}
          <Copy text={id} />
        </p>
      </div>
    </header>
  );
}

/** An id that can be taken along. */
function Copy({ text }: { text: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    // Browsers have no clipboard for pages that came over plain HTTP from another machine.
    await navigator.clipboard?.writeText(text).then(
      () => setDone(true),
      () => {},
    );
    setTimeout(() => setDone(false), 2000);
  };
  return (
    <span class="entity-id">
      <span class="mono">{text}</span>
      {navigator.clipboard && (
        <button class="plain" onClick={() => void copy()} aria-label={`Copy ${text}`} title="Copy">
          <Icon name="copy" />
        </button>
      )}
      <span role="status">{done && "copied"}</span>
    </span>
  );
}

/** There is none of this id: what to do about it. */
function Missing({ id, disabled }: { id: string; disabled: boolean }) {
  const when = past.value ? "At this moment there was" : "There is";
  return (
    <p class="note" data-missing>
      {disabled ? (
        <>The entity is disabled: nothing is recorded of it until somebody enables it. </>
      ) : (
        <>
          {when} no entity <span class="mono">{id}</span>.{" "}
        </>
      )}
      <a href={link("log", { id })}>What the log has of it</a>
    </p>
  );
}

function Present({ state }: { state: StateJson }) {
  const id = state.entityId ?? "";
  return (
    <section class="card entity-present" aria-label="State">
      <div class="row">
        <div class="entity-state">
          <StateText state={state} />
        </div>
        <p class="faint grow">
          for <Age time={state.changedAt} />, heard of <Age time={state.updatedAt} /> ago
        </p>
        <a class="button" href={link("why", { id })}>
          <Icon name="why" /> Why
        </a>
      </div>
      {!past.value && <Controls state={state} />}
      {!!state.pending?.length && (
        <ul class="entity-pending" aria-label="Commands that wait for their answers">
          {state.pending.map((c) => (
            <Pending key={c.position} command={c} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Pending({ command: { action, arguments: args, source, issued, deadline, position = "0" } }: { command: PendingCommandJson }) {
  const time = (nanoseconds: string | undefined) => Number(nanoseconds ?? 0) / 1e6;
  return (
    <li>
      <b>{wish(action, args)}</b>{" "}
      <span class="faint">
        by {sourceWords(source)}, <Age time={new Date(time(issued)).toISOString()} /> ago, waits until {dateTime(time(deadline))}
      </span>{" "}
      <a class="mono" href={link("why", { position })}>
        @{position}
      </a>
    </li>
  );
}
