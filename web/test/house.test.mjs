import assert from "node:assert/strict";
import { test } from "node:test";
import { drawn, params, scene, shownStates } from "./browser.mjs";
import { expectedStates, sameEntries, withoutEvident, wordsOf } from "./expected.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const all = "/?all=1";
const row = (page, id) => page.locator(`.now-entry[data-entity="${id}"]`);
const stateIn = (page, id) => row(page, id).locator(".now-state .state");
const ids = async (page) => Object.keys(await shownStates(page)).sort();

/** The page shows what the server has, all of it and nothing else. */
const sameAsServer = (page) =>
  eventually(async () => sameEntries(withoutEvident(await shownStates(page)), expectedStates(await house.states())));

test("every state is shown, with its words, in its area and at its device", () =>
  look(all, async (page) => {
    await sameAsServer(page);
    assert.equal(await page.locator(".now-shown").textContent(), `${(await house.states()).size} entities`);
  }));

test("on a phone, too", () => look(all, sameAsServer, { viewport: { width: 390, height: 844 } }));

test("what is there for diagnosis and configuration is hidden unless it is wanted", () =>
  look("/", async (page) => {
    const registered = await house.list("RegistryService/List", {}, "entities");
    const aside = new Set(registered.filter((e) => e.category === "ENTITY_CATEGORY_DIAGNOSTIC" || e.category === "ENTITY_CATEGORY_CONFIG").map((e) => e.id));
    const everyday = [...(await house.states()).keys()].filter((id) => !aside.has(id)).sort();
    assert.ok(aside.size > 20 && everyday.length > 20);
    await eventually(async () => assert.deepEqual(await ids(page), everyday));
    await page.locator("input[name=all]").check();
    assert.equal(params(page).all, "1");
    await eventually(async () => assert.equal((await ids(page)).length, (await house.states()).size));
  }));

test("a search finds by name, id, area and device as one types", () =>
  look("/", async (page) => {
    const states = [...(await house.states()).values()];
    const found = (...words) =>
      states
        .filter((s) => words.every((w) => [s.name, s.entityId, s.areaName, s.deviceName].join("\n").toLowerCase().includes(w)))
        .map((s) => s.entityId)
        .sort();
    await page.keyboard.press("/");
    for (const text of ["kitchen", "Kitchen temp", "sensor.front_", "nothing of that"]) {
      await page.locator("input[name=q]").fill("");
      await page.keyboard.type(text);
      const wanted = found(...text.toLowerCase().split(" "));
      await eventually(async () => assert.deepEqual(await ids(page), wanted, text));
      await eventually(() => assert.equal(params(page).q, text));
    }
    await page.getByText("Nothing matches").waitFor();
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await eventually(async () => assert.ok((await ids(page)).length > 20));
    assert.equal(params(page).q, undefined);
  }));

test("a domain, and what is wrong, can be chosen, and are in the address", () =>
  look(all, async (page) => {
    await page.locator("select[name=domain]").selectOption("light");
    const states = [...(await house.states()).values()];
    const lights = states.map((s) => s.entityId).filter((id) => id.startsWith("light."));
    await eventually(async () => assert.deepEqual(await ids(page), lights.sort()));
    assert.equal(params(page).domain, "light");
    await page.locator("select[name=domain]").selectOption("");
    await page.getByRole("button", { name: /Problems/ }).click();
    const wrong = states.filter((s) => ["unknown", "unavailable"].includes(s.text)).map((s) => s.entityId);
    await eventually(async () => assert.deepEqual(await ids(page), wrong.sort()));
    await page.reload();
    await eventually(async () => assert.deepEqual(await ids(page), wrong.sort()));
  }));

test("an expression in CEL chooses, and what is wrong with one is said in the server's words", () =>
  look("/", async (page) => {
    await page.getByRole("button", { name: "Expression" }).click();
    const where = 'unit == "°C" && has(state.sensor.number) && state.sensor.number > 20';
    await page.locator("input[name=where]").fill(where);
    const chosen = (await house.list("StateService/List", { selection: { where } }, "states")).map((s) => s.entityId);
    assert.ok(chosen.length > 0);
    await eventually(async () => assert.deepEqual(await ids(page), chosen.sort()));

    const wrong = 'unit == "°C" && nonsense > 3';
    const message = await house.list("StateService/List", { selection: { where: wrong } }, "states").then(
      () => assert.fail("it was taken"),
      (err) => err.message.replace(/^StateService\/List: \w+: /, ""),
    );
    await page.locator("input[name=where]").fill(wrong);
    await page.locator(".now-wrong p", { hasText: message }).waitFor();
    assert.equal(await page.locator("input[name=where]").getAttribute("aria-invalid"), "true");
    // What it chose before stays until it is right again.
    assert.deepEqual(await ids(page), chosen);
  }));

test("a change is shown as it comes, and is said to the eye", () =>
  look(`${all}&q=ceiling_2`, async (page) => {
    const id = "light.ceiling_2";
    for (const state of ["ON", "OFF", "ON"]) {
      await row(page, id).waitFor();
      // A flash takes a second, and may be over before one looks.
      await page.evaluate((id) => {
        window.flashed = false;
        const li = document.querySelector(`.now-entry[data-entity="${id}"]`);
        new MutationObserver(() => (window.flashed ||= li.hasAttribute("data-flash"))).observe(li, { attributes: true, childList: true, subtree: true });
      }, id);
      await house.publish(["zigbee2mqtt/ceiling_2", { state, brightness: 99 }]);
      const now = await house.until(id, (s) => s.text === state.toLowerCase());
      await eventually(async () => assert.equal(await stateIn(page, id).textContent(), wordsOf(now)));
      await eventually(async () => assert.ok(await page.evaluate(() => window.flashed), "no flash"));
    }
    await page.locator("input[name=q]").fill("");
    await sameAsServer(page);
  }));

