// Measures a deploy of four changed workers: `xtask deploy` against what cloudflare/wrangler-action runs, in turns, on
// one local cloud. Knows how to measure, not how either side works. Started by deploy.sh.

import fs from "node:fs";
import path from "node:path";

import { bench, check, ciEnv, commit, copyRepo, cores, inTurns, median, ratio, readFlags, repoWithCloud, say, seconds, settle, sum, table, timed, wranglerEnv } from "./common.mjs";

const BOUND = 0.5;
/** What the action is configured with: it runs once per worker, in this order, each with its own secrets. */
const WORKERS = [
  { folder: "main", main: "src/index.ts", secrets: ["ADMIN_KEY", "GOOGLE_SECRET"] },
  { folder: "business-agent", main: "src/index.ts", secrets: ["ADMIN_KEY"] },
  { folder: "analyzer-worker", main: "src/index.ts", secrets: ["ADMIN_KEY"] },
  { folder: "facebook-worker", main: "src/index.ts", secrets: ["FB_SECRET", "FB_EMAIL", "FB_PASSWORD"] },
];
const SIDES = {
  action: "wrangler-action (secret bulk + deploy, one by one)",
  xtask: "xtask deploy",
  cold: "xtask deploy, V8 code cache emptied first",
};

const flags = readFlags(5, { parts: { type: "boolean", default: false } });

/** Makes every worker's bundle differ from all earlier ones. */
function changeAll(folder, round) {
  for (const { folder: worker, main } of WORKERS) {
    fs.appendFileSync(path.join(folder, "workers", worker, main), `\nReflect.set(globalThis, "round", ${JSON.stringify(round)});\n`);
  }
  commit(folder, round);
}

/** CPU seconds a process and all below it have used, those that ended included (Linux; elsewhere unknown). */
function cpuOfTree(root) {
  if (!fs.existsSync("/proc/self/stat")) return NaN;
  const ticks = new Map();
  const children = new Map();
  for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let stat;
    try { stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8"); } catch { continue; } // it ended meanwhile
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks.set(Number(pid), fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0));
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(pid)]);
  }
  const below = (pid) => (ticks.get(pid) ?? 0) + (children.get(pid) ?? []).reduce((sum, child) => sum + below(child), 0);
  return below(root) / 100;
}

class Bench {
  constructor(work, cloud) {
    this.cloud = cloud;
    this.ours = path.join(work, "ours");
    this.theirs = path.join(work, "theirs");
    this.outputs = path.join(work, "wrangler-output");
    this.env = ciEnv(WORKERS.flatMap(({ secrets }) => secrets));
  }

  /** The action: `secret bulk` with the secrets on stdin, then `deploy`, worker by worker, through npx. */
  action(step) {
    const env = {
      ...this.env,
      ...wranglerEnv(this.cloud),
      WRANGLER_OUTPUT_FILE_DIRECTORY: this.outputs,
    };
    const total = { wall: 0, cpu: 0 };
    for (const { folder, secrets } of WORKERS) {
      const cwd = path.join(this.theirs, "workers", folder);
      const input = JSON.stringify(Object.fromEntries(secrets.map((name) => [name, env[name]])));
      for (const [name, command] of [["secret bulk", ["npx", "wrangler", "secret", "bulk"]], ["deploy", ["npx", "wrangler", "deploy"]]]) {
        const spent = timed(command, { cwd, env, input: name === "secret bulk" ? input : "" });
        step(`${name} ${folder}`, name, spent.wall);
        total.wall += spent.wall;
        total.cpu += spent.cpu;
      }
    }
    return total;
  }

