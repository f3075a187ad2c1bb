import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { colors } from "../theme";
import type { Stretch } from "./axis";
import { reduce } from "./plot-data";
import { draw, type Shown } from "./plot-draw";
import { listen, type Wishes } from "./plot-hand";

interface Props extends Shown, Pick<Wishes, "window" | "reset" | "pick"> {
  /** The time below the pointer; nothing where there is none. */
  hover: Signal<number | undefined>;
  /** What a screen reader says of it. The figures stand elsewhere. */
  label: string;
}

/** Numbers as lines and words as bands, over the same time. */
export function Plot(props: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const stretch = useRef<Stretch>({ from: 0, to: 1, left: 0, right: 1 });
  const dragged = useSignal<readonly [number, number] | undefined>(undefined);
  const latest = useRef<Wishes>(undefined);
  latest.current = { ...props, hover: (time) => (props.hover.value = time), drag: (places) => (dragged.value = places) };
  const [wide, setWide] = useState(0);
  // Where the window comes to another screen, only that is different.
  const [, setRatio] = useState(0);
  const { lines, from, end } = props;
  const points = useMemo(() => lines.map((l) => reduce(l.course, from, end, Math.max(100, wide))), [lines, from, end, wide]);
  const picture = { ...props, points, hover: props.hover.value, dragged: dragged.value };
  void colors.value;
  useLayoutEffect(() => {
    if (canvas.current && wide) stretch.current = draw(canvas.current, wide, picture);
  });
  useEffect(() => {
    const place = canvas.current;
    if (!place) return;
    const end = new AbortController();
    const { signal } = end;
    listen(place, () => stretch.current, () => latest.current, signal);
    const sized = new ResizeObserver(() => setWide(place.clientWidth));
    sized.observe(place);
    addEventListener("resize", () => setRatio(devicePixelRatio), { signal });
    return () => {
      sized.disconnect();
      end.abort();
    };
  }, []);
  return (
    <div class="plot" role="img" aria-label={props.label}>
      <canvas class="plot-canvas" ref={canvas} />
    </div>
  );
}
