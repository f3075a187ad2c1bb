import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { arrived, params, scene } from "./browser.mjs";
import { wordsOf } from "./expected.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const lamp = "switch.tv_plug";
const power = "sensor.tv_plug_power";
const entity = (id, more = "range=all") => `/?view=entity&id=${id}&${more}`;
const events = (page) => page.locator(".entity-table h3");

/** What the server says of an entity's history: the steps, oldest first, and the state before them. */
async function history(entityId, from, to) {
  const moment = (time) => ({ time: new Date(time).toISOString() });
  const parts = await house.stream("TimelineService/History", { entityId, ...(from !== undefined && { from: moment(from) }), ...(to !== undefined && { to: moment(to) }) });
  return { start: parts[0].start, steps: parts.flatMap((p) => p.steps ?? []) };
}

/** The rows of the table, of all its pages. */
async function rows(page) {
  const all = [];
  for (;;) {
    all.push(
      ...(await page.locator(".entity-table tbody tr").evaluateAll((list) =>
        list.map((tr) => ({
          position: tr.dataset.position,
          recordedAt: tr.querySelector("time").getAttribute("datetime"),
          what: tr.querySelector(".entity-what b").textContent,
          source: tr.querySelector(".entity-source").title,
        })),
      )),
    );
    const older = page.getByRole("button", { name: "Older", exact: true });
    if ((await older.count()) === 0 || (await older.isDisabled())) return all;
    await older.click();
  }
}

/** What a step has to look like in the table. */
const rowOf = ({ event }) => ({ position: event.position, recordedAt: event.recordedAt, source: event.source });
const withoutWords = ({ what, ...row }) => row;

/** A file as RFC 4180 has it. */
function parse(text) {
  const lines = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    lines.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "\r\n") lines.push([]);
    if (end === "") break;
  }
  return lines.slice(0, -1);
}

/** Where something is in the plot, at a share of its width. */
async function place(page, share) {
  const { x, y, width, height } = await page.locator(".plot-canvas").boundingBox();
  return [x + 60 + (width - 100) * share, y + height / 3];
}

test("the table is the history that the server has, newest first", () =>
  look(entity(power), async (page) => {
    const { steps } = await history(power);
    assert.ok(steps.length > 100);
    const wanted = steps.toReversed();
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${steps.length} events`)));
    const shown = await rows(page);
    assert.deepEqual(shown.map(withoutWords), wanted.map(rowOf));
    const unit = (await house.states()).get(power).unit;
    wanted.forEach((step, i) => step.event.kind === "state_changed" && assert.equal(shown[i].what, wordsOf({ text: step.after.text, unit }), step.event.position));
    assert.equal(await page.locator(".entity-state .state").textContent(), wordsOf((await house.states()).get(power)));
  }));

test("what is downloaded as CSV and as JSON is that history", () =>
  look(entity(lamp), async (page) => {
    const { steps } = await history(lamp);
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${steps.length} events`)));
    const download = async (name) => {
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      assert.equal(file.suggestedFilename(), `${lamp}.${name.toLowerCase()}`);
      return readFileSync(await file.path(), "utf8");
    };
    const [columns, ...lines] = parse(await download("CSV"));
    const got = lines.map((line) => Object.fromEntries(columns.map((name, i) => [name, line[i]])));
    const wanted = steps.toReversed().map(({ event, after }) => ({
      entity: lamp,
      recorded_at: event.recordedAt,
      timestamp: event.timestamp,
      position: event.position,
      kind: event.kind,
      state: after?.text ?? "",
      source: event.source,
      cause_position: event.causePosition ?? "",
      attributes: after?.attributes ?? "",
    }));
    assert.deepEqual(
      got.map(({ what, attributes, ...row }) => ({ ...row, attributes: attributes && JSON.parse(attributes) })),
      wanted,
    );
    const json = JSON.parse(await download("JSON"));
    assert.deepEqual(
      json.map((r) => r.event),
      steps.toReversed().map((s) => s.event),
    );
  }));

test("the figures are those of the history, and count the time that a value held", () =>
  look(entity(power), async (page) => {
    const { steps } = await history(power);
    const numbers = steps.map((s) => Number(s.after?.text)).filter(Number.isFinite);
    const unit = (await house.states()).get(power).unit;
    const written = (n) => `${new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 5 }).format(n)}\u202f${unit}`;
    const figures = page.locator(`.entity-figures li[data-series="${power}"] .entity-numbers span`);
    await eventually(async () => {
      const all = await figures.allTextContents();
      assert.equal(all[0], `min ${written(Math.min(...numbers))}`);
      assert.equal(all[2], `max ${written(Math.max(...numbers))}`);
      assert.equal(all[3], `last ${written(numbers.at(-1))}`);
    });
  }));

