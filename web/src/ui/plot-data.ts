// What a plot is drawn from: values over time, each of which holds until the next one.

/** A value over time: at t[i], in milliseconds since 1970, it became v[i], null for nothing. The times never decrease, and no value is
 * the one before it. */
export interface Course<V> {
  readonly t: number[];
  readonly v: (V | null)[];
}

/** How many of some times are at a time or before it. */
export function upTo(t: ArrayLike<number>, time: number): number {
  return upToOf(t.length, (i) => t[i] ?? 0, time);
}

/** The same of anything that has times which never decrease. */
export function upToOf(length: number, timeOf: (i: number) => number, time: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeOf(middle) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The value at a time; null for nothing. */
export function valueAt<V>({ t, v }: Course<V>, time: number): V | null {
  return v[upTo(t, time) - 1] ?? null;
}

/** Calls with each stretch of a window over which one value held. */
export function stretches<V>({ t, v }: Course<V>, from: number, to: number, each: (value: V, begin: number, end: number, index: number) => void): void {
  for (let i = Math.max(0, upTo(t, from) - 1); i < t.length && (t[i] ?? 0) <= to; i++) {
    const value = v[i] ?? null;
    const begin = Math.max(from, t[i] ?? from);
    const end = Math.min(to, t[i + 1] ?? to);
    if (value !== null && end >= begin) each(value, begin, end, i);
  }
}

/** A time and what the value became then; null for nothing. */
export type Point = readonly [time: number, value: number | null];

/** What is drawn of numbers in a window so many pixels wide: of each column the first, lowest, highest and last one, which a line through all
 * of them would touch. The value before the window continues into it, the last one goes on to the end. */
export function reduce({ t, v }: Course<number>, from: number, to: number, columns: number): Point[] {
  let i = upTo(t, from);
  const last = upTo(t, to);
  const points: Point[] = [[from, v[i - 1] ?? null]];
  while (i < last) {
    const column = (to - from) / columns;
    const edge = from + (Math.floor(((t[i] ?? 0) - from) / column) + 1) * column;
    let [low, high, gap, end] = [i, i, i, i];
    for (; end === i || (end < last && (t[end] ?? 0) < edge); end++) {
      const value = v[end] ?? null;
      if (value === null) gap = end;
      else {
        if (value < (v[low] ?? Infinity)) low = end;
        if (value > (v[high] ?? -Infinity)) high = end;
      }
    }
    const marks = [i, low, high, gap, end - 1].sort((a, b) => a - b);
    // Where there is more, it is an upright line in the middle of the column, which is drawn far sooner than steps.
    const middle = end - i > 4 ? edge - column / 2 : undefined;
    marks.forEach((k, at) => k !== marks[at - 1] && points.push([middle ?? t[k] ?? 0, v[k] ?? null]));
    i = end;
  }
  points.push([to, v[last - 1] ?? null]);
  return points;
}

/** What numbers were like in a window; the mean is that of the time, not of the values. */
export interface Figures {
  min: number;
  max: number;
  mean: number;
  last: number;
}

/** The figures of a window; nothing where there was no number. */
export function figures(course: Course<number>, from: number, to: number): Figures | undefined {
  let [min, max, sum, time] = [Infinity, -Infinity, 0, 0];
  let last = NaN;
  stretches(course, from, to, (value, begin, end) => {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value * (end - begin);
    time += end - begin;
    last = value;
  });
  return Number.isNaN(last) ? undefined : { min, max, mean: time ? sum / time : last, last };
}

/** How long a word held in a window, and how often it came. */
export interface Share {
  time: number;
  times: number;
}

/** The shares of each word, in the order in which they came. */
export function shares(course: Course<string>, from: number, to: number): Map<string, Share> {
  const all = new Map<string, Share>();
  stretches(course, from, to, (word, begin, end) => {
    const share = all.get(word) ?? { time: 0, times: 0 };
    share.time += end - begin;
    share.times++;
    all.set(word, share);
  });
  return all;
}
