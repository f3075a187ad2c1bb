// A house for the tests: the program itself on a database of its own, with the recorded devices in it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = process.env.STATEHOUSE_PROGRAM ?? join(root, "bin/statehouse");
const recording = join(root, "testdata/zigbee2mqtt/house.jsonl.gz");

/** Where the recorded devices are. The recording itself does not know. */
const rooms = {
  "Living room": ["sofa_lamp", "tv_plug", "starkvind", "air_box", "ceiling_1", "hue_dimmer", "aqara_cube"],
  Kitchen: ["fridge_plug", "kitchen_window", "sink_leak", "ceiling_2", "rodret_dimmer"],
  Bedroom: ["bedroom_radiator", "bedroom_curtain", "bedroom_climate", "cube_button"],
  Office: ["office_radiator", "office_blind", "desk_lamp", "vindstyrka", "double_wall_switch"],
  Bathroom: ["bath_trv", "bathroom_climate"],
  Hall: ["hall_smoke", "hall_motion", "front_door", "front_lock", "hall_switch", "stairs_motion", "siren", "hue_wall_module"],
  "Utility room": ["washing_machine", "linky", "develco_smoke"],
};

/** A recorded house that lives. Where the tests have furnished one already, this is a copy of that. */
export async function furnished() {
  const template = process.env.STATEHOUSE_FURNISHED;
  const house = new House(template);
  await house.start();
  if (!template) await house.fill();
  return house;
}