  /** Our own side; its steps are read from the report it writes. */
  xtask(step) {
    const before = Date.now();
    const command = [path.join(flags.programs, "xtask"), "deploy", "--cloud", "local", "--root", this.ours];
    const spent = timed(command, { cwd: this.ours, env: this.env });
    const after = before + spent.wall;
    const { steps } = JSON.parse(fs.readFileSync(path.join(this.ours, ".xtask/reports/deploy.json"), "utf8"));
    const groups = [];
    for (const one of steps) {
      const from = Date.parse(one.started);
      const group = groups.at(-1)?.name === one.group ? groups.at(-1) : { name: one.group, from, to: from };
      if (group !== groups.at(-1)) groups.push(group);
      group.from = Math.min(group.from, from);
      group.to = Math.max(group.to, from + one.duration_ms);
      step(one.id, one.group, one.duration_ms);
    }
    let reached = before;
    spent.phases = {};
    const spend = (name, ms) => { spent.phases[name] = (spent.phases[name] ?? 0) + ms; };
    groups.forEach(({ name, from, to }, index) => {
      spend(index === 0 ? "(start, read what is live, lease)" : `(before ${name})`, from - reached);
      spend(name, to - from);
      reached = to;
    });
    spend("(record, release the lease, end)", after - reached);
    const uploads = steps.filter(({ id, status }) => id.startsWith("upload ") && status === "passed").length;
    if (uploads !== WORKERS.length) throw new Error(`${uploads} of ${WORKERS.length} workers were uploaded: all should have changed`);
    return spent;
  }

  /** One measured deploy of a side. */
  async run(side, round, steps) {
    const folder = side === "action" ? this.theirs : this.ours;
    changeAll(folder, round);
    if (side === "cold") fs.rmSync(path.join(this.ours, ".xtask/cache/node"), { recursive: true, force: true });
    await fetch(`${this.cloud.edge}/_local/journal`, { method: "DELETE" });
    const cloudBefore = cpuOfTree(this.cloud.pid);
    const note = (id, group, ms) => {
      const known = steps.get(id) ?? { group, ms: [] };
      known.ms.push(ms);
      steps.set(id, known);
    };
    const spent = side === "action" ? this.action(note) : this.xtask(note);
    await settle();
    spent.cloud = (cpuOfTree(this.cloud.pid) - cloudBefore) * 1000;
    spent.requests = await this.requests();
    return spent;
  }

  /** The API requests of the last deploy: how many, and how long the cloud took for them, by kind. */
  async requests() {
    const { entries } = await (await fetch(`${this.cloud.edge}/_local/journal?since=0`)).json();
    const kinds = {};
    for (const { method, path: at, duration_ms } of entries) {
      const tail = at.replace(/^.*\/workers\/(scripts|services)\/[^/]+/, "…/$1/*").replace(/^.*\/d1\/database\/[^/]+/, "…/d1/*").replace(/^.*\/accounts\/[^/]+/, "…").replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "*");
      (kinds[`${method} ${tail}`] ??= []).push(duration_ms);
    }
    return kinds;
  }
}

function printRequests(runs) {
  for (const side of ["xtask", "action"]) {
    const last = runs[side].at(-1).requests;
    const rows = Object.entries(last).map(([kind, ms]) => [kind, ms]).sort((a, b) => sum(b[1]) - sum(a[1]));
    console.log(`API requests of one ${side} deploy: ${rows.reduce((count, [, ms]) => count + ms.length, 0)}; those the cloud took longest for:`);
    table(rows.slice(0, 10).map(([kind, ms]) => [kind, String(ms.length), sum(ms).toFixed(0), Math.max(...ms).toFixed(0)]), ["", "count", "sum ms", "max ms"]);
  }
}

function printSteps(side, steps) {
  console.log(`steps of ${side}, medians:`);
  table([...steps].map(([id, { group, ms }]) => [`${group}: ${id}`, `${median(ms).toFixed(0)} ms`]), ["", "took"]);
}

