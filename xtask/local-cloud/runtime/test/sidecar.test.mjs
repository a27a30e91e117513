// The whole sidecar against real workerd: `node --test` with LOCAL_CLOUD_REPO_ROOT naming a folder that has node_modules.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { after, before, test } from "node:test";

const REPO_ROOT = process.env.LOCAL_CLOUD_REPO_ROOT ?? path.resolve(import.meta.dirname, "../../../..");
const root = mkdtempSync(path.join(tmpdir(), "local-cloud-sidecar-"));
const blobs = path.join(root, "blobs");
mkdirSync(blobs);
let sidecar;

function start() {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "../main.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.write(`${JSON.stringify({ token: "t", storage: path.join(root, "storage"), blobs, repo_root: REPO_ROOT })}\n`);
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the sidecar ended with ${code}`)));
    readline.createInterface({ input: child.stdout }).once("line", (line) => resolve({ child, port: JSON.parse(line).control_port, entry: null }));
  });
}

async function stop({ child }) {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end();
  await ended;
}

async function control(method, route, body) {
  const response = await fetch(`http://127.0.0.1:${sidecar.port}${route}`, {
    method, headers: { authorization: "Bearer t" }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (answer.entry_port) sidecar.entry = answer.entry_port;
  return answer;
}

/** A request as the edge sends it. */
function edge(target, url, { method = "GET", headers = {}, body } = {}) {
  const { host, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ port: sidecar.entry, host: "127.0.0.1", method, path: pathname + search,
      headers: { host, "local-cloud-target": target, ...headers } }, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, text });
    });
    request.once("error", reject);
    request.end(body);
  });
}

function blob(text) {
  const hash = createHash("sha256").update(text).digest("hex");
  writeFileSync(path.join(blobs, hash), text);
  return hash;
}

let count = 0;
function version(code, more = {}) {
  count += 1;
  return {
    id: `00000000-0000-4000-8000-${String(count).padStart(12, "0")}`, percentage: 100, main_module: "index.js",
    modules: [{ name: "index.js", type: "esm", blob: blob(code) }], compatibility_date: "2025-06-01", compatibility_flags: ["nodejs_compat"],
    bindings: [], durable_objects: [], assets: null, tag: "r1", created_on: "2026-01-01T00:00:00Z", ...more,
  };
}

const hello = (text) => `export default { async fetch(request) { return new Response(${JSON.stringify(text)} + " " + request.url) } };`;
const resources = { d1: ["db-1"], kv: ["kv-1"], r2: ["bucket-1"] };
const put = (workers) => control("PUT", "/world", { workers, resources });

before(async () => { sidecar = await start(); });
after(async () => {
  await stop(sidecar);
  rmSync(root, { recursive: true, force: true });
});

test("a worker sees its public URL, its bindings and no outside world", async () => {
  const code = `export default { async fetch(request, env, ctx) {
    const out = await fetch("https://example.com/");
    return Response.json({ url: request.url, text: env.TEXT, json: env.JSON, meta: env.META, out: out.status, ip: request.headers.get("cf-connecting-ip"),
      ai: (await env.AI.run("m", { prompt: "hi" })).stand_in, browser: (await (await env.BROWSER.fetch("https://x/")).json()).stand_in, leak: request.headers.get("local-cloud-target") });
  } };`;
  const bindings = [
    { type: "secret_text", name: "TEXT", text: "s" }, { type: "json", name: "JSON", json: { a: 1 } }, { type: "version_metadata", name: "META" },
    { type: "ai", name: "AI" }, { type: "browser", name: "BROWSER" },
  ];
  const one = version(code, { bindings });
  const applied = await put([{ script: "main", versions: [one] }]);
  assert.equal(applied.ok, true, applied.message);
  const answer = await edge("main", "http://kiamichibizconnect.com/cdn-cgi/x?y=1", { headers: { "cf-connecting-ip": "1.2.3.4" } });
  assert.deepEqual(JSON.parse(answer.text), {
    url: "http://kiamichibizconnect.com/cdn-cgi/x?y=1", text: "s", json: { a: 1 }, meta: { id: one.id, tag: "r1", timestamp: one.created_on },
    out: 502, ip: "1.2.3.4", ai: "local-cloud", browser: "local-cloud", leak: null,
  });
  assert.equal((await put([{ script: "main", versions: [{ ...one, percentage: 60 }] }])).reloaded, false);
});

