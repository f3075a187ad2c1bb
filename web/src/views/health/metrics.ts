// The metrics, as https://prometheus.io/docs/instrumenting/exposition_formats/ writes them.

/** One value, with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All values of one moment, by the metric's name without "statehouse_". */
export interface Metrics {
  /** When they were read, in milliseconds since 1970. */
  readonly time: number;
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

/** Reads the text of /metrics. Lines that are none of ours are passed over. */
export function parse(text: string, time: number): Metrics {
  const samples = new Map<string, Sample[]>();
  for (const [, name = "", labels = "", value] of text.matchAll(/^statehouse_(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    const all = samples.get(name) ?? [];
    all.push({ labels: Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, k = "", v = ""]) => [k, v.replace(/\\(.)/g, "$1")])), value: Number(value) });
    samples.set(name, all);
  }
  return { time, samples };
}

/** The sum of a metric over its labels; undefined where there is none. */
export function sum(m: Metrics | undefined, name: string): number | undefined {
  return m?.samples.get(name)?.reduce((total, s) => total + s.value, 0);
}

/** How much a counter grew in a second, between the oldest and the newest; undefined where that is not known, as after a restart. */
export function rate(all: readonly Metrics[], name: string): number | undefined {
  const [first, last] = [all[0], all.at(-1)];
  const [a, b] = [sum(first, name), sum(last, name)];
  if (!first || !last || a === undefined || b === undefined || last.time <= first.time || b < a) return undefined;
  return ((b - a) * 1000) / (last.time - first.time);
}
