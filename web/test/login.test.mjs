import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, scene, shownStates, visit } from "./browser.mjs";
import { expectedStates, sameEntries, withoutEvident } from "./expected.mjs";

const { house, look } = await scene();
const signedOut = { signedIn: false, allow: /status of 401/ };
const ready = (page) => page.locator('.link[data-phase="ready"]');

async function signIn(page, token, keep = false) {
  await page.getByLabel("Token").fill(token);
  await page.getByLabel("Stay signed in").setChecked(keep);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Where the browser keeps something that has the token in it. */
const kept = (page, token) =>
  page.evaluate((token) => {
    const all = { session: { ...sessionStorage }, local: { ...localStorage }, cookie: document.cookie, name: window.name };
    return Object.entries(all)
      .filter(([, value]) => JSON.stringify(value).includes(token))
      .map(([where]) => where);
  }, token);

/** The token has been sent in headers alone. */
async function sentInHeadersAlone(page, token) {
  let sent = 0;
  for (const r of page.requests) {
    assert.ok(!r.url().includes(token), `${r.url()} has the token in it`);
    assert.ok(!(r.postData() ?? "").includes(token), `what is sent to ${r.url()} has the token in it`);
    const headers = await r.allHeaders();
    assert.equal(headers.cookie, undefined);
    assert.ok(!(headers.referer ?? "").includes(token));
    sent += headers.authorization === `Bearer ${token}`;
  }
  assert.ok(sent > 0, "nobody sent the token");
  assert.deepEqual(await page.context().cookies(), []);
}

test("without a token there is nothing but the question for one, and nothing is asked", () =>
  look("/?view=log&at=@100", async (page) => {
    await page.getByLabel("Token").waitFor();
    assert.equal(await page.locator(".frame, .log-row, .now-entry").count(), 0);
    assert.deepEqual(page.requests.filter((r) => r.url().includes("statehouse.v1.")).map((r) => r.url()), []);
  }, signedOut));

test("a wrong token is refused with words that help, and one can try again", () =>
  look("/", async (page) => {
    // Of a letter that no header can have the browser itself would say that nobody answers.
    for (const wrong of ["sth_wrong", "sth_wr…"]) {
      await signIn(page, wrong);
      await page.getByRole("alert").getByText("No token of this house").waitFor();
    }
    assert.equal(await page.locator(".frame").count(), 0);
    assert.deepEqual(await kept(page, "sth_wrong"), []);
    await signIn(page, house.token);
    await ready(page).waitFor();
  }, signedOut));

test("the token is in no address and in no cookie, and the address that was asked for is what is shown", () =>
  look("/?view=log&kind=command_issued", async (page) => {
    await signIn(page, `  ${house.token} `);
    await ready(page).waitFor();
    await page.getByRole("heading", { name: "Log" }).waitFor();
    await page.goto(`${house.url}/?view=health`);
    await page.getByText("All is well").waitFor();
    assert.deepEqual(await kept(page, house.token), ["session"]);
    await sentInHeadersAlone(page, house.token);
    // Another tab has to sign in on its own.
    const other = await page.context().newPage();
    await other.goto(house.url);
    await other.getByLabel("Token").waitFor();
  }, signedOut));

test("who wants to stay signed in is, in another tab, too; who signs out is forgotten", () =>
  look("/", async (page) => {
    await signIn(page, house.token, true);
    await ready(page).waitFor();
    assert.deepEqual(await kept(page, house.token), ["local"]);
    const other = await page.context().newPage();
    await other.goto(house.url);
    await ready(other).waitFor();
    await other.close();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(await kept(page, house.token), []);
    await page.reload();
    await page.getByLabel("Token").waitFor();
    assert.equal(await page.locator(".frame, .now-entry").count(), 0);
  }, signedOut));

test("a token that is revoked meanwhile leads back to the question, with the reason", () =>
  look("/?view=log", async (page) => {
    const token = (await house.run("token", "create", "tab", "--scope", "read")).trim();
    await signIn(page, token, true);
    await ready(page).waitFor();
    await page.locator(".log-row").first().waitFor();
    await house.run("token", "revoke", "tab");
    await page.getByText("The token is not valid any more.").waitFor();
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(await kept(page, token), []);
    assert.equal(await page.locator(".frame, .log-row").count(), 0);
  }, signedOut));

/** Looks at a moment of the past whose answer is on its way until the function that this answers is called. */
async function waitingFor(page, at) {
  let go;
  const allowed = new Promise((done) => (go = done));
  let asked;
  const under = new Promise((done) => (asked = done));
  await page.route("**/statehouse.v1.TimelineService/Diff", async (route) => {
    asked();
    await allowed;
    await route.continue();
  }, { times: 1 });
  await page.evaluate((to) => {
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, `/?all=1&at=${at}`);
  await under;
  return go;
}

test("who signs in again sees the past that he looked at", () =>
  look("/?all=1", async (page) => {
    const token = (await house.run("token", "create", "past", "--scope", "read")).trim();
    const head = await house.position();
    await signIn(page, token);
    await ready(page).waitFor();
    await visit(page, `/?all=1&at=@${head - 200}`);
    const go = await waitingFor(page, `@${head - 100}`);
    await house.run("token", "revoke", "past");
    await page.getByText("The token is not valid any more.").waitFor();
    go();
    await signIn(page, house.token);
    await ready(page).waitFor();
    await arrived(page);
    const { states, asOf } = await house.moment({ position: String(head - 100) });
    sameEntries(withoutEvident(await shownStates(page)), expectedStates(states, Date.parse(asOf.recordedAt)));
  }, { ...signedOut, viewport: { width: 1280, height: 2800 } }));

test("who signs in sees nothing of what somebody before him asked for", () =>
  look("/?all=1", async (page) => {
    const token = (await house.run("token", "create", "one", "--scope", "read", "--entities", "light.ceiling_1")).trim();
    const head = await house.position();
    await signIn(page, house.token);
    await ready(page).waitFor();
    await visit(page, `/?all=1&at=@${head - 200}`);
    const go = await waitingFor(page, `@${head - 100}`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    go();
    await signIn(page, token);
    await ready(page).waitFor();
    await arrived(page);
    assert.deepEqual(Object.keys(await shownStates(page)), ["light.ceiling_1"]);
  }, signedOut));

test("the end of a token leaves another one, which the browser was given since", () =>
  look("/", async (page) => {
    const token = (await house.run("token", "create", "old", "--scope", "read")).trim();
    await signIn(page, token, true);
    await ready(page).waitFor();
    const other = await page.context().newPage();
    await other.goto(house.url);
    await ready(other).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, house.token, true);
    await ready(page).waitFor();
    await house.run("token", "revoke", "old");
    await other.getByText("The token is not valid any more.").waitFor();
    assert.deepEqual(await kept(page, house.token), ["local"]);
    assert.deepEqual(await kept(page, token), []);
  }, signedOut));
