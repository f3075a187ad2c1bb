import assert from "node:assert/strict";
import { test } from "node:test";
import { scene } from "./browser.mjs";
import { eventually } from "./house.mjs";

const { house, look } = await scene();
const cards = (page) =>
  page.locator(".why-card").evaluateAll((list) => list.map((card) => ({ position: card.dataset.position, kind: card.dataset.kind, asked: card.getAttribute("aria-current") === "true" })));

/** The chain of the page is the one of the server, told from the first cause on. */
async function sameAsServer(page, request) {
  const links = await house.list("TimelineService/Why", { ...request, sawChain: true }, "links");
  const wanted = links.map(({ event }, i) => ({ position: event.position, kind: event.kind, asked: i === 0 })).reverse();
  await eventually(async () => assert.deepEqual(await cards(page), wanted));
  for (const link of links) {
    const card = page.locator(`.why-card[data-position="${link.event.position}"]`);
    assert.equal(await card.locator(".why-when time").getAttribute("datetime"), link.event.recordedAt);
    assert.equal(await card.locator(`.why-when span[title="${link.event.source}"]`).count(), 1, `the source ${link.event.source}`);
    for (const saw of link.saw ?? []) await card.locator(".why-part", { hasText: "It saw" }).getByRole("link", { name: saw.name, exact: true }).waitFor();
  }
  return links;
}

test("a command that a device confirmed: wish, state, settled", async () => {
  const { position } = await house.call("CommandService/Call", { entityId: "light.ceiling_1", action: "turn_on", timeout: "600s" });
  await house.publish(["zigbee2mqtt/ceiling_1", { state: "ON", brightness: 111 }]);
  await house.until("light.ceiling_1", (s) => s.text === "on" && !s.pending?.length);
  await look("/?view=entity&id=light.ceiling_1", async (page) => {
    await page.getByRole("link", { name: "Why", exact: true }).click();
    const links = await sameAsServer(page, { entityId: "light.ceiling_1" });
    assert.deepEqual(links.map((l) => l.event.kind), ["state_changed", "command_issued"]);
    assert.equal(links[1].event.position, position);
    await page.getByRole("heading", { name: "Why is ceiling_1 on?" }).waitFor();
    await page.getByText("token admin wanted this").waitFor();
    // And what became of the command.
    const [settled] = await house.list("LogService/Read", { query: { after: position, kinds: ["command_settled"] } }, "events");
    await page.goto(`${house.url}/?view=why&position=${settled.position}`);
    const chain = await sameAsServer(page, { position: settled.position });
    assert.equal(chain[0].event.kind, "command_settled");
    assert.equal(chain.at(-1).event.position, position);
  });
});

test("a command that nobody answered: the wish and its timeout", async () => {
  const { position } = await house.call("CommandService/Call", { entityId: "light.ceiling_2", action: "turn_on", timeout: "0.2s" });
  const settled = await eventually(async () => {
    const [event] = await house.list("LogService/Read", { query: { after: position, kinds: ["command_settled"] } }, "events");
    assert.ok(event);
    return event;
  });
  await look(`/?view=why&position=${settled.position}`, async (page) => {
    const links = await sameAsServer(page, { position: settled.position });
    assert.deepEqual(links.map((l) => l.event.kind), ["command_settled", "command_issued"]);
    await page.locator(".why-card").getByText(/timed out/).first().waitFor();
  });
});

test("a state of the past, and one without a known cause", () =>
  look("/?view=why&id=switch.tv_plug&at=@9000", async (page) => {
    await sameAsServer(page, { entityId: "switch.tv_plug", at: { position: "9000" } });
    await page.getByRole("heading", { name: /^Why was tv_plug/ }).waitFor();
    await page.getByText("No cause is known: it came from the device itself").waitFor();
    await page.goto(`${house.url}/?view=why&position=999999999`);
    await page.getByRole("alert").first().waitFor();
  }));

test("one asks by a name, or by a position", () =>
  look("/?view=why", async (page) => {
    await page.getByRole("heading", { name: "Why?" }).waitFor();
    const ask = page.locator(".why-ask input");
    await ask.fill("@1204");
    await ask.press("Enter");
    await sameAsServer(page, { position: "1204" });
    await ask.fill("office_blind");
    await page.getByRole("button", { name: "Ask", exact: true }).click();
    await eventually(() => assert.match(page.url(), /id=cover\.office_blind/));
    await sameAsServer(page, { entityId: "cover.office_blind" });
  }));
