// Applies SQL files to an empty D1 database, as `cargo xtask ci` asks for it: baseline, migrations in order, seed.
// Prints one JSON line: {"ok":true,"files":N} or {"ok":false,"file","line","message"}. Exit code 1 when a file fails.
//
// usage: node rehearse-migrations.mjs '{"repo_root":"…","baseline":"…"|null,"migrations":["…"],"seed":"…"|null}'

import { readFileSync } from "node:fs";

import { splitStatements } from "./sql.mjs";
import { plain, throwAway } from "./throwaway.mjs";

const request = JSON.parse(process.argv[2] ?? "{}");
const { database, close } = await throwAway(request.repo_root);

try {
  const files = [request.baseline, ...request.migrations, request.seed].filter(Boolean);
  let failure = null;
  for (const file of files) {
    failure = await apply(database, file);
    if (failure) break;
  }
  console.log(JSON.stringify(failure ?? { ok: true, files: files.length }));
  process.exitCode = failure ? 1 : 0;
} finally {
  await close();
}

/** Applies a file as one atomic batch, as the deploy does; what is wrong with it, or null. */
async function apply(database, file) {
  const text = readFileSync(file, "utf8").replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  const statements = splitStatements(text);
  if (statements.length === 0) return null;
  try {
    await database.batch(statements.map(({ sql }) => database.prepare(sql)));
    return null;
  } catch (error) {
    const line = await failingLine(database, statements);
    return { ok: false, file, line, message: plain(error) };
  }
}

/** A batch does not say which of its statements failed: they are tried one by one. The database is thrown away anyway. */
async function failingLine(database, statements) {
  for (const { sql, line } of statements) {
    try {
      await database.prepare(sql).run();
    } catch {
      return line;
    }
  }
  // It only fails as a whole: a foreign key that was deferred to the end.
  return statements.at(-1).line;
}
