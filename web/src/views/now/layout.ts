// The house in lines, each as high as is known beforehand, so that of thousands of them only those in sight are drawn.

import type { Section } from "../../ui/virtual";
import type { Area, Device, Entry } from "./board";

/** One line: a device's name, entities, or both. */
export interface Line {
  readonly key: string;
  readonly device: Device;
  /** Whether it is the device's first, which says its name. */
  readonly first: boolean;
  readonly entries: readonly Entry[];
  readonly shape: Shape;
}

/** An area with what is shown of it. */
export interface Room extends Section<Line> {
  readonly area: Area;
  readonly shown: number;
}

/** How lines are laid out. */
export interface Shape {
  /** How many entities stand beside each other. */
  readonly columns: number;
  /** Whether a device's name stands above its entities, not beside them. */
  readonly narrow: boolean;
}

/** How high things are, in pixels, as now.css has it. */
export const heights = { head: 46, line: 36, name: 34, narrow: 40 };

// A device's name beside its entities, as now.css has it, and what an entity needs for its name, state and control.
const besides = 170;
const leastWidth = 300;

/** The shape that fits into a width. */
export function shapeOf(width: number): Shape {
  if (width < besides + leastWidth) return { columns: 1, narrow: true };
  return { columns: Math.min(4, Math.floor((width - besides) / leastWidth)), narrow: false };
}

/** How high a line is. */
export function heightOf({ shape, first }: Line): number {
  return shape.narrow ? heights.narrow + (first ? heights.name : 0) : heights.line;
}

/** Lays out what is chosen. */
export function layOut(areas: readonly Area[], choose: (e: Entry) => boolean, shape: Shape): Room[] {
  const rooms: Room[] = [];
  for (const area of areas) {
    const items: Line[] = [];
    let shown = 0;
    for (const device of area.devices) {
      const entries = device.entries.filter(choose);
      shown += entries.length;
      for (let i = 0; i < entries.length; i += shape.columns) {
        const key = `${device.key} ${i}`;
        items.push({ key, device, first: i === 0, entries: entries.slice(i, i + shape.columns), shape });
      }
    }
    if (shown > 0) rooms.push({ key: area.key || "none", items, area, shown });
  }
  return rooms;
}
