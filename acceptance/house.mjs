// What the scripts share: the official client's connection to a daemon, and what the daemon says of itself by REST.
import { isDeepStrictEqual } from "node:util";
import { createConnection, createLongLivedTokenAuth } from "home-assistant-js-websocket";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket; // the client expects a browser's

/** The daemon and the token, from the environment; a moment makes it the house as it was then. */
export function daemon(moment) {
  const { STATEHOUSE_URL: url = "http://127.0.0.1:8321", STATEHOUSE_TOKEN: token } = process.env;
  if (!token) {
    throw new Error("set STATEHOUSE_TOKEN to a token, and STATEHOUSE_URL if the daemon is not on " + url);
  }
  const base = url.replace(/\/$/, "") + (moment ? `/at/${moment}` : "");
  return { base, token };
}

export function connect({ base, token }) {
  return createConnection({ auth: createLongLivedTokenAuth(base, token) });
}

export async function rest({ base, token }, path) {
  const answer = await fetch(`${base}/api/${path}`, { headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) {
    throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer.json();
}

/** What differs between the client's states, by id, and those of REST: a list of texts, empty for nothing. */
export function differences(entities, states) {
  const found = [];
  const left = new Set(Object.keys(entities));
  for (const want of states) {
    const id = want.entity_id;
    const have = entities[id];
    left.delete(id);
    if (!have) {
      found.push(`the client has no ${id}`);
      continue;
    }
    for (const key of ["state", "attributes", "context"]) {
      if (!isDeepStrictEqual(have[key], want[key])) {
        found.push(`${id}.${key}: ${JSON.stringify(have[key])} is ${JSON.stringify(want[key])}`);
      }
    }
    for (const key of ["last_changed", "last_updated"]) {
      // The client makes milliseconds of seconds, and cuts.
      if (Math.abs(new Date(have[key]) - new Date(want[key])) > 1) {
        found.push(`${id}.${key}: ${have[key]} is ${want[key]}`);
      }
    }
  }
  for (const id of left) {
    found.push(`the client has ${id}, which is not there`);
  }
  return found;
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
