// Calls services of a daemon with the official client: a light does what it is told, and what led to its state is the call.
//
//   STATEHOUSE_URL=… STATEHOUSE_TOKEN=… node call.mjs light.hall
//
// It turns the light on with a brightness of 77 and off again, and fails where something is wrong.
import { callService, getServices, subscribeEntities } from "home-assistant-js-websocket";
import { connect, daemon, sleep } from "./house.mjs";

const [id] = process.argv.slice(2);
if (!id) {
  throw new Error("say which light, as in light.hall");
}
const connection = await connect(daemon());
let light;
subscribeEntities(connection, (all) => {
  light = all[id];
});

/** until waits for the light to be as it was told. */
async function until(what, as) {
  for (let i = 0; i < 200; i++) {
    if (light && as(light)) return;
    await sleep(50);
  }
  throw new Error(`${id} is not ${what}: ${JSON.stringify(light)}`);
}

const fields = (await getServices(connection)).light.turn_on.fields;
if (fields.brightness.selector.number.max !== 255) {
  throw new Error(`the fields of light.turn_on are ${JSON.stringify(fields)}`);
}
const { context } = await callService(connection, "light", "turn_on", { brightness: 77 }, { entity_id: id });
await until("on", (l) => l.state === "on" && l.attributes.brightness === 77);
await callService(connection, "homeassistant", "turn_off", undefined, { entity_id: [id] });
await until("off", (l) => l.state === "off");
try {
  await callService(connection, "light", "turn_on", { colour: "red" }, { entity_id: id });
  throw new Error("a field that there is not was taken");
} catch (error) {
  if (error.code !== "invalid_format") throw error;
}
connection.close();
console.log(context.id);
