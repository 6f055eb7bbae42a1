import { expect, test } from "vitest";
import type { Bucket, Models } from "../api/journal-types";
import { sifted } from "./models";
import { chartsOf, isEmpty, milliseconds } from "./series";

const bucket = (start: number, told: Partial<Bucket> = {}): Bucket => ({ start, runs: 0, failed: 0, duration_ms: null, first_token_ms: null, prompt_tokens: 0, completion_tokens: 0, cost: null, ...told });

test("charts show what the buckets say, and gaps as gaps", () => {
  const charts = chartsOf([bucket(0), bucket(60, { runs: 3, failed: 1, duration_ms: { p50: 1, p95: 2, p99: 3 } })]);
  const of = (name: string) => charts.find((chart) => chart.name === name)!;
  expect(of("runs").lines.map((line) => line.values)).toEqual([
    [0, 3],
    [0, 1],
  ]);
  expect(of("duration").lines[1]?.values).toEqual([null, 2]);
  expect([isEmpty(of("cost")), isEmpty(of("runs"))]).toEqual([true, false]);
});

test("milliseconds are told shortly", () => {
  expect([0, 0.4, 12.6, 1_840, 42_000, 90_000].map(milliseconds)).toEqual(["0 ms", "0.4 ms", "13 ms", "1.8 s", "42 s", "1 min 30 s"]);
});

test("models are found by name, provider, reason and who uses them", () => {
  const data: Models = {
    models: [{ name: "scripted", usable: true, keyless: false, why: "the app's own", agents: ["demo"], flows: [] }],
    providers: [
      { name: "openai", usable: false, keyless: false, why: "set OPENAI_API_KEY", models: ["openai/a", "openai/b"] },
      { name: "groq", usable: false, keyless: false, why: "no credential", models: ["groq/llama", "groq/other"] },
      { name: "ollama", usable: true, keyless: true, why: "needs no key", models: [] },
    ],
  };
  expect(sifted(data, "demo", "all").models.length).toBe(1);
  expect(sifted(data, "llama", "all").providers).toEqual([
    { name: "groq", usable: false, keyless: false, why: "no credential", models: ["groq/llama"] },
    { name: "ollama", usable: true, keyless: true, why: "needs no key", models: [] },
  ]);
  expect(sifted(data, "", "usable").providers.map((one) => one.name)).toEqual(["ollama"]);
  expect(sifted(data, "", "not").models).toEqual([]);
});
