// Measures `cargo xtask status` on four workers against the wrangler commands that tell the same facts, in turns, on one local
// cloud. What is left out favours wrangler: npx, the list of previews' databases, namespaces and buckets, each worker's health, and
// routes, crons and domains, which no command of wrangler's tells. Started by status.sh.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { bench, check, ciEnv, cores, inTurns, median, ratio, readFlags, repoWithCloud, say, seconds, table, timed, wranglerEnv } from "./common.mjs";

const BOUND = 0.3;
const WORKERS = ["main", "business-agent", "analyzer-worker", "facebook-worker"];
const SECRETS = ["ADMIN_KEY", "GOOGLE_SECRET", "FB_SECRET", "FB_EMAIL", "FB_PASSWORD"];
const SIDES = {
  status: "cargo xtask status (cargo's own start included)",
  row: "wrangler, one command after the other",
  side: "wrangler, the four workers side by side",
};

const flags = readFlags(5);

/** What a person would run for one worker: which versions serve, what they consist of (bindings, variables, names of secrets,
 *  compatibility), and whether somebody uploaded another one; of the first worker's database the pending migrations, too. */
const SCRIPT = `set -euo pipefail
wrangler="$1"
deployed="$("$wrangler" deployments status --json)"
echo "$deployed"
id="$(sed -n 's/.*"version_id": *"\\([^"]*\\)".*/\\1/p' <<< "$deployed" | head -n 1)"
"$wrangler" versions view "$id" --json
"$wrangler" versions list --json
if [ -n "\${2:-}" ]; then "$wrangler" d1 migrations list "$2" --remote; fi`;

class Bench {
  constructor(root, cloud) {
    this.root = root;
    this.wrangler = path.join(flags.repo, "node_modules/.bin/wrangler");
    // Nor a look for a newer wrangler: it would wait as well.
    this.env = { ...ciEnv(SECRETS), WRANGLER_HIDE_BANNER: "true" };
    this.theirs = { ...this.env, ...wranglerEnv(cloud) };
    const config = fs.readFileSync(path.join(root, "workers/main/wrangler.toml"), "utf8");
    this.database = /database_name\s*=\s*"([^"]+)"/.exec(config)[1];
  }

  /** Everything is live, and as the repo says. */
  deploy() {
    timed([path.join(flags.programs, "xtask"), "deploy", "--cloud", "local", "--root", this.root], { cwd: this.root, env: this.env });
  }

  run(side) {
    if (side === "status") {
      const spent = timed(["cargo", "xtask", "status", "--cloud", "local", "--root", this.root], { cwd: flags.repo, env: this.env });
      const rows = spent.said.split("\n").filter((line) => / 100 % .* 200 in /.test(line));
      if (rows.length !== WORKERS.length || !/^status: success/m.test(spent.said)) throw new Error(`status does not tell it all:\n${spent.said}`);
      return spent;
    }
    const started = performance.now();
    const runs = WORKERS.map((worker) => ["bash", "-c", SCRIPT, "bash", this.wrangler, ...(worker === "main" ? [this.database] : [])]);
    const cwd = (index) => path.join(this.root, "workers", WORKERS[index]);
    if (side === "row") {
      const spent = runs.map((command, index) => timed(command, { cwd: cwd(index), env: this.theirs }));
      spent.forEach((run) => told(run.said));
      return { wall: performance.now() - started };
    }
    const done = runs.map((command, index) => new Promise((resolve, reject) => {
      const child = spawn(command[0], command.slice(1), { cwd: cwd(index), env: this.theirs, stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      child.stdout.on("data", (data) => { said += data; });
      child.once("close", (code) => (code === 0 ? resolve(said) : reject(new Error(`wrangler ended with ${code}:\n${said}`))));
    }));
    return Promise.all(done).then((said) => {
      const wall = performance.now() - started;
      said.forEach(told);
      return { wall };
    });
  }
}

/** Fails unless the commands told what they are there for. */
function told(said) {
  for (const fact of ['"percentage": 100', '"bindings"', '"compatibility_date"']) {
    if (!said.includes(fact)) throw new Error(`no ${fact} in what wrangler said:\n${said}`);
  }
}

await bench("live", flags, async (work) => {
  const { root, cloud } = await repoWithCloud(flags, path.join(work, "repo"));
  const all = new Bench(root, cloud);
  say("set-up: four workers are deployed");
  all.deploy();
  const runs = await inTurns(Object.keys(SIDES), { rounds: flags.rounds, warmUp: 1 }, async (side, round) => {
    const spent = await all.run(side);
    say(`round ${round}: ${side} ${seconds(spent.wall)} s`);
    return spent;
  });
  console.log(`\nwhat is live of four workers (${WORKERS.length * 3 + 1} wrangler commands), medians of ${flags.rounds} rounds, ${cores()}\n`);
  table(Object.keys(SIDES).map((side) => [SIDES[side], `${seconds(median(runs[side].map(({ wall }) => wall)))} s`]), ["", "wall"]);
  return ["row", "side"].map((other) => check(`status / ${SIDES[other]}`, ratio(runs.status, runs[other]), BOUND)).every(Boolean);
});
