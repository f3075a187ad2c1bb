import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, drawn, scene } from "./browser.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const row = (page, id) => page.locator(`.now-entry[data-entity="${id}"]`);

/** Brings a lamp into a state that the device itself reports. */
async function report(name, state, more = {}) {
  await house.publish([`zigbee2mqtt/${name}`, { state, ...more }]);
  await house.until(`light.${name}`, (s) => s.text === state.toLowerCase() && !s.pending?.length);
}

/** What a lamp's row says from now on, each time that it is another thing than before. */
async function record(page, id) {
  await page.evaluate((id) => {
    const said = (window.said = []);
    const li = document.querySelector(`.now-entry[data-entity="${id}"]`);
    const look = () => {
      const toggle = li.querySelector(".toggle");
      const now = [toggle?.getAttribute("aria-checked"), toggle?.getAttribute("aria-busy"), li.querySelector(".state").dataset.sort, li.querySelector(".outcome")?.dataset.stage].join(" ");
      if (said.at(-1) !== now) said.push(now);
    };
    look();
    new MutationObserver(look).observe(li, { attributes: true, childList: true, subtree: true, characterData: true });
  }, id);
  return () => page.evaluate(() => window.said);
}

test("a switch shows a wish as pending and never as the state, until the device reports it", async () => {
  await report("ceiling_1", "OFF");
  await look("/?q=light.ceiling_1", async (page) => {
    const lamp = row(page, "light.ceiling_1");
    const toggle = lamp.getByRole("switch");
    await toggle.waitFor();
    const said = await record(page, "light.ceiling_1");
    assert.equal(await toggle.getAttribute("aria-checked"), "false");
    await toggle.click();
    const { pending } = await house.until("light.ceiling_1", (s) => s.pending?.length === 1);
    assert.equal(pending[0].action, "turn_on");
    await eventually(async () => assert.equal(await lamp.locator(".state").getAttribute("data-sort"), "pending"));
    await drawn(page);
    assert.equal(await toggle.getAttribute("aria-checked"), "false");
    assert.equal(await toggle.getAttribute("aria-busy"), "true");
    for (const now of await said()) assert.match(now, /^false /, `a lamp that is off was shown as on: ${(await said()).join("; ")}`);

    await report("ceiling_1", "ON");
    await lamp.getByText("done").waitFor();
    assert.equal(await toggle.getAttribute("aria-checked"), "true");
    assert.equal(await toggle.getAttribute("aria-busy"), "false");
    assert.equal(await lamp.locator(".state").getAttribute("data-sort"), "on");
    // It was on no sooner than it was not waited for any more, or was on while that was still to be said.
    assert.ok(!(await said()).some((now) => /^true .* failed$/.test(now)));
    await lamp.locator(".outcome").waitFor({ state: "detached" });
  });
});

test("a switch of which nothing is known looks neither on nor off, and can be switched", async () => {
  const id = "switch.double_wall_switch_left";
  await house.until(id, (s) => s.text === "unknown");
  await look(`/?q=${id}`, async (page) => {
    // A switch of ARIA is on or off: a screen reader would say of a mixed one that it is off.
    const toggle = row(page, id).locator(".toggle");
    await toggle.waitFor();
    assert.equal(await toggle.getAttribute("aria-checked"), "mixed");
    assert.equal(await toggle.getAttribute("role"), "checkbox");
    assert.match(await toggle.getAttribute("title"), /^not known/);
    const looks = () => toggle.evaluate((e) => [getComputedStyle(e, "::before"), getComputedStyle(e, "::after")].map((s) => [s.left, s.borderStyle, s.backgroundColor].join(" ")).join(" | "));
    const seen = [await looks()];
    await toggle.click();
    const { pending } = await house.until(id, (s) => s.pending?.length === 1);
    assert.equal(pending[0].action, "turn_on");
    await eventually(async () => assert.equal(await toggle.getAttribute("aria-busy"), "true"));
    assert.equal(await toggle.getAttribute("aria-checked"), "mixed", "a wish is not the state");
    for (const state of ["ON", "OFF"]) {
      await house.publish(["zigbee2mqtt/double_wall_switch", { state_left: state }]);
      await house.until(id, (s) => s.text === state.toLowerCase() && !s.pending?.length);
      await eventually(async () => assert.equal(await toggle.getAttribute("aria-checked"), String(state === "ON")));
      assert.equal(await toggle.getAttribute("role"), "switch");
      await toggle.evaluate((e) => Promise.all(e.getAnimations({ subtree: true }).map((a) => a.finished)));
      seen.push(await looks());
    }
    assert.equal(new Set(seen).size, 3, seen.join("\n"));
  });
});

