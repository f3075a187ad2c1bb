// What one wants to see of the house. All of it is in the address.

import { computed, effect, signal, untracked } from "@preact/signals";
import { param, params, replace } from "../../address";
import { areas, type Entry, kinds, type Only } from "./board";
import { chosen, followWhere } from "./where";

/** A text that somebody types: it holds at once, and is in the address when the typing rests. */
class Field {
  readonly text;
  private written: string;
  private rest: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly name: string) {
    this.written = param(name);
    this.text = signal(this.written);
  }

  type(text: string): void {
    this.text.value = text;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.write(), 300);
  }

  /** Brings it into the address now. */
  write(): void {
    clearTimeout(this.rest);
    this.written = this.text.peek();
    replace({ [this.name]: this.written });
  }

  /** Follows the address, where somebody goes back or follows a link, until the function that it returns is called. */
  follow(): () => void {
    const end = effect(() => {
      void params.value;
      const said = param(this.name);
      untracked(() => {
        if (said === this.written) return;
        clearTimeout(this.rest);
        this.written = said;
        this.text.value = said;
      });
    });
    return () => {
      clearTimeout(this.rest);
      end();
      this.text.value = this.written;
    };
  }
}

/** What is searched for. */
export const query = new Field("q");

/** The expression in CEL. */
export const where = new Field("where");

/** The only domain that is shown; empty for all. */
export const domain = computed(() => param("domain"));

/** The only kind that is shown; undefined for all. */
export const only = computed<Only | undefined>(() => {
  const said = param("only");
  return said === "problems" || said === "pending" ? said : undefined;
});

/** Whether entities for diagnosis and configuration are shown without being searched for. */
export const all = computed(() => param("all") === "1");

/** The words that are searched for, in small letters. */
export const words = computed<readonly string[]>(() => query.text.value.toLowerCase().split(/\s+/).filter(Boolean));

/** Whether somebody asks for certain entities: then they are found whatever they are there for. */
export const searched = computed(() => words.value.length > 0 || chosen.value !== undefined);

/** Follows the address and the server until the function that it returns is called. */
export function followFilters(): () => void {
  const ends = [query.follow(), where.follow(), followWhere(where.text)];
  return () => ends.forEach((end) => end());
}

/** Takes all filters away. */
export function clear(): void {
  query.type("");
  where.type("");
  replace({ q: "", where: "", domain: "", only: "" });
}

/** What chooses entities: by what is searched for, by their domain, by their kind, and by what they are there for. */
function choices() {
  const said = words.value;
  const ids = chosen.value;
  const inDomain = domain.value;
  const ofKind = only.value;
  const aside = all.value || searched.value;
  return {
    asked: (e: Entry) => said.every((w) => e.words.includes(w)) && (!ids || ids.has(e.id)),
    inDomain: (e: Entry) => !inDomain || e.domain === inDomain,
    ofKind: (e: Entry) => !ofKind || e.kind === ofKind,
    open: (e: Entry) => aside || !e.aside,
  };
}

/** Whether an entity is shown. It is another function when others are. */
export const choose = computed(() => {
  const { asked, inDomain, ofKind, open } = choices();
  if (only.value) void kinds.value;
  return (e: Entry) => open(e) && inDomain(e) && ofKind(e) && asked(e);
});

/** How many entities there are of what one could choose next: of each choice those that the others leave. */
export const tally = computed(() => {
  void kinds.value;
  const { asked, inDomain, ofKind, open } = choices();
  const domains = new Map<string, number>();
  const t = { domains, problems: 0, pending: 0, aside: 0, shown: 0, all: 0 };
  for (const area of areas.value) {
    t.all += area.entries.length;
    for (const e of area.entries) {
      if (!asked(e)) continue;
      const both = inDomain(e) && ofKind(e);
      if (!open(e)) {
        if (both) t.aside++;
        continue;
      }
      if (ofKind(e)) domains.set(e.domain, (domains.get(e.domain) ?? 0) + 1);
      if (inDomain(e) && e.kind) t[e.kind]++;
      if (both) t.shown++;
    }
  }
  return t;
});
