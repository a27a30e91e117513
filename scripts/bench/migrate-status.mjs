// Measures `xtask migrate status` with 500 applied migration files against the least it has to do: one REST call (curl
// with the very query that reads the ledger) and hashing the files (sha256sum). In turns, on one local cloud that stands in
// for Cloudflare's API. Started by migrate-status.sh.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { check, commit, copyRepo, median, plainEnv, say, startCloud, table } from "./common.mjs";

const BOUND = 3;
const FILES = 500;
/** The three statements that read a ledger, as `xtask/src/ledger/migrations.rs` sends them. */
const LEDGER = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\';
SELECT name FROM d1_migrations ORDER BY id;
SELECT name, hash, release, applied_at FROM xtask_migrations`;

const { values: flags } = parseArgs({
  options: {
    repo: { type: "string" },
    programs: { type: "string" },
    rounds: { type: "string", default: "25" },
    "no-bound": { type: "boolean", default: false },
  },
});
const ROUNDS = Number(flags.rounds);

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

/** Wall time of a program in ms; its output explains a failure. */
function wall([program, ...args], { cwd, env }) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: "utf8", maxBuffer: 1e8 });
  const spent = performance.now() - started;
  if (status !== 0) throw new Error(`\`${program} ${args.join(" ").slice(0, 200)}\` ended with ${status}:\n${stdout}${stderr}`);
  return { spent, stdout };
}

const work = fs.mkdtempSync(path.join(os.tmpdir(), "bench-status-"));
const root = path.join(work, "repo");
const state = path.join(root, ".xtask/local-cloud");
let cloud;
try {
  copyRepo(flags.repo, root);
  const files = manyFiles(root);
  fs.mkdirSync(state, { recursive: true });
  cloud = await startCloud(path.join(flags.programs, "local-cloud"), state, flags.repo);
  const xtask = path.join(flags.programs, "xtask");
  const env = { ...plainEnv(), CI: "true" };
  say(`set-up: ${files.length} files are applied`);
  wall([xtask, "migrate", "up", "--cloud", "local", "--root", root], { cwd: root, env });

  const config = fs.readFileSync(path.join(root, "workers/main/wrangler.toml"), "utf8");
  const database = /database_id\s*=\s*"([^"]+)"/.exec(config)[1];
  const account = /account_id\s*=\s*"([^"]+)"/.exec(fs.readFileSync(path.join(root, "pipeline.toml"), "utf8"))[1];
  const body = path.join(work, "query.json");
  fs.writeFileSync(body, JSON.stringify({ sql: LEDGER }));
  const url = `${cloud.api}/accounts/${account}/d1/database/${database}/query`;
  // As in production: nothing is asked of the local cloud but what Cloudflare would be asked.
  const remote = { ...env, CLOUDFLARE_API_BASE_URL: cloud.api, CLOUDFLARE_API_TOKEN: "local-cloud-token" };
  const sides = {
    status: [xtask, "migrate", "status", "--cloud", "cloudflare", "--root", root, "--format", "json"],
    rest: ["curl", "--silent", "--fail", "-H", "Authorization: Bearer local-cloud-token", "-H", "Content-Type: application/json", "--data", `@${body}`, url],
    hash: ["sha256sum", ...files],
  };
  const runs = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
  for (let round = -2; round < ROUNDS; round++) {
    const names = Object.keys(sides);
    // Another order each round: a machine that gets slower or faster favours nobody.
    for (const side of names.map((_, index) => names[(index + round + names.length) % names.length])) {
      const { spent, stdout } = wall(sides[side], { cwd: root, env: remote });
      if (side === "status" && JSON.parse(stdout).tables[0].rows.length < FILES) throw new Error(`not all files are told:\n${stdout}`);
      if (round >= 0) runs[side].push(spent);
    }
  }
  const of = (side) => median(runs[side]);
  const ms = (value) => `${value.toFixed(1)} ms`;
  console.log(`\n\`migrate status\` with ${files.length} files, medians of ${ROUNDS} rounds, ${os.availableParallelism()} cores of ${os.cpus().length}\n`);
  table([
    ["xtask migrate status", ms(of("status"))],
    ["one REST call that reads the ledger (curl)", ms(of("rest"))],
    ["hashing the files (sha256sum)", ms(of("hash"))],
  ], ["", "wall"]);
  const holds = check("migrate status / (one REST call + hashing)", of("status") / (of("rest") + of("hash")), BOUND);
  process.exitCode = holds || flags["no-bound"] ? 0 : 1;
} catch (error) {
  say(`error: ${error.stack ?? error}`);
  process.exitCode = 2;
} finally {
  await cloud?.end();
  fs.rmSync(work, { recursive: true, force: true });
}
