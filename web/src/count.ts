// Numbers of things, as people write them.

/** So many of something: "1 event", "1,204 events". What has no plural in s says which it has. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
