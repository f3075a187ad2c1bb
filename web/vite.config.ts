import { defineConfig } from "vite";

// The page is built for browsers of the last three years, into the directory that the program embeds. Names of files have
// a hash of their contents, so that a browser may keep them for ever.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../internal/web/dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: {
    proxy: Object.fromEntries(
      ["/statehouse.v1.", "/metrics", "/readyz", "/v1"].map((path) => [path, process.env["STATEHOUSE"] ?? "http://127.0.0.1:8321"]),
    ),
  },
});
