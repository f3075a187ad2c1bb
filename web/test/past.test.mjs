import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, drawn, params, scene, shownStates, visit } from "./browser.mjs";
import { expectedStates, sameEntries, withoutEvident } from "./expected.mjs";
import { eventually } from "./house.mjs";

const { house, look: lookWith } = await scene();
/** Most of the house is in sight at once: scrolling is not what is tested here. */
const look = (address, act) => lookWith(address, act, { viewport: { width: 1280, height: 2800 } });
const head = await house.position();
const when = (page) => page.evaluate(() => document.documentElement.dataset.when);
const status = (page) => page.locator(".timebar-status p");

/** A moment as an address has it, as procedures take it. */
const request = (at) => (at?.startsWith("@") ? { position: at.slice(1) } : at ? { time: at } : undefined);

/** Everything that is shown is of a moment, and the page says so. */
async function shows(page, at) {
  await arrived(page);
  const { asOf, states } = await house.moment(request(at));
  const said = await status(page).textContent();
  assert.equal(await when(page), at ? "then" : "now", at);
  assert.match(said, at ? /^Looking at / : /^Now/);
  assert.equal(await page.getByRole("button", { name: "Back to now" }).count(), at ? 1 : 0);
  if (at && asOf.position) assert.ok(said.includes(`@${asOf.position}`), `${said} for @${asOf.position}`);
  sameEntries(withoutEvident(await shownStates(page)), expectedStates(states, at ? Date.parse(asOf.recordedAt ?? 0) : Date.now()));
}

/** The moment that the page has come to rest at is in its address, and is what it shows. */
async function showsItsAddress(page) {
  await eventually(async () => assert.equal(Date.parse(params(page).at), Math.floor(Number(await page.locator(".timebar-bar").getAttribute("data-at")))));
  await shows(page, params(page).at);
}

/** When an event was recorded, in milliseconds since 1970, and as the server writes it. */
async function recorded(position) {
  const { asOf } = await house.call("TimelineService/Resolve", { at: { position: String(position) } });
  return asOf.recordedAt;
}

/** The nearest change of a state before or behind a position. */
async function neighbor(position, direction) {
  const query = { kinds: ["state_changed"], ...(direction > 0 ? { after: String(position) } : { until: String(position - 1) }) };
  const [event] = await house.list("LogService/Read", { query, backward: direction < 0, limit: "1" }, "events");
  return event && Number(event.position);
}

test("an address with a position, or with a time, is that moment", async () => {
  const middle = Math.floor(head / 2);
  const time = new Date(Date.parse(await recorded(middle)) + 1).toISOString();
  for (const at of [`@${middle}`, time, `@${head}`, "@1000"]) {
    await look(`/?all=1&at=${at}`, (page) => shows(page, at));
  }
});

test("at some random moments, one after the other, every state is as the server has it", () =>
  look("/?all=1", async (page) => {
    const first = Date.parse(await recorded(2));
    const last = Date.parse(await recorded(head));
    const visited = [];
    for (let i = 0; i < 10; i++) {
      // Some are close to the one before, since then only what differs is asked for.
      const before = visited.findLast((at) => at.startsWith("@"));
      const position = i % 3 === 2 && before ? Math.min(head, Math.max(1, Number(before.slice(1)) + Math.floor(Math.random() * 61) - 30)) : 1 + Math.floor(Math.random() * head);
      const at = i % 4 === 3 ? new Date(first + Math.floor(Math.random() * (last - first))).toISOString() : `@${position}`;
      visited.push(at);
      await visit(page, `/?all=1&at=${at}`);
      await shows(page, at).catch((err) => {
        err.message = `after ${visited.join(" ")}: ${err.message}`;
        throw err;
      });
    }
    await visit(page, "/?all=1");
    await eventually(() => shows(page, undefined));
  }));

test("who looks at many moments in a row sees the last one", () =>
  look("/?all=1", async (page) => {
    for (let i = 0; i < 5; i++) {
      const all = Array.from({ length: 20 }, () => `@${1 + Math.floor(Math.random() * head)}`);
      await page.evaluate((all) => {
        for (const at of all) {
          history.replaceState(null, "", `/?all=1&at=${at}`);
          dispatchEvent(new PopStateEvent("popstate"));
        }
      }, all);
      await shows(page, all.at(-1));
    }
  }));