test("a command that nobody answers is a failure, with a link to why, and the state is what it was", async () => {
  await report("ceiling_2", "OFF");
  await look("/?q=light.ceiling_2", async (page) => {
    // The page leaves the time to the server. A shorter one is all that is different here.
    await page.route("**/statehouse.v1.CommandService/Call", (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), timeout: "1s" }) }));
    const lamp = row(page, "light.ceiling_2");
    await lamp.getByRole("switch").waitFor();
    const said = await record(page, "light.ceiling_2");
    await lamp.getByRole("switch").click();
    const failed = lamp.locator('.outcome[data-stage="failed"]');
    await failed.getByText("The device did not answer in time").waitFor();
    assert.equal(await lamp.getByRole("switch").getAttribute("aria-checked"), "false");
    assert.equal(await lamp.locator(".state").getAttribute("data-sort"), "off");
    for (const now of await said()) assert.match(now, /^false /);
    await failed.getByRole("link").click();
    await page.locator('.why-card[data-kind="command_issued"]').waitFor();
    await page.goBack();
    await failed.getByRole("button", { name: "Dismiss" }).click();
    await failed.waitFor({ state: "detached" });
  });
});

test("a command to an entity that is renamed meanwhile is asked about until it is settled, and no longer", async () => {
  const [id, newId] = ["light.sofa_lamp", "light.sofa_lamp_2"];
  await look(`/?q=${id}`, async (page) => {
    await page.route("**/statehouse.v1.CommandService/Call", (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), timeout: "2s" }) }));
    await row(page, id).locator(".toggle").click();
    await house.until(id, (s) => s.pending?.length === 1);
    await house.call("RegistryService/EditEntity", { entityId: id, newId });
    await house.until(newId, (s) => !s.pending?.length);
    const asked = () => page.requests.filter((r) => r.url().endsWith("LogService/Read") && r.postData().includes("command_settled")).length;
    // Each change of the house would be a reason to ask.
    for (let i = 0, before; i < 3 || asked() > before; i++) {
      before = asked();
      assert.ok(i < 12, "it is asked for ever");
      await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 40 + i }]);
      await house.until("light.ceiling_1", (s) => s.attributes.light.brightness === 40 + i);
      await drawn(page);
    }
  });
});

test("a refusal is said in the server's words", async () => {
  await house.publish(["zigbee2mqtt/desk_lamp/availability", { state: "online" }], ["zigbee2mqtt/desk_lamp", { state: "OFF" }]);
  await look(
    "/?q=light.desk_lamp",
    async (page) => {
      const lamp = row(page, "light.desk_lamp");
      await lamp.getByRole("switch").waitFor();
      // It goes away between the look and the hand.
      await page.route("**/statehouse.v1.CommandService/Call", async (route) => {
        await house.publish(["zigbee2mqtt/desk_lamp/availability", { state: "offline" }]);
        await house.until("light.desk_lamp", (s) => s.text === "unavailable");
        await route.continue();
      });
      await lamp.getByRole("switch").click();
      await lamp.locator('.state[data-sort="unavailable"]').waitFor();
      assert.equal(await lamp.getByRole("switch").count(), 0, "what cannot be reached is not offered");
      await house.publish(["zigbee2mqtt/desk_lamp/availability", { state: "online" }]);
      await lamp.locator(".outcome").getByText("offline").waitFor();
    },
    { allow: /Failed to load resource/ },
  );
});

