import { link, param } from "../address";
import { why } from "../api";
import { counted } from "../count";
import type { LinkJson, WhyStartJson } from "../gen/statehouse/v1/timeline_service_pb";
import { stateOf } from "../house";
import { parse, request } from "../moment";
import { dateTime } from "../time";
import { eventWords } from "../ui/event";
import { Age, Loading, Problem } from "../ui/parts";
import { useAsk } from "../ui/use";
import { Chain } from "./why/chain";
import { Ask, Recent } from "./why/ask";
import { nameIn, timeOf } from "./why/link";
import "./why.css";

/** A chain of causes, as it was answered. */
interface Answer {
  start: WhyStartJson;
  links: LinkJson[];
}

/** Why a state is what it is, or what led to an event. The address says which: ?id= with the moment, or ?position=. */
export function Why() {
  const id = param("id");
  const position = /^@?(\d{1,19})$/.exec(param("position"))?.[1] ?? "";
  return (
    <div class="why">
      <Ask key={`${id} ${position}`} id={id} position={position} />
      {id || position ? <Answered id={position ? "" : id} position={position} at={position ? "" : param("at")} /> : <Recent />}
    </div>
  );
}

function Answered({ id, position, at }: { id: string; position: string; at: string }) {
  const asked = useAsk((signal) => ask(id, position, at, signal), [id, position, at]);
  const answer = asked.value;
  if (asked.error) return <Problem error={asked.error} retry={asked.again} />;
  if (!answer) return <Loading what="Looking for causes" />;
  return (
    <section aria-labelledby="why-title" aria-busy={asked.loading} class={asked.loading ? "why-old" : ""}>
      <Title answer={answer} now={!!id && !at} />
      {id && !at && <Since id={id} answer={answer} again={asked.again} />}
      <Chain key={answer.links[0]?.event?.position} start={answer.start} links={answer.links} />
    </section>
  );
}

async function ask(id: string, position: string, at: string, signal: AbortSignal): Promise<Answer> {
  const answer: Answer = { start: {}, links: [] };
  const moment = request(parse(at));
  const about = position ? { position } : { entityId: id, ...(moment && { at: moment }) };
  for await (const part of why({ ...about, sawChain: true }, signal)) {
    answer.start = part.start ?? answer.start;
    answer.links.push(...(part.links ?? []));
  }
  return answer;
}

/** The question, and the short answer to it. */
function Title({ answer: { start, links }, now }: { answer: Answer; now: boolean }) {
  const first = links[0];
  const event = first?.event;
  if (!first || !event) return <h1 id="why-title">Nothing is known</h1>;
  const { title } = eventWords(event);
  const state = event.payload?.stateChanged;
  const name = nameIn(first, event.entityId);
  const recorded = start.asOf?.recordedAt;
  return (
    <header class="why-title">
      <h1 id="why-title">{state ? `Why ${now ? "is" : "was"} ${name} ${title}?` : `What led to @${event.position}: ${name ? `${name}, ` : ""}${title}`}</h1>
      <p class="faint">
        {state && (became(first) ? "Since " : "It was so before already; its attributes are so since ")}
        {dateTime(timeOf(event))} (<Age time={event.recordedAt} />
        {" ago"}) · {causes(links.length - 1, start)}
        {recorded && (
          <>
            {" · asked as of "}
            <a href={link("now", { at: `@${start.asOf?.position ?? "0"}` })}>{dateTime(Date.parse(recorded))}</a>
          </>
        )}
      </p>
    </header>
  );
}

/** Whether the state became another one with what was asked about, and not attributes alone. */
function became({ event, changes }: LinkJson): boolean {
  const what = changes?.find((c) => c.entityId === event?.entityId)?.what ?? [];
  return !what.includes("attributes") || what.includes("state");
}

/** How many causes there are, as far as they are known. */
function causes(n: number, start: WhyStartJson): string {
  if (start.next) return `${counted(n, "cause")} and more`;
  const beyond = start.removed ? "one that was removed" : start.hidden ? "one that is hidden" : "";
  if (n === 0) return beyond ? `the cause is ${beyond}` : "no cause is known";
  return `${n === 1 ? "one cause" : `a chain of ${n} causes`}${beyond && `, and before it ${beyond}`}`;
}

/** Says that the present has gone on since it was asked about; what is read stays as it is. */
function Since({ id, answer, again }: { id: string; answer: Answer; again: () => void }) {
  const event = answer.links[0]?.event;
  const changed = Date.parse(stateOf(id)?.changedAt ?? "");
  if (!event || !(changed > Math.max(timeOf(event), Date.parse(event.timestamp ?? "")))) return null;
  return (
    <p class="note row" role="status">
      <span class="grow">It has changed since.</span>
      <button onClick={again}>Ask again</button>
    </p>
  );
}