test("before the first event there is nothing, and behind the last one there is an error", () =>
  look("/?all=1&at=@0", async (page) => {
    await page.getByText("At this moment the house had none.").waitFor();
    assert.equal(await when(page), "then");
    await visit(page, `/?all=1&at=@${head + 1_000_000}`);
    await page.locator('#view [role="alert"]').first().waitFor();
    assert.equal(await when(page), "then");
    assert.equal(await page.locator(".now-entry").count(), 0);
    await visit(page, `/?all=1&at=@${head}`);
    await shows(page, `@${head}`);
  }));

test("dragging the time bar takes the whole house along, and its moment is in the address", () =>
  look(`/?all=1&at=@${Math.floor(head / 2)}`, async (page) => {
    const bar = page.locator(".timebar-bar");
    // The recording alone is what is looked through.
    const span = () => bar.evaluate((e) => Number(e.dataset.to) - Number(e.dataset.from));
    await eventually(async () => assert.ok((await span()) > 0));
    while ((await span()) > 12_000) {
      const before = await span();
      await page.keyboard.press("+");
      await eventually(async () => assert.ok((await span()) < before));
    }
    const { x, y, width, height } = await bar.boundingBox();
    const to = (share) => page.mouse.move(x + width * share, y + height / 3, { steps: 8 });
    await to(0.5);
    const entries = await page.evaluate(() => history.length);
    await page.mouse.down();
    let before;
    for (const share of [0.4, 0.25, 0.6, 0.55]) {
      await to(share);
      // While it is held it comes to rest, and the address says so. The bar has a margin at both ends.
      const { from, to: end } = await bar.evaluate((e) => ({ from: Number(e.dataset.from), to: Number(e.dataset.to) }));
      const pixel = (end - from) / (width - 20);
      const wanted = from + (share * width - 10) * pixel;
      await eventually(() => assert.ok(Math.abs(Date.parse(params(page).at) - wanted) < 1.5 * pixel, `${params(page).at} is not at ${share} of the bar`));
      assert.equal(await when(page), "then");
      await showsItsAddress(page);
      before = params(page).at;
    }
    await page.mouse.up();
    await showsItsAddress(page);
    assert.equal(params(page).at, before);
    assert.equal(await page.evaluate(() => history.length), entries + 1, "a drag is one step of the browser's history");
    await page.goBack();
    await shows(page, `@${Math.floor(head / 2)}`);
    await page.goForward();
    await shows(page, before);
    await page.reload();
    await page.locator('.link[data-phase="ready"]').waitFor();
    await shows(page, before);
  }));

test("the bar's end is now, and keys move through it", () =>
  look("/?all=1", async (page) => {
    const bar = page.locator(".timebar-bar");
    await bar.focus();
    assert.equal(await bar.getAttribute("aria-valuetext"), "now");
    await page.keyboard.press("Home");
    await eventually(() => assert.ok(params(page).at));
    assert.equal(await when(page), "then");
    await page.keyboard.press("PageUp");
    await eventually(async () => assert.match(await bar.getAttribute("aria-valuetext"), /ago$/));
    await page.keyboard.press("End");
    await eventually(async () => assert.equal(await when(page), "now"));
    assert.equal(params(page).at, undefined);
    const { x, y, width, height } = await bar.boundingBox();
    await page.mouse.move(x + width / 2, y + height / 3);
    await page.mouse.down();
    await eventually(async () => assert.equal(await when(page), "then"));
    await page.mouse.move(x + width, y + height / 3, { steps: 5 });
    await page.mouse.up();
    await eventually(() => shows(page, undefined));
  }));

test("one steps from change to change, back and forth", () =>
  look(`/?all=1&at=@${head - 40}`, async (page) => {
    await arrived(page);
    let position = head - 40;
    for (const key of [",", ",", ".", ",", ".", "."]) {
      position = await neighbor(position, key === "," ? -1 : 1);
      await page.keyboard.press(key);
      await eventually(() => assert.equal(params(page).at, `@${position}`));
      await shows(page, `@${position}`);
    }
    await page.goBack();
    await eventually(() => assert.notEqual(params(page).at, `@${position}`));
    await shows(page, params(page).at);
    await visit(page, `/?all=1&at=@${head}`);
    await page.keyboard.press(".");
    await page.locator(".timebar-status").getByText("Nothing has changed since").first().waitFor();
    assert.equal(params(page).at, `@${head}`);
  }));

