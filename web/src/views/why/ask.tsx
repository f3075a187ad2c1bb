// What one can ask about.

import { useId, useRef, useState } from "preact/hooks";
import { go, link } from "../../address";
import { shown } from "../../house";
import { useKeys } from "../../keys";
import { domainOf } from "../../state";
import { Icon, iconOf } from "../../ui/icon";
import { Age, Loading, StateText } from "../../ui/parts";
import { matching, Suggestions } from "../../ui/suggest";

/** Asks about an entity, by its id or its name, or about an event, by its position. */
export function Ask({ id, position }: { id: string; position: string }) {
  const [text, setText] = useState(position ? `@${position}` : id);
  const [wrong, setWrong] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  useKeys([{ key: "/", what: "Ask about another entity or position", run: () => input.current?.select() }]);
  const submit = (e: Event) => {
    e.preventDefault();
    const said = text.trim();
    const digits = /^@?(\d{1,19})$/.exec(said)?.[1];
    const found = shown.peek().states.get(said) ?? matching(said)[0];
    setWrong("");
    if (digits) go("why", { position: digits, at: undefined });
    // Of an id that is not there the server may know more: it may have been there in another moment.
    else if (found || /^[a-z_]+\.\S+$/.test(said)) go("why", { id: found && !said.includes(".") ? (found.entityId ?? said) : said });
    else setWrong(`There is no entity that is called “${said}” at this moment.`);
  };
  return (
    <form class="why-ask" role="search" onSubmit={submit}>
      <label for={`${list}-of`}>Why is</label>
      <input
        id={`${list}-of`}
        ref={input}
        class="grow"
        list={list}
        value={text}
        placeholder="light.hall, a name, or @1204"
        autocomplete="off"
        spellcheck={false}
        required
        onInput={(e) => setText(e.currentTarget.value)}
        onFocus={(e) => e.currentTarget.select()}
      />
      <Suggestions id={list} text={text === id ? "" : text} />
      <button class="primary">Ask</button>
      {wrong && (
        <p class="note bad" role="alert">
          {wrong}
        </p>
      )}
    </form>
  );
}

/** What changed last, for who does not know yet what to ask about. */
export function Recent() {
  return shown.value.phase.value === "ready" ? <Changed /> : <Loading />;
}

/** The list does not move while somebody reaches for it. */
function Changed() {
  const [all] = useState(() => [...shown.peek().states.values()].filter((s) => s.changedAt).sort((a, b) => Date.parse(b.changedAt ?? "") - Date.parse(a.changedAt ?? "")));
  return (
    <section aria-labelledby="why-title">
      <h1 id="why-title">Why?</h1>
      <p class="faint">Every state goes back to an event, and an event to what caused it, as far as that is known. Ask about an entity, or about the position of an event.</p>
      <h2>What changed last</h2>
      <ul class="why-recent">
        {all.slice(0, 12).map((s) => (
          <li key={s.entityId}>
            <a href={link("why", { id: s.entityId })}>
              <Icon name={iconOf(domainOf(s.entityId ?? ""), s.deviceClass)} /> {s.name || s.entityId}
            </a>
            <StateText state={s} />
            <span class="faint">
              <Age time={s.changedAt} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