/** Waits until something holds that may take a while: until the function does not throw any more. It answers what that answers. */
export async function eventually(holds, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; ; ) {
    try {
      return await holds();
    } catch (err) {
      if (Date.now() > end) throw err;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** The program, running or not, on a directory of its own that goes with it. */
export class House {
  #dir = mkdtempSync(join(tmpdir(), "statehouse-page-"));
  #db = join(this.#dir, "home.db");
  #child;
  #gone = () => {
    this.#child?.kill("SIGKILL");
    rmSync(this.#dir, { recursive: true, force: true });
  };

  /** It begins empty, or as a copy of the directory of another one that has stopped. */
  constructor(template) {
    if (!existsSync(program)) throw new Error(`${program} is missing: make build`);
    if (template) cpSync(template, this.#dir, { recursive: true });
    process.on("exit", this.#gone);
  }

  /** The directory that it has all its files in. */
  get dir() {
    return this.#dir;
  }

  /** The token of the first start. */
  get token() {
    return readFileSync(`${this.#db}.admin-token`, "utf8").trim();
  }

  /** Starts the program, at the addresses that it had before. */
  async start() {
    const address = (had) => (had ? new URL(had.includes("://") ? had : `mqtt://${had}`).host : "127.0.0.1:0");
    const child = spawn(program, ["--db", this.#db, "serve", "--log-format", "json", "--http-address", address(this.url), "--mqtt-address", address(this.mqtt)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    const said = [];
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line);
      const entry = line.startsWith("{") ? JSON.parse(line) : {};
      if (entry.msg !== "ready") continue;
      this.url = entry.http;
      this.mqtt = entry.mqtt;
      child.stderr.resume();
      return;
    }
    throw new Error(`the program did not start:\n${said.join("\n")}`);
  }

  /** Stops it, cleanly or as a power cut would. */
  async stop(signal = "SIGTERM") {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill(signal);
    await gone;
  }

  /** Stops it and removes everything. */
  async remove() {
    await this.stop();
    process.off("exit", this.#gone);
    this.#gone();
  }

  /** Runs a command of the program's on the house, and answers what it prints. */
  run(...args) {
    return run(["--db", this.#db, ...args]);
  }

  /** Plays lines of the recording into the house. */
  async play(...args) {
    await run(["play", recording, "--broker", `mqtt://${this.mqtt}`, "--skip", "zigbee2mqtt/bridge/logging", "--qos", "1", ...args]);
  }

  /** Publishes messages: [topic, payload], and true if the broker is to keep it. */
  async publish(...messages) {
    await this.#playFile(messages.map(([topic, payload, retain = false]) => ({ ms: 0, topic, retain, payload })));
  }

  /** Publishes messages for a while, one every so many milliseconds. */
  async trickle(every, messages) {
    await this.#playFile(messages.map(([topic, payload], i) => ({ ms: i * every, topic, retain: false, payload })), "1");
  }

  async #playFile(messages, speed = "max") {
    const file = join(this.#dir, "messages.jsonl");
    const lines = messages.map((m) => JSON.stringify({ ...m, qos: 1, payload: typeof m.payload === "string" ? m.payload : JSON.stringify(m.payload) }) + "\n");
    writeFileSync(file, lines.join(""));
    await run(["play", file, "--broker", `mqtt://${this.mqtt}`, "--speed", speed]);
  }

  /** Has the recorded house move in, room by room, and live for a while: seven minutes, played as fast as it goes or so many times as fast. */
  async fill(speed = "max") {
    await this.play("--until", "10", "--speed", "max");
    const registered = await eventually(async () => {
      const devices = new Map((await this.list("RegistryService/List", {}, "devices")).map((d) => [d.name, d.id]));
      for (const name of Object.values(rooms).flat()) if (!devices.has(name)) throw new Error(`there is no device ${name}`);
      return devices;
    });
    for (const [name, devices] of Object.entries(rooms)) {
      const areaId = name.toLowerCase().replace(" ", "_");
      await this.call("RegistryService/SetArea", { areaId, name });
      for (const device of devices) await this.call("RegistryService/EditDevice", { deviceId: registered.get(device), areaId });
    }
    await this.play("--speed", speed);
    // The last thing that was recorded is the bridge's farewell. What comes behind it says when all before has been taken in.
    await this.publish(["zigbee2mqtt/bridge/state", { state: "online" }, true], ["zigbee2mqtt/desk_lamp", { state: "OFF", brightness: 77 }]);
    await this.until("light.desk_lamp", (s) => s.attributes?.light?.brightness === 77);
  }

  /** Calls a procedure that answers once. */
  async call(procedure, request = {}) {
    const answer = await this.#post(procedure, "application/json", JSON.stringify(request));
    const body = await answer.json();
    if (!answer.ok) throw new Error(`${procedure}: ${body.code}: ${body.message}`);
    return body;
  }

  /** Calls a procedure that answers with a stream that ends, and answers its messages. */
  async stream(procedure, request = {}) {
    const text = Buffer.from(JSON.stringify(request));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(text.length, 1);
    const answer = await this.#post(procedure, "application/connect+json", Buffer.concat([head, text]));
    const body = Buffer.from(await answer.arrayBuffer());
    const messages = [];
    for (let at = 0; at < body.length; ) {
      const end = at + 5 + body.readUInt32BE(at + 1);
      const message = JSON.parse(body.toString("utf8", at + 5, end));
      if ((body[at] & 2) === 0) messages.push(message);
      else if (message.error) throw new Error(`${procedure}: ${message.error.code}: ${message.error.message}`);
      at = end;
    }
    return messages;
  }

  /** What a stream has in one of its lists, all together. */
  async list(procedure, request, name) {
    return (await this.stream(procedure, request)).flatMap((m) => m[name] ?? []);
  }

  /** The house of a moment: the states by entity id, and which moment it is. */
  async moment(at) {
    const parts = await this.stream("StateService/List", at ? { at } : {});
    return { asOf: parts[0].asOf, states: new Map(parts.flatMap((m) => m.states ?? []).map((s) => [s.entityId, s])) };
  }

  /** The states of a moment, by entity id. */
  async states(at) {
    return (await this.moment(at)).states;
  }

  /** The position of the last event. */
  async position() {
    return Number((await this.call("TimelineService/Resolve")).asOf.position);
  }

  /** Waits until an entity's state is as it should be. */
  async until(entityId, holds) {
    return eventually(async () => {
      const { state } = await this.call("StateService/Get", { entityId });
      if (!holds(state)) throw new Error(`${entityId} is ${JSON.stringify(state)}`);
      return state;
    });
  }

  #post(procedure, type, body) {
    return fetch(`${this.url}/statehouse.v1.${procedure}`, { method: "POST", headers: { Authorization: `Bearer ${this.token}`, "Content-Type": type, "Connect-Protocol-Version": "1" }, body });
  }
}

async function run(args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`statehouse ${args.join(" ")}: ${err}`);
  return out;
}
