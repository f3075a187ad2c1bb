import { useState } from "preact/hooks";
import { refusal, signIn } from "../session";
import { Icon } from "./icon";
import { Problem } from "./parts";

/** Asks for a token, and tells where there is one. */
export function Login() {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    setBusy(true);
    setError(undefined);
    try {
      await signIn(String(data.get("token")).trim(), data.has("keep"));
    } catch (err) {
      setError(err);
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <h1 class="row">
        <Icon name="house" /> Statehouse
      </h1>
      {refusal.value && <p class="note">{refusal.value}</p>}
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus spellcheck={false} />
        <label class="row">
          <input type="checkbox" name="keep" /> <span class="grow">Stay signed in on this device</span>
        </label>
        <button class="primary" disabled={busy}>
          Sign in
        </button>
      </form>
      {error !== undefined && <Problem error={error} />}
      <p class="faint">
        The first token was made with the database, in the file beside it that ends in <code class="mono">.admin-token</code>. Others are made with{" "}
        <code class="mono">statehouse token create</code>.
      </p>
    </main>
  );
}
