// Turns a World (what the account has deployed) into a plan: the workers to run, their bindings, and which blobs hold
// their code. Pure: no files, no Miniflare. Two equal plans need no reload, so nothing here may depend on time or chance.

import { planQueues } from "./queues.mjs";
import { EDGE, OUTBOUND, STAND_INS, STORAGE, TAIL } from "./standins.mjs";

/** Runtime name of a version: the script's own name for the primary, which owns the Durable Objects. */
export function runtimeName(worker, version) {
  return version === worker.versions[0] ? worker.script : `${worker.script}@${version.id}`;
}

/** Runtime name of the worker that divides calls between the live versions of a script. */
export function splitName(script) {
  return `${script}:split`;
}

/**
 * Plans a world. `exportsOf(version)` gives the exported names of a version, or null when nobody knows; a binding to a
 * name that is not exported would stop the whole runtime, so it becomes a stand-in that fails on use.
 */
export function planWorld(world, { exportsOf, latestDate, outbound }) {
  const scripts = new Map(world.workers.filter((worker) => worker.versions.length > 0).map((worker) => [worker.script, worker]));
  const queues = new Map((world.queues ?? []).map(({ id, name }) => [name, id]));
  const context = { scripts, queues, exportsOf, latestDate, outbound, faces: new Map() };
  const workers = [];
  for (const worker of scripts.values()) {
    for (const version of worker.versions) workers.push(planVersion(worker, version, context));
  }
  for (const [script, faces] of context.faces) workers.push(planSplit(scripts.get(script), faces, context));
  return { workers, resources: world.resources, queues: planQueues(world, (script) => targets(scripts.get(script))) };
}

/** The live versions of a script as the targets of events. */
function targets(worker) {
  if (worker === undefined) return [];
  return liveVersions(worker).map((version) => ({ name: runtimeName(worker, version), version: version.id, percentage: version.percentage ?? 100 }));
}

/** The versions that share live traffic; one that is only reachable by its preview URL is not among them. */
export function liveVersions(worker) {
  const live = worker.versions.filter((version) => version.percentage !== null && version.percentage !== undefined);
  return live.length > 0 ? live : worker.versions.slice(0, 1);
}

function planVersion(worker, version, context) {
  const plan = {
    kind: "version",
    name: runtimeName(worker, version),
    script: worker.script,
    version: version.id,
    compatibilityDate: clampDate(version.compatibility_date, context.latestDate),
    compatibilityFlags: version.compatibility_flags ?? [],
    mainModule: version.main_module,
    modules: version.modules ?? [],
    values: {},
    kv: {},
    d1: {},
    r2: {},
    ratelimits: {},
    analytics: {},
    services: {},
    queues: {},
    objectBindings: {},
    objectExports: {},
    assets: version.assets ? { files: version.assets.files, config: version.assets.config ?? {}, binding: null } : null,
    outbound: context.outbound === "allow" ? null : OUTBOUND,
  };
  if (version === worker.versions[0]) {
    for (const { class_name, sqlite, id } of version.durable_objects ?? []) {
      if (!exportsName(version, class_name, context)) continue;
      // An explicit key: the state outlives versions, percentages, reloads and a renamed class.
      plan.objectExports[class_name] = { sqlite: sqlite !== false, key: id ?? `${worker.script}-${class_name}` };
    }
  }
  for (const binding of version.bindings ?? []) planBinding(plan, worker, version, binding, context);
  return plan;
}

function clampDate(date, latestDate) {
  const wanted = date ?? "2021-11-02"; // what Cloudflare assumes when an upload names none
  return wanted > latestDate ? latestDate : wanted;
}

