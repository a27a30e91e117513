// A Miniflare plugin for what Miniflare has no option for: bindings and services written as workerd takes them.
//
// Loaded by Miniflare itself, by this file's path (`unsafeBindings`).

import { fileURLToPath } from "node:url";

const NAME = "local-cloud";

/** An entry of `unsafeBindings`: `binding` is workerd's own, without its name; `services` are added to the instance. */
export function rawBinding(name, binding, services = []) {
  return { name, type: NAME, plugin: { package: fileURLToPath(import.meta.url), name: NAME }, options: { binding, services } };
}

/** The service of a worker of this instance. */
export function serviceOf(worker) {
  return { name: `core:user:${worker}` };
}

/** This plugin's bindings of one worker. Miniflare 4 hands over a list, Miniflare 5 the whole worker. */
function own(options) {
  if (Array.isArray(options)) return options.map(({ name, options: { binding, services } }) => ({ name, binding, services }));
  const entries = Object.entries(options?.config?.env ?? {}).filter(([, { dev }]) => dev?.plugin?.name === NAME);
  return entries.map(([name, { dev }]) => ({ name, ...dev.options }));
}

export const plugins = {
  [NAME]: {
    getBindings: (options) => own(options).map(({ name, binding }) => ({ name, ...binding })),
    getNodeBindings: () => ({}),
    getServices: ({ options }) => own(options).flatMap(({ services }) => services),
  },
};
