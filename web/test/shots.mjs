// Takes the pictures of docs/page.md anew: npm run shots.

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { arrived, launch, open } from "./browser.mjs";
import { eventually, House } from "./house.mjs";

const target = join(import.meta.dirname, "../../docs/screenshots");
mkdirSync(target, { recursive: true });
const desktop = { viewport: { width: 1280, height: 800 }, colorScheme: "light", reducedMotion: "reduce" };
const phone = { ...desktop, viewport: { width: 390, height: 844 } };

/** What the recorded devices, which are no real ones, never said: a house in which somebody lives. */
const lived = [
  ["bedroom_climate", { temperature: 19.4, humidity: 48.2, battery: 92, voltage: 2990 }],
  ["bathroom_climate", { temperature: 22.1, humidity: 61.7, pressure: 1014.2, battery: 88, voltage: 2960 }],
  ["vindstyrka", { temperature: 21.3, humidity: 44, pm25: 4, voc_index: 102 }],
  ["air_box", { temperature: 21.8, humidity: 45.5, co2: 742, voc: 180, formaldehyd: 12 }],
  ["front_door", { contact: true, battery: 97 }],
  ["kitchen_window", { contact: false, battery: 81, battery_low: false }],
  ["hall_motion", { occupancy: false, illuminance: 34, battery: 90 }],
  ["stairs_motion", { occupancy: true, battery: 76 }],
  ["sink_leak", { water_leak: false, battery: 100 }],
  ["hall_smoke", { smoke: false, battery: 100, smoke_density: 0 }],
  ["develco_smoke", { smoke: false, battery_low: false, temperature: 20.9 }],
  ["front_lock", { state: "LOCK", battery: 74 }],
  ["ceiling_1", { state: "ON", brightness: 180 }],
  ["ceiling_2", { state: "OFF", brightness: 90 }],
  ["couch_lamp", { state: "ON", brightness: 60 }],
  ["desk_lamp", { state: "OFF", brightness: 77 }],
  ["tv_plug", { state: "ON", power: 84.2, voltage: 231, energy: 412.7 }],
  ["fridge_plug", { state: "ON", power: 61.4, voltage: 230, energy: 1204.6 }],
  ["washing_machine", { state: "ON", power: 1840, voltage: 229, energy: 318.2 }],
  ["bedroom_curtain", { state: "OPEN", position: 100, battery: 66 }],
  ["office_blind", { state: "OPEN", position: 40, battery: 59 }],
  ["bedroom_radiator", { system_mode: "heat", current_heating_setpoint: 19, occupied_heating_setpoint: 19, local_temperature: 19.2, running_state: "idle", battery: 84 }],
  ["office_radiator", { system_mode: "heat", occupied_heating_setpoint: 21, local_temperature: 20.6, running_state: "heat", battery: 79 }],
  ["bath_trv", { holidays_schedule: "08:00/21", workdays_schedule: "06:00/21", window_open: false, system_mode: "auto", current_heating_setpoint: 22, local_temperature: 21.9, position: 20 }],
  ["starkvind", { fan_state: "ON", fan_mode: "auto", pm25: 6, air_quality: "excellent", fan_speed: 2 }],
];

/** What somebody calls them who lives with them. */
const names = {
  bath_trv: "Bath radiator", bathroom_climate: "Bath climate", bedroom_climate: "Bedroom climate", bedroom_curtain: "Curtain", bedroom_radiator: "Bedroom radiator", cube_button: "Cube",
  front_door: "Front door", front_lock: "Lock", hall_motion: "Hall motion", hall_smoke: "Hall smoke", stairs_motion: "Stairs motion", hall_switch: "Hall switch",
  ceiling_1: "Living room light", ceiling_2: "Kitchen light", couch_lamp: "Couch lamp", desk_lamp: "Desk lamp", tv_plug: "TV", fridge_plug: "Fridge", washing_machine: "Washing machine",
  kitchen_window: "Kitchen window", sink_leak: "Sink leak", office_blind: "Blind", office_radiator: "Office radiator", starkvind: "Air purifier", air_box: "Air quality",
};

/** Has a lamp do something, and its device say that it did. */
async function lampOn(house, name, brightness) {
  await house.call("CommandService/Call", { entityId: `light.${name}`, action: "turn_on", timeout: "60s" });
  await house.publish([`zigbee2mqtt/${name}`, { state: "ON", brightness }]);
  await house.until(`light.${name}`, (s) => s.text === "on" && !s.pending?.length);
}