test("a window in which nothing happened has the state that it began with", async () => {
  const { steps } = await history(lamp);
  const times = steps.map((s) => Date.parse(s.event.recordedAt));
  const known = [...steps.keys()].filter((i) => i + 1 < steps.length && ["on", "off"].includes(steps[i].after?.text));
  const longest = known.reduce((best, i) => (times[i + 1] - times[i] > times[best + 1] - times[best] ? i : best));
  const gap = times[longest + 1] - times[longest];
  const [from, to] = [times[longest] + Math.ceil(gap / 3), times[longest] + Math.floor((2 * gap) / 3)];
  const { start, steps: none } = await history(lamp, from, to);
  assert.equal(none.length, 0);
  assert.equal(start.state.text, steps[longest].after.text);
  const iso = (t) => new Date(t).toISOString();
  await look(entity(lamp, `from=${iso(from)}&to=${iso(to)}`), async (page) => {
    await eventually(async () => assert.match(await events(page).textContent(), /^0 events/));
    const series = page.locator(`.entity-figures li[data-series="${lamp}"]`);
    assert.equal(await series.locator(".entity-value").textContent(), start.state.text);
    assert.match(await series.locator(".entity-numbers").textContent(), new RegExp(`^\\s*${start.state.text} 100`));
  });
});

test("several entities are laid over each other, in the address, too", () =>
  look(entity(power), async (page) => {
    const add = page.getByLabel("Lay another entity over it");
    await add.fill("sensor.nobody");
    await add.press("Enter");
    await page.getByRole("alert").getByText("There is no entity sensor.nobody").waitFor();
    await add.fill(lamp);
    await add.press("Enter");
    await eventually(() => assert.equal(params(page).with, lamp));
    const both = [...(await history(power)).steps, ...(await history(lamp)).steps].map(rowOf).sort((a, b) => Number(b.position) - Number(a.position));
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${both.length} events`)));
    assert.deepEqual((await rows(page)).map(withoutWords), both);
    const series = page.locator(".entity-figures li");
    assert.deepEqual(await series.evaluateAll((list) => list.map((li) => li.dataset.series)), [power, lamp]);
    await page.reload();
    await eventually(async () => assert.equal(await series.count(), 2));
    await page.getByRole("button", { name: /^Take .* out$/ }).click();
    await eventually(() => assert.equal(params(page).with, undefined));
    await eventually(async () => assert.equal(await series.count(), 1));
  }));

test("zooming shows what happened in the window alone, and a double click goes back", () =>
  look(entity(power), async (page) => {
    const { steps } = await history(power);
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${steps.length} `)));
    const inside = async () => {
      const { from, to } = params(page);
      const [a, b] = [Date.parse(from), to ? Date.parse(to) : Infinity];
      const within = steps.filter((s) => Date.parse(s.event.recordedAt) > a && Date.parse(s.event.recordedAt) <= b).map((s) => s.event.position);
      const shown = (await rows(page)).map((r) => r.position).reverse();
      // At the edges a millisecond is what an address can tell.
      const middle = (all) => all.slice(1, -1);
      for (const p of middle(within)) assert.ok(shown.includes(p), `@${p} is missing`);
      for (const p of middle(shown)) assert.ok(within.includes(p), `@${p} is outside`);
      return within.length;
    };
    const [x1, y] = await place(page, 0.02);
    const [x2] = await place(page, 0.4);
    await page.mouse.move(x1, y);
    await page.mouse.down();
    await page.mouse.move(x2, y, { steps: 6 });
    await page.mouse.up();
    await eventually(() => assert.ok(params(page).from && params(page).to));
    await eventually(inside);
    const before = Date.parse(params(page).to) - Date.parse(params(page).from);
    await page.getByRole("button", { name: /A shorter stretch/ }).click();
    await eventually(() => assert.ok(Date.parse(params(page).to) - Date.parse(params(page).from) < before * 0.6));
    await eventually(inside);
    await page.mouse.dblclick(x1 + 50, y);
    await eventually(() => assert.equal(params(page).from, undefined));
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${steps.length} `)));
  }));

test("a click in the plot looks at that moment", () =>
  look(entity(lamp), async (page) => {
    const { steps } = await history(lamp);
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${steps.length} `)));
    const before = await page.evaluate(() => [document.documentElement.dataset.when, location.search]);
    assert.equal(before[0], "now");
    const [x, y] = await place(page, 0.03);
    await page.mouse.move(x, y);
    const pointed = await page.locator(".entity-when b").textContent();
    await page.mouse.click(x, y);
    await eventually(() => assert.ok(params(page).at));
    await arrived(page);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.when), "then");
    const clock = new Date(params(page).at).toLocaleTimeString("en-GB", { timeZone: "Europe/Berlin" });
    assert.ok(pointed.endsWith(clock), `${pointed} was pointed at, and ${clock} is looked at`);
    const { state } = await house.call("StateService/Get", { entityId: lamp, at: { time: params(page).at } }).catch(() => ({}));
    await eventually(async () => assert.equal(await page.locator(".entity-state .state").textContent().catch(() => undefined), state && wordsOf(state)));
    // The table ends there, and nothing acts on the present.
    const until = steps.filter((s) => Date.parse(s.event.recordedAt) <= Date.parse(params(page).at));
    await eventually(async () => assert.match(await events(page).textContent(), new RegExp(`^${until.length} events? up to this moment`)));
    assert.equal(await page.locator(".controls, .toggle").count(), 0);
  }));

