// Measures a rollback of four workers: `xtask rollback` against `npx wrangler rollback` for one worker after the other, in
// turns, on one local cloud. Knows how to measure, not how either side works. Started by rollback.sh.

import fs from "node:fs";
import path from "node:path";

import { bench, check, ciEnv, commit, cores, inTurns, median, ratio, readFlags, repoWithCloud, say, seconds, settle, table, timed, wranglerEnv } from "./common.mjs";

const BOUND = 0.15;
const MAINS = ["main", "business-agent", "analyzer-worker", "facebook-worker"].map((worker) => `workers/${worker}/src/index.ts`);
const SECRETS = ["ADMIN_KEY", "GOOGLE_SECRET", "FB_SECRET", "FB_EMAIL", "FB_PASSWORD"];

const flags = readFlags(5);

class Bench {
  constructor(root, cloud) {
    this.root = root;
    this.cloud = cloud;
    this.env = ciEnv(SECRETS);
  }

  xtask(...words) {
    const command = [path.join(flags.programs, "xtask"), ...words, "--cloud", "local", "--root", this.root];
    return timed(command, { cwd: this.root, env: this.env });
  }

  /** The versions of the two releases, by script. */
  releases() {
    const folder = path.join(this.root, ".xtask/releases");
    const records = fs.readdirSync(folder).map((file) => JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")));
    return records.filter(({ rollback }) => !rollback).sort((a, b) => a.number - b.number);
  }

  wrangler(release) {
    const env = { ...this.env, ...wranglerEnv(this.cloud) };
    const total = { wall: 0, cpu: 0 };
    for (const [script, version] of Object.entries(release.versions)) {
      const command = ["npx", "wrangler", "rollback", version, "--name", script, "--message", "bench"];
      const spent = timed(command, { cwd: path.join(this.root, "workers/main"), env });
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

/** Prints everything; true when the bound holds. */
function print(runs) {
  console.log(`\nrollback of four workers, medians of ${flags.rounds} rounds, ${cores()}\n`);
  const of = (side, what) => median(runs[side].map((run) => run[what]));
  const names = { wrangler: "npx wrangler rollback, four in a row", xtask: "xtask rollback (health included)" };
  table(Object.entries(names).map(([side, name]) => [name, `${seconds(of(side, "wall"))} s`, `${seconds(of(side, "cpu"))} s`]), ["", "wall", "CPU"]);
  return check("xtask rollback / wrangler rollback, wall", ratio(runs.xtask, runs.wrangler), BOUND);
}

await bench("rollback", flags, async (work) => {
  const { root, cloud } = await repoWithCloud(flags, path.join(work, "repo"));
  const both = new Bench(root, cloud);
  say("two releases");
  both.xtask("deploy");
  for (const file of MAINS) fs.appendFileSync(path.join(root, file), '\nReflect.set(globalThis, "release", 2);\n');
  commit(root, "the second release");
  both.xtask("deploy");
  const releases = both.releases();
  if (releases.length !== 2) throw new Error(`there are ${releases.length} releases`);
  let at = 1;
  const runs = await inTurns(["wrangler", "xtask"], { rounds: flags.rounds, warmUp: 1 }, async (side, round) => {
    const to = releases[1 - at];
    const spent = side === "xtask" ? both.xtask("rollback", "--to", to.id) : both.wrangler(to);
    await both.expect(to);
    await settle();
    at = 1 - at;
    say(`round ${round}: ${side} ${seconds(spent.wall)} s`);
    return spent;
  });
  return print(runs);
});