test("service bindings: fetch, RPC, named entrypoint, props, self and cycles", async () => {
  const a = version(`import { WorkerEntrypoint } from "cloudflare:workers";
    export default { async fetch(request, env) {
      if (new URL(request.url).pathname === "/leaf") return new Response("leaf");
      const admin = await env.ADMIN.greet("x");
      return Response.json({ fetched: await (await env.B.fetch("http://b/x")).text(), sum: await env.B.add(1, 2), admin,
        self: await (await env.SELF.fetch("http://a/leaf")).text(), gone: (await env.GONE.fetch("http://g/")).status,
        rpc: await env.GONE.hello().catch((error) => error.message) });
    } };`, { bindings: [
    { type: "service", name: "B", service: "b" }, { type: "service", name: "ADMIN", service: "b", entrypoint: "Admin", props: { who: "a" } },
    { type: "service", name: "SELF", service: "a" }, { type: "service", name: "GONE", service: "gone" }] });
  const b = version(`import { WorkerEntrypoint } from "cloudflare:workers";
    export class Admin extends WorkerEntrypoint { greet(name) { return name + " from " + (this.ctx.props?.who ?? "?"); } }
    export default class extends WorkerEntrypoint { async fetch() { return new Response(await (await this.env.A.fetch("http://a/leaf")).text()); } add(x, y) { return x + y; } }`,
  { bindings: [{ type: "service", name: "A", service: "a" }] });
  const applied = await put([{ script: "a", versions: [a] }, { script: "b", versions: [b] }]);
  assert.equal(applied.ok, true, applied.message);
  const answer = JSON.parse((await edge("a", "http://a.test/")).text);
  assert.equal(answer.rpc, "local cloud: service binding GONE: worker `gone` is not deployed (called: hello)");
  assert.deepEqual({ ...answer, rpc: null }, { fetched: "leaf", sum: 3, admin: "x from a", self: "leaf", gone: 503, rpc: null });
});

test("two live versions: share, override and RPC through the split", async () => {
  const callee = (text) => `import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint { fetch() { return new Response("${text}"); } name() { return "${text}"; } }`;
  const caller = version(`export default { async fetch(request, env) {
    const headers = request.headers.get("cloudflare-workers-version-overrides");
    const fetched = await (await env.B.fetch("http://b/", headers ? { headers: { "cloudflare-workers-version-overrides": headers } } : {})).text();
    return Response.json([fetched, await env.B.name()]);
  } };`, { bindings: [{ type: "service", name: "B", service: "b" }] });
  const [old, next] = [version(callee("old"), { percentage: 50 }), version(callee("new"), { percentage: 50 })];
  assert.equal((await put([{ script: "a", versions: [caller] }, { script: "b", versions: [old, next] }])).ok, true);
  const counts = { old: 0, new: 0 };
  for (let at = 0; at < 60; at++) for (const name of JSON.parse((await edge("a", "http://a.test/")).text)) counts[name] += 1;
  assert.ok(counts.old > 30 && counts.new > 30, JSON.stringify(counts));
  const headers = { "cloudflare-workers-version-overrides": `other="x", b="${next.id}"` };
  for (let at = 0; at < 10; at++) assert.equal(JSON.parse((await edge("a", "http://a.test/", { headers })).text)[0], "new");
  assert.equal((await edge(`b@${next.id}`, "http://b.test/")).text, "new");
});

