import { computed, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { counted } from "../count";
import { shown } from "../house";
import { Virtual } from "../ui/virtual";
import { drawHead } from "./now/area";
import { areas, followHouse } from "./now/board";
import { FilterBar } from "./now/filterbar";
import { choose, followFilters, tally } from "./now/filters";
import { heightOf, heights, layOut, type Line, type Shape, shapeOf } from "./now/layout";
import { Connection, Nothing } from "./now/notes";
import { drawLine } from "./now/row";
import { chosen, waiting } from "./now/where";
import "./now.css";

const shape = signal<Shape>({ columns: 1, narrow: true });
const rooms = computed(() => layOut(areas.value, choose.value, shape.value));

/** The whole house, by area and device, in the moment that is looked at. */
export function Now() {
  useLayoutEffect(() => {
    const ends = [followHouse(), followFilters()];
    return () => ends.forEach((end) => end());
  }, []);
  return (
    <>
      <h1 class="hidden">House</h1>
      <FilterBar />
      <Connection />
      <Rooms />
    </>
  );
}

const keyOf = (line: Line) => line.key;
const head = { height: heights.head, draw: drawHead };

function Rooms() {
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const measure = () => {
      const next = shapeOf(root.current?.clientWidth ?? 0);
      const before = shape.peek();
      if (next.columns !== before.columns || next.narrow !== before.narrow) shape.value = next;
    };
    measure();
    const sizes = new ResizeObserver(measure);
    if (root.current) sizes.observe(root.current);
    return () => sizes.disconnect();
  }, []);
  const { length } = rooms.value;
  // All of the house would only flash by.
  const early = waiting.value && chosen.value === undefined;
  return (
    <div class="now-house" ref={root} data-phase={shown.value.phase.value}>
      <Count />
      {length === 0 ? <Nothing /> : !early && <Virtual sections={rooms.value} height={heightOf} id={keyOf} draw={drawLine} head={head} gap={14} />}
    </div>
  );
}

function Count() {
  const { shown: some, all } = tally.value;
  return (
    <p class="now-shown faint" role="status">
      {some > 0 && (some === all ? counted(all, "entity", "entities") : `${some} of ${counted(all, "entity", "entities")}`)}
    </p>
  );
}
