// The sidecar: runs uploaded Workers in Miniflare and answers the local cloud's control requests on a loopback port.
// First line of stdin: {"token","storage","blobs","repo_root","outbound"?}; end of stdin ends the process.

import http from "node:http";
import module from "node:module";
import path from "node:path";
import readline from "node:readline";

import { D1 } from "./d1.mjs";
import { Engine } from "./engine.mjs";
import { Events } from "./events.mjs";
import { loadLibrary } from "./library.mjs";
import { runtimeName } from "./world.mjs";
import { Storage } from "./storage.mjs";
import { Trials } from "./trial.mjs";

const SCHEDULED_TRACE_MS_MAX = 1000;

const log = (line) => process.stderr.write(`${line}\n`);

/** One handler per control request; each takes the JSON body and answers a JSON value. */
function routes({ engine, trials, d1, storage, events, worlds }) {
  return {
    "PUT /world": async (world) => {
      try {
        const applied = await engine.apply(world);
        worlds.current = world;
        return { ok: true, ...applied };
      } catch (error) {
        return { ok: false, message: error.message, worker: error.worker ?? null, entry_port: engine.entryPort, running: engine.running() };
      }
    },
    "POST /trial": ({ version }) => trials.run(version),
    "POST /d1/query": (body) => d1.query(body),
    "POST /d1/dump": (body) => d1.dump(body),
    "POST /d1/snapshot": (body) => d1.snapshot(body),
    "POST /d1/restore": (body) => d1.restore(body),
    ...Object.fromEntries(["kv", "r2"].flatMap((kind) => ["get", "put", "delete", "list"].map(
      (operation) => [`POST /${kind}/${operation}`, (body) => storage.run(kind, operation, body)]))),
    "POST /drop": (body) => storage.drop(body),
    "POST /queues": ({ operation, ...body }) => engine.store(`queues/${operation}`, body),
    "POST /scheduled": (body) => scheduled(body, { engine, events, worlds }),
    "GET /health": () => ({ ok: true, pid: process.pid, memory: process.memoryUsage().rss, entry_port: engine.entryPort }),
  };
}

async function scheduled({ script, version, cron, scheduled_time }, { engine, events, worlds }) {
  const worker = worlds.current?.workers.find((candidate) => candidate.script === script);
  if (worker === undefined) return { ok: false, message: `worker \`${script}\` is not running` };
  const chosen = worker.versions.find((candidate) => candidate.id === version) ?? worker.versions[0];
  const scheduledTime = scheduled_time ?? Date.now();
  const { outcome } = await engine.scheduled(runtimeName(worker, chosen), { cron, scheduledTime: new Date(scheduledTime) });
  if (outcome === "ok") return { ok: true, outcome };
  const item = await events.scheduledRun(script, scheduledTime, SCHEDULED_TRACE_MS_MAX);
  const thrown = item?.exceptions?.map(({ name, message }) => `${name}: ${message}`).join("\n");
  return { ok: true, outcome, message: thrown || `the scheduled handler ended with outcome ${outcome}` };
}

function serve({ token, handlers, events }) {
  return http.createServer(async (request, response) => {
    if (request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401).end();
      return;
    }
    if (request.method === "GET" && request.url === "/events") {
      events.stream(response);
      return;
    }
    let answer;
    try {
      const handler = handlers[`${request.method} ${request.url}`];
      answer = handler === undefined
        ? { ok: false, message: `no such control request: ${request.method} ${request.url}` }
        : await handler(await readJson(request));
    } catch (error) {
      log(`control request ${request.method} ${request.url} failed: ${error?.stack ?? error}`);
      answer = { ok: false, internal: true, message: String(error?.message ?? error) };
    }
    const body = JSON.stringify(answer);
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
  });
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin });
  const [first] = await new Promise((resolve) => lines.once("line", (...line) => resolve(line)));
  const { token, storage: folder, blobs, repo_root, outbound = "block" } = JSON.parse(first);
  // Miniflare is six megabytes of JavaScript: compiling it once saves a third of every later start.
  if (!process.env.NODE_COMPILE_CACHE) module.enableCompileCache?.(path.join(folder, "compile-cache"));
  const library = loadLibrary(repo_root);
  const events = new Events(library);
  const trials = new Trials({ library, storage: folder, blobs, log });
  const engine = new Engine({ library, storage: folder, blobs, outbound, events, trials, log });
  const handlers = routes({
    engine, trials, events, worlds: { current: null },
    d1: new D1({ engine, storage: folder }), storage: new Storage({ engine, storage: folder }),
  });

  const server = serve({ token, handlers, events });
  const stop = async () => {
    server.close();
    await engine.dispose().catch((error) => log(`stopping failed: ${error?.stack ?? error}`));
    process.exit(0);
  };
  lines.once("close", stop);
  process.once("SIGTERM", stop);
  process.on("unhandledRejection", (error) => log(`unhandled: ${error?.stack ?? error}`));
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${JSON.stringify({ control_port: server.address().port })}\n`));
}

main().catch((error) => {
  log(error?.message ?? String(error));
  process.exit(1);
});