test("Durable Object state survives a new version, a second live version and a restart", async () => {
  const room = (text) => `import { DurableObject } from "cloudflare:workers";
    export class Room extends DurableObject { async hit() { const n = ((await this.ctx.storage.get("n")) ?? 0) + 1; await this.ctx.storage.put("n", n); return n; } }
    export default { async fetch(request, env) { return new Response("${text}" + await env.ROOM.get(env.ROOM.idFromName("x")).hit()); } };`;
  const own = { durable_objects: [{ class_name: "Room", sqlite: true }], bindings: [{ type: "durable_object_namespace", name: "ROOM", class_name: "Room" }] };
  const one = version(room("one "), own);
  const two = version(room("two "), own);
  const foreign = version(`export default { async fetch(request, env) { return new Response("f " + await env.R.get(env.R.idFromName("x")).hit()); } };`,
    { bindings: [{ type: "durable_object_namespace", name: "R", class_name: "Room", script_name: "chat" }] });
  await put([{ script: "chat", versions: [one] }]);
  assert.equal((await edge("chat", "http://c.test/")).text, "one 1");
  assert.equal((await put([{ script: "chat", versions: [one, { ...two, percentage: 0 }] }, { script: "other", versions: [foreign] }])).ok, true);
  assert.equal((await edge(`chat@${two.id}`, "http://c.test/")).text, "two 2");
  assert.equal((await edge("other", "http://o.test/")).text, "f 3");
  await put([{ script: "chat", versions: [two] }]);
  assert.equal((await edge("chat", "http://c.test/")).text, "two 4");
  await stop(sidecar);
  sidecar = await start();
  await put([{ script: "chat", versions: [two] }]);
  assert.equal((await edge("chat", "http://c.test/")).text, "two 5");
});

test("static assets: files, rules, worker first, assets only", async () => {
  const file = (name, text) => ({ path: name, blob: blob(text), content_type: "text/html" });
  const files = [file("/index.html", "<h1>home</h1>"), file("/about.html", "about"), file("/404.html", "lost")];
  const api = version(hello("worker"), { assets: { files, config: { html_handling: "auto-trailing-slash", not_found_handling: "single-page-application",
    run_worker_first: ["/api/*"], _headers: "/about\n  x-test: yes\n", _redirects: "/old /about 301\n" } }, bindings: [{ type: "assets", name: "ASSETS" }] });
  const only = version("", { main_module: null, modules: [], assets: { files, config: { not_found_handling: "404-page" } } });
  const applied = await put([{ script: "app", versions: [api] }, { script: "site", versions: [only] }]);
  assert.equal(applied.ok, true, applied.message);
  assert.equal((await edge("app", "http://app.test/")).text, "<h1>home</h1>");
  const about = await edge("app", "http://app.test/about");
  assert.deepEqual([about.text, about.headers["x-test"]], ["about", "yes"]);
  assert.equal((await edge("app", "http://app.test/old")).status, 301);
  assert.equal((await edge("app", "http://app.test/api/x")).text, "worker http://app.test/api/x");
  assert.equal((await edge("app", "http://app.test/deep/link", { headers: { "sec-fetch-mode": "navigate" } })).text, "<h1>home</h1>");
  const lost = await edge("site", "http://site.test/nothing");
  assert.deepEqual([lost.status, lost.text], [404, "lost"]);
});

