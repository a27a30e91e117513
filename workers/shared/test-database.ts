// Test set-up: the database as a release leaves it, built from the very files a release applies, in its order.

import { applyD1Migrations, type D1Migration } from "cloudflare:test";
import { env } from "cloudflare:workers";

interface TestFiles {
  DB: D1Database;
  TEST_SCHEMA: string;
  TEST_MIGRATIONS: D1Migration[];
  TEST_SEED: string;
}

const { DB, TEST_SCHEMA, TEST_MIGRATIONS, TEST_SEED } = env as unknown as TestFiles;
await runStatements(TEST_SCHEMA);
await applyD1Migrations(DB, TEST_MIGRATIONS);
await runStatements(TEST_SEED);

/** Runs a file of statements; enough of a splitter for the project's own files, which keep `;` out of texts at a line's end. */
export async function runStatements(sql: string): Promise<void> {
  const statements = sql
    .replace(/--.*$/gm, "")
    .split(/;\s*$/m)
    .filter((statement) => statement.trim() !== "");
  await DB.batch(statements.map((statement) => DB.prepare(statement)));
}
