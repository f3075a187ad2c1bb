import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, drawn, params, scene, shownPositions, visit } from "./browser.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const newest = (page) => page.locator(".log-row").first().getAttribute("data-position");

/** Positions, the newest first, which the server has. */
async function positions(query = {}, limit) {
  const events = await house.list("LogService/Read", { query, backward: true, ...(limit && { limit: String(limit) }) }, "events");
  return events.map((e) => e.position);
}

/** Messages that each change a lamp, told apart by their brightness. */
const changes = (n, from = 1) => Array.from({ length: n }, (_, i) => ["zigbee2mqtt/ceiling_1", { state: "ON", brightness: ((from + i) % 250) + 1 }]);

test("events come live, each once and in order, without a gap", () =>
  look("/?view=log", async (page) => {
    const before = await house.position();
    await eventually(async () => assert.equal(await newest(page), String(before)));
    await house.trickle(10, changes(120));
    const head = await eventually(async () => {
      const head = await house.position();
      assert.ok(head >= before + 119, `${head} after ${before}`);
      return head;
    });
    await eventually(async () => assert.equal(await newest(page), String(head)));
    const shown = await shownPositions(page, String(before - 50));
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => String(head - i)));
    assert.ok(shown.length > head - before);
  }));

test("a pause holds the list still, and what came meanwhile is there afterwards", () =>
  look("/?view=log", async (page) => {
    await page.locator(".log-row").first().waitFor();
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    const before = await house.position();
    await page.keyboard.press("p");
    await page.getByRole("button", { name: "Go on" }).waitFor();
    await house.publish(...changes(60, 130));
    const head = await eventually(async () => {
      const head = await house.position();
      assert.ok(head >= before + 59);
      return head;
    });
    await page.getByText(`${head - before} new`).waitFor();
    assert.equal(await newest(page), String(before));
    await page.getByRole("button", { name: "Go on" }).click();
    await eventually(async () => assert.equal(await newest(page), String(head)));
    const shown = await shownPositions(page, String(before - 10));
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => String(head - i)));
    // And it goes on.
    await house.publish(...changes(5, 200));
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    assert.ok((await house.position()) > head);
  }));

/** Where the rows are that are in sight: [position, top] of each. */
const sight = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll(".log-row")]
      .map((row) => [row.dataset.position, Math.round(row.getBoundingClientRect().top)])
      .filter(([, top]) => top > 0 && top < innerHeight),
  );

test("what one reads further down stays in place while events come, and at the top the newest are followed", () =>
  look("/?view=log", async (page) => {
    const reached = (n) => eventually(async () => (assert.ok((await house.position()) >= n), house.position()));
    const count = (n) => page.getByRole("button", { name: `${n} new ${n === 1 ? "event" : "events"}`, exact: true });
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    let before = await house.position();
    for (const y of [1400, 60]) {
      await page.evaluate((y) => scrollTo(0, y), y);
      await drawn(page);
      const read = await sight(page);
      assert.ok(read.length > 5);
      await house.trickle(20, changes(40, y));
      const head = await reached(before + 40);
      await page.locator(".timebar-status", { hasText: `@${head}` }).waitFor();
      await drawn(page);
      assert.deepEqual(await sight(page), read);
      await count(head - before).waitFor();
      // One way back is the button, the other is to scroll.
      if (y > 1000) await count(head - before).click();
      else await page.evaluate(() => scrollTo(0, 0));
      await eventually(async () => assert.equal(await newest(page), String(head)));
      assert.equal(await page.evaluate(() => scrollY), 0);
      assert.equal(await page.locator(".log-newer button").count(), 0);
      // At the top it goes on by itself.
      await house.publish(...changes(5, y + 100));
      before = await reached(head + 5);
      await eventually(async () => assert.equal(await newest(page), String(before)));
    }
    const shown = await shownPositions(page, String(before - 150));
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => String(before - i)));
  }));

test("the key for a pause is that of the list that is shown", () =>
  look("/?view=log", async (page) => {
    await page.getByRole("button", { name: "changed", exact: true }).click();
    await eventually(async () => assert.equal(await newest(page), (await positions({ kinds: ["state_changed"] }, 1))[0]));
    await page.locator("h1").click();
    await page.keyboard.press("p");
    await page.getByRole("button", { name: "Go on" }).waitFor();
  }));