const house = new House();
await house.start();
await house.fill("14");
await house.publish(...lived.map(([name, state]) => [`zigbee2mqtt/${name}`, state]), ["zigbee2mqtt/cube_button/availability", { state: "offline" }]);
await house.until("sensor.air_box_co2", (s) => s.text === "742");
for (const { id, name } of await house.list("RegistryService/List", {}, "devices")) if (names[name]) await house.call("RegistryService/EditDevice", { deviceId: id, name: names[name] });
// Degrees and watts as they go, so that there is something to plot.
const course = (from, to) => Array.from({ length: to - from }, (_, k) => k + from).flatMap((i) => [
  ["zigbee2mqtt/bathroom_climate", { temperature: Math.round((21.4 + 1.6 * Math.sin(i / 14) + 0.2 * Math.sin(i * 1.7)) * 10) / 10, humidity: Math.round((58 + 9 * Math.sin(i / 17 + 1)) * 10) / 10 }],
  ...(i % 30 === 12 ? [["zigbee2mqtt/hall_motion", { occupancy: true }], ["zigbee2mqtt/ceiling_2", { state: "ON", brightness: 200 }]] : []),
  ...(i % 30 === 20 ? [["zigbee2mqtt/hall_motion", { occupancy: false }], ["zigbee2mqtt/ceiling_2", { state: "OFF", brightness: 200 }]] : []),
]);
// In the middle somebody is on their way, and the light is on.
await house.trickle(150, course(0, 77));
const earlier = await house.position();
await house.trickle(150, course(77, 120));
await house.publish(["zigbee2mqtt/kitchen_window", { contact: true }], ["zigbee2mqtt/washing_machine", { state: "OFF", power: 0.4 }], ["zigbee2mqtt/office_blind", { state: "CLOSE", position: 0 }], ["zigbee2mqtt/tv_plug", { power: 0.8 }]);
await lampOn(house, "ceiling_2", 200);
await house.call("CommandService/Call", { entityId: "light.desk_lamp", action: "turn_on", timeout: "600s" });
await house.call("AdminService/CreateSnapshot");
const now = await house.position();

const browser = await launch();

/** Takes a picture of an address when something is there, and after something was done. */
async function shoot(name, address, selector, options = desktop, act = async () => {}) {
  const page = await open(browser, house, address, options);
  await page.locator(selector).first().waitFor();
  await arrived(page);
  await act(page);
  await eventually(async () => {
    if (!(await page.evaluate(() => [...document.querySelectorAll("#view p[role=status]")].every((p) => !p.textContent.endsWith("…"))))) throw new Error("it is still loading");
  });
  // The time bar's markers come a little later, and figures of a second need two of them.
  await page.waitForTimeout(2500);
  const path = join(target, `${name}.png`);
  await page.screenshot({ path });
  console.log(`${name.padEnd(16)} ${(statSync(path).size / 1000).toFixed(0).padStart(4)} kB`);
  if (page.complaints.length) throw new Error(page.complaints.join("\n"));
  await page.context().close();
}

const then = { ...desktop, colorScheme: "dark" };
await shoot("house", "/", ".now-entry");
await shoot("house-dark", "/", ".now-entry", then);
await shoot("past", `/?at=@${earlier}`, ".now-entry");
await shoot("entity", "/?view=entity&id=sensor.bathroom_climate_temperature&range=10m&with=sensor.bathroom_climate_humidity", ".entity-table tr");
await shoot("bands", "/?view=entity&id=light.ceiling_2&range=10m&with=binary_sensor.hall_motion_occupancy", ".entity-table tr");
await shoot("compare", `/?view=compare&a=@${earlier}&b=@${now}`, ".compare-row");
await shoot("why", "/?view=why&id=light.ceiling_2", ".why-card");
await shoot("log", "/?view=log", ".log-row", { ...desktop, viewport: { width: 1280, height: 640 } });
await shoot("health", "/?view=health", ".health-rate", desktop, async (page) => {
  await page.getByRole("button", { name: "Verify now" }).click();
  await house.trickle(120, course(0, 40));
});
await shoot("phone", "/", ".now-entry", phone);
await shoot("phone-past", `/?view=entity&id=light.ceiling_2&at=@${now}`, ".entity-table tr", phone);
await browser.close();
await house.remove();