test("what happens is added while one looks", () =>
  look(entity(lamp), async (page) => {
    await eventually(async () => assert.match(await events(page).textContent(), /events/));
    for (const state of ["ON", "OFF", "ON"]) {
      await house.publish(["zigbee2mqtt/tv_plug", { state }]);
      const is = await house.until(lamp, (s) => s.text === state.toLowerCase());
      await eventually(async () => assert.equal(await page.locator(".entity-table tbody tr").first().getAttribute("data-position"), is.position));
      assert.equal(await page.locator(".entity-state .state").textContent(), is.text);
    }
    const { steps } = await history(lamp);
    assert.deepEqual((await rows(page)).map(withoutWords), steps.toReversed().map(rowOf));
  }));

test("attributes, device and topic are there, and an entity that is not is said to be none", () =>
  look(entity("light.ceiling_1"), async (page) => {
    const facts = page.getByRole("region", { name: "Registry" });
    await facts.getByText("zigbee2mqtt/ceiling_1", { exact: true }).waitFor();
    const { attributes } = (await house.states()).get("light.ceiling_1");
    const known = page.getByRole("region", { name: "Attributes" });
    await known.getByText(new RegExp(`^${attributes.light.brightness} `)).waitFor();
    await page.goto(`${house.url}${entity("light.nobody")}`);
    await page.getByText("There is no entity").waitFor();
  }));

/** A message of a stream, as it goes over the wire. */
const framed = (message, flags = 0) => {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5, flags);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, text]);
};
/** Whether a history is asked for what is new in it. */
const goesOn = (route) => /"from":\{"position"/.test(route.request().postData());

test("a row is there once, also where what came of it is lost on its way", () =>
  look(
    entity("light.ceiling_1"),
    async (page) => {
      await page.locator(".entity-table tbody tr").first().waitFor();
      let cut = 0;
      await page.route("**/statehouse.v1.TimelineService/History", async (route) => {
        const response = await route.fetch();
        const body = await response.body();
        // What says that this was all is missing.
        if (goesOn(route) && !cut++) await route.fulfill({ response, body: body.subarray(0, -7) });
        else await route.fulfill({ response, body });
      });
      await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 51 }]);
      await eventually(() => assert.ok(cut > 0));
      await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 52 }]);
      const { steps } = await history("light.ceiling_1");
      await eventually(async () => assert.equal(Number((await events(page).textContent()).split(" ")[0]), steps.length));
      const positions = (await rows(page)).map((r) => r.position);
      assert.equal(new Set(positions).size, positions.length);
    },
    { allow: /Failed to load resource/ },
  ));

test("a page that stays open keeps as many events of an entity as it says, and says from when on", () =>
  look(entity("light.ceiling_1"), async (page) => {
    await page.locator(".entity-table tbody tr").first().waitFor();
    let came = 0;
    await page.route("**/statehouse.v1.TimelineService/History", async (route) => {
      if (!goesOn(route) || came) return route.continue();
      const head = await house.position();
      came = 199_990;
      const recordedAt = new Date().toISOString();
      const step = (_, i) => ({ event: { position: String(head + i + 1), recordedAt, kind: "state_reported", entityId: "light.ceiling_1", payload: { stateReported: {} } }, after: { text: "on" } });
      const steps = Array.from({ length: came }, step);
      const parts = Array.from({ length: 50 }, (_, i) => framed({ steps: steps.slice(i * 4000, (i + 1) * 4000) }));
      await route.fulfill({ status: 200, contentType: "application/connect+json", body: Buffer.concat([framed({ start: { to: { position: String(head + came) } } }), ...parts, framed({}, 2)]) });
    });
    await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 53 }]);
    await page.locator("[data-cut]").waitFor();
    await eventually(async () => assert.match(await events(page).textContent(), /^200,000 events/));
  }));