test("who pauses and reads further down has both", () =>
  look("/?view=log", async (page) => {
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    const before = await house.position();
    await page.keyboard.press("p");
    await page.evaluate(() => scrollTo(0, 900));
    await house.publish(...changes(1, 7));
    await page.getByRole("button", { name: "1 new event", exact: true }).waitFor();
    await house.publish(...changes(19, 8));
    await page.getByRole("button", { name: "20 new events" }).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await page.getByText("20 new", { exact: true }).waitFor();
    await drawn(page);
    assert.equal(await newest(page), String(before), "a pause is over when one says so");
    await page.evaluate(() => scrollTo(0, 900));
    await page.getByRole("button", { name: "20 new events" }).click();
    await eventually(async () => assert.equal(await newest(page), String(before + 20)));
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "view", "the focus was lost");
  }));

test("more than the page holds is left to the server, and comes when one goes back", () =>
  look("/?view=log", async (page) => {
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    const before = await house.position();
    await page.evaluate(() => scrollTo(0, 900));
    await drawn(page);
    const read = await sight(page);
    await house.publish(...changes(6000));
    const button = page.getByRole("button", { name: /^[\d,]+ and more new events$/ });
    await button.waitFor();
    assert.deepEqual(await sight(page), read);
    await button.click();
    const head = await eventually(async () => {
      const head = await house.position();
      assert.ok(head >= before + 6000);
      assert.equal(await newest(page), String(head));
      return head;
    });
    const shown = await shownPositions(page, String(before - 10));
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => String(head - i)));
  }));

test("filters let through what the server would, live, too", () =>
  look("/?view=log", async (page) => {
    await page.getByRole("button", { name: "area", exact: true }).click();
    await eventually(() => assert.equal(params(page).kind, "area_registered"));
    const areas = await positions({ kinds: ["area_registered"] });
    assert.equal(areas.length, 7);
    await page.getByText("That is all").waitFor();
    await eventually(async () => assert.deepEqual(await shownPositions(page), areas));
    await page.getByRole("button", { name: "system", exact: true }).click();
    const both = await positions({ kinds: ["area_registered", "system"] });
    await eventually(async () => assert.deepEqual(await shownPositions(page), both));

    await visit(page, "/?view=log&id=light.ceiling_2,switch.tv_plug&kind=state_changed&source=zigbee2mqtt/default/zigbee2mqtt");
    const query = { entityIds: ["light.ceiling_2", "switch.tv_plug"], kinds: ["state_changed"] };
    await eventually(async () => assert.equal(await newest(page), (await positions(query, 1))[0]));
    await house.publish(["zigbee2mqtt/ceiling_1", { state: "OFF", brightness: 5 }], ["zigbee2mqtt/tv_plug", { state: "OFF", power: 3 }], ["zigbee2mqtt/tv_plug", { state: "ON", power: 4 }]);
    await house.until("switch.tv_plug", (s) => s.text === "on");
    await house.until("light.ceiling_1", (s) => s.attributes.light.brightness === 5);
    await eventually(async () => assert.equal(await newest(page), (await positions(query, 1))[0]));
    assert.deepEqual(await shownPositions(page), await positions(query));
    await page.getByRole("button", { name: "All events" }).click();
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    assert.deepEqual(Object.keys(params(page)), ["view"]);
  }));

test("older ones come as one scrolls, down to the first", () =>
  look("/?view=log&kind=entity_registered,device_registered,system,area_registered", async (page) => {
    const all = await positions({ kinds: ["entity_registered", "device_registered", "system", "area_registered"] });
    assert.ok(all.length > 400, "more than come at once");
    assert.deepEqual(await shownPositions(page), all);
    await page.getByText("That is all").waitFor();
  }));