test("D1: atomic, typed errors, foreign keys, dump, snapshot, restore", async () => {
  await put([]);
  const query = (sql, params = []) => control("POST", "/d1/query", { database_id: "db-1", sql, params });
  const made = await query("CREATE TABLE p (id INTEGER PRIMARY KEY, t TEXT); CREATE TABLE c (p INTEGER REFERENCES p(id)); INSERT INTO p VALUES (1, ?);INSERT INTO p VALUES (2, ?)", ["a;b", "c"]);
  assert.equal(made.ok, true, made.message);
  assert.equal(made.results.length, 4);
  const rows = await query("SELECT * FROM p WHERE id = ?1", [2]);
  assert.deepEqual(rows.results[0].results, [{ id: 2, t: "c" }]);
  for (const name of ["duration", "changes", "last_row_id", "rows_read", "rows_written", "size_after", "changed_db"]) assert.ok(name in rows.results[0].meta, name);
  assert.equal((await query("INSERT INTO p VALUES (3, 'x'); INSERT INTO nope VALUES (1)")).message, "no such table: nope: SQLITE_ERROR");
  assert.equal((await query("SELECT count(*) n FROM p")).results[0].results[0].n, 2);
  assert.match((await query("INSERT INTO c VALUES (99)")).message, /FOREIGN KEY constraint failed: SQLITE_CONSTRAINT/);
  assert.equal((await query("PRAGMA defer_foreign_keys = on; INSERT INTO c VALUES (9); INSERT INTO p VALUES (9, 'late')")).ok, true);
  const dump = await control("POST", "/d1/dump", { database_id: "db-1", schema: true, data: true, tables: [] });
  assert.match(dump.sql, /CREATE TABLE p[\s\S]*INSERT INTO "?p"?/);
  const copy = path.join(root, "copy.sqlite");
  assert.deepEqual(await control("POST", "/d1/snapshot", { database_id: "db-1", to: copy }), { ok: true });
  await query("DELETE FROM c; DROP TABLE p");
  assert.equal((await control("POST", "/d1/restore", { database_id: "db-1", from: copy })).ok, true);
  assert.equal((await query("SELECT count(*) n FROM p")).results[0].results[0].n, 3);
  assert.equal((await control("POST", "/drop", { d1: ["db-1"] })).ok, true);
  assert.match((await query("SELECT * FROM p")).message, /no such table: p/);
});

test("KV and R2", async () => {
  await put([]);
  const kv = (operation, body) => control("POST", `/kv/${operation}`, { namespace_id: "kv-1", ...body });
  const base64 = (text) => Buffer.from(text).toString("base64");
  for (const key of ["a/1", "a/2", "b"]) await kv("put", { key, value_base64: base64(`v${key}`), metadata: { key }, expiration_ttl: 3600 });
  assert.deepEqual(await kv("get", { key: "a/1" }), { ok: true, found: true, value_base64: base64("va/1"), metadata: { key: "a/1" } });
  const page = await kv("list", { prefix: "a/", limit: 1 });
  assert.deepEqual([page.keys[0].name, typeof page.keys[0].expiration, page.list_complete], ["a/1", "number", false]);
  assert.equal((await kv("list", { prefix: "a/", limit: 1, cursor: page.cursor })).keys[0].name, "a/2");
  await kv("delete", { key: "b" });
  assert.equal((await kv("get", { key: "b" })).found, false);
  assert.equal((await control("POST", "/drop", { kv: ["kv-1"] })).ok, true);
  assert.equal((await kv("list", {})).keys.length, 0);
  const r2 = (operation, body) => control("POST", `/r2/${operation}`, { bucket: "bucket-1", ...body });
  await r2("put", { key: "k/x.txt", value_base64: base64("hello"), http_metadata: { contentType: "text/plain" } });
  const got = await r2("get", { key: "k/x.txt" });
  assert.deepEqual([got.value_base64, got.size, got.http_metadata.contentType], [base64("hello"), 5, "text/plain"]);
  assert.deepEqual((await r2("list", { prefix: "k/" })).objects.map(({ key }) => key), ["k/x.txt"]);
  assert.deepEqual((await r2("delete", { keys: ["k/x.txt", "k/none.txt"] })).missing, ["k/none.txt"]);
  assert.equal((await r2("get", { key: "k/x.txt" })).found, false);
});

