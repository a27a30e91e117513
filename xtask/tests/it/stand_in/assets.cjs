// Static assets, as `versions upload` sends them: a session, what the cloud does not have, and what the version refers to.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { Refusal } = require("./wrangler.cjs");

const TYPES = { ".txt": "text/plain; charset=utf-8", ".html": "text/html; charset=utf-8" };

/** Uploads the folder; the version's `assets`. */
async function upload(call, script, config) {
  const folder = path.resolve(config.folder, config.assets.directory);
  const manifest = {};
  for (const name of fs.readdirSync(folder, { recursive: true })) {
    const file = path.join(folder, name);
    if (fs.statSync(file).isDirectory()) continue;
    if (!TYPES[path.extname(file)] || path.basename(file).startsWith("_")) {
      throw new Refusal(`the asset ${name} is not covered`);
    }
    manifest[`/${name}`] = { hash: hash(file), size: fs.statSync(file).size };
  }
  const session = await call("POST", `${script}/assets-upload-session`, {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ manifest }),
  });
  const buckets = session.buckets ?? [];
  let { jwt } = session;
  for (const bucket of buckets) jwt = (await send(call, folder, manifest, bucket, session.jwt)).jwt || jwt;
  const { run_worker_first } = config.assets;
  return { jwt, config: { run_worker_first } };
}

function hash(file) {
  const { hash } = require(path.resolve(__dirname, "../../../../node_modules/blake3-wasm"));
  const text = fs.readFileSync(file).toString("base64") + path.extname(file).slice(1);
  return hash(text).toString("hex").slice(0, 32);
}

async function send(call, folder, manifest, bucket, jwt) {
  const form = new FormData();
  for (const wanted of bucket) {
    const [name] = Object.entries(manifest).find(([, { hash }]) => hash === wanted);
    const file = path.join(folder, name);
    const content = fs.readFileSync(file).toString("base64");
    form.append(wanted, new File([content], wanted, { type: TYPES[path.extname(file)] }), wanted);
  }
  const body = { headers: { Authorization: `Bearer ${jwt}` }, body: form };
  // wrangler tries five times, with pauses.
  for (let attempt = 1; ; attempt++) {
    try {
      return await call("POST", "/workers/assets/upload?base64=true", body);
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

module.exports = { upload };
