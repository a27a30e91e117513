// Measures `cargo xtask ci` of an unchanged tree, cargo's own start included, against `npx turbo run` with the same tasks,
// all of them cached: what one types for a tool that the repo pins. Also without the starters. Started by ci-unchanged.sh.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { advisories, bench, check, commit, copyRepo, cores, inTurns, median, plainEnv, readFlags, say, table, timed } from "./common.mjs";

const BOUND = 0.7;
const SIDES = {
  npx: "npx turbo run",
  shim: "turbo run, without npx",
  turbo: "turbo run, without npx and its Node shim",
  xtask: "cargo xtask ci",
  bare: "xtask ci, without cargo",
};

const flags = readFlags(15, { turbo: { type: "string" } });
const SHIM = path.resolve(path.dirname(flags.turbo), "../../../turbo/bin/turbo");

/** Our side: the repo, where everything has passed once. */
function ourRepo(work) {
  const root = copyRepo(flags.repo, path.join(work, "ours"));
  fs.utimesSync(path.join(root, "package-lock.json"), 1e9, 1e9);
  return root;
}

/** The other side: the same repo with the steps of `ci` as scripts and tasks of turbo. */
function theirRepo(work, plan) {
  const root = copyRepo(flags.repo, path.join(work, "theirs"));
  const packages = new Map();
  const tasks = {};
  for (const { id, worker, action, done } of plan.steps) {
    if (action.kind !== "command" || done) continue;
    const folder = worker ? path.relative(plan.root, action.cwd) : "";
    const script = id.replaceAll(" ", "-").replace(`-${worker}`, "");
    if (!packages.has(folder)) packages.set(folder, {});
    // A cached task is not run: what its script says counts only in its hash.
    packages.get(folder)[script] = "true";
    tasks[worker ? script : `//#${script}`] = { outputs: [], ...(worker ? {} : { inputs: inputsOfRoot(id) }) };
  }
  for (const [folder, scripts] of packages) {
    const file = path.join(root, folder, "package.json");
    const json = JSON.parse(fs.readFileSync(file, "utf8"));
    json.scripts = { ...json.scripts, ...scripts };
    if (!folder) json.packageManager = `npm@${execFileSync("npm", ["--version"], { encoding: "utf8" }).trim()}`;
    fs.writeFileSync(file, JSON.stringify(json, null, 2));
  }
  linkTurbo(path.join(root, "node_modules"));
  // What our steps depend on besides their worker's folder.
  const shared = ["tsconfig.base.json", "package-lock.json", "workers/shared/**", "pipeline.toml"];
  fs.writeFileSync(path.join(root, "turbo.json"), JSON.stringify({ globalDependencies: shared, tasks }, null, 2));
  fs.appendFileSync(path.join(root, ".gitignore"), "/.turbo\n.turbo\n");
  commit(root, "turbo");
  return { root, tasks: [...new Set([...packages.values()].flatMap(Object.keys))] };
}

/** Makes turbo one of the installed packages, for npx. */
function linkTurbo(modules) {
  const installed = fs.realpathSync(modules);
  fs.unlinkSync(modules);
  fs.mkdirSync(path.join(modules, ".bin"), { recursive: true });
  for (const name of fs.readdirSync(installed).filter((name) => name !== ".bin")) fs.symlinkSync(path.join(installed, name), path.join(modules, name));
  fs.symlinkSync(SHIM, path.join(modules, ".bin/turbo"));
}

function inputsOfRoot(id) {
  return id.startsWith("migrations") ? ["workers/main/migrations/**", "workers/main/*.sql"] : ["package.json", "package-lock.json"];
}

function print(runs, count) {
  const of = (side, what) => median(runs[side].map((run) => run[what]));
  const ms = (value) => `${value.toFixed(0)} ms`;
  console.log(`\nunchanged tree, ${count} tasks, medians of ${flags.rounds} rounds, ${cores()}\n`);
  table(Object.entries(SIDES).map(([side, name]) => [name, ms(of(side, "wall")), ms(of(side, "cpu"))]), ["", "wall", "CPU"]);
  const ratio = (one, other) => of(one, "wall") / of(other, "wall");
  for (const other of ["shim", "turbo"]) console.log(`(cargo xtask ci / ${SIDES[other]}: ${ratio("xtask", other).toFixed(2)})`);
  console.log(`(xtask ci without cargo / turbo run without npx and shim: ${ratio("bare", "turbo").toFixed(2)})`);
  return check("cargo xtask ci / npx turbo run, wall", ratio("xtask", "npx"), BOUND);
}

await bench("unchanged", flags, async (work) => {
  const env = { ...plainEnv(), CI: "true", npm_config_registry: await advisories(), TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
  const ours = ourRepo(work);
  const target = process.env.CARGO_TARGET_DIR ?? path.join(flags.repo, "target");
  const program = path.join(target, "debug/xtask");
  const plan = JSON.parse(execFileSync(program, ["ci", "--root", ours, "--dry-run", "--format", "json"], { env, encoding: "utf8" }));
  const theirs = theirRepo(work, { ...plan, root: fs.realpathSync(ours) });
  const count = plan.steps.filter(({ action, done }) => action.kind === "command" && !done).length;
  const turbo = ["run", ...theirs.tasks, "--output-logs=errors-only"];
  const sides = {
    npx: { command: ["npx", "--no-install", "turbo", ...turbo], cwd: theirs.root },
    shim: { command: ["node", SHIM, ...turbo], cwd: theirs.root },
    turbo: { command: [flags.turbo, ...turbo], cwd: theirs.root },
    xtask: { command: ["cargo", "xtask", "ci", "--root", ours], cwd: flags.repo },
    bare: { command: [program, "ci", "--root", ours], cwd: flags.repo },
  };
  say("warm-up: everything passes once");
  for (const { command, cwd } of Object.values(sides)) timed(command, { cwd, env });
  const all = timed(sides.turbo.command, { ...sides.turbo, env });
  if (!all.said.includes(`${count} cached, ${count} total`)) throw new Error(`turbo has not all of ${count} tasks cached:\n${all.said}`);
  const again = timed(sides.bare.command, { ...sides.bare, env });
  if (!again.said.includes(`${count} cached`)) throw new Error(`xtask has not all of ${count} steps cached:\n${again.said}`);
  const runs = await inTurns(Object.keys(sides), flags, (side) => timed(sides[side].command, { ...sides[side], env }));
  return print(runs, count);
});
