// Asking the server from a component.

import { useEffect, useRef, useState } from "preact/hooks";
import { token } from "../session";

/** What was asked for: the answer, or what went wrong, and how to ask again. While a new one is under way the old answer stays. */
export interface Asked<T> {
  value: T | undefined;
  error: unknown;
  loading: boolean;
  again: () => void;
}

/** Asks when a component comes, and whenever one of the inputs is different; the question before is given up. */
export function useAsk<T>(ask: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Asked<T> {
  const [state, set] = useState<{ value: T | undefined; error: unknown; loading: boolean }>({ value: undefined, error: undefined, loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    if (!token.value) return;
    const end = new AbortController();
    set((s) => ({ ...s, loading: true }));
    latest.current(end.signal).then(
      (value) => end.signal.aborted || set({ value, error: undefined, loading: false }),
      (error: unknown) => end.signal.aborted || set((s) => ({ ...s, error, loading: false })),
    );
    return () => end.abort();
  }, [...inputs, turn]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}
