import { useId, useState } from "preact/hooks";
import { live, shown } from "../../house";
import { Icon } from "../../ui/icon";
import { Suggestions } from "../../ui/suggest";
import { choices, choose, keyOf, mostChoices } from "./series";

/** Asks for another entity to be over the others. */
export function AddEntity({ id }: { id: string }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const list = useId();
  const chosen = choices(id);
  const add = (other: string) => {
    if (!shown.peek().states.has(other) && !live.states.has(other)) return setProblem(`There is no entity ${other}.`);
    if (chosen.some((c) => keyOf(c) === other)) return setProblem("It is there already.");
    setProblem("");
    setText("");
    choose([...chosen, { id: other, value: "" }]);
  };
  if (chosen.length >= mostChoices) return null;
  return (
    <form
      class="row entity-add"
      onSubmit={(e) => {
        e.preventDefault();
        add(text.trim());
      }}
    >
      <input
        aria-label="Lay another entity over it"
        placeholder="Another entity over it …"
        list={list}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(e) => {
          const value = e.currentTarget.value;
          setText(value);
          setProblem("");
          // One of the list was chosen, and not typed.
          if (!(e instanceof InputEvent) || e.inputType === "insertReplacementText") add(value);
        }}
      />
      <Suggestions id={list} text={text} />
      <button disabled={!text.trim()}>
        <Icon name="plus" /> Add
      </button>
      {problem && <span role="alert">{problem}</span>}
    </form>
  );
}
