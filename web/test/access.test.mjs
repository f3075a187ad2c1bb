import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { arrived, drawn, params, scene, visit } from "./browser.mjs";
import { eventually } from "./house.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { house, look } = await scene();

// Something that is waited for, something that failed, something that cannot be reached: all that looks different.
await house.call("CommandService/Call", { entityId: "light.ceiling_1", action: "turn_on", timeout: "3600s" });
const failed = await house.call("CommandService/Call", { entityId: "light.ceiling_2", action: "turn_on", timeout: "0.1s", wait: true });
await house.publish(["zigbee2mqtt/bathroom_climate/availability", { state: "offline" }]);
await house.until("sensor.bathroom_climate_temperature", (s) => s.text === "unavailable");
const head = await house.position();

/** Every view, with what has to be there before one looks. */
const views = {
  house: ["all=1", ".now-entry"],
  "a switch of which nothing is known": ["q=double_wall", ".now-entry"],
  "filters of the house": ["where=nonsense&q=nobody", ".now-wrong"],
  "a lamp": ["view=entity&id=light.ceiling_1&range=all&with=switch.tv_plug", ".entity-table tr"],
  "a number": ["view=entity&id=sensor.tv_plug_power&range=all", ".entity-table tr"],
  compare: [`view=compare&a=@8000&b=@9000`, ".compare-row"],
  why: [`view=why&position=${failed.settledPosition}`, ".why-card"],
  "what to ask": ["view=why", ".why-recent li"],
  log: ["view=log", ".log-row"],
  health: ["view=health", ".health-rate"],
};
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/** What axe has against the page, in a line each. */
async function violations(page, rules) {
  const found = await page.evaluate(
    async (rules) => {
      const only = rules ? { type: "rule", values: rules } : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] };
      return (await window.axe.run(document, { runOnly: only, resultTypes: ["violations"] })).violations;
    },
    rules,
  );
  return found.flatMap((v) => v.nodes.slice(0, 3).map((n) => `${v.id}: ${n.html.slice(0, 160)} (${n.any.concat(n.all, n.none).map((c) => c.message)[0]})`));
}

/** Nothing of the page is beyond its right edge. */
const wide = (page) =>
  page.evaluate(() => {
    const most = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= most) return [];
    return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > most + 1).slice(0, 5).map((e) => `${e.tagName}.${e.className}: ${e.getBoundingClientRect().right}`);
  });

for (const [size, viewport] of Object.entries(sizes)) {
  test(`no view has what axe finds, light or dark, now or then: ${size}`, () =>
    look(
      "/",
      async (page) => {
        await page.evaluate(axe);
        const found = [];
        for (const [name, [query, selector]] of Object.entries(views)) {
          for (const at of ["", `&at=@${head}`]) {
            await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
            await visit(page, `/?${query}${at}`);
            await page.locator(selector).first().waitFor();
            await arrived(page);
            const where = `${name}, ${at ? "then" : "now"}`;
            found.push(...(await violations(page)).map((v) => `${where}: ${v}`));
            found.push(...(await wide(page)).map((v) => `${where} is too wide: ${v}`));
            await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
            await drawn(page);
            found.push(...(await violations(page, ["color-contrast"])).map((v) => `${where}, dark: ${v}`));
          }
        }
        assert.deepEqual(found, []);
      },
      { viewport, bypassCSP: true, allow: /Failed to load resource/ },
    ));
}

test("the login and the dialogs have nothing of that, either", async () => {
  await look(
    "/",
    async (page) => {
      await page.evaluate(axe);
      await page.getByLabel("Token").waitFor();
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await violations(page), [], colorScheme);
      }
    },
    { signedIn: false, bypassCSP: true },
  );
  await look(
    "/",
    async (page) => {
      await page.evaluate(axe);
      for (const name of ["Keys", "Go to a moment"]) {
        await page.getByRole("button", { name, exact: true }).click();
        await page.getByRole("dialog").waitFor();
        for (const colorScheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme });
          assert.deepEqual(await violations(page), [], `${name}, ${colorScheme}`);
        }
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "hidden" });
      }
    },
    { bypassCSP: true },
  );
});

test("what leads to new events has nothing of that, and is within reach", () =>
  look(
    "/?view=log",
    async (page) => {
      await page.evaluate(axe);
      await page.locator(".log-row").nth(20).waitFor();
      await page.evaluate(() => scrollTo(0, 900));
      await house.publish(["zigbee2mqtt/ceiling_2", { state: "ON", brightness: 1 }], ["zigbee2mqtt/ceiling_2", { state: "ON", brightness: 2 }]);
      const button = page.getByRole("button", { name: /^\d+ new events$/ });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        for (const viewport of Object.values(sizes)) {
          await page.setViewportSize(viewport);
          await button.waitFor();
          assert.deepEqual(await violations(page, colorScheme === "dark" ? ["color-contrast"] : undefined), [], colorScheme);
          assert.deepEqual(await wide(page), []);
          assert.ok(await button.evaluate((e) => e.contains(document.elementFromPoint(innerWidth / 2, e.getBoundingClientRect().top + 5))), "something covers it");
        }
      }
    },
    { bypassCSP: true },
  ));

