import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { scene, shownStates, visit } from "./browser.mjs";
import { meanings, wordsOf } from "./expected.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();

/** Every class that has words of its own, one that has none, one that nobody knows, and one that is a name in JavaScript. */
const classes = [...Object.keys(meanings), "", "of_my_own", "constructor"];
const idOf = (name) => `binary_sensor.of_class_${name || "none"}`;
const event = (name, attributes) => ({ entityId: idOf(name), payload: { stateChanged: { attributes: { availability: "AVAILABILITY_ONLINE", ...attributes } } } });
const both = (name) => (Object.hasOwn(meanings, name) ? meanings[name] : ["on", "off"]);

for (const deviceClass of classes) {
  const entity = { id: idOf(deviceClass), uniqueId: idOf(deviceClass), source: "test", name: `Of class ${deviceClass || "none"}`, deviceClass };
  await house.call("LogService/Append", { events: [{ entityId: entity.id, payload: { entityRegistered: { entity } } }] });
}
const say = (on) => house.call("LogService/Append", { events: classes.map((name) => event(name, { binarySensor: { on } })) });
await say(true);
const switched = await house.position();
await say(false);
const head = await house.position();

test("a binary sensor says what its device class means, and on or off where that means nothing", () =>
  look(`/?all=1&q=of_class&at=@${switched}`, async (page) => {
    for (const [i, address] of [`/?all=1&q=of_class&at=@${switched}`, "/?all=1&q=of_class"].entries()) {
      await visit(page, address);
      const wanted = Object.fromEntries(classes.map((name) => [idOf(name), both(name)[i]]));
      await eventually(async () => assert.deepEqual(Object.fromEntries(Object.entries(await shownStates(page)).map(([id, { text }]) => [id, text])), wanted));
    }
    // It is as much on as before.
    assert.equal(await page.locator(`.now-entry[data-entity="${idOf("door")}"] .state`).getAttribute("data-sort"), "off");
  }));

test("so it does in the log, among differences, and among causes", () =>
  look(`/?view=log&id=${classes.map(idOf).join()}&kind=state_changed`, async (page) => {
    await page.setViewportSize({ width: 1280, height: 3000 });
    const rows = () => page.locator(".log-row .log-what").allTextContents();
    const wanted = [1, 0].flatMap((i) => classes.toReversed().map((name) => `Of class ${name || "none"} ${both(name)[i]}`));
    await eventually(async () => assert.deepEqual(await rows(), wanted));

    await visit(page, `/?view=compare&a=@${switched}&b=@${head}`);
    for (const name of classes) {
      const states = page.locator(`.compare-row[data-entity="${idOf(name)}"] .change-states > .state`);
      await eventually(async () => assert.deepEqual(await states.allTextContents(), both(name)));
    }
    for (const name of ["moisture", "of_my_own"]) {
      const [on, off] = both(name);
      await visit(page, `/?view=why&id=${idOf(name)}`);
      await page.getByRole("heading", { name: `Why is Of class ${name} ${off}?` }).waitFor();
      const card = page.locator(".why-card").last();
      await card.getByRole("heading", { name: `Of class ${name}: ${off}` }).waitFor();
      assert.deepEqual(await card.locator(".change-states > .state").allTextContents(), [on, off]);
      assert.equal(await card.locator(".why-part", { hasText: "It saw" }).locator(".state").textContent(), on);
    }
  }));

test("so it does in its own view, where the word that is recorded stands, too", () =>
  look("/", async (page) => {
    // What is drawn of words can be read nowhere else.
    await page.evaluate(() => {
      window.drawn = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        window.drawn.push(text);
        return fillText.call(this, text, ...place);
      };
    });
    const id = idOf("door");
    const { asOf } = await house.call("TimelineService/Resolve", { at: { position: String(switched) } });
    const time = Date.parse(asOf.recordedAt);
    // In a window of seconds the words have room.
    const iso = (t) => new Date(t).toISOString();
    await visit(page, `/?view=entity&id=${id}&from=${iso(time - 1000)}&to=${iso(time + 2000)}`);
    await page.locator(".entity-state .state", { hasText: "closed" }).waitFor();
    const words = page.locator(".entity-figures .entity-word");
    await eventually(async () => assert.deepEqual((await words.allTextContents()).sort(), ["closed", "open", "unknown"]));
    await page.locator(".entity-figures .entity-value", { hasText: "closed" }).waitFor();
    assert.deepEqual((await page.locator(".entity-table .entity-what b").allTextContents()).slice(0, 2), ["closed", "open"]);
    await eventually(async () => assert.ok((await page.evaluate(() => window.drawn)).includes("closed"), "the band says something else"));
    assert.ok(!(await page.evaluate(() => window.drawn)).includes("off"));

    const known = page.getByRole("region", { name: "Attributes" });
    assert.equal(await known.locator("dt", { hasText: "recorded as" }).locator("xpath=following-sibling::dd[1]").textContent(), "off");
    const download = async (name) => {
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return readFileSync(await file.path(), "utf8");
    };
    assert.deepEqual(
      JSON.parse(await download("JSON")).slice(0, 2).map((r) => r.state),
      ["off", "on"],
    );
    assert.match((await download("CSV")).split("\r\n")[1], new RegExp(`^${id},.*,state_changed,off,closed,`));
  }));

test("words of other domains are what they were", async () => {
  const others = [...(await house.states()).values()].filter((s) => s.deviceClass && !s.entityId.startsWith("binary_sensor."));
  assert.ok(others.length > 20);
  await look("/?all=1", async (page) => {
    const shown = await shownStates(page);
    for (const s of others) assert.equal(shown[s.entityId].text, wordsOf(s), s.entityId);
  });
});
