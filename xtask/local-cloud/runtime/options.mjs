// Turns a plan into Miniflare options: reads blobs, lays out asset folders, adds the local cloud's own workers.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { producerBinding, queuesBinding } from "./queues.mjs";
import {
  EDGE, OUTBOUND, STAND_INS, STORAGE, TAIL,
  edgeSource, outboundSource, splitSource, standInsSource, storageSource, tailSource,
} from "./standins.mjs";

const ADDED_DATE = "2025-06-01";
const MODULE_TYPES = { esm: "ESModule", cjs: "CommonJS", text: "Text", data: "Data", wasm: "CompiledWasm", python: "PythonModule" };

/** Builds options from plans; keeps module contents and asset folders of the last plan at hand. */
export class OptionsBuilder {
  constructor({ blobs, storage, onTail }) {
    this.blobs = blobs;
    this.storage = storage;
    this.sites = path.join(storage, "sites");
    this.onTail = onTail;
    this.contents = new Map();
  }

  /** Miniflare options in the documented (v4) shape. */
  async build(plan) {
    const contents = new Map();
    const workers = [this.edge(plan), this.store(plan), tail(this.onTail), standIns(), outbound()];
    for (const worker of plan.workers) {
      try {
        workers.push(worker.kind === "split" ? split(worker) : await this.version(worker, contents));
      } catch (error) {
        throw Object.assign(error, { worker: worker.script });
      }
    }
    this.contents = contents; // what the last world did not use is let go
    return { workers };
  }

  edge(plan) {
    const versions = plan.workers.filter((worker) => worker.kind === "version");
    return {
      ...added(EDGE, edgeSource),
      serviceBindings: Object.fromEntries(versions.map(({ name }) => [`worker:${name}`, { name }])),
      // Not Miniflare's own entry: that one trusts MF-* headers, rewrites errors and refuses /cdn-cgi/ paths.
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    };
  }

  store({ resources, queues }) {
    const named = (kind, ids) => Object.fromEntries(ids.map((id) => [`${kind}:${id}`, id]));
    return {
      ...added(STORAGE, storageSource),
      d1Databases: named("d1", resources.d1),
      kvNamespaces: named("kv", resources.kv),
      r2Buckets: named("r2", resources.r2),
      unsafeBindings: queues === null ? [] : [queuesBinding(queues, path.join(this.storage, "queues"))],
    };
  }

  async version(plan, contents) {
    const bindings = Object.entries(plan.values).map(([name, value]) => [name, "text" in value ? value.text : value.json]);
    return {
      name: plan.name,
      compatibilityDate: plan.compatibilityDate,
      compatibilityFlags: plan.compatibilityFlags,
      ...(await this.source(plan, contents)),
      bindings: Object.fromEntries(bindings),
      kvNamespaces: plan.kv,
      d1Databases: plan.d1,
      r2Buckets: plan.r2,
      ratelimits: plan.ratelimits,
      analyticsEngineDatasets: Object.fromEntries(Object.entries(plan.analytics).map(([name, dataset]) => [name, { dataset }])),
      serviceBindings: plan.services,
      unsafeBindings: Object.entries(plan.queues).map(([name, target]) => producerBinding(name, target)),
      ...durableObjects(plan),
      ...(plan.assets ? { assets: await this.assets(plan) } : {}),
      ...(plan.outbound ? { outboundService: { name: plan.outbound } } : {}),
      tails: [{ name: TAIL, props: { script: plan.script, version: plan.version } }],
    };
  }

  async source(plan, contents) {
    if (plan.modules.length === 0) return { modules: true, script: "export default {};" }; // assets only
    const modules = await Promise.all(plan.modules.map((module) => this.module(plan, module, contents)));
    if (plan.mainModule === null || plan.mainModule === undefined) return { script: modules[0].contents };
    const main = modules.find((module) => module.name === plan.mainModule);
    if (main === undefined) throw new Error(`main module ${plan.mainModule} of ${plan.name} is not among its modules`);
    return {
      modulesRoot: `/${plan.name}`,
      modules: [main, ...modules.filter((module) => module !== main)].map(({ type, path, contents }) => ({ type, path, contents })),
    };
  }

