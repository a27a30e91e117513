// Owns the one Miniflare instance: applies worlds, falls back to the last good one, and stops it while files are replaced.

import { createHash } from "node:crypto";

import { OptionsBuilder } from "./options.mjs";
import { EDGE, STORAGE } from "./standins.mjs";
import { planWorld } from "./world.mjs";

const EMPTY_WORLD = { workers: [], resources: { d1: [], kv: [], r2: [] }, queues: [] };

/** How long a reload waits for consumers that are at work. */
const DRAIN_MS_MAX = 3000;

export class Engine {
  constructor({ library, storage, blobs, outbound, events, trials, log }) {
    this.library = library;
    this.storage = storage;
    this.outbound = outbound;
    this.trials = trials;
    this.log = log;
    this.builder = new OptionsBuilder({ storage, blobs, onTail: (request) => events.receive(request) });
    this.miniflare = null;
    this.entryPort = null;
    this.good = null; // { key, plan } of what runs
    this.queue = Promise.resolve();
    this.storing = new Set(); // storage requests in flight
  }

  /** Makes `world` run. On failure the last good world runs, and the error names the worker at fault. */
  apply(world) {
    return this.oneAtATime(async () => {
      const started = performance.now();
      const plan = await this.plan(world);
      const key = createHash("sha256").update(JSON.stringify(plan)).digest("hex");
      const unchanged = this.good?.key === key && this.miniflare !== null;
      if (!unchanged) await this.switchTo({ key, plan });
      return { entry_port: this.entryPort, reload_ms: Math.round(performance.now() - started), reloaded: !unchanged };
    });
  }

  async plan(world) {
    await this.trials.learnExports(world);
    return planWorld(world, {
      exportsOf: (version) => this.trials.exportsOf(version),
      latestDate: this.library.latestDate,
      outbound: this.outbound,
    });
  }

  async switchTo(next) {
    await this.tellQueues("drain", this.good?.plan, { ms: DRAIN_MS_MAX });
    try {
      await this.load(next.plan);
      this.good = next;
    } catch (error) {
      const culprit = await this.culprit(next.plan, error);
      this.log(`world refused: ${culprit.message}`);
      const last = this.good ?? { key: null, plan: await this.plan(EMPTY_WORLD) };
      await this.load(last.plan);
      this.good = last;
      throw Object.assign(new Error(culprit.message), { worker: culprit.worker, entryPort: this.entryPort });
    }
  }

  async load(plan) {
    const options = await this.builder.build(plan);
    const native = this.library.convert({ ...this.shared(), ...options });
    if (this.miniflare === null) {
      const miniflare = new this.library.Miniflare(native);
      try {
        await miniflare.ready;
      } catch (error) {
        await miniflare.dispose().catch(() => {}); // the error that matters is the one being thrown
        throw error;
      }
      this.miniflare = miniflare;
    } else {
      await this.miniflare.setOptions(native);
    }
    this.entryPort = Number((await this.miniflare.unsafeGetDirectURL(EDGE)).port);
    await this.builder.sweepSites(options);
    await this.tellQueues("wake", plan);
  }

  /** Asks all queues of a running plan for something. */
  async tellQueues(operation, plan, body = {}) {
    if (this.miniflare === null || (plan?.queues ?? null) === null) return;
    // A queue that does not answer must not keep the world from being replaced.
    const told = await this.dispatch(`queues/${operation}`, body).catch((error) => ({ ok: false, message: error.message }));
    if (!told.ok) this.log(`queues: ${operation}: ${told.message}`);
  }

  shared() {
    return {
      host: "127.0.0.1",
      port: 0,
      cf: false, // never ask the internet for a sample cf object
      telemetry: { enabled: false },
      logRequests: false,
      resourcePersistencePath: this.storage,
      log: new this.library.NoOpLog(),
      handleStructuredLogs: ({ level, message }) => {
        if (level === "error" || level === "warn") this.log(`workerd ${level}: ${message}`);
      },
    };
  }

  /** Which worker made the runtime refuse a plan. */
  async culprit(plan, error) {
    const reason = String(error?.message ?? error).replaceAll("core:user:", "");
    if (error?.worker) return { worker: error.worker, message: `worker \`${error.worker}\` could not be laid out: ${reason}` };
    for (const worker of plan.workers) {
      if (worker.kind !== "version") continue;
      const trial = await this.trials.ofPlan(worker);
      if (!trial.ok) return { worker: worker.script, message: `worker \`${worker.script}\` (version ${worker.version}) does not load: ${trial.message}` };
    }
    const named = /service ([^:\s]+)(?::|\s)/.exec(reason)?.[1];
    const worker = plan.workers.find(({ name }) => name === named)?.script ?? null;
    return { worker, message: `${worker ? `worker \`${worker}\`` : "the world"} could not be loaded: ${reason}` };
  }

  /** Which version runs under which name. */
  running() {
    const versions = (this.good?.plan.workers ?? []).filter(({ kind }) => kind === "version");
    return Object.fromEntries(versions.map(({ name, version }) => [name, version]));
  }

  /** A request to the storage worker; answers `{ok, …}` as it does. */
  async store(operation, body) {
    // No request starts while the runtime is being replaced, or about to be.
    for (let seen = null; seen !== this.queue;) await (seen = this.queue);
    if (this.miniflare === null) await this.apply(EMPTY_WORLD);
    const request = this.dispatch(operation, body);
    this.storing.add(request);
    return await request.finally(() => this.storing.delete(request));
  }

  async dispatch(operation, body) {
    const response = await this.miniflare.dispatchFetch(`http://storage.local/${operation}`, {
      method: "POST", body: JSON.stringify(body), headers: { "MF-Route-Override": STORAGE },
    });
    return await response.json();
  }

  /** Fires a scheduled event. */
  async scheduled(name, options) {
    if (this.miniflare === null) throw new Error("no world was loaded yet");
    const worker = await this.miniflare.getWorker(name);
    return await worker.scheduled(options);
  }

  /** Runs `work` while no runtime has the storage files open, then serves the same world again. */
  withStorageClosed(work) {
    return this.oneAtATime(async () => {
      await this.tellQueues("drain", this.good?.plan, { ms: DRAIN_MS_MAX });
      const running = this.miniflare;
      this.miniflare = null;
      if (running !== null) await running.dispose();
      try {
        return await work();
      } finally {
        if (running !== null) await this.load(this.good.plan);
      }
    });
  }

  /** Whether what runs can have the files of a resource open. */
  hasOpen(kind, id) {
    if (this.miniflare === null || this.good === null) return false;
    const { workers, resources } = this.good.plan;
    if (kind === "objects") return workers.some(({ objectExports = {} }) => Object.values(objectExports).some(({ key }) => key === id));
    return resources[kind].includes(id) || workers.some((worker) => Object.values(worker[kind] ?? {}).includes(id));
  }

  async dispose() {
    const running = this.miniflare;
    this.miniflare = null;
    if (running !== null) await running.dispose();
  }

  oneAtATime(work) {
    const result = this.queue.then(() => Promise.allSettled(this.storing)).then(work);
    this.queue = result.catch(() => {}); // the caller of `result` sees the error
    return result;
  }
}
