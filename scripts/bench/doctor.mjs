// CPU time of `cargo xtask doctor` on a healthy copy of this repo, with all that it starts (git, curl, node, rustc), less that of
// `cargo xtask --version`, which is what cargo and the program need to start at all.

import fs from "node:fs";
import path from "node:path";

import { bench, check, copyRepo, cores, git, inTurns, median, plainEnv, readFlags, table, timed } from "./common.mjs";

const flags = readFlags(7);

/** A copy of this repo about which doctor has nothing to say. */
function healthy(folder) {
  const copy = copyRepo(flags.repo, folder);
  git(copy, "remote", "add", "origin", "https://github.com/example/bench.git");
  git(copy, "config", "user.name", "bench");
  git(copy, "config", "user.email", "bench@localhost");
  // The packages are linked in: they are newer than the lock file, as after an install.
  fs.utimesSync(path.join(copy, "package-lock.json"), 1, 1);
  return copy;
}

await bench("doctor", flags, async (work) => {
  const commands = {
    "cargo's start": ["cargo", "xtask", "--version"],
    doctor: ["cargo", "xtask", "doctor", "--offline", "--root", healthy(path.join(work, "repo"))],
  };
  // The first round warms the caches of the system.
  const runs = await inTurns(Object.keys(commands), { rounds: flags.rounds, warmUp: 1 }, (name) => {
    const spent = timed(commands[name], { cwd: flags.repo, env: plainEnv() });
    if (name === "doctor" && !/^doctor: (success|warning), /m.test(spent.said)) throw new Error(`doctor is not content:\n${spent.said}`);
    return spent;
  });
  console.log(`doctor on a healthy repo, offline: medians of ${flags.rounds} rounds, ${cores()}, debug build\n`);
  const middle = (name, what) => median(runs[name].map((run) => run[what]));
  table(
    Object.keys(commands).map((name) => [name, middle(name, "cpu").toFixed(0), middle(name, "wall").toFixed(0)]),
    ["", "CPU ms", "wall ms"],
  );
  const beyond = (middle("doctor", "cpu") - middle("cargo's start", "cpu")) / 1000;
  return check("CPU of doctor beyond cargo's own start, seconds", beyond, 1);
});
