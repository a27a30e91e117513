// A quick stand-in for wrangler, for tests whose subject is not wrangler: it sends the same requests in a tenth of the
// time. `contract.rs` compares it with the real one. What the contract does not cover is refused, or handed to the real one.
"use strict";

const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");

const REAL = path.resolve(__dirname, "../../../../node_modules/wrangler");
const VERSION = JSON.parse(fs.readFileSync(path.join(REAL, "package.json"), "utf8")).version;

/** A failure that wrangler reports with its message, its notes and Cloudflare's error code. */
class Failure extends Error {
  constructor(message, notes = [], code = undefined, status = 0) {
    super(message);
    Object.assign(this, { notes, code, status });
  }
}

/** The call is not covered by the contract: the test needs the real wrangler, or the contract another fixture. */
class Refusal extends Error {}

/** Runs the real wrangler in this process, which ends it. Only before any request was sent. */
function handOver() {
  const cli = path.join(REAL, "wrangler-dist/cli.js");
  process.argv[1] = cli;
  Module._load(cli, null, true);
  return new Promise(() => {});
}

/** One line of the result file. */
function writeResult(entry) {
  const file = process.env.WRANGLER_OUTPUT_FILE_PATH;
  if (!file) return;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.appendFileSync(file, JSON.stringify({ ...entry, timestamp: new Date().toISOString() }) + "\n");
}

/** The flags of `words`; `known` names those that take a value. */
function parse(words, known) {
  const flags = {};
  for (let i = 0; i < words.length; i++) {
    const [name, value] = words[i].split(/=(.*)/s);
    if (!known.includes(name)) throw new Refusal(`the flag ${words[i]} is not covered`);
    const takes = value === undefined && !["--dry-run", "--no-experimental-provision"].includes(name);
    flags[name] = takes ? words[++i] : (value ?? true);
  }
  return flags;
}

async function main(words) {
  const { bundle, NotBuilt } = require("./bundle.cjs");
  const isDry = words[0] === "deploy" && words.includes("--dry-run");
  const isUpload = words[0] === "versions" && words[1] === "upload";
  // A Durable Object migration and whatever else is rare: the real one does it.
  if (!isDry && !isUpload) return handOver();
  try {
    if (isDry) {
      const flags = parse(words.slice(1), ["--dry-run", "--outdir", "--env", "--config"]);
      if (flags["--env"]) throw new Refusal("environments are not covered");
      const { read } = require("./config.cjs");
      const config = read(flags["--config"]);
      const built = bundle(config, flags["--outdir"]);
      fs.writeFileSync(path.join(flags["--outdir"], "README.md"), "This folder contains the built output assets.");
      return session(words, () => finished("deploy", config, built, { worker_tag: null, version_id: null }));
    }
    const flags = parse(words.slice(2), [
      "--config", "--tag", "--message", "--env", "--no-experimental-provision", "--secrets-file",
    ]);
    if (flags["--env"]) throw new Refusal("environments are not covered");
    const { read } = require("./config.cjs");
    const config = read(flags["--config"]);
    const built = bundle(config, undefined);
    const { upload } = require("./upload.cjs");
    return await session(words, async () => {
      finished("version-upload", config, built, await upload(config, built, flags, VERSION));
    });
  } catch (error) {
    // What esbuild refuses is reported in wrangler's words.
    if (error instanceof NotBuilt) return handOver();
    throw error;
  }
}

/** Writes that a call begins, then does it. */
function session(words, work) {
  writeResult({
    type: "wrangler-session", version: 1, wrangler_version: VERSION, command_line_args: words, log_file_path: "",
  });
  return work();
}

function finished(type, config, built, results) {
  writeResult({
    type,
    version: 1,
    worker_name: config.name,
    ...results,
    wrangler_environment: "",
    worker_name_overridden: config.isOverridden,
    bundle_size: built.size,
  });
}

function report(error) {
  process.exitCode = 1;
  if (error instanceof Refusal) {
    process.stderr.write(
      `the stand-in for wrangler refuses: ${error.message}\n` +
        "  fix: use the real wrangler in this test, or add a fixture to the contract in tests/it/stand_in\n",
    );
    process.exitCode = 70;
    return;
  }
  writeResult({ type: "command-failed", version: 1, code: error.code, message: error.message });
  const notes = (error.notes ?? []).map((note) => `  ${note}\n`).join("");
  process.stderr.write(`\n✘ [ERROR] ${error.message}\n\n${notes}\n`);
}

module.exports = { Failure, Refusal };

// Connections that are kept alive would keep the process, too.
if (require.main === module) main(process.argv.slice(2)).catch(report).then(() => process.exit());
