import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { open, scene, shownPositions, shownStates, visit } from "./browser.mjs";
import { expectedStates, sameEntries, withoutEvident } from "./expected.mjs";
import { eventually } from "./house.mjs";

const { house, browser, look } = await scene();
const lost = { allow: /Failed to load resource|ERR_/ };
const link = (page, phase) => page.locator(`.link[data-phase="${phase}"]`);

/** Messages that each change something, for a while, until the program dies under them. */
function flow() {
  const messages = Array.from({ length: 400 }, (_, i) => [
    ["zigbee2mqtt/ceiling_1", { state: i % 2 ? "ON" : "OFF", brightness: (i % 200) + 1 }],
    ["zigbee2mqtt/tv_plug", { state: i % 3 ? "ON" : "OFF", power: i }],
    ["zigbee2mqtt/bedroom_climate", { humidity: 40 + (i % 20), temperature: 20 + (i % 5) }],
  ]).flat();
  return house.trickle(5, messages).then(
    () => assert.fail("the program outlived it"),
    () => {},
  );
}

test("a program that is killed while messages flow: the page says so, comes back by itself, and has everything once", () =>
  look("/?all=1", async (page) => {
    const other = await open(browser, house, "/?view=log");
    await other.locator(".log-row").first().waitFor();
    const before = await house.position();
    const flowing = flow();
    await eventually(async () => assert.ok((await house.position()) > before + 100));
    await eventually(async () => assert.ok(Number(await other.locator(".log-row").first().getAttribute("data-position")) > before + 50));
    await house.stop("SIGKILL");
    await flowing;
    await Promise.all([link(page, "lost").waitFor(), link(other, "lost").waitFor()]);
    await page.getByText("Trying to reconnect").waitFor();
    assert.ok(Object.keys(await shownStates(page)).length > 200, "what was known last is still there");

    await house.start();
    await Promise.all([link(page, "ready").waitFor(), link(other, "ready").waitFor()]);
    await house.publish(["zigbee2mqtt/bridge/state", { state: "online" }, true], ["zigbee2mqtt/ceiling_2", { state: "ON", brightness: 11 }]);
    await house.until("light.ceiling_2", (s) => s.attributes.light.brightness === 11);
    await eventually(async () => sameEntries(withoutEvident(await shownStates(page)), expectedStates(await house.states())));

    await eventually(async () => assert.equal(await other.locator(".log-row").first().getAttribute("data-position"), String(await house.position())));
    const head = await house.position();
    const shown = await shownPositions(other, String(before - 20));
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => String(head - i)));
    assert.deepEqual(other.complaints.filter((text) => !lost.allow.test(text)), []);
    await other.context().close();
  }, lost));

test("who looks at the past meanwhile still does afterwards", async () => {
  const position = await house.position();
  await look(`/?all=1&at=@${position - 10}`, async (page) => {
    await page.locator(".now-entry").first().waitFor();
    await house.stop("SIGKILL");
    await link(page, "lost").waitFor();
    await visit(page, `/?all=1&at=@${position - 5}`);
    await house.start();
    await link(page, "ready").waitFor();
    const { states, asOf } = await house.moment({ position: String(position - 5) });
    await eventually(async () => sameEntries(withoutEvident(await shownStates(page)), expectedStates(states, Date.parse(asOf.recordedAt))));
    assert.equal(await page.evaluate(() => document.documentElement.dataset.when), "then");
  }, lost);
});

test("who looks at the past while the program ends still does afterwards", async () => {
  const position = await house.position();
  await look(`/?all=1&at=@${position - 10}`, async (page) => {
    await page.locator(".now-entry").first().waitFor();
    // What the program answers to whom it cannot answer any more.
    const closing = JSON.stringify({ code: "unavailable", message: "the server is closing" });
    await page.route("**/statehouse.v1.TimelineService/Diff", (route) => route.fulfill({ status: 503, contentType: "application/json", body: closing }), { times: 1 });
    await visit(page, `/?all=1&at=@${position - 5}`);
    await house.stop();
    await link(page, "lost").waitFor();
    await house.start();
    await link(page, "ready").waitFor();
    const { states, asOf } = await house.moment({ position: String(position - 5) });
    await eventually(async () => sameEntries(withoutEvident(await shownStates(page)), expectedStates(states, Date.parse(asOf.recordedAt))));
  }, lost);
});

test("who comes to an entity while the connection is lost can control it afterwards", () =>
  look("/?q=light.ceiling_1", async (page) => {
    const name = page.locator(".now-name").first();
    await name.waitFor();
    await house.stop("SIGKILL");
    await link(page, "lost").waitFor();
    await name.click();
    await page.getByRole("region", { name: "State" }).waitFor();
    await eventually(() => assert.ok(page.requests.some((r) => r.url().endsWith("CommandService/Actions") && r.failure())));
    await house.start();
    await link(page, "ready").waitFor();
    await page.getByRole("region", { name: "Controls" }).waitFor();
  }, lost));

test("a server that answers, and cannot be watched, is not said to be silent", () =>
  look(
    "/",
    async (page) => {
      const many = JSON.stringify({ code: "resource_exhausted", message: "as many streams are open as may be" });
      let times = 0;
      await page.route("**/statehouse.v1.StateService/Watch", (route) => (times++, route.fulfill({ status: 429, contentType: "application/json", body: many })));
      await page.reload();
      await eventually(() => assert.ok(times > 3));
      assert.match(await page.locator(".now-house").textContent(), /as many streams are open as may be/);
      await page.unroute("**/statehouse.v1.StateService/Watch");
      await link(page, "ready").waitFor();
    },
    lost,
  ));

test("another database is another house, and nothing of the one before is left", () =>
  look("/?view=log", async (page) => {
    await page.locator(".log-row").first().waitFor();
    await house.stop();
    await link(page, "lost").waitFor();
    for (const end of ["", ".anchor", ".mqtt"]) rmSync(join(house.dir, `home.db${end}`));
    await house.start();
    await link(page, "ready").waitFor();
    await eventually(async () => assert.equal(await page.locator(".log-row").first().getAttribute("data-position"), String(await house.position())));
    const shown = await shownPositions(page);
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => String(shown.length - i)));
  }, lost));