test("the past plays, and where it stops is what it says", async () => {
  const begin = await recorded(Math.floor(head / 4));
  await look(`/?all=1&at=${begin}`, async (page) => {
    await arrived(page);
    const speed = page.getByLabel("Speed", { exact: true });
    await speed.selectOption("1");
    await speed.blur();
    for (let i = 0; i < 2; i++) {
      const bar = page.locator(".timebar-bar");
      const before = Number(await bar.getAttribute("data-at"));
      await page.keyboard.press(" ");
      await page.getByRole("button", { name: "Pause" }).waitFor();
      await eventually(async () => assert.ok(Number(await bar.getAttribute("data-at")) > before + 300));
      await page.keyboard.press(" ");
      await page.getByRole("button", { name: "Play the past" }).waitFor();
      await showsItsAddress(page);
      assert.ok(Date.parse(params(page).at) > before);
    }
  });
});

test("who searches, or goes to another view, while the past plays stays in the moment that it has come to", async () => {
  const begin = await recorded(Math.floor(head / 4));
  await look(`/?all=1&at=${begin}`, async (page) => {
    await arrived(page);
    const bar = page.locator(".timebar-bar");
    const speed = page.getByLabel("Speed", { exact: true });
    await speed.selectOption("1");
    await speed.blur();
    // Time goes on, and never back.
    const at = async () => Number(await bar.getAttribute("data-at"));
    const goesOn = async (act) => {
      const before = await at();
      await eventually(async () => assert.ok((await at()) > before + 1000));
      await bar.evaluate((e) => {
        const said = (window.said = [Number(e.dataset.at)]);
        new MutationObserver(() => said.push(Number(e.dataset.at))).observe(e, { attributeFilter: ["data-at"] });
      });
      await act();
      const after = await at();
      await eventually(async () => assert.ok((await at()) > after + 100));
      assert.deepEqual(await page.evaluate(() => window.said.filter((time, i, all) => time < all[i - 1])), []);
    };
    await page.keyboard.press(" ");
    await goesOn(async () => {
      await page.getByLabel("Search by name, id, area or device").fill("ceiling_1");
      await eventually(() => assert.equal(params(page).q, "ceiling_1"));
    });
    await goesOn(() => page.locator(".now-name").first().click());
    assert.equal(params(page).view, "entity");
    await page.getByRole("button", { name: "Pause" }).click();
    await eventually(async () => assert.equal(Date.parse(params(page).at), Math.floor(await at())));
    assert.ok((await at()) > Date.parse(begin) + 2000);
  });
});

test("what plays up to the present is the present again", () =>
  look(`/?all=1&at=@${head}`, async (page) => {
    await arrived(page);
    await page.getByLabel("Speed", { exact: true }).selectOption("600");
    await page.getByRole("button", { name: "Play the past" }).click();
    await eventually(async () => assert.equal(await when(page), "now"), 60);
    await eventually(() => shows(page, undefined));
    assert.equal(params(page).at, undefined);
  }));

test("a moment can be chosen by its time or its position", () =>
  look("/?all=1", async (page) => {
    await page.getByRole("button", { name: "Go to a moment" }).click();
    await page.getByLabel("or position in the log").fill("1204");
    await page.getByRole("button", { name: "Go", exact: true }).click();
    await eventually(() => assert.equal(params(page).at, "@1204"));
    await shows(page, "@1204");
    await page.getByRole("button", { name: "Back to now" }).click();
    await eventually(() => shows(page, undefined));
  }));

test("what happens now does not show while one looks at the past, and does afterwards", () =>
  look(`/?all=1&at=@${head - 5}`, async (page) => {
    await shows(page, `@${head - 5}`);
    await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 42 }]);
    await house.until("light.ceiling_1", (s) => s.attributes.light.brightness === 42);
    await drawn(page);
    await shows(page, `@${head - 5}`);
    await page.keyboard.press("n");
    await eventually(() => shows(page, undefined));
  }));

test("on each view it is plain whether one looks at now or then", () =>
  look("/", async (page) => {
    const at = `@${head - 100}`;
    for (const view of ["", "view=entity&id=light.ceiling_1", "view=compare", "view=why&id=light.ceiling_1", "view=log", "view=health"]) {
      await visit(page, `/?${view}&at=${at}`);
      assert.equal(await when(page), "then", view);
      assert.match(await status(page).textContent(), /^Looking at /);
      // Health is of the present alone, and says so.
      if (view === "view=health") await page.getByText("as it is now").waitFor();
      await page.getByRole("button", { name: "Back to now" }).click();
      await eventually(async () => assert.equal(await when(page), "now", view));
      assert.match(await status(page).textContent(), /^Now/);
      assert.equal(params(page).at, undefined);
    }
  }));
