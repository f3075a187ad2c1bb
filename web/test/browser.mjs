// Debian's Chromium, without a window, and what tests do with it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { chromium } from "playwright-core";
import { furnished } from "./house.mjs";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Where pages believe to be, so that times read alike everywhere. */
export const zone = { locale: "en-GB", timezoneId: "Europe/Berlin" };

/** Starts the browser. */
export async function launch() {
  if (!existsSync(executablePath)) throw new Error(`there is no browser at ${executablePath}: apt-get install chromium, or say where one is with CHROMIUM`);
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** Opens a page of a house, signed in. What it logs as an error is in page.complaints, whom it asks in page.hosts, and where it has been in
 * page.addresses. */
export async function open(browser, house, address = "/", { signedIn = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...zone, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.complaints = [];
  page.hosts = new Set();
  page.requests = [];
  page.on("request", (r) => {
    page.requests.push(r);
    if (/^(https?|wss?):/.test(r.url())) page.hosts.add(new URL(r.url()).host);
  });
  page.on("pageerror", (err) => page.complaints.push(`${err.stack ?? err}`));
  page.on("console", (m) => m.type() === "error" && page.complaints.push(m.text()));
  if (signedIn) await page.addInitScript((token) => sessionStorage.setItem("statehouse.token", token), house.token);
  await page.goto(house.url + address);
  if (signedIn) await page.locator('.link[data-phase="ready"]').waitFor();
  return page;
}

/** A house and a browser for a file of tests. `look` opens a page and has something done with it; it fails where the page complains, but
 * for what the options allow, and where it asks another host. A picture is left of a page at which a test failed. */
export async function scene() {
  const house = await furnished();
  const browser = await launch();
  after(async () => {
    await browser.close();
    await house.remove();
  });
  const look = async (address, act, { allow = /(?!)/, ...options } = {}) => {
    const page = await open(browser, house, address, options);
    try {
      await act(page);
      assert.deepEqual(page.complaints.filter((text) => !allow.test(text)), [], "the page complains");
      assert.deepEqual([...page.hosts], [new URL(house.url).host], "the page asks another host");
    } catch (err) {
      const picture = join(tmpdir(), `statehouse-page-failed-${process.pid}-${Date.now()}.png`);
      await page.screenshot({ path: picture }).catch(() => {});
      err.message += `\n  at ${page.url()}, as in ${picture}`;
      throw err;
    } finally {
      await page.context().close();
    }
  };
  return { house, browser, look };
}

/** Waits until the browser has drawn what there is to draw. */
export function drawn(page) {
  return page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Waits until the moment of the past that was asked for is shown. */
export async function arrived(page) {
  await drawn(page);
  await page.locator(".timebar-status:not([data-arriving])").waitFor();
  await drawn(page);
}

/** Goes to an address of the page's own, as somebody does who goes back or follows a bookmark, without loading it anew. */
export async function visit(page, address) {
  await page.evaluate((to) => {
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, address);
  await arrived(page);
}

/** The words that the address of the page has. */
export function params(page) {
  return Object.fromEntries(new URL(page.url()).searchParams);
}

/** Every state that the house's view has, by scrolling through it: {id: {text, sort, area, device}}. */
export function shownStates(page) {
  return page.evaluate(async () => {
    const all = {};
    const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    scrollTo(0, 0);
    for (;;) {
      await frames();
      const here = new Set();
      for (const row of document.querySelectorAll(".now-entry")) {
        const id = row.dataset.entity;
        if (here.has(id)) throw new Error(`${id} is there twice`);
        here.add(id);
        const state = row.querySelector(".now-state .state").cloneNode(true);
        const sort = state.dataset.sort;
        for (const hint of state.querySelectorAll(".hidden")) hint.remove();
        all[id] = {
          text: state.textContent,
          sort,
          area: row.closest("section").querySelector("h2").textContent,
          device: row.closest("ul").getAttribute("aria-label"),
        };
      }
      if (scrollY + innerHeight >= document.documentElement.scrollHeight - 1) break;
      scrollBy(0, innerHeight);
    }
    scrollTo(0, 0);
    return all;
  });
}

/** Every event of the log's view, by scrolling down until it says that this is all, or a position is reached: the positions from above
 * to below, one that stands there twice twice. */
export function shownPositions(page, oldest = "0") {
  return page.evaluate(async (oldest) => {
    const places = new Map();
    const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    scrollTo(0, 0);
    for (;;) {
      await frames();
      const rows = [...document.querySelectorAll(".log-row")];
      for (const row of rows) places.set(Math.round(row.getBoundingClientRect().top + scrollY), row.dataset.position);
      if (BigInt(rows.at(-1)?.dataset.position ?? "1") <= BigInt(oldest)) break;
      const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
      if (end && /That is all|No such event/.test(document.querySelector(".log-end")?.textContent)) break;
      scrollBy(0, innerHeight);
    }
    scrollTo(0, 0);
    return [...places].sort(([a], [b]) => a - b).map(([, position]) => position);
  }, oldest);
}
