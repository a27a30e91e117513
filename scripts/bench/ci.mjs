// Measures a cold `xtask ci` of this repo: against the same commands as a plain workflow runs them (with npx, one after the
// other), and against the least time that its own processes can take on so many cores. Started by ci.sh.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { advisories, bench, check, copyRepo, cores, inTurns, median, plainEnv, readFlags, say, seconds, table, timed } from "./common.mjs";

const PLAIN_BOUND = 0.6;
const LEAST_BOUND = 1.15;

const flags = readFlags(3);

class Ci {
  constructor(root, registry) {
    this.root = root;
    this.env = { ...plainEnv(), CI: "true", npm_config_registry: registry };
    this.command = [path.join(flags.programs, "xtask"), "ci", "--root", root];
    this.steps = this.commands();
  }

  /** The steps with a program of their own, as `ci` would run them. */
  commands() {
    const [program, ...args] = this.command;
    const plan = JSON.parse(execFileSync(program, [...args, "--dry-run", "--format", "json"], { cwd: this.root, env: this.env, encoding: "utf8" }));
    const own = plan.steps.filter((step) => step.action.kind === "command" && !step.done);
    const bin = [path.dirname(own.find((step) => step.id.startsWith("build ")).action.program), path.join(this.root, "node_modules/.bin")];
    return own.map(({ id, needs, action: command }) => ({
      id, needs, cwd: command.cwd, argv: [command.program, ...command.argv],
      env: { ...this.env, PATH: [...bin, this.env.PATH].join(":"), ...command.env },
    }));
  }

  /** As on a fresh machine: no results, no compiled code. */
  forget() {
    fs.rmSync(path.join(this.root, ".xtask"), { recursive: true, force: true });
  }

  plain() {
    return this.inTurn(this.steps.map(asWritten));
  }

  alone() {
    return this.inTurn(this.steps);
  }

  /** Commands one after the other: each step's wall time, and the sums. */
  inTurn(steps) {
    this.forget();
    for (const folder of ["wrangler", "reports/vitest", "cache/node"]) fs.mkdirSync(path.join(this.root, ".xtask", folder), { recursive: true });
    const walls = new Map();
    const total = { wall: 0, cpu: 0, walls };
    for (const step of steps) {
      const { wall, cpu } = timed(step.argv, step);
      walls.set(step.id, wall);
      total.wall += wall;
      total.cpu += cpu;
    }
    return total;
  }

  ours() {
    this.forget();
    const spent = timed([...this.command, "--keep-going"], { cwd: this.root, env: this.env });
    const report = JSON.parse(fs.readFileSync(path.join(this.root, ".xtask/reports/ci.json"), "utf8"));
    const passed = report.steps.filter(({ status }) => status === "passed").map(({ id }) => id);
    const missing = this.steps.filter(({ id }) => !passed.includes(id));
    if (missing.length) throw new Error(`not run by xtask: ${missing.map(({ id }) => id).join(", ")}`);
    spent.walls = new Map(report.steps.map(({ id, duration_ms }) => [id, duration_ms]));
    return spent;
  }
}

/** A step's command as a workflow writes it: the tool through npx, without a code cache. */
function asWritten({ id, cwd, argv, env: { NODE_COMPILE_CACHE: _, ...env } }) {
  const [program, first, ...rest] = argv;
  if (first?.endsWith("wrangler/wrangler-dist/cli.js")) return { id, cwd, env, argv: ["npx", "wrangler", ...rest] };
  if (path.basename(program) === "bash") return { id, cwd, env, argv: [...argv.slice(0, -1), `npx ${argv.at(-1)}`] };
  return { id, cwd, env, argv };
}

/** The longest way through the steps' needs, each as long as it took alone. */
function longestChain(steps, walls) {
  const ends = new Map();
  for (const { id, needs } of steps) ends.set(id, walls.get(id) + Math.max(0, ...needs.map((need) => ends.get(need) ?? 0)));
  return Math.max(...ends.values());
}

function print(steps, runs) {
  const of = (side, what) => median(runs[side].map((run) => run[what]));
  const chain = median(runs.alone.map(({ walls }) => longestChain(steps, walls)));
  const share = of("alone", "cpu") / os.availableParallelism();
  const least = Math.max(chain, share);
  console.log(`\ncold ci of this repo, medians of ${flags.rounds} rounds, ${cores()}\n`);
  table([
    ["a plain workflow: npx, one after the other", `${seconds(of("plain", "wall"))} s`, `${seconds(of("plain", "cpu"))} s`],
    ["the processes of xtask ci, one after the other", `${seconds(of("alone", "wall"))} s`, `${seconds(of("alone", "cpu"))} s`],
    ["xtask ci", `${seconds(of("ours", "wall"))} s`, `${seconds(of("ours", "cpu"))} s`],
    ["longest chain", `${seconds(chain)} s`, ""],
    ["CPU of these processes / cores", `${seconds(share)} s`, ""],
  ], ["", "wall", "CPU"]);
  const step = (side, id) => `${median(runs[side].map(({ walls }) => walls.get(id))).toFixed(0)} ms`;
  table(steps.map(({ id }) => [id, ...["plain", "alone", "ours"].map((side) => step(side, id))]), ["step", "with npx", "alone", "in xtask ci"]);
  console.log(`(xtask ci / its own processes one after the other, wall: ${(of("ours", "wall") / of("alone", "wall")).toFixed(3)})`);
  const holds = check("xtask ci / a plain workflow, wall", of("ours", "wall") / of("plain", "wall"), PLAIN_BOUND);
  return check("xtask ci / max(longest chain, CPU / cores), wall", of("ours", "wall") / least, LEAST_BOUND) && holds;
}

await bench("ci", flags, async (work) => {
  const root = copyRepo(flags.repo, path.join(work, "repo"));
  // A copy is newer than what is installed.
  fs.utimesSync(path.join(root, "package-lock.json"), 1e9, 1e9);
  const ci = new Ci(root, await advisories());
  const runs = await inTurns(["plain", "alone", "ours"], flags, (side, round) => {
    const spent = ci[side]();
    say(`round ${round}: ${side} wall ${seconds(spent.wall)} s, CPU ${seconds(spent.cpu)} s`);
    return spent;
  });
  return print(ci.steps, runs);
});
