import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { keywords } from "../src/directory";
import worker from "../src/index";

const request = (path: string, init?: RequestInit, environment: Env = env): Promise<Response> =>
  worker.fetch(new Request(`https://app.kiamichibizconnect.com${path}`, init) as Parameters<typeof worker.fetch>[0], environment);
const post = (path: string, body?: unknown): Promise<Response> =>
  request(path, { method: "POST", ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
const texts = async (room: string): Promise<string[]> =>
  (await (await request(`/api/chat/${room}`)).json<{ messages: { role: string; text: string }[] }>()).messages.map((m) => `${m.role}: ${m.text}`);

afterEach(() => vi.restoreAllMocks());

describe("health", () => {
  it("names the worker and touches every binding", async () => {
    const response = await request("/health");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      ok: true,
      worker: "kiamichi-business-agent",
      version: env.CF_VERSION_METADATA.id,
      release: env.CF_VERSION_METADATA.tag,
      checks: { d1: "ok", kv: "ok", r2_templates: "ok", r2_assets: "ok", chat_agent: "ok", voice_agent: "ok", secrets: "ok" },
    });
  });
});

describe("dashboard", () => {
  it("comes from the assets, at any path the single page may have", async () => {
    for (const path of ["/", "/listings/42"]) {
      const response = await request(path);
      expect(response.headers.get("content-type")).toContain("text/html");
      expect(await response.text()).toContain("Your business on Kiamichi Biz Connect");
    }
  });

  it("does not swallow the API's unknown paths", async () => {
    for (const path of ["/api", "/api/nope", "/api/chat/a/b/c", "/api/chat"]) {
      expect((await request(path)).status).toBe(404);
    }
  });
});

describe("chat agent", () => {
  it("answers from the directory and keeps the transcript when the object restarts", async () => {
    const response = await post("/api/chat/porch", { text: "Where can I rent canoes?" });
    expect(response.status).toBe(201);
    await evictDurableObject(env.CHAT_AGENT.getByName("porch"));
    await post("/api/chat/porch", { text: "qwertz" });
    expect(await texts("porch")).toEqual([
      "user: Where can I rent canoes?",
      "agent: Kiamichi River Outfitters in Clayton (918-555-0114): Canoe and kayak rental with shuttle on the Kiamichi River, March to October.",
      "user: qwertz",
      "agent: I found nothing in the directory. Try the kind of business and a town, such as: coffee in Talihina.",
    ]);
  });

  it("keeps rooms apart, and bounds what it takes", async () => {
    await post("/api/chat/one", { text: "coffee" });
    expect(await texts("two")).toEqual([]);
    expect((await post("/api/chat/one", { text: " " })).status).toBe(400);
    expect((await post("/api/chat/one", { text: "x".repeat(1001) })).status).toBe(400);
    expect((await post("/api/chat/One!", { text: "x" })).status).toBe(400);
  });

  it("forgets a room only for who has the key", async () => {
    await post("/api/chat/old", { text: "coffee" });
    const clear = (key: string) => request("/api/chat/old", { method: "DELETE", headers: { authorization: `Bearer ${key}` } });
    expect((await clear("wrong")).status).toBe(401);
    expect(await texts("old")).toHaveLength(2);
    expect(await (await clear("test-admin-key")).json()).toEqual({ deleted: 2 });
    expect(await texts("old")).toEqual([]);
  });

  it("looks for the words that matter", () => {
    expect(keywords("Which places have COFFEE in Talihina? The coffee!")).toEqual(["coffee", "talihina"]);
  });
});

describe("voice agent", () => {
  it("keeps calls and their turns", async () => {
    expect((await post("/api/voice/line-1/turn", { text: "hello" })).status).toBe(409);
    expect((await post("/api/voice/line-1/start")).status).toBe(201);
    expect(await (await post("/api/voice/line-1/turn", { text: "tractor repair" })).json()).toMatchObject({
      call: 1,
      turn: 1,
      spoken: expect.stringContaining("LeFlore Tractor & Diesel in Poteau.") as string,
    });
    await post("/api/voice/line-1/turn", { text: "catfish in hugo" });
    await evictDurableObject(env.VOICE_AGENT.getByName("line-1"));
    expect(await (await post("/api/voice/line-1/end")).json()).toMatchObject({ id: 1, turns: 2, endedAt: expect.any(String) as string });
    expect((await post("/api/voice/line-1/end")).status).toBe(409);
    await post("/api/voice/line-1/start");
    expect(await (await request("/api/voice/line-1")).json()).toMatchObject({ calls: [{ id: 1, turns: 2 }, { id: 2, turns: 0, endedAt: null }] });
  });
});

describe("siblings", () => {
  const OVERRIDES = "Cloudflare-Workers-Version-Overrides";

  it("answer their health under the overrides of the request", async () => {
    const value = 'kiamichi-biz-ai-analyzer="1b4e28ba-2fa1-4d3c-9e6b-2f7a1c0d5e88"';
    const response = await request("/api/siblings", { headers: { [OVERRIDES]: value } });
    expect(await response.json()).toEqual({
      ok: true,
      siblings: { analyzer: { ok: true, worker: "analyzer", overrides: value }, facebook: { ok: true, worker: "facebook", overrides: value } },
    });
    expect(await (await request("/api/siblings")).json()).toMatchObject({ siblings: { facebook: { overrides: null } } });
  });

  it("make the answer 503 when one is unwell or gone", async () => {
    expect((await request("/api/siblings", { headers: { [OVERRIDES]: "sick" } })).status).toBe(503);
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const FACEBOOK = { fetch: () => Promise.reject(new Error("gone")) } as unknown as Fetcher;
    const response = await request("/api/siblings", undefined, { ...env, FACEBOOK });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ siblings: { analyzer: { ok: true }, facebook: { ok: false, error: "does not answer" } } });
  });

  it("enrich a listing by RPC", async () => {
    expect(await (await request("/api/analyze/wilburton-drug")).json()).toMatchObject({ slug: "wilburton-drug", summary: "Enriched." });
    expect((await request("/api/analyze/nowhere")).status).toBe(404);
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const broken = await request("/api/analyze/breaks");
    expect(broken.status).toBe(502);
    expect(await broken.text()).not.toContain("test-admin-key");
  });
});
