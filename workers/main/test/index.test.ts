import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import worker from "../src/index";
import { runStatements } from "../../shared/test-database";

const SITE = "https://kiamichibizconnect.com";

async function request(path: string, init?: RequestInit, environment: Env = env): Promise<Response> {
  const ctx = createExecutionContext();
  const response = await worker.fetch(new Request(SITE + path, init) as Parameters<typeof worker.fetch>[0], environment, ctx);
  await waitOnExecutionContext(ctx);
  return response;
}

function save(body: unknown, key: string | null = "test-admin-key"): Promise<Response> {
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  return request("/api/businesses", { method: "POST", headers, body: JSON.stringify(body) });
}

const DRAFT = { slug: "new-cafe", name: "New Cafe", category: "restaurants", description: "Pie & <coffee>", city: "Poteau" };

afterEach(() => vi.restoreAllMocks());

describe("health", () => {
  it("names the worker and touches every binding", async () => {
    const response = await request("/health");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      ok: true,
      worker: "kiamichi-biz-connect",
      version: env.CF_VERSION_METADATA.id,
      release: env.CF_VERSION_METADATA.tag,
      checks: { d1: "ok", kv: "ok", r2_images: "ok", r2_templates: "ok", r2_assets: "ok", secrets: "ok" },
    });
  });

  it("answers 503 and keeps the cause to itself when a binding fails", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const CACHE = { get: () => Promise.reject(new Error("kv said test-admin-key")) } as unknown as KVNamespace;
    const response = await request("/health", undefined, { ...env, CACHE, ADMIN_KEY: "" });
    const text = await response.text();
    expect(response.status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ ok: false, checks: { d1: "ok", kv: "failed", secrets: "failed" } });
    expect(text).not.toContain("test-admin-key");
  });
});

