// The chain itself: causes above, what they led to below, as a story is told.

import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { link as address } from "../../address";
import type { LinkJson, WhyStartJson } from "../../gen/statehouse/v1/timeline_service_pb";
import { span } from "../../time";
import { sourceWords } from "../../ui/event";
import { Icon } from "../../ui/icon";
import { LinkCard, timeOf } from "./link";

/** How many of the first causes, and of the last ones, are shown at once of a long chain. */
const firsts = 3;
const lasts = 10;

/** The links, the first cause first; where the chain begins is told, and a long one is folded in its middle. */
export function Chain({ start, links }: { start: WhyStartJson; links: readonly LinkJson[] }) {
  const [whole, setWhole] = useState(links.length <= firsts + lasts + 1);
  const asked = links[0];
  const root = links.at(-1);
  if (!asked || !root) return null;
  const told = links.toReversed();
  const folded = whole ? 0 : told.length - firsts - lasts;
  const card = (link: LinkJson, i: number, all: readonly LinkJson[]) => (
    <Fragment key={link.event?.position}>
      {i > 0 && <Later milliseconds={timeOf(link.event) - timeOf(all[i - 1]?.event)} />}
      <li>
        <LinkCard link={link} asked={asked} />
      </li>
    </Fragment>
  );
  return (
    <ol class="why-chain" aria-label="The chain of causes, the first one first">
      <li class="why-begin">
        <Beginning start={start} root={root} />
      </li>
      {(whole ? told : told.slice(0, firsts)).map(card)}
      {folded > 0 && (
        <>
          <li class="why-folded">
            <button onClick={() => setWhole(true)}>Show {folded} links between</button>
          </li>
          {told.slice(-lasts).map(card)}
        </>
      )}
    </ol>
  );
}

/** How long it took from a cause to what it led to. */
function Later({ milliseconds }: { milliseconds: number }) {
  return (
    <li class="why-later">
      <Icon name="down" />
      {milliseconds < 1 ? "at once" : `${span(milliseconds)} later`}
    </li>
  );
}

/** Why the chain begins where it does. It says what is known, and no more. */
function Beginning({ start, root }: { start: WhyStartJson; root: LinkJson }) {
  const cause = (position: string) => <span class="mono">@{position}</span>;
  if (start.next) {
    return (
      <>
        The chain is longer than what comes at once.{" "}
        <a class="button" href={address("why", { position: start.next, at: undefined })}>
          Go on with @{start.next}
        </a>
      </>
    );
  }
  if (start.removed) return <>It was caused by {cause(start.removed)}, which has been removed with the history up to there. What led to that cannot be known any more.</>;
  if (start.hidden) return <>It was caused by {cause(start.hidden)}, which is hidden from your token. The chain may go on behind it.</>;
  const source = root.event?.source ?? "";
  if (source === "statehouse") return <>Here it begins: {sourceWords(source)} did this, and names no cause.</>;
  if (source.startsWith("api:")) return <>Here it begins: {sourceWords(source)} {root.event?.kind === "command_issued" ? "wanted" : "recorded"} this, and named no cause.</>;
  if (!root.event?.entityId) return <>No cause is known: {sourceWords(source)} reported it.</>;
  return <>No cause is known: it came from the device itself, through {sourceWords(source)}.</>;
}
