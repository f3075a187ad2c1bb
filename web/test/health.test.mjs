import assert from "node:assert/strict";
import { test } from "node:test";
import { scene, visit } from "./browser.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const health = "/?view=health";

const bridge = "zigbee2mqtt/default/zigbee2mqtt";

/** What /metrics says by name without the prefix: summed over the labels, and of one source. */
async function metrics() {
  const answer = await fetch(`${house.url}/metrics`, { headers: { Authorization: `Bearer ${house.token}` } });
  const all = { source: {} };
  for (const [, name, labels = "", value] of (await answer.text()).matchAll(/^statehouse_(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    all[name] = (all[name] ?? 0) + Number(value);
    if (labels === `source="${bridge}"`) all.source[name] = Number(value);
  }
  return all;
}

/** A figure of the view, by its name. */
const fact = (page, name) => page.locator("dt", { hasText: new RegExp(`^${name}$`) }).locator("xpath=following-sibling::dd[1]");
const written = (n) => n.toLocaleString("en-GB");
const counted = (n, one, many = `${one}s`) => `${written(n)} ${n === 1 ? one : many}`;

test("the figures are those of /metrics", () =>
  look(health, async (page) => {
    await page.getByText("All is well").waitFor();
    await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 33 }], ["zigbee2mqtt/ceiling_1", { state: "OFF", brightness: 34 }]);
    await house.until("light.ceiling_1", (s) => s.attributes.light.brightness === 34);
    const figures = {
      position: (m) => written(m.log_position),
      "failed writes": (m) => written(m.log_batches_failed_total),
      "sealed up to": (m) => `@${written(m.log_sealed_position)}`,
      "a start would fold": (m) => counted(m.snapshot_behind_events, "event"),
      clients: (m) => written(m.mqtt_broker_clients),
      "wrong tokens": (m) => written(m.auth_failures_total),
      "open streams": (m) => written(m.http_open_streams),
    };
    for (const [name, of] of Object.entries(figures)) {
      // Both go on; they have to be the same at some time.
      await eventually(async () => assert.equal(await fact(page, name).textContent(), of(await metrics()), name));
    }
    const { source } = await metrics();
    assert.ok(source.mqtt_received_total > 2 && source.mqtt_events_total >= 2);
    await eventually(async () =>
      assert.equal(await page.locator("summary", { hasText: bridge }).textContent(), `${bridge}: ${counted(source.mqtt_received_total, "message")}, ${counted(source.mqtt_events_total, "event")}`),
    );
    const stats = await house.call("AdminService/Stats");
    assert.equal(await fact(page, "in it").textContent(), `${stats.entities} entities, ${stats.devices} devices, ${stats.areas} areas`);
  }));

test("of one thing it is said as of one", () =>
  look("/", async (page) => {
    const names = ["snapshot_behind_events", "http_stream_behind_events", "mqtt_received_total", "mqtt_events_total", "verify_findings", "log_waiting_for_room"];
    await page.route("**/metrics", async (route) => {
      const text = await (await route.fetch()).text();
      await route.fulfill({ body: text.replaceAll(new RegExp(`^(statehouse_(?:${names.join("|")})(?:{.*})?) .*$`, "gm"), "$1 1") });
    });
    await page.route("**/statehouse.v1.AdminService/Stats", async (route) => {
      const stats = await (await route.fetch()).json();
      await route.fulfill({ json: { ...stats, entities: "1", devices: "1", areas: "1" } });
    });
    const message = (flags, body) => {
      const data = Buffer.from(JSON.stringify(body));
      const head = Buffer.from([flags, 0, 0, 0, 0]);
      head.writeUInt32BE(data.length, 1);
      return Buffer.concat([head, data]);
    };
    await page.route("**/statehouse.v1.AdminService/Verify", (route) =>
      route.fulfill({ contentType: "application/connect+json", body: Buffer.concat([message(0, { result: { events: "1", snapshots: 1, findings: 1, took: "1s" } }), message(2, {})]) }),
    );
    await visit(page, health);
    await fact(page, "a start would fold").waitFor();
    assert.equal(await fact(page, "a start would fold").textContent(), "1 event");
    assert.equal(await fact(page, "the slowest is behind").textContent(), "1 event");
    assert.equal(await fact(page, "in it").textContent(), "1 entity, 1 device, 1 area");
    assert.equal(await page.locator("summary", { hasText: bridge }).textContent(), `${bridge}: 1 message, 1 event`);
    await page.getByText("The last verification found 1 thing that is wrong: ").waitFor();
    await page.getByText("1 writer waits because the queue is full.").waitFor();
    await page.getByRole("button", { name: "Verify now" }).click();
    await page.getByText("1 event and 1 snapshot, 1 finding, in").waitFor();
    await page.unrouteAll({ behavior: "ignoreErrors" });
  }));

test("verification runs, and says that it found nothing", () =>
  look(health, async (page) => {
    const before = await house.position();
    await page.getByRole("button", { name: "Verify now" }).click();
    const said = page.getByRole("status").filter({ hasText: "findings" });
    await said.waitFor();
    const [, events, findings] = /^([\d,]+) events and \d+ snapshots?, (\d+) findings/.exec(await said.textContent());
    // That it was verified is recorded, too.
    const verified = Number(events.replaceAll(",", ""));
    assert.ok(verified >= before && verified <= (await house.position()), `${verified} events of ${before}`);
    assert.equal(findings, "0");
    await eventually(async () => assert.equal(await fact(page, "it found").textContent(), "nothing wrong"));
  }));

test("a snapshot can be taken, and is listed", () =>
  look(health, async (page) => {
    await fact(page, "newest snapshot").waitFor();
    await page.getByRole("button", { name: "Take a snapshot" }).click();
    await eventually(async () => assert.match(await fact(page, "newest snapshot").textContent(), new RegExp(`^@${written(await house.position())},`)));
    const { snapshots } = await house.call("AdminService/ListSnapshots");
    assert.equal(snapshots.at(-1).position ?? snapshots[0].position, String(await house.position()));
  }));

test("who may not read these figures is told so", async () => {
  const token = (await house.run("token", "create", "kitchen-tablet", "--scope", "read", "--entities", "light.*")).trim();
  await look(
    health,
    async (page) => {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("These figures are for tokens that may read everything.").waitFor();
    },
    { signedIn: false, allow: /status of 403/ },
  );
});

test("a program that is slow to answer is not asked again meanwhile", () =>
  look("/?view=health", async (page) => {
    await page.getByText("All is well").waitFor();
    let under = 0;
    let most = 0;
    let all = 0;
    await page.route("**/metrics", async (route) => {
      most = Math.max(most, ++under);
      all++;
      await new Promise((done) => setTimeout(done, 5000));
      under--;
      await route.continue();
    });
    await eventually(() => assert.ok(all > 1));
    assert.equal(most, 1);
  }));
