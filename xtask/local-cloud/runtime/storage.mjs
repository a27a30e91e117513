// KV and R2 for the control plane. Values travel as base64; the work is done inside workerd by the storage worker.

import { rm } from "node:fs/promises";
import path from "node:path";

import { objectFile } from "./files.mjs";

const OBJECT_KEYS = { kv: "miniflare-KVNamespaceObject", r2: "miniflare-R2BucketObject" };

export class Storage {
  constructor({ engine, storage }) {
    this.engine = engine;
    this.storage = storage;
  }

  /** `get`, `put`, `delete` or `list` on `kv` or `r2`. */
  run(kind, operation, body) {
    return this.engine.store(`${kind}/${operation}`, body);
  }

  /** Removes everything one namespace or bucket holds. */
  async drop(kind, id) {
    const file = path.join(this.storage, kind, objectFile(OBJECT_KEYS[kind], id));
    const remove = async () => {
      for (const suffix of ["", "-wal", "-shm"]) await rm(file + suffix, { force: true });
      await rm(path.join(this.storage, kind, path.basename(id)), { recursive: true, force: true });
    };
    if (this.engine.serves(kind, id)) await this.engine.withStorageClosed(remove);
    else await remove();
    return { ok: true, entry_port: this.engine.entryPort };
  }
}