function planBinding(plan, worker, version, binding, context) {
  const { name, type } = binding;
  switch (type) {
    case "plain_text":
    case "secret_text":
      plan.values[name] = { text: binding.text ?? "" };
      return;
    case "json":
      plan.values[name] = { json: binding.json ?? null };
      return;
    case "version_metadata":
      plan.values[name] = { json: { id: version.id, tag: version.tag ?? "", timestamp: version.created_on } };
      return;
    case "kv_namespace":
      plan.kv[name] = binding.namespace_id;
      return;
    case "d1":
      plan.d1[name] = binding.id ?? binding.database_id;
      return;
    case "r2_bucket":
      plan.r2[name] = binding.bucket_name;
      return;
    case "ratelimit":
      plan.ratelimits[name] = { namespace_id: String(binding.namespace_id ?? name), simple: binding.simple ?? { limit: 100, period: 60 } };
      return;
    case "analytics_engine":
      plan.analytics[name] = binding.dataset ?? name;
      return;
    case "queue":
      if (context.queues.has(binding.queue_name)) {
        plan.queues[name] = { queue: context.queues.get(binding.queue_name), delay: binding.delivery_delay ?? null };
      } else plan.services[name] = unavailable(binding, `queue \`${binding.queue_name}\` does not exist`);
      return;
    case "assets":
      if (plan.assets) plan.assets.binding = name;
      else plan.services[name] = missing(name, "this version has no static assets");
      return;
    case "service":
      plan.services[name] = planService(binding, context);
      return;
    case "durable_object_namespace":
      plan.objectBindings[name] = planObject(worker, binding, context);
      return;
    case "ai":
      plan.services[name] = { name: STAND_INS, entrypoint: "Ai" };
      return;
    case "browser":
      plan.services[name] = { name: STAND_INS, entrypoint: "Browser" };
      return;
    default:
      plan.services[name] = unavailable(binding, `bindings of type ${type} are not emulated`);
  }
}

/** Loads, and fails on use. */
function unavailable({ name, type }, why) {
  return { name: STAND_INS, entrypoint: "Unavailable", props: { binding: name, type: String(type), why } };
}

function missing(binding, why) {
  return { name: STAND_INS, entrypoint: "MissingService", props: { binding, why } };
}

function planService(binding, context) {
  const target = context.scripts.get(binding.service);
  if (target === undefined) return missing(binding.name, `worker \`${binding.service}\` is not deployed`);
  const face = { entrypoint: namedEntrypoint(binding.entrypoint), props: binding.props };
  const live = liveVersions(target);
  if (live.length === 1) return designate(target, live[0], face, binding.name, context);
  const faces = context.faces.get(target.script) ?? [];
  context.faces.set(target.script, faces);
  const text = JSON.stringify(face);
  let number = faces.findIndex((known) => JSON.stringify(known) === text);
  if (number === -1) number = faces.push(face) - 1;
  return { name: splitName(target.script), entrypoint: `Face${number}` };
}

function namedEntrypoint(entrypoint) {
  return entrypoint === undefined || entrypoint === null || entrypoint === "default" ? undefined : entrypoint;
}

/** A direct binding to one version. */
function designate(target, version, face, bindingName, context) {
  if (face.entrypoint !== undefined && !exportsName(version, face.entrypoint, context)) {
    return missing(bindingName, `worker \`${target.script}\` (version ${version.id}) exports no entrypoint \`${face.entrypoint}\``);
  }
  return { name: runtimeName(target, version), ...face };
}

function planObject(worker, binding, context) {
  const owner = context.scripts.get(binding.script_name ?? worker.script);
  const primary = owner?.versions[0];
  const declared = primary?.durable_objects?.some((object) => object.class_name === binding.class_name);
  if (!declared || !exportsName(primary, binding.class_name, context)) return { className: "MissingObject", scriptName: STAND_INS };
  return { className: binding.class_name, scriptName: owner.script };
}

function exportsName(version, name, context) {
  const names = context.exportsOf(version);
  return names === null || names.includes(name);
}

function planSplit(worker, faces, context) {
  const live = liveVersions(worker);
  const services = {};
  faces.forEach((face, number) => {
    live.forEach((version, index) => {
      services[`version${index}:${number}`] = designate(worker, version, face, `to ${worker.script}`, context);
    });
  });
  return {
    kind: "split",
    name: splitName(worker.script),
    script: worker.script,
    versions: live.map(({ id, percentage }) => ({ id, percentage: percentage ?? 100 })),
    faces,
    services,
  };
}

/** Names a user's worker cannot have, so the added ones never collide. */
export const ADDED_WORKERS = [EDGE, STORAGE, TAIL, STAND_INS, OUTBOUND];
