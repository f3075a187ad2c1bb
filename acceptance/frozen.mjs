// Looks at a moment of a daemon's past with the official client: what it gets is what the daemon says by REST, and no more
// comes.
//
//   STATEHOUSE_URL=… STATEHOUSE_TOKEN=… node frozen.mjs @1204
//
// It writes the moment's states as one line of JSON, by id, and fails where something is wrong.
import { callService, getConfig, getServices, getStates, getUser, subscribeEntities } from "home-assistant-js-websocket";
import { connect, daemon, differences, rest, sleep } from "./house.mjs";

const [moment] = process.argv.slice(2);
if (!moment) {
  throw new Error("say which moment: @position, or a time as 2026-01-31T18:00:00Z");
}
const house = daemon(moment);
const connection = await connect(house);
let updates = 0;
let entities;
subscribeEntities(connection, (all) => {
  entities = all;
  updates++;
});
let events = 0;
await connection.subscribeEvents(() => events++);
await sleep(1000);

const states = await rest(house, "states");
const wrong = differences(entities ?? {}, states);
wrong.push(...differences(Object.fromEntries((await getStates(connection)).map((s) => [s.entity_id, s])), states));
if (updates !== 1) wrong.push(`there were ${updates} updates`);
if (events !== 0) wrong.push(`there were ${events} events`);
const config = await getConfig(connection);
if (config.state !== "RUNNING" || !config.statehouse.frozen) wrong.push(`the config is ${JSON.stringify(config)}`);
if (!(await getUser(connection)).id) wrong.push("there is no user");
if (Object.keys(await getServices(connection)).length === 0) wrong.push("there are no domains of services");
await connection.ping();
try {
  await callService(connection, "light", "turn_on", {}, { entity_id: "light.a" });
  wrong.push("a service was called in the past");
} catch (error) {
  if (!error.code) wrong.push(`calling a service failed with ${error}`);
}
connection.close();
if (wrong.length > 0) {
  throw new Error(wrong.join("; "));
}
console.log(JSON.stringify(Object.fromEntries(states.map((s) => [s.entity_id, s]))));
