// The buttons of the time bar.

import { useRef, useState } from "preact/hooks";
import { view } from "../../address";
import { lookAt, parse, past } from "../../moment";
import { duration, fieldTime, stretches } from "../../time";
import { Icon, type IconName } from "../icon";
import { change, copyLink, moveTo, pause, play, playing, speed, speeds } from "./play";
import { bounds, chosen, looking, preset, present, zoom } from "./range";

/** The buttons: on a narrow page those that are needed less are behind the last one. */
export function Controls() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [opened, setOpened] = useState({ times: 0, time: "" });
  const what = view.value === "entity" ? "change of this entity" : "change";
  const open = () => {
    setOpened({ times: opened.times + 1, time: fieldTime(looking.peek() ?? present()) });
    dialog.current?.showModal();
  };
  return (
    <div class="timebar-controls">
      <Button name="previous" label={`Previous ${what}`} hint="," run={() => void change(-1)} />
      <Button name={playing.value ? "pause" : "play"} label={playing.value ? "Pause" : "Play the past"} hint="space" off={!past.value} run={playing.value ? pause : play} />
      <Button name="next" label={`Next ${what}`} hint="." off={!past.value} run={() => void change(1)} />
      <select aria-label="Speed" title="How fast the past is played" value={speed.value} onChange={(e) => (speed.value = Number(e.currentTarget.value))}>
        {speeds.map((n) => (
          <option value={n}>{n}×</option>
        ))}
      </select>
      <span class="timebar-wide">
        <Window />
      </span>
      <Button name="now" label="Go to a moment" run={open} />
      <dialog ref={dialog} class="timebar-dialog" aria-labelledby="timebar-title">
        <h2 id="timebar-title">Go to a moment</h2>
        <form key={opened.times} method="dialog" onSubmit={(e) => goTo(new FormData(e.currentTarget))}>
          <label for="timebar-time">Time</label>
          <input id="timebar-time" name="time" type="datetime-local" step="1" value={opened.time} max={fieldTime(present())} />
          <label for="timebar-position">or position in the log</label>
          <input id="timebar-position" name="position" placeholder="@1204" pattern="\s*@?[0-9]{1,19}\s*" title="A position, such as @1204" autocomplete="off" />
          <div class="row">
            <button class="primary">Go</button>
            <button type="button" onClick={() => dialog.current?.close()}>
              Close
            </button>
          </div>
        </form>
        <div class="timebar-narrow" role="group" aria-label="Window of the time bar">
          <Window />
        </div>
      </dialog>
    </div>
  );
}

/** How much the bar shows, and the link to what is shown. */
function Window() {
  const { span } = chosen.value;
  const named = span === undefined || stretches.some(([, , n]) => n === span);
  const { from, to } = bounds();
  return (
    <>
      <Button name="minus" label="Zoom out" hint="-" run={() => zoom(2)} />
      <select aria-label="Window" title="How much time the bar shows" value={named ? (span ?? "all") : ""} onChange={(e) => preset(Number(e.currentTarget.value) || undefined)}>
        {!named && <option value="">{duration(to - from)}</option>}
        {stretches.map(([, name, n]) => (
          <option value={n}>{name}</option>
        ))}
        <option value="all">all</option>
      </select>
      <Button name="plus" label="Zoom in" hint="+" run={() => zoom(0.5)} />
      <Button name="copy" label="Copy the link to this moment" run={() => void copyLink()} />
    </>
  );
}

function Button({ name, label, hint, off = false, run }: { name: IconName; label: string; hint?: string; off?: boolean; run: () => void }) {
  return (
    <button class="plain" aria-label={label} title={hint ? `${label} (${hint})` : label} disabled={off} onClick={run}>
      <Icon name={name} />
    </button>
  );
}

function goTo(data: FormData): void {
  const position = String(data.get("position")).trim().replace(/^@?/, "@");
  const time = Date.parse(String(data.get("time")));
  pause();
  if (position !== "@") lookAt(parse(position));
  else if (!Number.isNaN(time)) moveTo(time, true);
}
