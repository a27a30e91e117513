// What the benchmarks share: their flags and exit codes, sides in turns, copies of the repo, commands that are timed, medians
// and tables. Knows nothing of what is measured.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

export const say = (text) => process.stderr.write(`${text}\n`);
export const seconds = (ms) => (ms / 1000).toFixed(2);
export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** The middle of one side's times by the other's, round by round. */
export const ratio = (ours, theirs) => median(ours.map(({ wall }, index) => wall / theirs[index].wall));

/** How many cores there are, for a heading. */
export const cores = () => `${os.availableParallelism()} cores of ${os.cpus().length}`;

/** The flags of every benchmark, and those of one alone. A wrong one ends the run. */
export function readFlags(rounds, more = {}) {
  const options = {
    repo: { type: "string" },
    programs: { type: "string" },
    rounds: { type: "string", default: String(rounds) },
    "no-bound": { type: "boolean", default: false },
    ...more,
  };
  try {
    const { values } = parseArgs({ options });
    const given = Number(values.rounds);
    if (!Number.isInteger(given) || given < 1) throw new Error(`--rounds is a number from 1 on, not \`${values.rounds}\``);
    return { ...values, rounds: given };
  } catch (error) {
    const own = Object.entries(more).map(([name, { type }]) => ` [--${name}${type === "string" ? " …" : ""}]`).join("");
    say(`error: ${error.message}\nusage: [--rounds N] [--no-bound]${own}`);
    return process.exit(2);
  }
}

/** What is to be ended with the benchmark. */
const ends = [];

/** Carries a benchmark out in a folder of its own. `body` is true when the bounds hold. Exit 1: they do not. 2: it cannot measure. */
export async function bench(name, flags, body) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), `bench-${name}-`));
  let code = 2;
  try {
    code = (await body(work)) || flags["no-bound"] ? 0 : 1;
  } catch (error) {
    say(`error: ${error.stack ?? error}`);
  }
  for (const end of ends) await end();
  fs.rmSync(work, { recursive: true, force: true });
  process.exit(code);
}

/** Every side once a round, and what each run came to; the first rounds may only warm caches. */
export async function inTurns(sides, { rounds, warmUp = 0 }, run) {
  const runs = Object.fromEntries(sides.map((side) => [side, []]));
  for (let round = 1 - warmUp; round <= rounds; round++) {
    // Another order each round: a machine that gets slower or faster favours nobody.
    for (const side of sides.map((_, index) => sides[(index + round + warmUp) % sides.length])) {
      const spent = await run(side, round);
      if (round > 0) runs[side].push(spent);
    }
  }
  return runs;
}

/** So long after a run the local cloud may still be busy with it; that belongs to nobody's time. */
export const settle = () => sleep(1500);

/** A copy of a repo's tracked and new files with the installed packages linked in, as a git repository. */
export function copyRepo(from, to) {
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: from, encoding: "utf8" });
  for (const file of files.split("\0").filter((file) => file && fs.lstatSync(path.join(from, file), { throwIfNoEntry: false })?.isFile())) {
    fs.mkdirSync(path.dirname(path.join(to, file)), { recursive: true });
    fs.copyFileSync(path.join(from, file), path.join(to, file));
  }
  fs.symlinkSync(path.join(from, "node_modules"), path.join(to, "node_modules"));
  // The folder rule of .gitignore does not cover a link.
  fs.appendFileSync(path.join(to, ".gitignore"), "/node_modules\n");
  git(to, "init", "--quiet", "--initial-branch", "main");
  commit(to, "the repo");
  return to;
}

export function git(cwd, ...args) {
  execFileSync("git", ["-c", "user.name=bench", "-c", "user.email=bench@localhost", ...args], { cwd, stdio: ["ignore", "pipe", "inherit"] });
}

export function commit(folder, message) {
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message", message);
}

/** This shell's variables without those that would change what is measured. */
export function plainEnv() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CLOUDFLARE_|WRANGLER_|XTASK_|GITHUB_|NODE_COMPILE_CACHE|TURBO_|npm_)/.test(name)));
}

/** The same as on CI, with a value for each secret. Metrics off: they would only wait for a host that is not there. */
export function ciEnv(secrets = []) {
  const values = secrets.map((name) => [name, `bench-${name.toLowerCase()}`]);
  return { ...plainEnv(), ...Object.fromEntries(values), CI: "true", WRANGLER_SEND_METRICS: "false" };
}

/** What wrangler needs to take a local cloud for Cloudflare. */
export const wranglerEnv = (cloud) => ({ CLOUDFLARE_API_TOKEN: "local-cloud-token", CLOUDFLARE_API_BASE_URL: cloud.api });

/** Runs a command to its end; wall and CPU time in ms. Its output is kept only to explain a failure. */
export function timed(command, { cwd, env, input = "" }) {
  // bash tells the CPU time of a command and all it waited for; Node cannot.
  const script = 'TIMEFORMAT="%U %S"; { time "$@" > "$BENCH_OUT" 2>&1; } 2> "$BENCH_TIMES"';
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-run-"));
  const [out, times] = ["out", "times"].map((name) => path.join(folder, name));
  const started = performance.now();
  const { status } = spawnSync("bash", ["-c", script, "bash", ...command], { cwd, input, env: { ...env, BENCH_OUT: out, BENCH_TIMES: times } });
  const wall = performance.now() - started;
  const said = fs.readFileSync(out, "utf8");
  if (status !== 0) throw new Error(`\`${command.join(" ")}\` failed in ${cwd}:\n${said}`);
  const cpu = fs.readFileSync(times, "utf8").trim().split(" ").reduce((total, part) => total + Number(part) * 1000, 0);
  fs.rmSync(folder, { recursive: true });
  return { wall, cpu, said };
}

export function table(rows, header) {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  for (const row of all) console.log(row.map((cell, column) => (column ? cell.padStart(widths[column]) : cell.padEnd(widths[0]))).join("  "));
  console.log();
}

/** Prints a value with its bound; true when it holds. */
export function check(name, value, bound, digits = 3) {
  const holds = value <= bound;
  console.log(`${name.padEnd(64)} ${value.toFixed(digits).padStart(8)}  at most ${String(bound).padEnd(5)} ${holds ? "holds" : "MISSED"}`);
  return holds;
}

/** Starts advisories.mjs; its address. */
export async function advisories() {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "advisories.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  ends.push(() => child.stdin.end());
  return firstLine(child, "the advisory service ended");
}

/** A copy of the repo with a local cloud in it, and the cloud: its addresses and its process. */
export async function repoWithCloud(flags, root) {
  copyRepo(flags.repo, root);
  const state = path.join(root, ".xtask/local-cloud");
  fs.mkdirSync(state, { recursive: true });
  const child = spawn(path.join(flags.programs, "local-cloud"), ["serve", "--state", state, "--port", "0", "--repo-root", flags.repo, "--exit-with-stdin"],
    { stdio: ["pipe", "pipe", fs.openSync(`${state}.log`, "w")] });
  ends.push(() => {
    child.stdin.end();
    return new Promise((resolve) => { child.once("exit", resolve); setTimeout(resolve, 5000).unref(); });
  });
  return { root, cloud: JSON.parse(await firstLine(child, `the local cloud ended; see ${state}.log`)) };
}

function firstLine(child, whenItEnds) {
  return new Promise((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(data.toString().trim()));
    child.once("exit", (code) => reject(new Error(`${whenItEnds} (${code})`)));
  });
}
