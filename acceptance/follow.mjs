// Folds a daemon's entities with the official client while events flow and connections break, and says on demand whether
// the result is what the daemon says by REST.
//
//   STATEHOUSE_URL=… STATEHOUSE_TOKEN=… node follow.mjs
//
// It reads lines: "check" compares, as soon as nothing is different or after ten seconds; "end" ends. It writes lines:
// "synced" when it has all entities, at first and after each time that the connection broke; "equal n" or "different …".
import { createInterface } from "node:readline";
import { subscribeEntities } from "home-assistant-js-websocket";
import { connect, daemon, differences, rest, sleep } from "./house.mjs";

const house = daemon();
const connection = await connect(house);
let entities = {};
let synced = false;

connection.addEventListener("disconnected", () => {
  synced = false;
  console.log("disconnected");
});
// Before the client's own subscription, so that an event is seen once it is folded.
subscribeEntities(connection, (all) => {
  entities = all;
  if (!synced && connection.connected) {
    synced = true;
    console.log("synced");
  }
});

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") {
    break;
  }
  let found = [];
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(50)) {
    found = differences(entities, await rest(house, "states"));
    if (found.length === 0) {
      break;
    }
  }
  console.log(found.length === 0 ? `equal ${Object.keys(entities).length}` : `different ${found.join("; ")}`);
}
connection.close();
