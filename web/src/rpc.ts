// The Connect protocol in JSON, as much of it as the page needs: https://connectrpc.com/docs/protocol/. A library of it with its
// messages would be half of what the page may weigh. The types are generated from the protocol's own files.

/** What a call ends with that was not answered. The code is one of Connect's, or "network" where nobody answered. */
export class RpcError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "RpcError";
  }
}

/** Whether that is how a call ended, with one of some codes. */
export const endedWith = (err: unknown, ...codes: string[]): boolean => err instanceof RpcError && codes.includes(err.code);

/** What is wrong, in words. */
export const messageOf = (err: unknown): string => (err instanceof Error ? err.message : String(err));

/** Makes the headers of each call, and is told where a token was refused. */
export interface Credentials {
  token(): string;
  refused(): void;
}

let credentials: Credentials = { token: () => "", refused: () => {} };

/** Says whose calls these are from now on. */
export function use(c: Credentials): void {
  credentials = c;
}

/** The message's own limit, far above what the server sends in one. */
const mostBytes = 64 << 20;

/** Calls a procedure that answers once, such as "StateService/Get". */
export async function call<Response>(procedure: string, request: object, signal?: AbortSignal): Promise<Response> {
  const response = await post(procedure, "application/json", JSON.stringify(request), signal);
  if (!response.ok) throw await failure(response);
  return (await response.json()) as Response;
}

/** Calls a procedure that answers with a stream of messages. Ending the loop, or the signal, ends the call. */
export async function* stream<Response>(procedure: string, request: object, signal?: AbortSignal): AsyncGenerator<Response> {
  const ended = new AbortController();
  const either = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  try {
    const response = await post(procedure, "application/connect+json", frame(request), either);
    if (!response.ok || !response.body) throw await failure(response);
    for await (const { flags, data } of frames(response.body)) {
      const message: unknown = JSON.parse(decoder.decode(data));
      if ((flags & 2) === 0) {
        yield message as Response;
        continue;
      }
      const { error } = message as { error?: { code?: string; message?: string } };
      if (error) throw refusal(error.code ?? "unknown", error.message ?? "");
      return;
    }
    throw new RpcError("network", "the answer ended in its middle");
  } finally {
    ended.abort();
  }
}

/** Gets what is not a procedure: "/metrics", "/readyz". It answers whatever the status is, but for a token that is refused. */
export async function get(path: string, signal?: AbortSignal): Promise<{ status: number; text: string }> {
  const response = await reach(path, { headers: authorization(), ...(signal && { signal }) });
  if (response.status === 401) throw await failure(response);
  return { status: response.status, text: await response.text() };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function authorization(): Record<string, string> {
  return { Authorization: `Bearer ${credentials.token()}` };
}

function post(procedure: string, type: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
  return reach(`statehouse.v1.${procedure}`, {
    method: "POST",
    headers: { ...authorization(), "Content-Type": type, "Connect-Protocol-Version": "1" },
    body,
    ...(signal && { signal }),
  });
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(new URL(path.replace(/^\//, ""), document.baseURI), { cache: "no-store", ...init });
  } catch (err) {
    if (init.signal?.aborted) throw err;
    throw new RpcError("network", "the server does not answer");
  }
}

function frame(request: object): Uint8Array<ArrayBuffer> {
  const data = encoder.encode(JSON.stringify(request));
  const all = new Uint8Array(5 + data.length);
  new DataView(all.buffer).setUint32(1, data.length);
  all.set(data, 5);
  return all;
}

async function* frames(body: ReadableStream<Uint8Array>): AsyncGenerator<{ flags: number; data: Uint8Array }> {
  const reader = body.getReader();
  let kept = new Uint8Array(0);
  try {
    for (;;) {
      while (kept.length >= 5) {
        const length = new DataView(kept.buffer, kept.byteOffset).getUint32(1);
        if (length > mostBytes) throw new RpcError("internal", `a message of ${length} bytes came`);
        if (kept.length < 5 + length) break;
        yield { flags: kept[0] ?? 0, data: kept.subarray(5, 5 + length) };
        kept = kept.subarray(5 + length);
      }
      const { done, value } = await reader.read();
      if (done) return;
      const joined = new Uint8Array(kept.length + value.length);
      joined.set(kept);
      joined.set(value, kept.length);
      kept = joined;
    }
  } catch (err) {
    if (err instanceof RpcError || (err instanceof DOMException && err.name === "AbortError")) throw err;
    throw new RpcError("network", "the connection was lost");
  } finally {
    reader.releaseLock();
  }
}

async function failure(response: Response): Promise<RpcError> {
  const body = (await response.json().catch(() => ({}))) as { code?: string; message?: string; error?: { code?: string; message?: string } };
  const { code, message } = body.error ?? body;
  return refusal(response.status === 401 ? "unauthenticated" : (code ?? "unknown"), message ?? `the server answered ${response.status}`);
}

function refusal(code: string, message: string): RpcError {
  if (code === "unauthenticated") credentials.refused();
  return new RpcError(code, message);
}