/** Where time goes outside of our hands: what programs cost just to start. */
function printParts(bench) {
  const agent = path.join(bench.ours, "workers/business-agent");
  const main = path.join(bench.ours, "workers/main");
  const cli = path.join(flags.repo, "node_modules/wrangler/wrangler-dist/cli.js");
  const cache = { ...bench.env, NODE_COMPILE_CACHE: path.join(bench.ours, ".xtask/cache/node") };
  const out = path.join(bench.ours, ".xtask/bench-out");
  const bundle = ["node", cli, "deploy", "--dry-run", "--outdir", out];
  const cases = [
    ["node, empty program", ["node", "-e", "0"], main, bench.env],
    ["npx wrangler --version (the action asks it once per worker; not counted above)", ["npx", "--no-install", "wrangler", "--version"], main, bench.env],
    ["wrangler --version, direct", ["node", cli, "--version"], main, bench.env],
    ["wrangler --version, direct, V8 code cache", ["node", cli, "--version"], main, cache],
    ["wrangler deploy --dry-run main, direct", bundle, main, bench.env],
    ["wrangler deploy --dry-run main, direct, V8 code cache", bundle, main, cache],
    ["wrangler deploy --dry-run business-agent (its build included), V8 code cache", bundle, agent, cache],
    ["npm run build of business-agent", ["npm", "run", "build"], agent, bench.env],
    ["vite build of business-agent, direct", ["node", path.join(flags.repo, "node_modules/vite/bin/vite.js"), "build"], agent, bench.env],
    ["xtask --version", [path.join(flags.programs, "xtask"), "--version"], flags.repo, bench.env],
    ["cargo xtask --version (cargo finds nothing to build)", ["cargo", "xtask", "--version"], flags.repo, process.env],
  ];
  const spent = cases.map(() => []);
  for (let round = 0; round < flags.rounds + 1; round++) {
    cases.forEach(([, command, cwd, env], index) => {
      const one = timed(command, { cwd, env });
      if (round > 0) spent[index].push(one);
    });
  }
  console.log("parts, each alone, medians:");
  table(cases.map(([name], index) => [name, `${median(spent[index].map(({ wall }) => wall)).toFixed(0)} ms`, `${median(spent[index].map(({ cpu }) => cpu)).toFixed(0)} ms`]), ["", "wall", "CPU"]);
}

/** Prints everything; true when the bound holds. */
function print(runs, steps) {
  const of = (side, what) => median(runs[side].map((run) => run[what]));
  console.log(`\ndeploy of four changed workers, medians of ${flags.rounds} rounds, ${cores()}\n`);
  table(Object.entries(SIDES).map(([side, name]) => [
    name, `${seconds(of(side, "wall"))} s`, `${seconds(of(side, "cpu"))} s`, `${seconds(of(side, "cloud"))} s`,
    (of(side, "wall") / of("action", "wall")).toFixed(2),
  ]), ["", "wall", "own CPU", "the cloud's CPU", "wall ratio"]);
  const phases = runs.xtask[0].phases;
  console.log("where the wall time of xtask deploy goes, medians:");
  table(Object.keys(phases).map((name) => [name, ...["xtask", "cold"].map((side) => `${median(runs[side].map((run) => run.phases[name] ?? 0)).toFixed(0)} ms`)]), ["", "xtask", "cold code cache"]);
  for (const side of ["xtask", "action"]) printSteps(side, steps[side]);
  printRequests(runs);
  return check("xtask deploy / wrangler-action, wall", ratio(runs.xtask, runs.action), BOUND);
}

await bench("deploy", flags, async (work) => {
  copyRepo(flags.repo, path.join(work, "theirs"));
  const { cloud } = await repoWithCloud(flags, path.join(work, "ours"));
  const sides = new Bench(work, cloud);
  const steps = Object.fromEntries(Object.keys(SIDES).map((side) => [side, new Map()]));
  say("warm-up: creates the workers, fills caches");
  for (const side of ["xtask", "action"]) await sides.run(side, "warm-up", new Map());
  const runs = await inTurns(Object.keys(SIDES), flags, async (side, round) => {
    const spent = await sides.run(side, `${side} ${round}`, steps[side]);
    say(`round ${round}: ${side} ${seconds(spent.wall)} s`);
    return spent;
  });
  const holds = print(runs, steps);
  if (flags.parts) printParts(sides);
  return holds;
});
