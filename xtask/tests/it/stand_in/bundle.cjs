// Bundles with wrangler's own esbuild and wrangler's options; only its program is started, so that no library is loaded.
"use strict";

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { gzipSync } = require("node:zlib");
const { Refusal } = require("./wrangler.cjs");

/** esbuild refuses the code. */
class NotBuilt extends Error {}

const ESBUILD = path.resolve(
  __dirname,
  `../../../../node_modules/@esbuild/${process.platform}-${process.arch}/bin/esbuild`,
);
const ENVIRONMENT = JSON.stringify(process.env.NODE_ENV || "production");
const OPTIONS = [
  "--bundle", "--keep-names", "--external:__STATIC_CONTENT_MANIFEST", "--external:cloudflare:*",
  "--format=esm", "--target=es2024", "--supported:import-source=true", "--supported:using=true",
  "--sourcemap", "--conditions=workerd,worker,browser", "--log-level=silent",
  "--loader:.js=jsx", "--loader:.mjs=jsx", "--loader:.cjs=jsx",
  '--define:navigator.userAgent="Cloudflare-Workers"',
  ...["process.env", "global.process.env", "globalThis.process.env"].map(
    (name) => `--define:${name}.NODE_ENV=${ENVIRONMENT}`,
  ),
];

/** Bundles into `outdir`, or into a folder that does not stay; what is uploaded. */
function bundle(config, outdir) {
  const main = path.resolve(config.folder, config.main);
  const temporary = path.join(config.folder, ".wrangler/tmp");
  if (!outdir) fs.mkdirSync(temporary, { recursive: true });
  const folder = outdir ?? fs.mkdtempSync(path.join(temporary, "deploy-"));
  // Beside the folder, and gone before anyone looks: what lies in it counts.
  const metafile = `${folder}.meta.json`;
  try {
    const { status } = spawnSync(
      ESBUILD,
      [main, ...OPTIONS, `--outdir=${folder}`, `--source-root=${folder}`, `--metafile=${metafile}`],
      { cwd: config.folder, stdio: "ignore" },
    );
    if (status !== 0) throw new NotBuilt();
    check(config, JSON.parse(fs.readFileSync(metafile, "utf8")));
    return take(config, folder, main);
  } finally {
    fs.rmSync(metafile, { force: true });
    if (!outdir) fs.rmSync(folder, { recursive: true, force: true });
  }
}

function check(config, { inputs, outputs }) {
  if (Object.keys(inputs).length !== 1) throw new Refusal("a main that imports files is not covered");
  const { exports } = Object.values(outputs).find((output) => output.entryPoint);
  const classes = (config.durable_objects?.bindings ?? []).filter((binding) => !binding.script_name);
  // It says so in its own words.
  if (!exports.length || classes.some((one) => !exports.includes(one.class_name))) throw new NotBuilt();
}

/** The module and its source map, with paths as wrangler sends them. */
function take(config, folder, main) {
  const name = `${path.parse(main).name}.js`;
  const code = fs.readFileSync(path.join(folder, name));
  const map = JSON.parse(fs.readFileSync(path.join(folder, `${name}.map`), "utf8"));
  map.sourceRoot = "";
  map.sources = map.sources.map((source) => path.relative(config.folder, path.join(folder, source)));
  map.file = name;
  return {
    name,
    code,
    map: JSON.stringify(map),
    size: { raw_bytes: code.length, gzip_bytes: gzipSync(code).length },
  };
}

module.exports = { bundle, NotBuilt };
