import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readAnswer } from "../src/enrich";
import Analyzer from "../src/index";

const GOOD = { response: '```json\n{"summary":"Canoes on the Kiamichi.","keywords":["Canoe","river","canoe"],"confidence":0.9}\n```' };

// Workers AI has no offline form, so the model is the one thing these tests stand in for.
function start(run: (model: string, input: unknown) => unknown = () => GOOD): { analyzer: Analyzer; ctx: ExecutionContext } {
  const ctx = createExecutionContext();
  return { ctx, analyzer: new Analyzer(ctx, { ...env, AI: { run: async (model: string, input: unknown) => run(model, input) } as unknown as Ai }) };
}

async function request(path: string, init?: RequestInit): Promise<Response> {
  const { analyzer, ctx } = start();
  const response = await analyzer.fetch(new Request(`https://analyzer${path}`, init));
  await waitOnExecutionContext(ctx);
  return response;
}

const enriched = () => env.DB.prepare("SELECT count(*) AS n FROM enrichments").first<number>("n");

afterEach(async () => {
  vi.restoreAllMocks();
  await env.DB.prepare("DELETE FROM enrichments").run();
});

describe("health", () => {
  it("names the worker and touches every binding", async () => {
    const response = await request("/health");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      ok: true,
      worker: "kiamichi-biz-ai-analyzer",
      version: env.CF_VERSION_METADATA.id,
      release: env.CF_VERSION_METADATA.tag,
      checks: { d1: "ok", kv: "ok", r2_templates: "ok", ai: "ok", secrets: "ok" },
    });
  });
});

describe("cron", () => {
  it("enriches a batch, then the rest, then nothing", async () => {
    for (const expected of [10, 14, 14]) {
      await start().analyzer.scheduled(createScheduledController({ cron: "0 2 * * *" }));
      expect(await enriched()).toBe(expected);
    }
    expect(await (await request("/status")).json()).toMatchObject({ cron: "0 2 * * *", enriched: [], failed: [] });
  });

  it("goes on after one bad answer, and fails when every answer is bad", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    let calls = 0;
    await start(() => (calls++ === 0 ? { response: "" } : GOOD)).analyzer.scheduled(createScheduledController());
    expect(await enriched()).toBe(9);
    const broken = start(() => Promise.reject(new Error("model overloaded"))).analyzer;
    await expect(broken.scheduled(createScheduledController())).rejects.toThrow("none of 5 listings could be enriched");
  });
});

describe("one listing", () => {
  it("is enriched over RPC and stored", async () => {
    let seen: unknown;
    const { analyzer } = start((_, input) => ((seen = input), GOOD));
    expect(await analyzer.analyze("kiamichi-river-outfitters")).toMatchObject({ summary: "Canoes on the Kiamichi.", keywords: ["canoe", "river"] });
    expect(JSON.stringify(seen)).toContain("Kiamichi River Outfitters");
    expect(await env.DB.prepare("SELECT keywords FROM enrichments").first("keywords")).toBe('["canoe","river"]');
    expect(await analyzer.analyze("nowhere")).toBeNull();
  });

  it("is enriched over HTTP with the key only", async () => {
    const post = (key: string) => request("/analyze/wilburton-drug", { method: "POST", headers: { authorization: `Bearer ${key}` } });
    expect((await post("wrong")).status).toBe(401);
    expect(await enriched()).toBe(0);
    expect((await post("test-admin-key")).status).toBe(200);
    expect(await enriched()).toBe(1);
  });
});

describe("the model's answer", () => {
  it.each([
    ["an object", { response: { summary: "S", keywords: ["A"], confidence: 2 } }, { summary: "S", keywords: ["a"], confidence: 1 }],
    ["JSON in prose", 'Sure! {"summary":"S","confidence":"0.5"} Bye.', { summary: "S", keywords: [], confidence: 0.5 }],
    ["prose", { response: " A fine shop. " }, { summary: "A fine shop.", keywords: [], confidence: 0.3 }],
    ["broken JSON", '{"summary": "S"', { summary: '{"summary": "S"', keywords: [], confidence: 0.3 }],
    ["wrong types", '{"summary":"S","keywords":"x","confidence":null}', { summary: "S", keywords: [], confidence: 0.3 }],
  ])("is read from %s", (_, answer, expected) => {
    expect(readAnswer(answer)).toEqual(expected);
  });

  it.each([null, undefined, 7, "", {}, { response: '{"keywords":["a"]}' }])("is refused when it says nothing: %j", (answer) => {
    expect(() => readAnswer(answer)).toThrow("holds no summary");
  });
});
