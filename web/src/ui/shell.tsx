import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { follow, go, link, view } from "../address";
import { live, shown } from "../house";
import { keys, useKeys } from "../keys";
import { past } from "../moment";
import { signOut } from "../session";
import { nextTheme, theme } from "../theme";
import { Icon } from "./icon";
import { TimeBar } from "./timebar";

const views = [
  ["now", "House"],
  ["compare", "Compare"],
  ["log", "Log"],
  ["health", "Health"],
] as const;

const phases = { loading: "connecting", ready: "live", lost: "no connection", failed: "no connection" };

/** The frame around a view: where one is, whether the server answers, which moment one looks at. */
export function Shell({ children }: { children: ComponentChildren }) {
  const help = useRef<HTMLDialogElement>(null);
  useKeys([
    { key: "?", what: "Show the keys", run: () => help.current?.showModal() },
    ...views.map(([name, title], i) => ({ key: String(i + 1), what: title, run: () => go(name) })),
  ]);
  const phase = live.phase.value;
  return (
    <div class="frame" onClick={follow}>
      <a class="skip" href="#view" onClick={(e) => (e.preventDefault(), document.getElementById("view")?.focus())}>
        Skip to what is shown
      </a>
      <header>
        <div class="masthead">
          <a class="brand" href={link("now", { at: undefined })}>
            <Icon name="house" /> Statehouse
          </a>
          <nav aria-label="Views">
            {views.map(([name, title]) => (
              <a href={link(name)} aria-current={view.value === name ? "page" : undefined}>
                {title}
              </a>
            ))}
          </nav>
          <div class="end">
            <span class="link" data-phase={phase} role="status" title={live.problem.value}>
              {phases[phase]}
            </span>
            <button class="plain" onClick={nextTheme} title={`Colors: ${theme.value}`} aria-label={`Colors: ${theme.value}. Change`}>
              <Icon name={theme.value === "light" ? "sun" : theme.value === "dark" ? "moon" : "auto"} />
            </button>
            <button class="plain" onClick={() => help.current?.showModal()} title="Keys" aria-label="Keys">
              <Icon name="help" />
            </button>
            <button class="plain" onClick={signOut} title="Sign out" aria-label="Sign out">
              <Icon name="out" />
            </button>
          </div>
        </div>
        <TimeBar />
      </header>
      <main id="view" tabIndex={-1}>
        {past.value && shown.value.phase.value === "failed" && (
          <p class="note bad" role="alert">
            {shown.value.problem.value}
          </p>
        )}
        {children}
      </main>
      <dialog ref={help} aria-labelledby="keys-title">
        <h2 id="keys-title">Keys</h2>
        <table>
          <tbody>
            {/* Of several with one key the last one has it. */}
            {keys.value.filter((k, i, all) => all.findLastIndex((other) => other.key === k.key) === i).map((k) => (
              <tr>
                <td>
                  <kbd>{k.key === " " ? "space" : k.key}</kbd>
                </td>
                <td>{k.what}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <form method="dialog">
          <button>Close</button>
        </form>
      </dialog>
    </div>
  );
}
