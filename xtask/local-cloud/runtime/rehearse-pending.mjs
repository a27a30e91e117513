// Applies pending SQL files to a copy of a live schema, for `cargo xtask migrate` and `deploy`, and tells what each
// statement did to the schema. Judges nothing but one thing: whether a failure is due to the rows a copy does not have.
//
// usage: node rehearse-pending.mjs < request.json
// request: {"repo_root","schema":[{"type","name","sql"}],"own_tables":"SQL that makes the pipeline's tables",
//           "files":[{"name","sql","ledger"}]}
// answer:  {"unreadable":null|"why the schema cannot be copied","before":Schema,"files":[{"name","recorded":bool,
//           "statements":[{"line","sql","after":null|Schema}],"skipped":[{"index","message"}],"failure":null|{"index","message"}}]}
// Schema:  {"tables":{NAME:{"kind","sql","columns":[…],"keys":[…]}|null},"others":{"index NAME":{"table","sql"}|null}}
// Of the schema after a statement only what differs is told; null is what is gone. `index` points into `statements`,
// `recorded` is whether the ledger rows came through. A file with a failure is the last one.

import { text } from "node:stream/consumers";

import { splitStatements } from "./sql.mjs";
import { plain, throwAway } from "./throwaway.mjs";

const FIRST_WORD = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*([a-z]+)/i;
const CHANGES_SCHEMA = new Set(["CREATE", "ALTER", "DROP"]);
const CHANGES_ROWS = new Set(["INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"]);
/** Virtual tables first: they make their shadow tables themselves. */
const ORDER = ["virtual", "table", "view", "index", "trigger"];

/** D1's own tables cannot even be described. */
const NOT_D1S = "s.name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
const SCHEMA = {
  objects: `SELECT type, name, tbl_name, sql FROM sqlite_schema AS s WHERE ${NOT_D1S}`,
  kinds: "SELECT name, type FROM pragma_table_list WHERE schema = 'main'",
  columns: columnsOf("pragma_table_xinfo"),
  keys: columnsOf("pragma_foreign_key_list"),
};

function columnsOf(pragma) {
  return `SELECT s.name AS of_table, p.* FROM sqlite_schema AS s JOIN ${pragma}(s.name) AS p WHERE s.type = 'table' AND ${NOT_D1S}`;
}

const request = JSON.parse(await text(process.stdin));
const { database, close } = await throwAway(request.repo_root);
try {
  console.log(JSON.stringify(await rehearse()));
} finally {
  await close();
}

async function rehearse() {
  const unreadable = await copySchema();
  if (unreadable !== null) return { unreadable, before: { tables: {}, others: {} }, files: [] };
  let schema = (await batch([], [0]))[0];
  const answer = { unreadable, before: schema, files: [] };
  for (const file of request.files) {
    const outcome = await apply(file);
    for (const statement of outcome.statements.filter(({ after }) => after)) {
      const next = statement.after;
      statement.after = { tables: difference(schema.tables, next.tables), others: difference(schema.others, next.others) };
      schema = next;
    }
    answer.files.push(outcome);
    if (outcome.failure) break;
  }
  return answer;
}

function difference(before, after) {
  const same = (name) => JSON.stringify(before[name]) === JSON.stringify(after[name]);
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries([...names].filter((name) => !same(name)).map((name) => [name, after[name] ?? null]));
}

/** Makes the live schema; why that cannot be done, or null. */
async function copySchema() {
  const kind = ({ type, sql }) => (/^\s*CREATE\s+VIRTUAL\b/i.test(sql) ? "virtual" : type);
  const objects = request.schema.filter(({ sql }) => sql);
  objects.sort((one, other) => ORDER.indexOf(kind(one)) - ORDER.indexOf(kind(other)));
  const shadows = new Set();
  for (const object of objects) {
    if (object.type === "table" && shadows.has(object.name)) continue;
    try {
      await database.prepare(object.sql).run();
    } catch (error) {
      return `${object.type} ${object.name}: ${plain(error)}`;
    }
    if (kind(object) !== "virtual") continue;
    const { results } = await database.prepare("SELECT name FROM pragma_table_list WHERE type = 'shadow'").all();
    results.forEach(({ name }) => shadows.add(name));
  }
  await database.batch(splitStatements(request.own_tables).map(({ sql }) => database.prepare(sql)));
  return null;
}

/** Applies one file as the one atomic request that it is going to be; failing that, statement by statement. */
async function apply({ name, sql, ledger }) {
  const statements = splitStatements(`${sql}\n${ledger}`).map((one) => ({ ...one, word: FIRST_WORD.exec(one.sql)?.[1].toUpperCase() ?? "" }));
  const changing = statements.flatMap(({ word }, index) => (CHANGES_SCHEMA.has(word) ? [index] : []));
  const told = statements.map(({ sql, line }) => ({ line, sql, after: null }));
  const outcome = { name, recorded: false, statements: told, skipped: [], failure: null };
  try {
    const schemas = await batch(statements, changing.map((index) => index + 1));
    changing.forEach((index, at) => (told[index].after = schemas[at]));
  } catch {
    // A batch does not say which of its statements failed. What is tried now stays, but the database is thrown away.
    await applyOneByOne(statements, outcome);
  }
  const row = await database.prepare("SELECT 1 FROM xtask_migrations WHERE name = ?").bind(name).first();
  return { ...outcome, recorded: row !== null };
}

async function applyOneByOne(statements, outcome) {
  for (const [index, { sql, word }] of statements.entries()) {
    try {
      await database.prepare(sql).run();
      if (CHANGES_SCHEMA.has(word)) [outcome.statements[index].after] = await batch([], [0]);
    } catch (error) {
      const message = plain(error);
      // A statement that changes rows may need some that only the live database has: a foreign key, a NOT NULL.
      const dueToRows = CHANGES_ROWS.has(word) && message.includes("SQLITE_CONSTRAINT");
      if (!dueToRows) {
        outcome.failure = { index, message };
        return;
      }
      outcome.skipped.push({ index, message });
    }
  }
}

/** Runs statements atomically; the schemas after the first so many of them, as `after` lists. */
async function batch(statements, after) {
  const queries = [];
  const starts = [];
  const look = (count) => {
    if (!after.includes(count)) return;
    starts.push(queries.length);
    queries.push(...Object.values(SCHEMA));
  };
  look(0);
  statements.forEach(({ sql }, index) => {
    queries.push(sql);
    look(index + 1);
  });
  const results = await database.batch(queries.map((sql) => database.prepare(sql)));
  const names = Object.keys(SCHEMA);
  return starts.map((start) => schemaOf(Object.fromEntries(names.map((name, at) => [name, results[start + at].results]))));
}

function schemaOf({ objects, kinds, columns, keys }) {
  const kindOf = Object.fromEntries(kinds.map(({ name, type }) => [name, type]));
  const schema = { tables: {}, others: {} };
  for (const { type, name, tbl_name, sql } of objects) {
    if (type !== "table") schema.others[`${type} ${name}`] = { table: tbl_name, sql };
    else if (kindOf[name] !== "shadow") schema.tables[name] = { kind: kindOf[name], sql, columns: [], keys: [] };
  }
  for (const { of_table, name, type, notnull, dflt_value, pk, hidden } of columns) {
    if (hidden === 1) continue; // a virtual table's own
    schema.tables[of_table]?.columns.push({ name, type, not_null: notnull === 1, default: dflt_value, pk, generated: hidden > 1 });
  }
  for (const { of_table, id, table, from, to, on_delete } of keys) {
    schema.tables[of_table]?.keys.push({ id, parent: table, from, to, on_delete });
  }
  return schema;
}
