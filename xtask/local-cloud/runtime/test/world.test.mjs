import assert from "node:assert/strict";
import { test } from "node:test";

import { planWorld } from "../world.mjs";

const version = (id, percentage, more = {}) => ({
  id, percentage, main_module: "index.js", modules: [{ name: "index.js", type: "esm", blob: id }], compatibility_date: "2025-06-01",
  compatibility_flags: [], bindings: [], durable_objects: [], assets: null, tag: null, created_on: "2026-01-01T00:00:00Z", ...more,
});
const plan = (workers, exportsOf = () => null) => planWorld(
  { workers, resources: { d1: [], kv: [], r2: [] } }, { exportsOf, latestDate: "2026-01-01", outbound: "block" });
const named = (planned, name) => planned.workers.find((worker) => worker.name === name);
const calls = (service, more = {}) => ({ bindings: [{ type: "service", name: "API", service, ...more }] });

test("one live version is bound directly", () => {
  const planned = plan([{ script: "a", versions: [version("a1", 100, calls("b"))] }, { script: "b", versions: [version("b1", 100)] }]);
  assert.deepEqual(named(planned, "a").services.API, { name: "b", entrypoint: undefined, props: undefined });
  assert.equal(planned.workers.length, 2);
});

test("two live versions get a split, one class per kind of caller", () => {
  const planned = plan([
    { script: "a", versions: [version("a1", 100, calls("b"))] },
    { script: "c", versions: [version("c1", 100, calls("b", { entrypoint: "Admin" }))] },
    { script: "b", versions: [version("b2", 90), version("b1", 10), version("b0", null)] },
  ]);
  assert.deepEqual(named(planned, "c").services.API, { name: "b:split", entrypoint: "Face1" });
  const split = named(planned, "b:split");
  assert.deepEqual(split.versions, [{ id: "b2", percentage: 90 }, { id: "b1", percentage: 10 }]);
  assert.deepEqual(split.services["version1:1"], { name: "b@b1", entrypoint: "Admin", props: undefined });
});

test("what is not there becomes a stand-in that fails on use", () => {
  const bindings = [
    { type: "service", name: "GONE", service: "nobody" },
    { type: "service", name: "NO_ENTRY", service: "a", entrypoint: "Nope" },
    { type: "durable_object_namespace", name: "ROOM", class_name: "Room", script_name: "nobody" },
    { type: "queue", name: "QUEUE", queue_name: "q" },
  ];
  const planned = plan([{ script: "a", versions: [version("a1", 100, { bindings })] }], () => ["default"]);
  const { services, objectBindings } = named(planned, "a");
  assert.equal(services.GONE.props.why, "worker `nobody` is not deployed");
  assert.equal(services.NO_ENTRY.entrypoint, "MissingService");
  assert.equal(objectBindings.ROOM.className, "MissingObject");
  assert.deepEqual(services.QUEUE.props, { binding: "QUEUE", type: "queue", why: "queue `q` does not exist" });
});

test("only the primary owns the objects, under a key that outlives versions", () => {
  const own = {
    durable_objects: [{ class_name: "Room", sqlite: true }],
    bindings: [{ type: "durable_object_namespace", name: "ROOM", class_name: "Room" }],
  };
  const planned = plan([{ script: "a", versions: [version("a2", 90, own), version("a1", 10, own)] }]);
  assert.deepEqual(named(planned, "a").objectExports, { Room: { sqlite: true, key: "a-Room" } });
  assert.deepEqual(named(planned, "a@a1").objectExports, {});
  assert.deepEqual(named(planned, "a@a1").objectBindings.ROOM, { className: "Room", scriptName: "a" });
});

test("a tag or a date changes the plan only when a binding shows it", () => {
  const one = plan([{ script: "a", versions: [version("a1", 100)] }]);
  const other = plan([{ script: "a", versions: [version("a1", 50, { tag: "x", created_on: "later" })] }]);
  assert.deepEqual(one, other);
});
