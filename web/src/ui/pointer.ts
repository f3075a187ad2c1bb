// What the time bar and the plots have in common for hands.

/** Listens to a picture until the signal. */
export function listening(picture: HTMLElement, signal: AbortSignal) {
  return <K extends keyof HTMLElementEventMap>(type: K, run: (e: HTMLElementEventMap[K]) => void): void =>
    picture.addEventListener(type, run, { signal, passive: false });
}

/** Where in a picture something happens, in pixels from its left. */
export const across = (e: MouseEvent): number => e.clientX - (e.currentTarget as Element).getBoundingClientRect().left;

/** Where another finger is than that of an event; undefined where there is none. */
export const otherThan = (e: PointerEvent, down: ReadonlyMap<number, number>): number | undefined => [...down].find(([id]) => id !== e.pointerId)?.[1];

/** What a turn of the wheel means in a stretch of time: so many pixels along it, or else so many times as much of it. */
export function turned(e: WheelEvent): { along: number; factor: number } {
  const pixels = e.deltaMode === 1 ? 25 : 1;
  const along = e.shiftKey ? e.deltaY || e.deltaX : Math.abs(e.deltaX) > Math.abs(e.deltaY) ? e.deltaX : 0;
  return { along: along * pixels, factor: Math.exp(Math.max(-1, Math.min(1, e.deltaY * pixels * 0.002))) };
}
