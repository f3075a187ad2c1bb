// Where one is in time, in words.

import { arriving, live, then } from "../../house";
import { at, lookAt, past } from "../../moment";
import { clockTime, date, duration, now as tick } from "../../time";
import { backToNow, said } from "./play";
import { first, looking, oldest, present } from "./range";

/** A moment whole, with its day. */
export const whole = (time: number): string => `${date(time)}, ${clockTime(time)}`;

/** How long ago a time is, to the second. */
export const ago = (time: number): string => (void tick.value, `${duration(present() - time)} ago`);

/** The moment that is looked at, in words. */
export function Status() {
  return (
    <div class="timebar-status" data-arriving={arriving.value || undefined}>
      {past.value ? <Then /> : <Now />}
      <span class="hidden" role="status">
        {said.value || (past.value ? "Looking at the past" : "Looking at now")}
      </span>
    </div>
  );
}

function Now() {
  // The position grows all the time; once a second is enough to see that.
  void tick.value;
  return (
    <p>
      <strong>Now</strong>
      <span class="timebar-more">{said.value || <Position of={live.asOf.peek().position} />}</span>
    </p>
  );
}

function Then() {
  const time = looking.value;
  const failed = then.phase.value === "failed";
  const m = at.value;
  return (
    <>
      <p>
        <strong>
          <span class="timebar-wide">Looking at </span>
          {time !== undefined ? whole(time) : m && "position" in m ? `@${m.position}` : "…"}
        </strong>
        <span class="timebar-more">{said.value || (failed ? <Failed time={time} /> : <Details time={time} />)}</span>
      </p>
      <button class="timebar-back" onClick={backToNow}>
        Back to now
      </button>
    </>
  );
}

function Details({ time }: { time: number | undefined }) {
  const { position, final } = then.asOf.value;
  if (position === "0") return <>before the first event</>;
  return (
    <>
      <Position of={position} />
      {time !== undefined && <span>{ago(time)}</span>}
      {position && (
        <span class="faint" title={final ? "This moment will always be the same" : "More may still be recorded of this moment"}>
          {final ? "final" : "not final"}
        </span>
      )}
      <span class="timebar-arriving" aria-hidden="true" title="The answer is under way">
        …
      </span>
    </>
  );
}

/** Why there is nothing to be seen of the moment. */
function Failed({ time }: { time: number | undefined }) {
  const begin = oldest.value;
  const m = at.value;
  const removed = first.value !== "1" && m && ("position" in m ? BigInt(m.position) < BigInt(first.value) : begin !== undefined && time !== undefined && time < begin);
  if (!removed) return <>cannot be shown</>;
  return (
    <>
      <span>has been removed</span>
      <button class="timebar-back" onClick={() => lookAt({ position: first.value })}>
        Oldest moment
      </button>
    </>
  );
}

function Position({ of }: { of: string | undefined }) {
  return of === undefined ? null : (
    <span class="mono" title="The position in the log">
      @{of}
    </span>
  );
}
