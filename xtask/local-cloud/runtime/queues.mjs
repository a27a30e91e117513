// Queues: the service that keeps the messages, and who consumes them.

import { mkdirSync, readFileSync } from "node:fs";

import { rawBinding, serviceOf } from "./plugin.mjs";

export const QUEUES = "local-cloud:queues";
const DISK = "local-cloud:queues:disk";
const SOURCE = new URL("./workers/queues.mjs", import.meta.url);

/** What the queue worker has to know of a world; null when there is no queue. `targetsOf` names the live versions of a script. */
export function planQueues(world, targetsOf) {
  const queues = world.queues ?? [];
  if (queues.length === 0) return null;
  const plan = { queues: {}, targets: {} };
  for (const { id, name, settings, consumer } of queues) {
    plan.queues[id] = {
      name, paused: settings.delivery_paused, delivery_delay: settings.delivery_delay, retention: settings.message_retention_period,
      consumer: consumer === null ? null : planConsumer(plan, consumer, targetsOf(consumer.script)),
    };
  }
  return plan;
}

/** None while no version of the consumer is live: its messages wait. */
function planConsumer(plan, { script, dead_letter, settings }, targets) {
  if (targets.length === 0) return null;
  return {
    ...settings,
    dead_letter,
    targets: targets.map(({ name, version, percentage }) => {
      const binding = `worker:${name}`;
      plan.targets[binding] = name;
      return { binding, script, version, percentage };
    }),
  };
}

/** A producer's binding. */
export function producerBinding(name, { queue, delay }) {
  return rawBinding(name, { queue: { name: QUEUES, props: { json: JSON.stringify({ queue, delay }) } } });
}

/** The way to the queues for the storage worker, and the service itself. */
export function queuesBinding({ queues, targets }, folder) {
  mkdirSync(folder, { recursive: true });
  const worker = {
    compatibilityDate: "2025-06-01",
    compatibilityFlags: ["experimental", "service_binding_extra_handlers"],
    modules: [{ name: "queues.mjs", esModule: readFileSync(SOURCE, "utf8") }],
    durableObjectNamespaces: [{ className: "Queue", uniqueKey: "queues", enableSql: true, preventEviction: true }],
    durableObjectStorage: { localDisk: DISK },
    bindings: [
      { name: "OBJECTS", durableObjectNamespace: { className: "Queue" } },
      { name: "QUEUES", json: JSON.stringify(queues) },
      // Not as a worker of Miniflare's: before one with static assets it puts another, and that one passes no messages.
      ...Object.entries(targets).map(([name, target]) => ({ name, service: serviceOf(target) })),
    ],
  };
  return rawBinding("QUEUES", { service: { name: QUEUES } }, [{ name: QUEUES, worker }, { name: DISK, disk: { path: folder, writable: true } }]);
}
