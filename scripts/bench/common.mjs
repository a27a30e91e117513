// What the benchmarks share: copies of the repo, commands that are timed, medians and tables. Knows nothing of what is
// measured.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

export const say = (text) => process.stderr.write(`${text}\n`);
export const seconds = (ms) => (ms / 1000).toFixed(2);
export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

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

/** Starts advisories.mjs; its address, and how to end it. */
export async function advisories() {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "advisories.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  const address = await new Promise((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(data.toString().trim()));
    child.once("exit", (code) => reject(new Error(`the advisory service ended with ${code}`)));
  });
  return { address, end: () => child.stdin.end() };
}

/** Starts a local cloud with its state in a folder; its addresses, its process, and how to end it. */
export async function startCloud(program, state, modules) {
  const child = spawn(program, ["serve", "--state", state, "--port", "0", "--repo-root", modules, "--exit-with-stdin"],
    { stdio: ["pipe", "pipe", fs.openSync(`${state}.log`, "w")] });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(data.toString()));
    child.once("exit", (code) => reject(new Error(`the local cloud ended with ${code}; see ${state}.log`)));
  });
  const end = () => {
    child.stdin.end();
    return new Promise((resolve) => { child.once("exit", resolve); setTimeout(resolve, 5000).unref(); });
  };
  return { ...JSON.parse(line), child, end };
}
