import { createScheduledController, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import worker from "../src/index";
import type { FacebookSession } from "../src/session";

const request = (path: string, init?: RequestInit): Promise<Response> =>
  worker.fetch(new Request(`https://facebook${path}`, init) as Parameters<typeof worker.fetch>[0], env);
const cron = (pattern: string): Promise<void> => worker.scheduled(createScheduledController({ cron: pattern, scheduledTime: Date.now() }), env);
const stub = () => env.SESSION.getByName(env.PAGE_ID);
const queue = async (message: string, due: string): Promise<void> => {
  await env.DB.prepare("INSERT INTO facebook_posts (message, due_at) VALUES (?1, ?2)").bind(message, due).run();
};
const posts = async (): Promise<unknown[]> =>
  (await env.DB.prepare("SELECT message, status, attempts, external_id, last_error FROM facebook_posts ORDER BY id").all()).results;

beforeEach(async () => {
  await env.DB.prepare("DELETE FROM facebook_posts").run();
  await runInDurableObject(stub(), (_: FacebookSession, state) => void state.storage.sql.exec("DELETE FROM session"));
});

describe("health", () => {
  it("names the worker and touches every binding", async () => {
    const response = await request("/health");
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(JSON.parse(text)).toEqual({
      ok: true,
      worker: "kiamichi-facebook-worker",
      version: env.CF_VERSION_METADATA.id,
      release: env.CF_VERSION_METADATA.tag,
      checks: { d1: "ok", kv: "ok", r2_images: "ok", durable_object: "ok", browser: "ok", secrets: "ok" },
    });
    expect(text).not.toContain("test-fb");
  });
});

describe("token refresh", () => {
  it.each(["0 2 * * *", "0 14 * * *"])("logs in at %s and keeps the session when the object restarts", async (pattern) => {
    expect(await stub().status()).toEqual({ active: false, expiresAt: null, refreshes: 0 });
    await cron(pattern);
    await evictDurableObject(stub());
    expect(await stub().status()).toMatchObject({ active: true, refreshes: 1 });
  });

  it("logs in again once the session is too old", async () => {
    await cron("0 2 * * *");
    await runInDurableObject(stub(), (_: FacebookSession, state) => void state.storage.sql.exec("UPDATE session SET expires_at = 1"));
    expect(await stub().status()).toMatchObject({ active: false });
    await stub().publish("hello");
    expect(await stub().status()).toMatchObject({ active: true, refreshes: 2 });
  });
});

describe("publishing", () => {
  it("posts what is due, oldest first, and at most three per run", async () => {
    for (const day of [4, 3, 2, 1]) {
      await queue(`day ${day}`, `2025-01-0${day}T00:00:00Z`);
    }
    await queue("much later", "2999-01-01T00:00:00Z");
    await cron("0 15 * * *");
    const done = { status: "posted", attempts: 1, external_id: "post_77", last_error: null };
    const waiting = { status: "queued", attempts: 0, external_id: null, last_error: null };
    expect(await posts()).toEqual([
      { message: "day 4", ...waiting },
      { message: "day 3", ...done },
      { message: "day 2", ...done },
      { message: "day 1", ...done },
      { message: "much later", ...waiting },
    ]);
    expect(await (await request("/status")).json()).toMatchObject({ queued: 2, session: { active: true } });
  });

  it("posts what is due at the very second of the cron", async () => {
    await queue("on time", "2025-03-01T15:00:00Z");
    await worker.scheduled(createScheduledController({ cron: "0 15 * * *", scheduledTime: new Date("2025-03-01T15:00:00Z") }), env);
    expect(await posts()).toMatchObject([{ message: "on time", status: "posted" }]);
  });

  it("keeps a failing post queued and gives up after three attempts", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    await queue("make it fail", "2025-01-01T00:00:00Z");
    for (const [attempts, status] of [[1, "queued"], [2, "queued"], [3, "failed"]] as const) {
      await cron("0 3 * * *");
      expect(await posts()).toEqual([
        { message: "make it fail", status, attempts, external_id: null, last_error: "cannot publish the post: the browser service answered 502" },
      ]);
    }
    vi.restoreAllMocks();
  });

  it("is refused over HTTP without the secret", async () => {
    await queue("by hand", "2025-01-01T00:00:00Z");
    const publish = (key: string) => request("/publish", { method: "POST", headers: { authorization: `Bearer ${key}` } });
    expect((await publish("wrong")).status).toBe(401);
    expect((await request("/refresh", { method: "POST" })).status).toBe(401);
    expect(await (await publish("test-fb-secret")).json()).toEqual({ posted: 1, failed: 0 });
  });
});
