// `versions upload`: wrangler's requests in wrangler's order.
"use strict";

const fs = require("node:fs");
const { Failure, Refusal } = require("./wrangler.cjs");

/** wrangler waits whole seconds before it tries again; how long is no part of the contract. */
const PAUSE_MS = 100;

/** Uploads; what the result file says of it. */
async function upload(config, built, flags, version) {
  const account = config.account_id ?? process.env.CLOUDFLARE_ACCOUNT_ID;
  const call = caller(account, version);
  const script = `/workers/scripts/${config.name}`;
  const service = await call("GET", `/workers/services/${config.name}`).catch(unknownWorker);
  const { tag } = service.default_environment.script;
  const bindings = own(config);
  // wrangler does not count these two.
  const named = bindings.filter(({ type }) => !["version_metadata", "assets"].includes(type));
  if (Object.keys(config.vars ?? {}).length + named.length) await secretNames(call, script);
  await refuseMigration(call, config);
  const assets = config.assets && (await require("./assets.cjs").upload(call, script, config));
  const secrets = flags["--secrets-file"] ? JSON.parse(fs.readFileSync(flags["--secrets-file"], "utf8")) : {};
  const secret = ([name, text]) => ({ name, type: "secret_text", text });
  const vars = Object.entries(config.vars ?? {}).map(([name, text]) => ({ name, type: "plain_text", text }));
  const metadata = {
    main_module: built.name,
    bindings: [...vars, ...Object.entries(secrets).map(secret), ...bindings],
    compatibility_date: config.compatibility_date,
    compatibility_flags: [],
    keep_bindings: ["secret_text", "secret_key"],
    annotations: { "workers/message": flags["--message"], "workers/tag": flags["--tag"] },
    ...(assets && { assets }),
  };
  const form = new FormData();
  form.set("metadata", JSON.stringify(metadata));
  const add = (name, content, type) => form.set(name, new File([content], name, { type }));
  add(built.name, built.code, "application/javascript+module");
  add(`${built.name}.map`, built.map, "application/source-map");
  const made = await again(() => call("POST", `${script}/versions?bindings_inherit=strict`, { body: form }));
  const results = { worker_tag: tag, version_id: made.id };
  if (made.metadata.has_preview) {
    const { subdomain } = await again(() => call("GET", `/workers/workers/${config.name}`));
    if (subdomain.previews_enabled && subdomain.preview_url_suffix) {
      results.preview_url = `https://${made.id.slice(0, 8)}${subdomain.preview_url_suffix}`;
    }
  }
  return results;
}

function unknownWorker(error) {
  if (![10007, 10090].includes(error.code)) throw error;
  throw new Failure(
    "You cannot upload a new version of a Worker that does not yet exist. Please run the `deploy` command first.",
  );
}

/** wrangler compares them with the names of bindings, and goes on whatever it finds. */
async function secretNames(call, script) {
  try {
    await call("GET", `${script}/secrets`);
  } catch (error) {
    if (![10007, 10090].includes(error.code)) throw error;
  }
}

async function refuseMigration(call, config) {
  if (!config.migrations?.length) return;
  const service = await call("GET", `/workers/services/${config.name}`);
  const last = config.migrations.at(-1).tag;
  if (service.default_environment.script.migration_tag !== last) {
    throw new Refusal("`versions upload` with a pending Durable Object migration is not covered");
  }
}

/** The bindings of the config, in the order of the upload. */
function own(config) {
  const list = (key, make) => (config[key] ?? []).map(make);
  const bindings = [
    ...list("kv_namespaces", (one) => ({ name: one.binding, type: "kv_namespace", namespace_id: one.id })),
    ...(config.durable_objects?.bindings ?? []).map((one) => ({
      name: one.name,
      type: "durable_object_namespace",
      class_name: one.class_name,
      ...(one.script_name && { script_name: one.script_name }),
    })),
    ...list("r2_buckets", (one) => ({ name: one.binding, type: "r2_bucket", bucket_name: one.bucket_name })),
    ...list("d1_databases", (one) => ({ name: one.binding, type: "d1", id: one.database_id })),
    ...list("services", (one) => ({ name: one.binding, type: "service", service: one.service })),
  ];
  if (config.version_metadata) bindings.push({ name: config.version_metadata.binding, type: "version_metadata" });
  if (config.assets?.binding) bindings.push({ name: config.assets.binding, type: "assets" });
  return bindings;
}

/** Sends one request below the account; its result, or a failure in wrangler's words. */
function caller(account, version) {
  const base = process.env.CLOUDFLARE_API_BASE_URL;
  return async (method, below, { body, headers = {} } = {}) => {
    const resource = `/accounts/${account}${below}`;
    const answer = await fetch(base + resource, {
      method,
      body,
      headers: {
        Authorization: `Bearer ${process.env.CLOUDFLARE_API_TOKEN}`,
        "User-Agent": `wrangler/${version}`,
        ...headers,
      },
    });
    const text = await answer.text();
    const shown = resource.split("?")[0];
    let envelope;
    try {
      envelope = JSON.parse(text);
    } catch {
      const status = `${method} ${shown} -> ${answer.status} ${answer.statusText}`;
      throw new Failure("Received a malformed response from the API", [text.slice(0, 100), status], undefined, answer.status);
    }
    if (envelope.success) return envelope.result;
    const notes = (envelope.errors ?? []).map((error) => `${error.message} [code: ${error.code}]`);
    const message = `A request to the Cloudflare API (${shown}) failed.`;
    throw new Failure(message, notes, envelope.errors?.[0]?.code, answer.status);
  };
}

/** Tries three times, as wrangler does, when the cloud is at fault or no answer came. */
async function again(action, attempts = 3) {
  try {
    return await action();
  } catch (error) {
    const isLost = error instanceof TypeError;
    const isTheirs = error.status >= 500 || error.status === 429;
    if (attempts === 1 || !(isLost || isTheirs)) throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return again(action, attempts - 1);
  }
}

module.exports = { upload };
