// Who looks at the page: the token, and where it is kept. It is sent in the header of calls and stands nowhere else, in no
// address and no cookie. It is kept for the tab, or in the browser if the user wants that.

import { signal } from "@preact/signals";
import { resolve } from "./api";
import { type Credentials, endedWith, RpcError, use } from "./rpc";

const key = "statehouse.token";

/** The token; empty for nobody. */
export const token = signal(sessionStorage.getItem(key) ?? localStorage.getItem(key) ?? "");

/** Why there is nobody any more; empty for no reason. */
export const refusal = signal("");

use(credentials());

/** Tries a token and keeps it. It fails with the words of the server. */
export async function signIn(candidate: string, keep: boolean): Promise<void> {
  token.value = "";
  use(credentials(candidate));
  try {
    await resolve(undefined);
  } catch (err) {
    // No header has other letters.
    if (/[^!-~]/.test(candidate) || endedWith(err, "unauthenticated")) throw new RpcError("unauthenticated", "No token of this house. Is it all there, without spaces?");
    throw err;
  } finally {
    use(credentials());
  }
  (keep ? localStorage : sessionStorage).setItem(key, candidate);
  refusal.value = "";
  token.value = candidate;
}

/** Forgets the token, in this tab and in the browser. */
export function signOut(): void {
  localStorage.removeItem(key);
  forget();
  refusal.value = "";
}

function forget(): void {
  sessionStorage.removeItem(key);
  // Another tab may have kept another one since.
  if (localStorage.getItem(key) === token.value) localStorage.removeItem(key);
  token.value = "";
}

/** The credentials of a candidate, or of who is signed in. */
function credentials(candidate?: string): Credentials {
  return {
    token: () => candidate ?? token.value,
    refused: () => {
      if (token.value === "") return;
      forget();
      refusal.value = "The token is not valid any more.";
    },
  };
}