/** What has the focus, one after the other, as one presses the tabulator, until it leaves the page. */
async function tabbed(page) {
  const all = [];
  for (let i = 0; i < 400; i++) {
    await page.keyboard.press("Tab");
    const now = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body || e === document.documentElement) return undefined;
      window.tabbed ??= new Set();
      // A field of a date and time has several places for the focus.
      if (e === [...window.tabbed].at(-1)) return { seen: true };
      if (window.tabbed.has(e)) return undefined;
      window.tabbed.add(e);
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(e);
      return { html: e.outerHTML.slice(0, 120), seen: (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none" };
    });
    if (!now) return all;
    all.push(now);
  }
  throw new Error("the tabulator leads nowhere");
}

test("the tabulator reaches every control in the order in which they stand, and one sees where it is", () =>
  look("/", async (page) => {
    for (const query of ["q=light.ceiling", "view=entity&id=cover.office_blind", "view=compare&a=@8999&b=@9000", "view=why&position=1204", "view=log&kind=area_registered", "view=health"]) {
      await page.goto(`${house.url}/?${query}`);
      await page.locator('.link[data-phase="ready"]').waitFor();
      await page.locator("#view h1, #view h2").first().waitFor();
      await eventually(async () => assert.equal(await page.locator('#view section[aria-busy="true"]').or(page.locator("#view p[role=status]", { hasText: /…$/ })).count(), 0));
      const reached = await tabbed(page);
      const missed = await page.evaluate(() => {
        const controls = "a[href], button, input, select, textarea, summary, [tabindex='0']";
        const shown = [...document.querySelectorAll(controls)].filter((e) => !e.disabled && e.checkVisibility({ visibilityProperty: true }) && !e.closest("dialog:not([open]), details:not([open]) > :not(summary)"));
        return shown.filter((e) => !window.tabbed.has(e)).map((e) => e.outerHTML.slice(0, 160));
      });
      assert.deepEqual(missed, [], query);
      assert.deepEqual(reached.filter((r) => !r.seen).map((r) => r.html), [], query);
      const disorder = await page.evaluate(() => {
        const all = [...window.tabbed];
        return all.slice(1).filter((e, i) => all[i].compareDocumentPosition(e) & Node.DOCUMENT_POSITION_PRECEDING).map((e) => e.outerHTML.slice(0, 120));
      });
      assert.deepEqual(disorder, [], query);
    }
  }));

test("the first thing is a link past the header", () =>
  look("/?q=light.ceiling_1", async (page) => {
    await page.locator(".now-entry").first().waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "view");
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.querySelector("#view").contains(document.activeElement)));
  }));

test("keys lead to the views, are listed, and are letters where one types", () =>
  look("/", async (page) => {
    await page.locator(".now-entry").first().waitFor();
    await page.keyboard.press("?");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    const listed = await dialog.locator("kbd").allTextContents();
    for (const key of ["?", "1", "2", "3", "4", "n", ",", ".", "[", "]", "space", "+", "-", "/"]) assert.ok(listed.includes(key), `${key} is not listed`);
    assert.equal(new Set(listed).size, listed.length, "a key is there twice");
    await page.keyboard.press("3");
    assert.equal(params(page).view, undefined, "keys do nothing below a dialog");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    for (const [key, view] of [["2", "compare"], ["3", "log"], ["4", "health"], ["1", undefined]]) {
      await page.keyboard.press(key);
      await eventually(() => assert.equal(params(page).view, view));
    }
    await page.locator("input[name=q]").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("3n?");
    assert.equal(await page.locator("input[name=q]").inputValue(), "3n?");
    assert.equal(params(page).view, undefined);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("input[name=q]").inputValue(), "");
    // A view may have a key for itself.
    await page.goto(`${house.url}/?view=entity&id=light.ceiling_1`);
    await page.locator(".entity-table").waitFor();
    await page.keyboard.press("?");
    const there = await dialog.locator("kbd").allTextContents();
    assert.equal(new Set(there).size, there.length, "a key is there twice");
    await dialog.getByText("A shorter stretch of the history").waitFor();
  }));

test("the colors are those of the system, or those that one chose", () =>
  look(
    "/",
    async (page) => {
      const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const brightness = async () => (await ground()).match(/\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0);
      assert.ok((await brightness()) < 200);
      await page.getByRole("button", { name: /^Colors: automatic/ }).click();
      await page.getByRole("button", { name: /^Colors: light/ }).waitFor();
      assert.ok((await brightness()) > 600);
      await page.reload();
      await page.getByRole("button", { name: /^Colors: light/ }).waitFor();
      assert.ok((await brightness()) > 600);
    },
    { colorScheme: "dark" },
  ));
