import assert from "node:assert/strict";
import { test } from "node:test";
import { params, scene, visit } from "./browser.mjs";
import { sameEntries, wordsOf } from "./expected.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const head = await house.position();

// What nobody would call a change is shown when it is asked for.
const quiet = new Set(["report", "entry"]);

const versionOf = (v) => (!v ? "not there" : v.disabled ? "disabled" : v.state ? wordsOf(v.state) : "—");

/** What a change has to look like: in which room, and what it was and is, where that is different. */
function rowOf({ entityId, before, after }) {
  const last = (after ?? before).state ?? {};
  // Two moments may read alike.
  const same = before && after && before.disabled === after.disabled && before.state?.text === after.state?.text && before.state?.unit === after.state?.unit;
  return [last.entityId ?? entityId, { room: last.areaName || "In no area", states: same ? [versionOf(after)] : [versionOf(before), versionOf(after)] }];
}

/** What the page lists as different. */
const listed = (page) =>
  page.locator(".compare-row").evaluateAll((list) =>
    list.map((li) => {
      const plain = (e) => {
        const copy = e.cloneNode(true);
        copy.querySelectorAll(".hidden").forEach((hidden) => hidden.remove());
        return copy.textContent;
      };
      return [
        li.dataset.entity,
        { room: li.closest(".compare-room").getAttribute("aria-label"), states: [...li.querySelectorAll(".change-states > .state, .change-states > i")].map(plain) },
      ];
    }),
  );

async function sameAsServer(page, from, to) {
  const changes = await house.list("TimelineService/Diff", { from, to }, "changes");
  const loud = changes.filter((c) => !c.what.every((w) => quiet.has(w)));
  await eventually(async () => {
    // Very many are not shown at once.
    const others = page.getByRole("button", { name: "Show the other" });
    if ((await others.count()) > 0) await others.click();
    const shown = await listed(page);
    assert.equal(shown.length, loud.length);
    sameEntries(Object.fromEntries(shown), Object.fromEntries(loud.map(rowOf)));
  });
  const said = loud.length === 0 ? "Nothing is different" : loud.length === 1 ? "1 entity is different" : `${loud.length} entities are different`;
  assert.match(await page.locator(".compare-summary").textContent(), new RegExp(`^${said}`));
  return changes;
}

test("what differs between two moments is what the server says, by room", () =>
  look(`/?view=compare&a=@3000&b=@9000`, async (page) => {
    const changes = await sameAsServer(page, { position: "3000" }, { position: "9000" });
    // Those that were only heard of again.
    const reported = changes.filter((c) => c.what.includes("report"));
    assert.ok(reported.length > 0);
    await page.locator('.compare-chips [data-kind="report"]').click();
    await eventually(async () => assert.deepEqual((await listed(page)).map(([id]) => id).sort(), reported.map((c) => c.entityId).sort()));
  }));

test("any two moments, also the later one first, the same one twice, and now", () =>
  look("/?view=compare", async (page) => {
    for (let i = 0; i < 6; i++) {
      const [a, b] = [1, 2].map(() => String(1 + Math.floor(Math.random() * head)));
      await visit(page, `/?view=compare&a=@${a}&b=@${b}`);
      await sameAsServer(page, { position: a }, { position: b });
    }
    await visit(page, "/?view=compare&a=@5000&b=@5000");
    await sameAsServer(page, { position: "5000" }, { position: "5000" });
    await visit(page, "/?view=compare&a=@11000&b=now");
    await sameAsServer(page, { position: "11000" }, { position: String(await house.position()) });
    await page.getByRole("button", { name: "Swap" }).click();
    await eventually(() => assert.equal(params(page).b, "@11000"));
    await sameAsServer(page, { position: String(await house.position()) }, { position: "11000" });
  }));

/** Has the server's answers wait: one hears when the first one was asked for, and lets all of them go. */
async function withhold(page) {
  let ask;
  let answer;
  const asked = new Promise((done) => (ask = done));
  const free = new Promise((done) => (answer = done));
  await page.route("**/statehouse.v1.TimelineService/Diff", async (route) => {
    ask();
    await free;
    await route.continue();
  });
  return { asked, answer };
}

test("what somebody types in a field of a moment stays, whatever is answered meanwhile", () =>
  look("/", async (page) => {
    const before = page.getByLabel("Before: position");
    const { asked, answer } = await withhold(page);
    await visit(page, "/?view=compare&a=@7000&b=@9000");
    await asked;
    await before.press("End");
    await before.pressSequentially("1");
    answer();
    await page.locator(".compare-row").first().waitFor();
    assert.equal(await before.inputValue(), "@70001");
    await before.press("Backspace");
    await before.press("Backspace");
    await before.pressSequentially("7");
    await before.press("Enter");
    await eventually(() => assert.equal(params(page).a, "@7007"));
    await sameAsServer(page, { position: "7007" }, { position: "9000" });
    assert.equal(await before.inputValue(), "@7007");

    // What is no position stays, too, until another moment is chosen.
    await before.fill("nonsense");
    await before.press("Enter");
    assert.equal(await before.evaluate((e) => e.validationMessage), "A position is a number, as in @1204.");
    await before.blur();
    assert.equal(await before.inputValue(), "nonsense");
    await page.locator('[data-side="before"] select').selectOption("the oldest moment");
    await eventually(async () => assert.equal(await before.inputValue(), params(page).a));
    assert.equal(await before.evaluate((e) => e.validationMessage), "");
  }));

test("a part of a date that somebody types stays, too, and is given up when one leaves it", () =>
  look("/", async (page) => {
    const day = page.getByLabel("After: day and time");
    const { asked, answer } = await withhold(page);
    await visit(page, "/?view=compare&a=@7000&b=@9000");
    await asked;
    await day.press("2");
    await day.press("3");
    answer();
    await page.locator(".compare-row").first().waitFor();
    assert.equal(await day.inputValue(), "");
    assert.ok(await day.evaluate((e) => e.validity.badInput), "the part that was typed is gone");
    await day.blur();
    await eventually(async () => assert.match(await day.inputValue(), /^\d{4}-/));
    assert.deepEqual(params(page), { view: "compare", a: "@7000", b: "@9000" });
  }));

test("one event lies between neighbors", () =>
  look("/?view=compare&a=@8999&b=@9000", (page) => page.locator(".compare-between").getByText(/ 1 event$/).waitFor()));

test("moments are chosen by position, and what differs is searched", () =>
  look("/?view=compare&a=@3000&b=@9000", async (page) => {
    await page.locator(".compare-row").first().waitFor();
    const before = page.getByLabel("Before: position");
    await before.fill("8000");
    await before.press("Enter");
    await eventually(() => assert.equal(params(page).a, "@8000"));
    await sameAsServer(page, { position: "8000" }, { position: "9000" });
    await page.getByLabel("Search in what differs").fill("tv_plug");
    await eventually(async () => {
      const ids = (await listed(page)).map(([id]) => id);
      assert.ok(ids.length > 0 && ids.every((id) => id.includes("tv_plug")), ids.join());
    });
  }));
