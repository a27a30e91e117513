// Loads a version alone in a throw-away workerd, to learn whether it starts and what it exports.
//
// Plain workerd and not Miniflare: 60 ms instead of 300, and none of its services are needed to run a module's top level.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

const STARTUP_MS_MAX = 10_000;
const TRIAL_MODULE = "local-cloud-trial.js";
const CAPNP_MODULES = { esm: "esModule", cjs: "commonJsModule", text: "text", data: "data", wasm: "wasm", python: "pythonModule" };
const NOISE = /became the default as of|is not needed|^\s*$/;

const trialSource = (mainModule) => `
import * as main from ${JSON.stringify(`./${mainModule.replace(/^\.\//, "")}`)};
import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from "cloudflare:workers";
const extended = (value, base) => typeof base === "function" && value.prototype instanceof base;
const kind = (name, value) => {
  if (typeof value !== "function") return typeof value === "object" && value !== null ? "object" : typeof value;
  if (extended(value, DurableObject)) return "durable-object";
  if (extended(value, WorkflowEntrypoint)) return "workflow";
  if (extended(value, WorkerEntrypoint)) return "entrypoint";
  return /^class\\b/.test(Function.prototype.toString.call(value)) ? "class" : "function";
};
const handlers = (value) => {
  const known = ["fetch", "scheduled", "queue", "email", "tail", "trace", "tailStream", "alarm", "test"];
  const source = typeof value === "function" ? value.prototype : value;
  return known.filter((name) => typeof source?.[name] === "function");
};
export default { fetch() {
  const exports = {};
  for (const [name, value] of Object.entries(main)) exports[name] = kind(name, value);
  return Response.json({ exports, handlers: handlers(main.default) });
} };
`;

export class Trials {
  constructor({ library, storage, blobs, log }) {
    this.library = library;
    this.blobs = blobs;
    this.folder = path.join(storage, "trials");
    this.log = log;
    this.results = new Map(); // key → promise of a result
    this.exports = new Map(); // version id → exported names
  }

  /** `{ok, startup_time_ms, exports, handlers}` or `{ok: false, message}`; cached by content. */
  run(version) {
    const key = trialKey(version);
    let result = this.results.get(key);
    if (result === undefined) {
      result = this.load(key, version);
      this.results.set(key, result);
      result.catch(() => this.results.delete(key)); // our own failure is worth another try
    }
    return result;
  }

  /** The trial of a planned version; plans carry the same content under other names. */
  ofPlan(plan) {
    return this.run({
      main_module: plan.mainModule, modules: plan.modules, compatibility_date: plan.compatibilityDate,
      compatibility_flags: plan.compatibilityFlags,
      bindings: Object.entries(plan.values).map(([name, value]) => ("text" in value
        ? { name, type: "plain_text", text: value.text } : { name, type: "json", json: value.json })),
    });
  }

  /** Exported names, known once `learnExports` saw the version; null when it does not load. */
  exportsOf(version) {
    return this.exports.get(version.id) ?? null;
  }

  /** Finds out what the versions export that others bind to by name. */
  async learnExports(world) {
    const unknown = world.workers.flatMap((worker) => worker.versions)
      .filter((version) => !this.exports.has(version.id) && version.modules?.length > 0 && this.isBoundByName(world, version));
    for (const version of unknown) {
      const result = await this.run(version);
      if (result.ok && result.exports !== null) this.exports.set(version.id, Object.keys(result.exports));
    }
  }

  isBoundByName(world, version) {
    if (version.durable_objects?.length > 0) return true;
    const script = world.workers.find((worker) => worker.versions.includes(version)).script;
    return world.workers.some((worker) => worker.versions.some((other) => other.bindings?.some(
      (binding) => binding.type === "service" && binding.service === script && binding.entrypoint)));
  }

  async load(key, version) {
    const kept = path.join(this.folder, `${key}.json`);
    if (existsSync(kept)) return JSON.parse(await readFile(kept, "utf8"));
    const result = version.modules?.length > 0 ? await this.start(version) : { ok: true, startup_time_ms: 0, exports: {}, handlers: [] };
    if (result.ok) {
      await mkdir(this.folder, { recursive: true });
      await writeFile(`${kept}.tmp`, JSON.stringify(result));
      await rename(`${kept}.tmp`, kept);
    }
    return result;
  }

  async start(version) {
    if ((version.compatibility_date ?? "") > new Date().toISOString().slice(0, 10)) {
      return { ok: false, message: `Can't set compatibility date in the future: "${version.compatibility_date}".` };
    }
    await mkdir(this.folder, { recursive: true });
    const folder = await mkdtemp(path.join(this.folder, "run-")); // 0700: the config holds secret values
    try {
      const config = path.join(folder, "trial.capnp");
      if (version.main_module) await writeFile(path.join(folder, TRIAL_MODULE), trialSource(version.main_module), { mode: 0o600 });
      await writeFile(config, this.config(version, folder), { mode: 0o600 });
      return await this.serve(config, Boolean(version.main_module));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async serve(config, isModules) {
    const started = performance.now();
    const child = spawn(this.library.workerd, ["serve", "--experimental", "-I/", "--control-fd=3", config], {
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk) => { if (said.length < 65536) said += chunk; });
    child.stdout.on("data", (chunk) => { if (said.length < 65536) said += chunk; });
    const deadline = setTimeout(() => child.kill("SIGKILL"), STARTUP_MS_MAX);
    try {
      const port = await listening(child);
      if (port === "timeout") return { ok: false, message: "Script startup exceeded CPU time limit." };
      if (port === null) return { ok: false, message: startupMessage(said) };
      const startup_time_ms = Math.max(1, Math.round(performance.now() - started));
      if (!isModules) return { ok: true, startup_time_ms, exports: null, handlers: ["fetch"] };
      const response = await fetch(`http://127.0.0.1:${port}/`);
      return { ok: true, startup_time_ms, ...(await response.json()) };
    } finally {
      clearTimeout(deadline);
      child.kill("SIGKILL");
    }
  }

  config(version, folder) {
    const embed = (blob) => `embed ${text(path.join(this.blobs, blob))}`;
    const flags = (version.compatibility_flags ?? []).map(text).join(", ");
    const wanted = version.compatibility_date ?? "2021-11-02";
    const date = wanted > this.library.latestDate ? this.library.latestDate : wanted;
    const modules = version.modules.map(({ name, type, blob }) => `(name = ${text(name)}, ${CAPNP_MODULES[type]} = ${embed(blob)})`);
    const source = version.main_module
      ? `modules = [(name = ${text(TRIAL_MODULE)}, esModule = embed ${text(path.join(folder, TRIAL_MODULE))}), ${modules.join(", ")}]`
      : `serviceWorkerScript = ${embed(version.modules[0].blob)}`;
    return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "trial", worker = (${source}, compatibilityDate = ${text(date)}, compatibilityFlags = [${flags}],
      bindings = [${(version.bindings ?? []).map(bindingText).join(", ")}])),
    (name = "stub", worker = (compatibilityDate = "2025-01-01", modules = [(name = "stub.js", esModule = "export default {}")]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "trial")]
);
`;
  }
}

function trialKey({ main_module, modules, compatibility_date, compatibility_flags, bindings }) {
  // Bindings count: a module may read `env` while it loads.
  const content = [2, main_module ?? null, modules ?? [], compatibility_date ?? null, compatibility_flags ?? [], bindings ?? []];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

function bindingText({ name, type, text: value, json }) {
  if (type === "plain_text" || type === "secret_text") return `(name = ${text(name)}, text = ${text(value ?? "")})`;
  if (type === "json") return `(name = ${text(name)}, json = ${text(JSON.stringify(json ?? null))})`;
  if (type === "kv_namespace") return `(name = ${text(name)}, kvNamespace = "stub")`;
  if (type === "r2_bucket") return `(name = ${text(name)}, r2Bucket = "stub")`;
  return `(name = ${text(name)}, service = "stub")`;
}

/** A Cap'n Proto text literal; everything that is not plain is written as bytes. */
function text(value) {
  let literal = "";
  for (const byte of Buffer.from(String(value), "utf8")) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    literal += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `"${literal}"`;
}

/** The port once it serves, null when it ended before, "timeout" when it was killed for taking too long. */
function listening(child) {
  return new Promise((resolve, reject) => {
    let control = "";
    child.once("error", reject);
    child.stdio[3].on("data", (chunk) => {
      control += chunk;
      const port = /"event":"listen".*"port":(\d+)/.exec(control)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once("close", (_code, signal) => resolve(signal === "SIGKILL" ? "timeout" : null));
  });
}

function startupMessage(said) {
  const lines = said.split("\n").map((line) => line.replace(/^service trial: /, "")).filter((line) => !NOISE.test(line));
  return lines.join("\n").trim() || "the script could not be loaded";
}