test("trials: exports, exceptions, syntax errors, cache", async () => {
  const trial = (code, more) => control("POST", "/trial", { script: "t", version: version(code, more) });
  const good = await trial(`import { DurableObject, WorkerEntrypoint } from "cloudflare:workers"; import { env } from "cloudflare:workers"; const n = env.NAME.length;
    export class Room extends DurableObject {} export class Admin extends WorkerEntrypoint {} export default { fetch() {}, scheduled() {} };`,
  { bindings: [{ type: "secret_text", name: "NAME", text: 'a"b\n' }] });
  assert.equal(good.ok, true, good.message);
  assert.deepEqual([good.exports, good.handlers], [{ Room: "durable-object", Admin: "entrypoint", default: "object" }, ["fetch", "scheduled"]]);
  const boom = await trial(`function go() { throw new Error("boom"); }\ngo();\nexport default {};`);
  assert.deepEqual(boom, { ok: false, message: "Uncaught Error: boom\n  at index.js:1:23 in go\n  at index.js:2:1" });
  assert.match((await trial("export default {")).message, /Uncaught SyntaxError/);
});

test("a world that does not load leaves the last good one running and names the culprit", async () => {
  const good = version(hello("good"));
  await put([{ script: "good", versions: [good] }]);
  const refused = await put([{ script: "good", versions: [good] }, { script: "bad", versions: [version(`throw new Error("boom"); export default {};`)] }]);
  assert.equal(refused.ok, false);
  assert.equal(refused.worker, "bad");
  assert.match(refused.message, /^worker `bad` \(version 0.*\) does not load: Uncaught Error: boom/);
  assert.deepEqual(refused.running, { good: good.id });
  assert.equal((await edge("good", "http://g.test/")).text, "good http://g.test/");
  const clash = ["/a", "/a/b"].map((name) => ({ path: name, blob: blob(name), content_type: null }));
  const tangled = await put([{ script: "good", versions: [good] }, { script: "tangled", versions: [version(hello("t"), { assets: { files: clash, config: {} } })] }]);
  assert.deepEqual([tangled.ok, tangled.worker], [false, "tangled"]);
  assert.equal((await edge("good", "http://g.test/")).text, "good http://g.test/");
});

test("crons and trace events", async () => {
  const code = `export default {
    async fetch() { console.log("seen", 1); throw new TypeError("oops"); },
    async scheduled(controller) { if (controller.cron === "1 1 * * *") throw new Error("late"); console.log("ran " + controller.cron); } };`;
  const worker = version(code);
  await put([{ script: "w", versions: [worker] }]);
  const items = [];
  const stream = http.get({ port: sidecar.port, host: "127.0.0.1", path: "/events", headers: { authorization: "Bearer t" } }, (response) => {
    readline.createInterface({ input: response }).on("line", (line) => { if (line) items.push(JSON.parse(line)); }).on("error", () => {});
    response.on("error", () => {}); // the test hangs up, below
  });
  await new Promise((resolve) => stream.once("response", resolve));
  const run = (cron, at) => control("POST", "/scheduled", { script: "w", version: null, cron, scheduled_time: at });
  assert.deepEqual(await run("0 2 * * *", 1700000000000), { ok: true, outcome: "ok" });
  assert.deepEqual(await run("1 1 * * *", 1700000001000), { ok: true, outcome: "exception", message: "Error: late" });
  const failed = await edge("w", "http://w.test/x");
  assert.equal(failed.status, 500);
  assert.match(failed.text, /error code: 1101\n.*`w` threw an exception: TypeError: oops/);
  for (let wait = 0; wait < 100 && items.length < 3; wait++) await new Promise((resolve) => setTimeout(resolve, 20));
  const fetched = items.find(({ item }) => item.event?.request);
  assert.deepEqual([fetched.script, fetched.version, fetched.item.outcome, fetched.item.event.request.url, fetched.item.event.request.method],
    ["w", worker.id, "exception", "http://w.test/x", "GET"]);
  assert.deepEqual([fetched.item.logs[0].message, fetched.item.exceptions[0].message], [["seen", 1], "oops"]);
  stream.destroy();
});
