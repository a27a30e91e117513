// Measures `xtask migrate status` with 500 applied migration files against the least it has to do: one REST call (curl
// with the very query that reads the ledger) and hashing the files (sha256sum). In turns, on one local cloud that stands in
// for Cloudflare's API. Started by migrate-status.sh.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { bench, check, ciEnv, commit, cores, inTurns, median, readFlags, repoWithCloud, say, table, wranglerEnv } from "./common.mjs";

const BOUND = 3;
const FILES = 500;
/** The three statements that read a ledger, as `xtask/src/ledger/migrations.rs` sends them. */
const LEDGER = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\';
SELECT name FROM d1_migrations ORDER BY id;
SELECT name, hash, release, applied_at FROM xtask_migrations`;

const flags = readFlags(25);
const XTASK = path.join(flags.programs, "xtask");

/** A repo whose database has had 500 migrations more. */
function manyFiles(root) {
  const folder = path.join(root, "workers/main/migrations");
  for (let number = 101; number <= 100 + FILES; number++) {
    const text = `-- Migration ${number} of the benchmark.\nCREATE TABLE IF NOT EXISTS bench_${number % 10} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT);\n`;
    fs.writeFileSync(path.join(folder, `${String(number).padStart(4, "0")}_bench.sql`), text.repeat(4));
  }
  commit(root, "500 migrations");
  return fs.readdirSync(folder).map((file) => path.join(folder, file));
}

/** Wall time of a program in ms, and what it printed. */
function run([program, ...args], { cwd, env }) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: "utf8", maxBuffer: 1e8 });
  const wall = performance.now() - started;
  if (status !== 0) throw new Error(`\`${program} ${args.join(" ").slice(0, 200)}\` ended with ${status}:\n${stdout}${stderr}`);
  return { wall, stdout };
}

/** What is compared, as commands. */
function commands(root, work, cloud, files) {
  const config = fs.readFileSync(path.join(root, "workers/main/wrangler.toml"), "utf8");
  const database = /database_id\s*=\s*"([^"]+)"/.exec(config)[1];
  const account = /account_id\s*=\s*"([^"]+)"/.exec(fs.readFileSync(path.join(root, "pipeline.toml"), "utf8"))[1];
  const body = path.join(work, "query.json");
  fs.writeFileSync(body, JSON.stringify({ sql: LEDGER }));
  const url = `${cloud.api}/accounts/${account}/d1/database/${database}/query`;
  return {
    status: [XTASK, "migrate", "status", "--cloud", "cloudflare", "--root", root, "--format", "json"],
    rest: ["curl", "--silent", "--fail", "-H", "Authorization: Bearer local-cloud-token", "-H", "Content-Type: application/json", "--data", `@${body}`, url],
    hash: ["sha256sum", ...files],
  };
}

await bench("status", flags, async (work) => {
  const { root, cloud } = await repoWithCloud(flags, path.join(work, "repo"));
  const files = manyFiles(root);
  say(`set-up: ${files.length} files are applied`);
  run([XTASK, "migrate", "up", "--cloud", "local", "--root", root], { cwd: root, env: ciEnv() });
  const sides = commands(root, work, cloud, files);
  // As in production: nothing is asked of the local cloud but what Cloudflare would be asked.
  const env = { ...ciEnv(), ...wranglerEnv(cloud) };
  const runs = await inTurns(Object.keys(sides), { rounds: flags.rounds, warmUp: 2 }, (side) => {
    const spent = run(sides[side], { cwd: root, env });
    if (side === "status" && JSON.parse(spent.stdout).tables[0].rows.length < FILES) throw new Error(`not all files are told:\n${spent.stdout}`);
    return spent;
  });
  const of = (side) => median(runs[side].map(({ wall }) => wall));
  const ms = (value) => `${value.toFixed(1)} ms`;
  console.log(`\n\`migrate status\` with ${files.length} files, medians of ${flags.rounds} rounds, ${cores()}\n`);
  table([
    ["xtask migrate status", ms(of("status"))],
    ["one REST call that reads the ledger (curl)", ms(of("rest"))],
    ["hashing the files (sha256sum)", ms(of("hash"))],
  ], ["", "wall"]);
  return check("migrate status / (one REST call + hashing)", of("status") / (of("rest") + of("hash")), BOUND);
});