test("a name and an area that change are shown, and the entity moves", () =>
  look(all, async (page) => {
    await house.call("RegistryService/EditEntity", { entityId: "sensor.vindstyrka_pm25", name: "Dust in the <b>office</b>", areaId: "hall" });
    await eventually(async () => assert.equal((await shownStates(page))["sensor.vindstyrka_pm25"]?.area, "Hall"));
    await sameAsServer(page);
    await page.locator("input[name=q]").fill("<b>");
    await page.getByText("Dust in the <b>office</b>").waitFor();
  }));

test("unknown, unavailable, stale and pending are told apart, by more than a color", () =>
  look(all, async (page) => {
    await house.publish(["zigbee2mqtt/bathroom_climate/availability", { state: "offline" }]);
    await house.until("sensor.bathroom_climate_temperature", (s) => s.text === "unavailable");
    const yesterday = new Date(Date.now() - 26 * 3600_000).toISOString();
    await house.call("LogService/Append", {
      events: [{ entityId: "sensor.bedroom_climate_humidity", timestamp: yesterday, payload: { stateChanged: { attributes: { availability: "AVAILABILITY_ONLINE", sensor: { number: 44 } } } } }],
    });
    await house.call("CommandService/Call", { entityId: "light.ceiling_1", action: "turn_on", timeout: "600s" });
    await sameAsServer(page);
    const odd = {
      "sensor.bathroom_climate_temperature": "unavailable",
      "sensor.bedroom_climate_humidity": "stale",
      "light.ceiling_1": "pending",
      "climate.bath_trv": "unknown",
    };
    const looks = new Set();
    for (const [id, sort] of Object.entries(odd)) {
      const state = stateIn(page, id);
      // Rows that are not near the window are not there.
      await page.locator("input[name=q]").fill(id);
      await state.waitFor();
      await drawn(page);
      assert.equal(await state.getAttribute("data-sort"), sort);
      assert.ok(await state.getAttribute("title"), `nothing says what ${sort} means`);
      // What one sees without colors: the form of the letters, and what stands beside them.
      looks.add(
        await state.evaluate((e) => {
          const form = ({ fontStyle, fontWeight, textDecorationLine, textDecorationStyle, content, borderStyle, opacity, maskImage }) => [fontStyle, fontWeight, textDecorationLine, textDecorationStyle, content, borderStyle, opacity, maskImage].join();
          return [getComputedStyle(e), getComputedStyle(e, "::before"), getComputedStyle(e, "::after")].map(form).join(" | ");
        }),
      );
    }
    assert.equal(looks.size, 4, [...looks].join("\n"));
  }));

test("a page that stays open keeps nothing of what it waited for", () =>
  look(`/?where=${encodeURIComponent('domain == "light"')}`, async (page) => {
    await page.locator(".now-entry").first().waitFor();
    await page.evaluate(() => {
      const heard = (window.heard = new Map());
      const { addEventListener, removeEventListener } = AbortSignal.prototype;
      AbortSignal.prototype.addEventListener = function (type, listener, ...more) {
        heard.set(listener, this);
        return addEventListener.call(this, type, listener, ...more);
      };
      AbortSignal.prototype.removeEventListener = function (type, listener, ...more) {
        heard.delete(listener);
        return removeEventListener.call(this, type, listener, ...more);
      };
    });
    for (let i = 0; i < 5; i++) {
      const asked = page.waitForResponse(/StateService\/List/);
      await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 100 + i }]);
      await asked;
    }
    const listeners = () => page.evaluate(() => [...window.heard.values()].filter((signal) => !signal.aborted).length);
    await eventually(async () => assert.ok((await listeners()) > 0));
    assert.ok((await listeners()) < 3, `${await listeners()} listeners are left`);
  }));

test("ages, and what is there of a history, go by the server's clock, whatever the browser's says", () =>
  look("/", async (page) => {
    await page.addInitScript(() => {
      const { now } = Date;
      window.ahead = 26 * 3600_000;
      Date.now = () => now.call(Date) + window.ahead;
    });
    const changes = async (brightness) => {
      await house.publish(["zigbee2mqtt/ceiling_2", { state: "ON", brightness }]);
      return (await house.until("light.ceiling_2", (s) => s.attributes.light.brightness === brightness && !s.pending?.length)).position;
    };
    await changes(61);
    await page.goto(`${house.url}/?q=light.ceiling_2`);
    const row = page.locator('.now-entry[data-entity="light.ceiling_2"]');
    await row.locator('.state[data-sort="on"]').waitFor();
    await changes(62);
    await eventually(async () => assert.match(await row.locator(".now-age").textContent(), /^\d+ s$/));
    // It is set, and is behind now.
    await page.evaluate(() => (window.ahead = -600_000));
    await row.getByRole("link").first().click();
    const position = await changes(63);
    await eventually(async () => assert.equal(await page.locator(".entity-table tbody tr").first().getAttribute("data-position"), position));
    await page.getByText(/for \d+ s, heard of \d+ s ago/).waitFor();
  }));
