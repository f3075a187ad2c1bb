import { useEffect, useRef, useState } from "preact/hooks";
import { replace } from "../../address";
import { useKeys } from "../../keys";
import { messageOf } from "../../rpc";
import { Icon } from "../../ui/icon";
import type { Only } from "./board";
import { all, domain, only, query, searched, tally, where } from "./filters";
import { chosen, problem, waiting } from "./where";

/** What one wants to see: a search, and what narrows it down. */
export function FilterBar() {
  const [open, setOpen] = useState(false);
  // One that holds is never hidden.
  const shown = open || where.text.value !== "";
  const toggle = () => {
    setOpen(!shown);
    if (shown) where.type("");
  };
  const search = useRef<HTMLInputElement>(null);
  useKeys([
    {
      key: "/",
      what: "Search the house",
      run: () => {
        search.current?.focus();
        search.current?.select();
      },
    },
  ]);
  return (
    <search class="now-filters" aria-label="Filter the house">
      <Search input={search} />
      <Domains />
      <Kinds />
      <button aria-expanded={shown} aria-controls="now-where" onClick={toggle} title={shown ? "Take the expression away" : "Choose by an expression in CEL"}>
        Expression
      </button>
      <Aside />
      {shown && <Expression />}
    </search>
  );
}

function Search({ input }: { input: { current: HTMLInputElement | null } }) {
  const keyDown = (e: KeyboardEvent) => {
    if (e.key === "Escape") {
      if (query.text.peek() === "") input.current?.blur();
      query.type("");
    } else if (e.key === "ArrowDown" || e.key === "Enter") {
      e.preventDefault();
      query.write();
      document.querySelector<HTMLElement>(".now-name")?.focus();
    }
  };
  return (
    <label class="now-search">
      <Icon name="search" />
      <span class="hidden">Search by name, id, area or device</span>
      <input
        ref={input}
        type="search"
        name="q"
        placeholder="Search"
        autocomplete="off"
        spellcheck={false}
        enterKeyHint="search"
        aria-keyshortcuts="/"
        value={query.text.value}
        onInput={(e) => query.type(e.currentTarget.value)}
        onKeyDown={keyDown}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  );
}

function Domains() {
  const current = domain.value;
  const { domains } = tally.value;
  const names = [...new Set([...domains.keys(), ...(current ? [current] : [])])].sort();
  return (
    <select aria-label="Domain" name="domain" value={current} onChange={(e) => replace({ domain: e.currentTarget.value })}>
      <option value="">All domains</option>
      {names.map((name) => (
        <option key={name} value={name}>
          {name.replaceAll("_", " ")} ({domains.get(name) ?? 0})
        </option>
      ))}
    </select>
  );
}

const kinds: readonly [Only, string, string][] = [
  ["problems", "Problems", "unavailable, unknown, or not heard of for more than a day"],
  ["pending", "Pending", "a command waits for its answer"],
];

function Kinds() {
  const current = only.value;
  return (
    <div class="now-kinds" role="group" aria-label="Show only">
      {kinds.map(([kind, title, meaning]) => (
        <button key={kind} aria-pressed={current === kind} title={meaning} data-kind={kind} onClick={() => replace({ only: current === kind ? "" : kind })}>
          {title} <span class="now-count">{tally.value[kind]}</span>
        </button>
      ))}
    </div>
  );
}

/** The switch for what is there for diagnosis and configuration. */
function Aside() {
  const hidden = tally.value.aside;
  const note = all.value ? "" : searched.value ? "found by searching" : hidden > 0 ? `${hidden} hidden` : "";
  return (
    <label class="now-aside">
      <input type="checkbox" name="all" checked={all.value} onChange={(e) => replace({ all: e.currentTarget.checked ? "1" : "" })} />
      <span>
        Diagnostic and configuration {note && <span class="faint">({note})</span>}
      </span>
    </label>
  );
}

/** The expression in CEL, with what the server has against it. */
function Expression() {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (where.text.peek() === "") input.current?.focus();
  }, []);
  const wrong = problem.value;
  return (
    <div class="now-where" id="now-where">
      <label for="now-where-text">Where</label>
      <input
        id="now-where-text"
        ref={input}
        class="mono"
        name="where"
        placeholder={'domain == "light" && state.light.on'}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-invalid={wrong !== undefined}
        aria-describedby="now-where-note"
        value={where.text.value}
        onInput={(e) => where.type(e.currentTarget.value)}
        onKeyDown={(e) => e.key === "Escape" && where.type("")}
      />
      <div id="now-where-note" role="status">
        {wrong !== undefined ? <Wrong text={where.text.value} problem={wrong} /> : <Hint />}
      </div>
    </div>
  );
}

function Hint() {
  return (
    <p class="faint">
      {waiting.value ? "Asking …" : "CEL, as in docs/filters.md: id, domain, text, state, online, name, area_name, device_name, device_class, unit, age, silence"}
    </p>
  );
}

/** The server's words, and the place of which they speak. */
function Wrong({ text, problem }: { text: string; problem: unknown }) {
  const message = messageOf(problem);
  const place = Number(/at character (\d+)/.exec(message)?.[1] ?? 0);
  const letters = [...text.trim()];
  return (
    <div class="now-wrong">
      <p>{message}</p>
      {place > 0 && (
        <p class="mono" aria-hidden="true">
          {letters.slice(0, place - 1).join("")}
          <mark>{letters[place - 1] ?? " "}</mark>
          {letters.slice(place).join("")}
        </p>
      )}
      {chosen.value && <p class="faint">Below is what it chose when it was last right.</p>}
    </div>
  );
}
