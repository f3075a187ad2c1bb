// Runs the tests, all or those that are named: npm test -- log past. The house is furnished once; each file has a copy of it.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { House } from "./house.mjs";

const wanted = process.argv.slice(2);
const files = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".test.mjs") && (!wanted.length || wanted.includes(name.split(".")[0])))
  .map((name) => join(import.meta.dirname, name));
if (!files.length) throw new Error(`there is no test ${wanted.join(", ")}`);

const house = new House();
await house.start();
await house.fill();
await house.stop();
process.env.STATEHOUSE_FURNISHED = house.dir;
const tests = run({ files, concurrency: 1 });
tests.on("test:fail", () => (process.exitCode = 1));
tests.compose(new spec()).pipe(process.stdout);
