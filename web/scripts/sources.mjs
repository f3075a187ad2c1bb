// Writes down what the page was built from, beside what was built: for each file its SHA-256 and its path, sorted by the bytes
// of the paths. TestSources of internal/web compares that with the sources, so that Go alone can tell when the page has to
// be built again. It has the same list, and both take all files below a directory but those whose names begin with a dot.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const roots = ["index.html", "package-lock.json", "package.json", "public", "scripts", "src", "tsconfig.json", "vite.config.ts"];

const web = join(import.meta.dirname, "..");
const target = join(web, "..", "internal", "web", "dist", "sources.txt");

function files(path) {
  if (!statSync(join(web, path)).isDirectory()) {
    return [path];
  }
  return readdirSync(join(web, path))
    .filter((name) => !name.startsWith("."))
    .flatMap((name) => files(path + "/" + name));
}

const lines = roots
  .flatMap(files)
  .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  .map((path) => createHash("sha256").update(readFileSync(join(web, path))).digest("hex") + "  " + path + "\n");
writeFileSync(target, lines.join(""));
