// How smoothly the page moves, beside an empty page that does nothing in the same browser at the same time of day: npm run measure.
// What counts is the ratio. A browser without a window and a graphics card draws all pixels itself, and is far slower than one with both.

import { launch, open } from "./browser.mjs";
import { eventually, House } from "./house.mjs";

const seconds = Number(process.env.SECONDS ?? 4);
const many = Number(process.env.ENTITIES ?? 10_000);
const late = (1000 / 60) * 1.5;

/** Counts frames while something is done, and what else is to be counted in each of them. */
async function frames(page, act, read = "() => ''") {
  await page.evaluate((read) => {
    const of = (0, eval)(`(${read})`);
    const m = (window.measured = { times: [], seen: new Set(), going: true });
    const frame = (time) => {
      m.times.push(time);
      m.seen.add(of());
      if (m.going) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }, read);
  await act();
  return page.evaluate((late) => {
    const m = window.measured;
    m.going = false;
    const gaps = m.times.slice(1).map((t, i) => t - m.times[i]);
    const span = (m.times.at(-1) - m.times[0]) / 1000;
    return { perSecond: gaps.length / span, late: gaps.filter((g) => g > late).length / gaps.length, longest: Math.max(...gaps), seen: m.seen.size / span };
  }, late);
}

let moves = 0;

/** Moves the pointer to and fro for some seconds. */
async function drag(page, [from, to], y) {
  const end = Date.now() + seconds * 1000;
  for (let i = 0; Date.now() < end; i++) {
    const share = Math.abs(((i / 120) % 2) - 1);
    await page.mouse.move(from + (to - from) * share, y);
    moves = i;
  }
}

/** Turns the wheel for some seconds. */
async function scroll(page) {
  const end = Date.now() + seconds * 1000;
  for (let i = 0; Date.now() < end; i++) await page.mouse.wheel(0, i % 400 < 200 ? 120 : -120);
}

function say(what, f, moments = false) {
  const share = (n) => `${(n * 100).toFixed(1)} %`;
  console.log(`${what.padEnd(44)} ${f.perSecond.toFixed(1).padStart(6)} ${share(f.late).padStart(8)} ${f.longest.toFixed(0).padStart(8)} ms${moments ? ` ${f.seen.toFixed(1).padStart(8)}` : ""}`);
}

/** The same movements over a page that has nothing in it. */
async function empty(browser, move) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.setContent("<!doctype html><title>empty</title><div style='height: 100000px'></div>");
  const f = await frames(page, () => move(page));
  await context.close();
  return f;
}

/** Has so many entities register themselves, as devices with ten sensors each do. */
async function populate(house) {
  const sensors = Array.from({ length: many }, (_, i) => i);
  const name = (i) => `d${Math.floor(i / 10)}`;
  await house.publish(
    ...sensors.map((i) => [
      `homeassistant/sensor/${name(i)}_${i % 10}/config`,
      { name: `Sensor ${i % 10}`, unique_id: `${name(i)}_${i % 10}`, state_topic: `many/${name(i)}`, value_template: `{{ value_json.v${i % 10} }}`, unit_of_measurement: "W", device: { identifiers: [name(i)], name: `Device ${name(i)}` } },
    ]),
  );
  await eventually(async () => {
    const n = (await house.list("RegistryService/List", {}, "entities")).length;
    if (n < many) throw new Error(`${n} of ${many} entities`);
  }, 300);
  const values = (d) => Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`v${i}`, (d * 7 + i * 13) % 500]));
  await house.publish(...Array.from({ length: many / 10 }, (_, d) => [`many/d${d}`, values(d)]));
}

const browser = await launch();
console.log(`${"".padEnd(44)} frames   late by    longest  moments`);
console.log(`${"".padEnd(44)} /second  half        frame   /second`);

const house = new House();
await house.start();
await house.fill("14");
const when = async (position) => Date.parse((await house.call("TimelineService/Resolve", { at: { position: String(position) } })).asOf.recordedAt);
const head = await house.position();
const [first, last] = [await when(2), await when(head)];
const page = await open(browser, house, "/");
const slider = page.locator(".timebar-bar");
// The bar shows all that there is as soon as it knows what that is.
await eventually(async () => {
  if ((await slider.evaluate((e) => e.dataset.to - e.dataset.from)) > 3600_000) throw new Error("the time bar does not know when the house begins");
});
const bar = await slider.boundingBox();
const place = await slider.evaluate((e, times) => times.map((t) => (t - e.dataset.from) / (e.dataset.to - e.dataset.from)), [first, last]);
const recorded = place.map((share) => bar.x + 10 + (bar.width - 20) * Math.min(1, Math.max(0, share)));
const y = bar.y + bar.height / 3;
say("an empty page, the pointer moved over it", await empty(browser, (p) => drag(p, recorded, y)));
await page.mouse.move(recorded[0], y);
await page.mouse.down();
const moment = "() => document.querySelector('.timebar-more .mono')?.textContent ?? ''";
say("the time bar dragged over the recorded house", await frames(page, () => drag(page, recorded, y), moment), true);
console.log(`  with ${(moves / seconds).toFixed(0)} movements of the pointer a second, which is what comes from here`);
await page.mouse.up();
await page.keyboard.press("n");
say("the recorded house scrolled", await frames(page, () => scroll(page)));
await house.remove();

const large = new House();
await large.start();
await populate(large);
say("an empty page scrolled", await empty(browser, scroll));
const hall = await open(browser, large, "/?all=1");
await hall.locator(".now-entry").first().waitFor();
say(`${many.toLocaleString("en")} entities scrolled`, await frames(hall, () => scroll(hall)));
await large.remove();
await browser.close();