test("the answer to a command comes late, and says nothing of the one after it", async () => {
  await report("ceiling_1", "OFF");
  await look("/?q=light.ceiling_1", async (page) => {
    const lamp = row(page, "light.ceiling_1");
    const toggle = lamp.getByRole("switch");
    let release;
    const released = new Promise((done) => (release = done));
    let recorded;
    const first = new Promise((done) => (recorded = done));
    let answered;
    const late = new Promise((done) => (answered = done));
    await page.route("**/statehouse.v1.CommandService/Call", async (route) => {
      const response = await route.fetch();
      recorded();
      await released;
      await route.fulfill({ response });
      answered();
    }, { times: 1 });
    const waiting = async (but) => (await house.until("light.ceiling_1", (s) => s.pending?.length && s.pending[0].position !== but)).pending[0].position;
    await toggle.click();
    await first;
    const position = await waiting();
    await toggle.click();
    await waiting(position);
    await report("ceiling_1", "ON");
    await lamp.getByText("done").waitFor();
    await lamp.locator(".outcome").waitFor({ state: "detached" });
    release();
    await late;
    await report("ceiling_1", "ON", { brightness: 33 });
    await drawn(page);
    await eventually(async () => assert.equal(await toggle.getAttribute("aria-busy"), "false"));
    assert.equal(await lamp.locator(".outcome").count(), 0, "a command that another one took the place of failed");
  });
});

test("an entity's view sets values, and shows those that the device reports", async () => {
  await report("ceiling_1", "ON", { brightness: 100 });
  await look("/?view=entity&id=light.ceiling_1", async (page) => {
    const controls = page.getByRole("region", { name: "Controls" });
    const brightness = controls.getByLabel("Brightness, as a number");
    await brightness.waitFor();
    assert.equal(await brightness.inputValue(), "100");
    await brightness.fill("200");
    await controls.locator("form", { has: page.getByLabel("Brightness, as a number") }).getByRole("button", { name: "Set" }).click();
    const { pending } = await house.until("light.ceiling_1", (s) => s.pending?.length === 1);
    assert.equal(pending[0].expected.light.brightness, 200);
    await controls.getByText(/Waits for the device/).waitFor();
    // The wish is not what the device says.
    await eventually(async () => assert.equal(await brightness.inputValue(), "100"));
    await page.getByRole("list", { name: "Commands that wait for their answers" }).getByText("brightness 200").waitFor();
    // The device counts to 254, and the house to 255.
    await report("ceiling_1", "ON", { brightness: 199 });
    await eventually(async () => assert.equal(await brightness.inputValue(), "200"));
    await controls.getByText("done").waitFor();
  });
});

test("a field that was emptied is no zero", async () => {
  await report("ceiling_1", "ON", { brightness: 100 });
  await look("/?view=entity&id=light.ceiling_1", async (page) => {
    const controls = page.getByRole("region", { name: "Controls" });
    const brightness = controls.getByLabel("Brightness, as a number");
    await brightness.waitFor();
    const before = await house.position();
    await brightness.fill("");
    await brightness.press("Enter");
    await controls.locator("form", { has: page.getByLabel("Brightness, as a number") }).getByRole("button", { name: "Set" }).click();
    // What is asked for next is asked for alone.
    await brightness.fill("120");
    await brightness.press("Enter");
    await house.until("light.ceiling_1", (s) => s.pending?.[0].expected.light.brightness === 120);
    const issued = await house.list("LogService/Read", { query: { after: String(before), kinds: ["command_issued"] } }, "events");
    assert.deepEqual(issued.map((e) => e.payload.commandIssued.arguments), [[{ name: "brightness", value: { intValue: "120" } }]]);
  });
});

test("in the past there is nothing to control", async () => {
  const position = await house.position();
  await look(`/?q=light.ceiling_1&at=@${position}`, async (page) => {
    await arrived(page);
    await row(page, "light.ceiling_1").waitFor();
    assert.equal(await page.locator(".toggle, .quick, .controls").count(), 0);
    for (const view of ["entity", "why"]) {
      await page.goto(`${house.url}/?view=${view}&id=light.ceiling_1&at=@${position}`);
      await page.locator("h1").first().waitFor();
      await arrived(page);
      assert.equal(await page.locator(".toggle, .quick, .controls").count(), 0, view);
    }
    await page.goto(`${house.url}/?q=light.ceiling_1`);
    await row(page, "light.ceiling_1").getByRole("switch").waitFor();
  });
});
