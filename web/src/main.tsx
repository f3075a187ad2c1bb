import { effect } from "@preact/signals";
import { render } from "preact";
import "./style.css";
import { view } from "./address";
import { past } from "./moment";
import { token } from "./session";
import "./theme";
import { Login } from "./ui/login";
import { Shell } from "./ui/shell";
import { Compare } from "./views/compare";
import { Entity } from "./views/entity";
import { Health } from "./views/health";
import { Log } from "./views/log";
import { Now } from "./views/now";
import { Why } from "./views/why";

const views: Record<string, () => preact.JSX.Element | null> = { now: Now, entity: Entity, compare: Compare, why: Why, log: Log, health: Health };

function Page() {
  if (!token.value) return <Login />;
  const View = views[view.value] ?? Now;
  return (
    <Shell>
      <View />
    </Shell>
  );
}

effect(() => {
  document.documentElement.dataset["when"] = past.value ? "then" : "now";
});

render(<Page />, document.getElementById("page")!);
