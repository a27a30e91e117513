// CPU time of `cargo xtask doctor` on a healthy copy of this repo, with all that it starts (git, curl, node, rustc), less that of
// `cargo xtask --version`, which is what cargo and the program need to start at all.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { check, copyRepo, git, median, plainEnv, say, table, timed } from "./common.mjs";

const usage = "usage: scripts/bench/doctor.sh [--rounds N] [--no-bound]";
let options;
try {
  options = parseArgs({ options: { repo: { type: "string" }, rounds: { type: "string", default: "7" }, "no-bound": { type: "boolean", default: false } } }).values;
} catch (error) {
  say(`${error.message}\n${usage}`);
  process.exit(2);
}

const rounds = Number(options.rounds);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-doctor-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
const copy = copyRepo(options.repo, path.join(folder, "repo"));
git(copy, "remote", "add", "origin", "https://github.com/example/bench.git");
git(copy, "config", "user.name", "bench");
git(copy, "config", "user.email", "bench@localhost");
// The packages are linked in: they are newer than the lock file, as after an install.
fs.utimesSync(path.join(copy, "package-lock.json"), 1, 1);

const env = plainEnv();
const commands = {
  "cargo's start": ["cargo", "xtask", "--version"],
  doctor: ["cargo", "xtask", "doctor", "--offline", "--root", copy],
};
const found = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
for (let round = -1; round < rounds; round++) {
  for (const [name, command] of Object.entries(commands)) {
    const run = timed(command, { cwd: options.repo, env });
    if (name === "doctor" && !/^doctor: (success|warning), /m.test(run.said)) throw new Error(`doctor is not content:\n${run.said}`);
    // The first round warms the caches of the system.
    if (round >= 0) found[name].push(run);
  }
}

console.log(`doctor on a healthy repo, offline: medians of ${rounds} rounds, ${os.cpus().length} cores, debug build\n`);
const middle = (name, what) => median(found[name].map((run) => run[what]));
table(
  Object.keys(commands).map((name) => [name, middle(name, "cpu").toFixed(0), middle(name, "wall").toFixed(0)]),
  ["", "CPU ms", "wall ms"],
);
const beyond = (middle("doctor", "cpu") - middle("cargo's start", "cpu")) / 1000;
const holds = check("CPU of doctor beyond cargo's own start, seconds", beyond, 1);
process.exit(holds || options["no-bound"] ? 0 : 1);