test("a link to an event leads to it, in what was around it", () =>
  look("/?view=log", async (page) => {
    const row = page.locator(".log-row").nth(3);
    await row.waitFor();
    const position = await row.getAttribute("data-position");
    await row.getByRole("link", { name: `@${position}` }).click();
    await eventually(() => assert.equal(params(page).position, position));
    for (const wanted of [position, "5000", "1"]) {
      await visit(page, `/?view=log&position=${wanted}`);
      const marked = page.locator('.log-row[aria-current="true"]');
      await marked.waitFor();
      assert.equal(await marked.getAttribute("data-position"), wanted);
      assert.equal(await marked.count(), 1);
      await eventually(async () => assert.ok(await marked.evaluate((e) => e.getBoundingClientRect().top >= 0 && e.getBoundingClientRect().bottom <= innerHeight), `@${wanted} is not in sight`));
      const [top, middle] = [Number(await newest(page)), Number(wanted)];
      assert.ok(top > middle, "what came after it is there, too");
    }
    const kind = await page.locator('.log-row[aria-current="true"] .log-kind').getAttribute("data-kind");
    const [first] = await house.list("LogService/Read", { limit: "1" }, "events");
    assert.equal(kind, first.kind);
    await page.getByRole("button", { name: "Go to the newest" }).click();
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
  }));

test("in the past the log ends there", () =>
  look("/?view=log&at=@4321", async (page) => {
    await arrived(page);
    await eventually(async () => assert.equal(await newest(page), "4321"));
    const [stopped] = await Promise.all([newest(page), house.publish(...changes(3, 240))]);
    assert.equal(stopped, "4321");
    assert.equal(await page.getByRole("button", { name: "Pause", exact: true }).filter({ hasText: "Pause" }).count(), 0);
    assert.deepEqual(await shownPositions(page, "4000"), await positions({ until: "4321" }, (await shownPositions(page, "4000")).length));
  }));

test("a log whose first page was lost on its way is there after all", async () => {
  const position = (await house.position()) - 50;
  for (const address of [`/?view=log&at=@${position}`, "/?view=log"]) {
    await look(
      "/",
      async (page) => {
        let lost = 0;
        await page.route("**/statehouse.v1.LogService/Read", (route) => (route.request().postData().includes('"backward":true') && lost++ === 0 ? route.abort() : route.continue()));
        await visit(page, address);
        await eventually(() => assert.ok(lost > 0));
        const first = address.includes("at=") ? position : await house.position();
        await eventually(async () => assert.equal(await newest(page), String(first)));
        assert.equal(await page.locator('#view [role="alert"]').count(), 0);
      },
      { allow: /Failed to load resource/ },
    );
  }
});

/** A message of a stream, as it goes over the wire. */
const framed = (message, flags = 0) => {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5, flags);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, text]);
};

test("who asks for older events and goes back to the newest misses none between", () =>
  look("/", async (page) => {
    // A log that is as long as what the page keeps, and longer.
    const recordedAt = new Date().toISOString();
    const events = (until, n) => Array.from({ length: n }, (_, i) => ({ position: String(until - i), recordedAt, kind: "state_reported", payload: { stateReported: {} } }));
    let pages = 0;
    let asked;
    const under = new Promise((done) => (asked = done));
    let go;
    const allowed = new Promise((done) => (go = done));
    await page.route("**/statehouse.v1.LogService/Read", async (route) => {
      const { backward, query } = JSON.parse(route.request().postData().slice(5));
      if (!backward) return route.continue();
      if (++pages === 2) {
        asked();
        await allowed;
      }
      await route.fulfill({ status: 200, contentType: "application/connect+json", body: Buffer.concat([framed({ events: events(Number(query.until), pages === 1 ? 20_000 : 200) }), framed({}, 2)]) });
    });
    const head = await house.position();
    await visit(page, "/?view=log");
    await eventually(async () => assert.equal(await newest(page), String(head)));
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await under;
    await page.evaluate(() => scrollTo(0, 0));
    await drawn(page);
    await house.publish(...changes(5, 20));
    await eventually(async () => assert.equal(await newest(page), String(await house.position())));
    go();
    await eventually(async () => {
      // Where what was there ends, and what was asked for begins.
      await page.evaluate(() => scrollTo(0, 20_000 * 38));
      await drawn(page);
      const shown = (await page.locator(".log-row").evaluateAll((rows) => rows.map((row) => Number(row.dataset.position)))).sort((a, b) => b - a);
      assert.deepEqual(shown, Array.from({ length: shown.length }, (_, i) => shown[0] - i));
      assert.ok(shown[0] > head - 19_990 && shown.at(-1) < head - 20_005);
    });
  }));
