import { useEffect, useRef, useState } from "preact/hooks";
import { createSnapshot, verify } from "../../api";
import { counted } from "../../count";
import type { FindingJson, VerificationJson } from "../../gen/statehouse/v1/admin_service_pb";
import { span } from "../../time";
import { Problem } from "../../ui/parts";

/** Has everything verified, and says what is found. It ends when one leaves. */
export function Verify({ done }: { done: () => void }) {
  const [share, setShare] = useState<number>();
  const [findings, setFindings] = useState<readonly FindingJson[]>([]);
  const [result, setResult] = useState<VerificationJson>();
  const [error, setError] = useState<unknown>();
  const end = useRef<AbortController>(undefined);
  useEffect(() => () => end.current?.abort(), []);
  const run = async () => {
    const one = (end.current = new AbortController());
    setShare(0);
    setFindings([]);
    setResult(undefined);
    setError(undefined);
    try {
      for await (const m of verify(one.signal)) {
        if (m.progress) setShare(Number(m.progress.position ?? 0) / Math.max(1, Number(m.progress.last ?? 0)));
        if (m.finding) setFindings((all) => [...all, m.finding ?? {}]);
        if (m.result) setResult(m.result);
      }
    } catch (err) {
      if (!one.signal.aborted) setError(err);
    }
    setShare(undefined);
    done();
  };
  return (
    <>
      <div class="row">
        {share === undefined ? (
          <button onClick={() => void run()}>Verify now</button>
        ) : (
          <>
            <button onClick={() => end.current?.abort()}>Stop</button>
            <progress value={share} aria-label="verified so far" />
          </>
        )}
        <span role="status" class="faint">
          {result &&
            `${counted(Number(result.events ?? 0), "event")} and ${counted(Number(result.snapshots ?? 0), "snapshot")}, ${counted(Number(result.findings ?? 0), "finding")}, in ${span(Number.parseFloat(result.took ?? "0") * 1000)}`}
        </span>
      </div>
      {findings.map((f) => (
        <p class="note bad">
          {f.kind} @{f.first}
          {f.last !== f.first && ` to @${f.last}`}: {f.problem} {f.entityIds?.join(", ")}
        </p>
      ))}
      {error !== undefined && <Problem error={error} />}
    </>
  );
}

/** Saves the present beside the log. */
export function Save({ done }: { done: () => void }) {
  const [state, setState] = useState<{ busy: boolean; error?: unknown }>({ busy: false });
  const run = async () => {
    setState({ busy: true });
    try {
      await createSnapshot();
      setState({ busy: false });
    } catch (error) {
      setState({ busy: false, error });
    }
    done();
  };
  return (
    <>
      <button disabled={state.busy} onClick={() => void run()}>
        Take a snapshot
      </button>
      {state.error !== undefined && <Problem error={state.error} />}
    </>
  );
}