  async module(plan, { name, type, blob }, contents) {
    const binary = type === "wasm" || type === "data";
    const key = `${blob}:${binary}`;
    const known = contents.get(key) ?? this.contents.get(key) ?? (await this.read(blob, binary));
    contents.set(key, known);
    if (!(type in MODULE_TYPES)) throw new Error(`module ${name} of ${plan.name} has the unknown type ${type}`);
    return { name, type: MODULE_TYPES[type], path: path.posix.join(`/${plan.name}`, name), contents: known };
  }

  async read(blob, binary) {
    const bytes = await readFile(path.join(this.blobs, blob));
    return binary ? new Uint8Array(bytes) : bytes.toString("utf8");
  }

  async assets({ assets, modules }) {
    const { config, binding } = assets;
    return {
      directory: await this.site(assets),
      ...(binding ? { binding } : {}),
      ...(config.run_worker_first === undefined ? {} : { run_worker_first: config.run_worker_first }),
      routerConfig: { has_user_worker: modules.length > 0 },
      assetConfig: {
        ...(config.html_handling ? { html_handling: config.html_handling } : {}),
        ...(config.not_found_handling ? { not_found_handling: config.not_found_handling } : {}),
        ...(config.base_path ? { base_path: config.base_path } : {}),
      },
    };
  }

  /** A folder with the files of a version; content-addressed, so a version is laid out once. */
  async site({ files, config }) {
    const rules = { _headers: config._headers, _redirects: config._redirects };
    const hash = createHash("sha256").update(JSON.stringify([files, rules])).digest("hex").slice(0, 32);
    const folder = path.join(this.sites, hash);
    if (existsSync(folder)) return folder;
    const building = `${folder}.${process.pid}.tmp`;
    await rm(building, { recursive: true, force: true });
    await mkdir(building, { recursive: true });
    for (const file of files) {
      const target = path.join(building, path.posix.normalize(`/${file.path}`)); // never above the folder
      await mkdir(path.dirname(target), { recursive: true });
      const source = path.join(this.blobs, file.blob);
      await link(source, target).catch(() => copyFile(source, target));
    }
    for (const [name, text] of Object.entries(rules)) {
      if (typeof text === "string" && text !== "") await writeFile(path.join(building, name), text);
    }
    await rename(building, folder);
    return folder;
  }

  /** Removes the asset folders no worker of these options uses. */
  async sweepSites({ workers }) {
    if (!existsSync(this.sites)) return;
    const used = new Set(workers.flatMap((worker) => (worker.assets ? [path.basename(worker.assets.directory)] : [])));
    for (const name of await readdir(this.sites)) {
      if (!used.has(name)) await rm(path.join(this.sites, name), { recursive: true, force: true });
    }
  }
}

function added(name, script) {
  return { name, modules: true, script, compatibilityDate: ADDED_DATE };
}

function tail(onTail) {
  return { ...added(TAIL, tailSource), serviceBindings: { SINK: onTail } };
}

function standIns() {
  return { ...added(STAND_INS, standInsSource), additionalUnboundDurableObjects: [{ className: "MissingObject", useSQLite: true }] };
}

function outbound() {
  return added(OUTBOUND, outboundSource);
}

function split({ name, script, versions, faces, services }) {
  return { ...added(name, splitSource(script, versions, faces)), serviceBindings: services };
}

function durableObjects({ name, objectBindings, objectExports }) {
  const own = (className) => ({
    className, useSQLite: objectExports[className].sqlite, unsafeUniqueKey: objectExports[className].key,
  });
  const bindings = Object.entries(objectBindings).map(([binding, target]) => [
    binding,
    target.scriptName === name && target.className in objectExports ? own(target.className) : target,
  ]);
  return {
    durableObjects: Object.fromEntries(bindings),
    additionalUnboundDurableObjects: Object.keys(objectExports).map(own),
  };
}
