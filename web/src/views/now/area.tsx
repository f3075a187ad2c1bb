import { useMemo } from "preact/hooks";
import { headingOf } from "../../ui/virtual";
import type { Room } from "./layout";
import { Found } from "./row";
import { sumUp } from "./summary";

/** Draws an area's heading. */
export const drawHead = (room: Room) => <AreaHead room={room} />;

function AreaHead({ room }: { room: Room }) {
  const { area, shown } = room;
  const revision = area.revision.value;
  const facts = useMemo(() => sumUp(area), [area, revision]);
  return (
    <header class="now-head">
      <h2 id={headingOf(room)}>
        <Found text={area.name || "No area"} />
      </h2>
      <span class="faint">{shown === area.entries.length ? shown : `${shown} of ${area.entries.length}`}</span>
      <ul class="now-facts" aria-label={`${area.name || "No area"} at a glance`}>
        {facts.map((f) => (
          <li key={f.text} data-sort={f.sort}>
            {f.text}
          </li>
        ))}
      </ul>
    </header>
  );
}
