// A list of which only what is near the window is in the page, so that its length costs nothing. The page itself is what scrolls.
// Heights are known beforehand: nothing is measured, and nothing jumps.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { upTo } from "./plot-data";
import "./virtual.css";

/** A part of a list, with a heading that stays in sight as long as the part does. A list without headings is one section. */
export interface Section<T extends object> {
  /** Tells it from the others. */
  readonly key: string;
  readonly items: readonly T[];
}

interface Props<T extends object, S extends Section<T>> {
  sections: readonly S[];
  /** How high an item is, in pixels. Its element has to be exactly that high. */
  height: (item: T) => number;
  /** Tells an item from the others of its section. */
  id: (item: T) => string;
  /** Draws an item. A function that stays the same lets items that did not change alone when somebody scrolls. */
  draw: (item: T) => JSX.Element;
  /** The heading of a section and how high it is. */
  head?: { height: number; draw: (section: S) => JSX.Element };
  /** What is left free after a section. */
  gap?: number;
}

/** What is drawn beyond the window, above and below. Who scrolls fast sees it before the next picture is made. */
const beyond = 600;
/** How far one scrolls until there is something to do. */
const stride = 200;

/** Draws what is near the window of a list. */
export function Virtual<T extends object, S extends Section<T>>({ sections, height, id, draw, head, gap = 0 }: Props<T, S>) {
  const root = useRef<HTMLDivElement>(null);
  const { first, last } = useNear(root);
  const placed = useMemo(() => place(sections, height, head?.height ?? 0, gap), [sections, height, head?.height, gap]);
  const drawn = useMemo(() => new WeakMap<T, JSX.Element>(), [draw]);
  const kept = (item: T): JSX.Element => {
    const old = drawn.get(item);
    if (old) return old;
    const made = draw(item);
    made.key = id(item);
    drawn.set(item, made);
    return made;
  };
  const top = head?.height ?? 0;
  return (
    <div class="virtual" ref={root} style={{ height: `${placed.height}px` }}>
      {placed.sections.map((p) => {
        if (p.top + p.height <= first || p.top >= last) return null;
        const from = Math.max(0, upTo(p.tops, first - p.top - top) - 1);
        const to = Math.min(p.section.items.length, upTo(p.tops, last - p.top - top));
        return (
          <section key={p.section.key} aria-labelledby={head && headingOf(p.section)} style={{ top: `${p.top}px`, height: `${p.height}px` }}>
            {head && <div class="virtual-head">{head.draw(p.section)}</div>}
            <div style={{ paddingTop: `${p.tops[from] ?? 0}px` }}>{p.section.items.slice(from, to).map(kept)}</div>
          </section>
        );
      })}
    </div>
  );
}

/** The id that a section's heading has to have, so that the section is called after it. */
export function headingOf(section: Section<object>): string {
  return `section-${encodeURIComponent(section.key)}`;
}

interface Placed<S> {
  section: S;
  top: number;
  height: number;
  /** Where each item begins, below the heading, and where the last one ends. */
  tops: Float64Array;
}

function place<T extends object, S extends Section<T>>(sections: readonly S[], height: (item: T) => number, head: number, gap: number): { sections: Placed<S>[]; height: number } {
  let top = 0;
  const all = sections.map((section) => {
    const tops = new Float64Array(section.items.length + 1);
    section.items.forEach((item, i) => (tops[i + 1] = (tops[i] ?? 0) + height(item)));
    const placed = { section, top, height: head + (tops.at(-1) ?? 0), tops };
    top += placed.height + gap;
    return placed;
  });
  return { sections: all, height: top };
}

/** The part of an element that is near the window, in pixels from its top. */
function useNear(root: { readonly current: HTMLElement | null }): { first: number; last: number } {
  const [near, set] = useState({ first: -beyond, last: innerHeight + beyond });
  useEffect(() => {
    const look = () => {
      if (!root.current) return;
      const step = Math.floor(-root.current.getBoundingClientRect().top / stride) * stride;
      const first = step - beyond;
      const last = step + stride + innerHeight + beyond;
      set((before) => (before.first === first && before.last === last ? before : { first, last }));
    };
    const header = document.querySelector<HTMLElement>(".frame > header");
    // What is above the list moves it, too.
    const sizes = new ResizeObserver(() => {
      document.documentElement.style.setProperty("--virtual-top", `${header?.offsetHeight ?? 0}px`);
      look();
    });
    sizes.observe(document.body);
    if (header) sizes.observe(header);
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      sizes.disconnect();
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, []);
  return near;
}
