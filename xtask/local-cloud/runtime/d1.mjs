// D1 as its REST API offers it: many statements in one atomic request, dump, and copies of the whole database.

import { existsSync } from "node:fs";
import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";

import { objectFile } from "./files.mjs";
import { splitStatements } from "./sql.mjs";

export class D1 {
  constructor({ engine, storage }) {
    this.engine = engine;
    this.storage = storage;
  }

  /** Runs every statement or none; of the first `first` ones when that is given. */
  async query({ database_id, sql, params = [], first }) {
    const statements = splitStatements(String(sql ?? "")).slice(0, first ?? undefined);
    if (statements.length === 0) return { ok: false, message: "No SQL statements detected." };
    const bound = bindParameters(statements, params);
    const answer = await this.engine.store("d1/batch", { database_id, statements: bound });
    return answer.ok ? { ok: true, results: answer.results } : { ok: false, message: plainMessage(answer.message) };
  }

  /** Schema and data as SQL, in the form `wrangler d1 export` writes. */
  async dump({ database_id, schema = true, data = true, tables = [] }) {
    const answer = await this.engine.store("d1/dump", { database_id, no_schema: !schema, no_data: !data, tables });
    return answer.ok ? answer : { ok: false, message: plainMessage(answer.message) };
  }

  /** A consistent copy of the database file, made while it is in use. */
  async snapshot({ database_id, to }) {
    const file = this.file(database_id);
    if (!existsSync(file)) await this.query({ database_id, sql: "SELECT 1" }); // an unused database has no file yet
    if (!existsSync(file)) return { ok: false, message: `database ${database_id} has no file in ${this.storage}` };
    await mkdir(path.dirname(to), { recursive: true });
    const temporary = `${to}.${process.pid}.tmp`;
    await rm(temporary, { force: true });
    await copyDatabase(file, temporary);
    await rename(temporary, to);
    return { ok: true };
  }

  /** Puts a snapshot in the place of the database. */
  async restore({ database_id, from }) {
    if (!existsSync(from)) return { ok: false, message: `no snapshot at ${from}` };
    await this.engine.withStorageClosed(async () => {
      const file = this.file(database_id);
      await mkdir(path.dirname(file), { recursive: true });
      await removeDatabase(file);
      await copyFile(from, file);
    });
    return { ok: true, entry_port: this.engine.entryPort };
  }

  file(database_id) {
    return path.join(this.storage, "d1", objectFile("miniflare-D1DatabaseObject", database_id));
  }
}

/** Hands the values out to the statements in order; one statement gets them all. */
function bindParameters(statements, params) {
  if (statements.length === 1) return [{ sql: statements[0].sql, params }];
  let at = 0;
  return statements.map(({ sql, parameters }) => {
    const bound = params.slice(at, at + parameters);
    at += parameters;
    return { sql, params: bound };
  });
}

/** The REST API reports SQLite's words without the binding's prefix. */
function plainMessage(message) {
  return message.replace(/^(D1_ERROR|D1_EXEC_ERROR|D1_TYPE_ERROR): /, "");
}

/** Copies through SQLite itself, so that a write in between cannot tear the copy. */
async function copyDatabase(from, to) {
  const sqlite = await import("node:sqlite");
  const database = new sqlite.DatabaseSync(from, { readOnly: true });
  try {
    if (sqlite.backup) await sqlite.backup(database, to);
    else database.prepare("VACUUM INTO ?").run(to);
  } finally {
    database.close();
  }
}

async function removeDatabase(file) {
  for (const suffix of ["", "-wal", "-shm"]) await rm(file + suffix, { force: true });
}
