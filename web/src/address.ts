// The page's address. Everything that is shown is in its query, so that whatever one sees can be sent to somebody:
// ?view=entity&id=light.hall&at=2026-11-24T21:57:59Z.

import { computed, signal } from "@preact/signals";

const query = signal(location.search);

addEventListener("popstate", () => {
  query.value = location.search;
});

/** What the address says. */
export const params = computed(() => new URLSearchParams(query.value));

/** The view that it names; "now" where it names none. */
export const view = computed(() => params.value.get("view") ?? "now");

/** One word of the address; empty where it is not there. */
export const param = (name: string): string => params.value.get(name) ?? "";

/** What is to change in the address: a value, or nothing to take it out. */
export type Edit = Record<string, string | undefined | null>;

/** The address of a view. It keeps the moment that is looked at, unless the edit says otherwise. */
export function link(name: string, edit: Edit = {}): string {
  const at = params.value.get("at");
  return written(new URLSearchParams(), { view: name === "now" ? undefined : name, at, ...edit });
}

/** Goes to a view, as a link to it does. */
export function go(name: string, edit: Edit = {}): void {
  history.pushState(null, "", link(name, edit));
  query.value = location.search;
  scrollTo(0, 0);
}

/** Changes the address of the view that is shown, without a step in the browser's history. */
export function replace(edit: Edit): void {
  const address = written(new URLSearchParams(query.value), edit);
  if (address === location.pathname + location.search) return;
  history.replaceState(null, "", address);
  query.value = location.search;
}

/** Changes it with a step in the browser's history. */
export function push(edit: Edit): void {
  const address = written(new URLSearchParams(query.value), edit);
  if (address === location.pathname + location.search) return;
  history.pushState(null, "", address);
  query.value = location.search;
}

/** Follows a link of the page's own without loading the page anew. It is the click handler of the whole page. */
export function follow(e: MouseEvent): void {
  const a = (e.target as Element | null)?.closest?.("a");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  if (a.target || a.hasAttribute("download") || a.origin !== location.origin || a.pathname !== location.pathname || a.hash) return;
  e.preventDefault();
  if (a.search !== location.search) history.pushState(null, "", a.href);
  query.value = location.search;
  scrollTo(0, 0);
}

function written(to: URLSearchParams, edit: Edit): string {
  for (const [name, value] of Object.entries(edit)) {
    if (value) to.set(name, value);
    else to.delete(name);
  }
  // Both are legal in a query, and a moment is easier to read with them.
  const text = to.toString().replaceAll("%3A", ":").replaceAll("%40", "@");
  return location.pathname + (text && `?${text}`);
}
