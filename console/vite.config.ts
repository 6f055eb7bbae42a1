/// <reference types="vitest/config" />
import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where `npm run dev` finds the server: DRAGOMAN_URL, else the default address.
const target = process.env.DRAGOMAN_URL ?? "http://127.0.0.1:8080";
const source = (name: string) => fileURLToPath(new URL(`src/${name}`, import.meta.url));
const served = { target, changeOrigin: true };

export default defineConfig({
  base: "/",
  plugins: [react(), tailwindcss()],
  // the server may be mounted below a path: scripts find each other relative to themselves, the page is rewritten
  experimental: { renderBuiltUrl: (name, { hostType }) => (hostType === "html" ? `/${name}` : { relative: true }) },
  resolve: {
    alias: [
      { find: /^zod(\/v[34])?$/, replacement: source("chat/no-zod.ts") },
      { find: /^entities$/, replacement: source("markdown/entities.ts") },
    ],
  },
  build: {
    outDir: "../src/dragoman/server/console/dist",
    emptyOutDir: true,
    assetsDir: "console/assets",
    assetsInlineLimit: 0, // the content security policy knows no data: fonts or scripts
    manifest: true,
    target: "es2022",
    sourcemap: false,
    chunkSizeWarningLimit: 700, // before compression; what counts is what travels at first, and a test looks at that
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": served, "/dragoman": served, "/chatkit": served, "/ping": served, "/health": served } },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/testing.ts"],
    testTimeout: 60_000, // what is slow is told by its work; a busy machine is no fault
    isolate: false, // a page for each worker and not for each file, which took most of the time; tests clear up behind them
    restoreMocks: true,
  },
});
