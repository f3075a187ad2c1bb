// Light or dark, as the system wants or as the user does.

import { computed, effect, signal } from "@preact/signals";

export type Theme = "automatic" | "light" | "dark";

const key = "statehouse.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = signal(system.matches);
system.addEventListener("change", () => (dark.value = system.matches));

function stored(): Theme {
  const text = localStorage.getItem(key);
  return text === "light" || text === "dark" ? text : "automatic";
}

/** What the user wants. */
export const theme = signal<Theme>(stored());

/** Grows whenever the colors change: canvases have to be drawn anew. */
export const colors = signal(0);

/** Goes on to the next one of the three. */
export function nextTheme(): void {
  // The first step is one that can be seen.
  const all: Theme[] = dark.value ? ["automatic", "light", "dark"] : ["automatic", "dark", "light"];
  theme.value = all[(all.indexOf(theme.value) + 1) % 3] ?? "automatic";
  if (theme.value === "automatic") localStorage.removeItem(key);
  else localStorage.setItem(key, theme.value);
}

effect(() => {
  const root = document.documentElement;
  root.toggleAttribute("data-dark", theme.value === "dark" || (theme.value === "automatic" && dark.value));
  root.dataset["theme"] = theme.value;
  colors.value = colors.peek() + 1;
});

const read = computed(() => (void colors.value, new Map<string, string>()));

/** A color of style.css, as it is at present: color("--accent"). For canvases, which ask for it with each stroke. */
export function color(name: string): string {
  const known = read.value;
  const found = known.get(name) ?? getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  known.set(name, found);
  return found;
}