describe("pages", () => {
  it("lists categories with their counts and the newest businesses", async () => {
    const text = await (await request("/")).text();
    expect(text).toContain('<a href="/category/restaurants">Restaurants &amp; Cafes (3)</a>');
    expect(text).toContain('<a href="/business/antlers-feed">');
  });

  it("answers HEAD like GET, and no other method", async () => {
    expect((await request("/", { method: "HEAD" })).status).toBe(200);
    expect((await request("/", { method: "DELETE" })).status).toBe(404);
  });

  it("shows a category and a business, and says so when there is none", async () => {
    expect(await (await request("/category/lodging")).text()).toContain("Cedar Lake Cabins");
    expect(await (await request("/business/wilburton-drug")).text()).toContain("soda fountain");
    expect((await request("/business/nowhere")).status).toBe(404);
    expect((await request("/category/nowhere")).status).toBe(404);
    expect((await request("/%E0%A4%A")).status).toBe(400);
  });

  it("escapes what editors and reviewers wrote", async () => {
    await save(DRAFT);
    await env.DB.prepare(
      "INSERT INTO reviews (business_id, author, rating, body) SELECT id, ?1, 5, ?2 FROM businesses WHERE slug = 'new-cafe'",
    )
      .bind("Ann", "<script>alert('x')</script>")
      .run();
    const text = await (await request("/business/new-cafe")).text();
    expect(text).toContain("Pie &amp; &lt;coffee&gt;");
    expect(text).toContain("★★★★★ Ann: &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
    expect(text).not.toContain("<script>");
  });
});

describe("search", () => {
  it("answers from the database first and from the cache then", async () => {
    const first = await request("/api/search?q=Kayak%20Clayton");
    expect(first.headers.get("x-cache")).toBe("miss");
    const answer = await first.json<{ count: number; results: { slug: string }[] }>();
    expect(answer.results.map((result) => result.slug)).toEqual(["kiamichi-river-outfitters"]);

    const second = await request("/api/search?q=kayak+clayton");
    expect(second.headers.get("x-cache")).toBe("hit");
    expect(await second.json()).toEqual(answer);
  });

  it("takes wildcards and quotes literally", async () => {
    for (const query of ["%", "_", "'; DROP TABLE businesses; --"]) {
      const response = await request(`/api/search?q=${encodeURIComponent(query)}`);
      expect(await response.json()).toMatchObject({ count: 0 });
    }
    expect((await request("/api/search?q=+")).status).toBe(400);
  });
});

describe("editing", () => {
  it("refuses a missing or wrong key", async () => {
    expect((await save(DRAFT, null)).status).toBe(401);
    expect((await save(DRAFT, "wrong")).status).toBe(401);
  });

  it("creates a listing and then updates it", async () => {
    expect(await (await save(DRAFT)).json()).toEqual({ ok: true, slug: "new-cafe", url: "/business/new-cafe" });
    await save({ ...DRAFT, name: "Newer Cafe" });
    const { results } = await env.DB.prepare("SELECT name FROM businesses WHERE slug = 'new-cafe'").all();
    expect(results).toEqual([{ name: "Newer Cafe" }]);
  });

  it("refuses drafts it cannot show safely", async () => {
    expect((await save({ ...DRAFT, slug: "../x" })).status).toBe(400);
    expect((await save({ ...DRAFT, website: "javascript:alert(1)" })).status).toBe(400);
    expect((await save({ ...DRAFT, category: "none" })).status).toBe(422);
    expect((await save([])).status).toBe(400);
  });
});

describe("images", () => {
  const put = (key: string, type: string): Promise<Response> =>
    request("/images/shop/front.png", {
      method: "PUT",
      headers: { authorization: `Bearer ${key}`, "content-type": type },
      body: new Uint8Array([1, 2, 3]),
    });

  it("stores with the key, serves to anyone, and revalidates", async () => {
    expect((await put("wrong", "image/png")).status).toBe(401);
    expect((await put("test-admin-key", "image/svg+xml")).status).toBe(415);
    expect((await put("test-admin-key", "image/png")).status).toBe(201);

    const image = await request("/images/shop/front.png");
    expect(image.headers.get("content-type")).toBe("image/png");
    expect(new Uint8Array(await image.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
    const again = await request("/images/shop/front.png", { headers: { "if-none-match": image.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
    expect((await request("/images/none.png")).status).toBe(404);
  });
});

describe("sign-in", () => {
  async function start(): Promise<{ state: string; cookie: string }> {
    const response = await request("/auth/google", { redirect: "manual" });
    expect(response.status).toBe(302);
    const state = new URL(response.headers.get("location") ?? "").searchParams.get("state") ?? "";
    return { state, cookie: (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
  }

  it("refuses a forged state and a state of another browser", async () => {
    const { state, cookie } = await start();
    const forged = `${state.slice(0, -2)}xx`;
    expect((await request(`/auth/google/callback?code=c&state=${forged}`, { headers: { cookie } })).status).toBe(400);
    expect((await request(`/auth/google/callback?code=c&state=${state}`)).status).toBe(400);
  });

  it("remembers the owner Google vouches for", async () => {
    const { state, cookie } = await start();
    const claims = btoa(JSON.stringify({ sub: "108", email: "ann@example.com", aud: env.GOOGLE_CLIENT_ID }));
    vi.spyOn(globalThis, "fetch").mockResolvedValue(Response.json({ id_token: `h.${claims}.s` }));
    const response = await request(`/auth/google/callback?code=c&state=${state}`, { headers: { cookie } });
    expect(await response.json()).toEqual({ ok: true, email: "ann@example.com" });
    expect(await env.DB.prepare("SELECT email FROM owners WHERE google_subject = '108'").first("email")).toBe("ann@example.com");
  });
});

describe("database", () => {
  it("is seeded twice without a change", async () => {
    const count = () => env.DB.prepare("SELECT (SELECT count(*) FROM businesses) + (SELECT count(*) FROM facebook_posts) AS n").first("n");
    const before = await count();
    await runStatements((env as unknown as { TEST_SEED: string }).TEST_SEED);
    expect(await count()).toBe(before);
  });

  it("has its category counts recomputed by the cron", async () => {
    await env.DB.prepare("UPDATE categories SET business_count = 99").run();
    await worker.scheduled(createScheduledController({ cron: "0 6 * * *" }), env);
    const { results } = await env.DB.prepare(
      "SELECT slug FROM categories AS c WHERE business_count <> (SELECT count(*) FROM businesses WHERE category_id = c.id)",
    ).all();
    expect(results).toEqual([]);
  });
});
