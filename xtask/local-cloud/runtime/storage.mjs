// KV and R2 for the control plane, and the end of all kinds of storage. Values travel as base64; the work is done inside
// workerd by the storage worker.

import { rm } from "node:fs/promises";
import path from "node:path";

import { objectFile } from "./files.mjs";

const OBJECT_KEYS = { d1: "miniflare-D1DatabaseObject", kv: "miniflare-KVNamespaceObject", r2: "miniflare-R2BucketObject" };

export class Storage {
  constructor({ engine, storage }) {
    this.engine = engine;
    this.storage = storage;
  }

  /** `get`, `put`, `delete` or `list` on `kv` or `r2`. */
  run(kind, operation, body) {
    return this.engine.store(`${kind}/${operation}`, body);
  }

  /** Removes everything that databases, namespaces, buckets and Durable Objects hold: ids by kind. */
  async drop(dropped) {
    const all = Object.entries(dropped).flatMap(([kind, ids]) => ids.map((id) => ({ kind, id })));
    const remove = async () => {
      for (const { kind, id } of all) await this.remove(kind, id);
    };
    const open = all.some(({ kind, id }) => this.engine.hasOpen(kind, id));
    await (open ? this.engine.withStorageClosed(remove) : this.engine.oneAtATime(remove));
    return { ok: true, entry_port: this.engine.entryPort, reloaded: open };
  }

  async remove(kind, id) {
    // The server checks ids before it keeps them; a path made of one that slipped through would remove other files.
    if (id !== path.basename(id) || ["", ".", ".."].includes(id)) throw new Error(`the id ${JSON.stringify(id)} cannot be part of a path`);
    if (kind === "objects") return await rm(path.join(this.storage, "do", id), { recursive: true, force: true });
    const file = path.join(this.storage, kind, objectFile(OBJECT_KEYS[kind], id));
    for (const suffix of ["", "-wal", "-shm"]) await rm(file + suffix, { force: true });
    // The values themselves lie beside what knows their keys.
    if (kind !== "d1") await rm(path.join(this.storage, kind, id), { recursive: true, force: true });
  }
}
