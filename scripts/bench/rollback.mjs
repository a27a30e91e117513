// Measures a rollback of four workers: `xtask rollback` against `npx wrangler rollback` for one worker after the other, in
// turns, on one local cloud. Knows how to measure, not how either side works. Started by rollback.sh.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { commit, copyRepo, median, plainEnv, say, seconds, startCloud, table, timed } from "./common.mjs";

const BOUND = 0.15;
const MAINS = ["main", "business-agent", "analyzer-worker", "facebook-worker"].map((worker) => `workers/${worker}/src/index.ts`);
const SECRETS = ["ADMIN_KEY", "GOOGLE_SECRET", "FB_SECRET", "FB_EMAIL", "FB_PASSWORD"];

const { values: flags } = parseArgs({
  options: {
    repo: { type: "string" },
    programs: { type: "string" },
    rounds: { type: "string", default: "5" },
    "no-bound": { type: "boolean", default: false },
  },
});
const ROUNDS = Number(flags.rounds);

class Bench {
  constructor(repo, cloud) {
    this.repo = repo;
    this.cloud = cloud;
    const secrets = Object.fromEntries(SECRETS.map((name) => [name, `bench-${name.toLowerCase()}`]));
    this.env = { ...plainEnv(), ...secrets, CI: "true", WRANGLER_SEND_METRICS: "false" };
  }

  xtask(...words) {
    const command = [path.join(flags.programs, "xtask"), ...words, "--cloud", "local", "--root", this.repo];
    return timed(command, { cwd: this.repo, env: this.env });
  }

  /** The versions of the two releases, by script. */
  releases() {
    const folder = path.join(this.repo, ".xtask/releases");
    const records = fs.readdirSync(folder).map((file) => JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")));
    return records.filter(({ rollback }) => !rollback).sort((a, b) => a.number - b.number);
  }

  wrangler(release) {
    const env = { ...this.env, CLOUDFLARE_API_TOKEN: "local-cloud-token", CLOUDFLARE_API_BASE_URL: this.cloud.api };
    const total = { wall: 0, cpu: 0 };
    for (const [script, version] of Object.entries(release.versions)) {
      const command = ["npx", "wrangler", "rollback", version, "--name", script, "--message", "bench"];
      const spent = timed(command, { cwd: path.join(this.repo, "workers/main"), env });
      total.wall += spent.wall;
      total.cpu += spent.cpu;
    }
    return total;
  }

  /** Fails unless every worker serves the release: a rollback that changed nothing must not be measured. */
  async expect(release) {
    const state = await (await fetch(`${this.cloud.edge}/_local/state`)).json();
    for (const [script, version] of Object.entries(release.versions)) {
      const text = JSON.stringify(state.scripts[script].deployments.at(-1));
      if (!text.includes(version)) throw new Error(`${script} does not serve ${version}: ${text}`);
    }
  }
}

async function main() {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "bench-rollback-"));
  const repo = copyRepo(flags.repo, path.join(work, "repo"));
  const state = path.join(repo, ".xtask/local-cloud");
  fs.mkdirSync(state, { recursive: true });
  const cloud = await startCloud(path.join(flags.programs, "local-cloud"), state, flags.repo);
  const runs = { wrangler: [], xtask: [] };
  try {
    const bench = new Bench(repo, cloud);
    say("two releases");
    bench.xtask("deploy");
    for (const file of MAINS) fs.appendFileSync(path.join(repo, file), '\nReflect.set(globalThis, "release", 2);\n');
    commit(repo, "the second release");
    bench.xtask("deploy");
    const releases = bench.releases();
    if (releases.length !== 2) throw new Error(`there are ${releases.length} releases`);
    let at = 1;
    for (let round = 0; round <= ROUNDS; round++) {
      // Another order each round: a machine that gets slower or faster favours nobody.
      for (const side of round % 2 ? ["xtask", "wrangler"] : ["wrangler", "xtask"]) {
        const to = releases[1 - at];
        const spent = side === "xtask" ? bench.xtask("rollback", "--to", to.id) : bench.wrangler(to);
        await bench.expect(to);
        at = 1 - at;
        // The first round fills caches.
        if (round > 0) runs[side].push(spent);
        say(`round ${round}: ${side} ${seconds(spent.wall)} s`);
      }
    }
    process.exitCode = print(runs) || flags["no-bound"] ? 0 : 1;
  } finally {
    await cloud.end();
    fs.rmSync(work, { recursive: true, force: true });
  }
  process.exit();
}

/** Prints everything; true when the bound holds. */
function print(runs) {
  console.log(`\nrollback of four workers, medians of ${ROUNDS} rounds, ${os.availableParallelism()} cores of ${os.cpus().length}\n`);
  const of = (side, what) => median(runs[side].map((run) => run[what]));
  const names = { wrangler: "npx wrangler rollback, four in a row", xtask: "xtask rollback (health included)" };
  table(Object.entries(names).map(([side, name]) => [name, `${seconds(of(side, "wall"))} s`, `${seconds(of(side, "cpu"))} s`]), ["", "wall", "CPU"]);
  const ratios = runs.xtask.map((run, index) => run.wall / runs.wrangler[index].wall);
  const ratio = median(ratios);
  const holds = ratio <= BOUND;
  console.log(`xtask rollback / wrangler rollback, wall: ${ratio.toFixed(3)} (rounds ${ratios.map((one) => one.toFixed(2)).join(", ")}), at most ${BOUND}: ${holds ? "holds" : "MISSED"}\n`);
  return holds;
}

main().catch((error) => {
  say(`error: ${error.stack ?? error}`);
  process.exit(2);
});
