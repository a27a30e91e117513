// Source text of the small workers the local cloud adds to a world. They run inside workerd, next to the user's.
// Anything that stands in for a Cloudflare service says so in its answer: `stand_in: "local-cloud"`.

export const EDGE = "local-cloud:edge";
export const STORAGE = "local-cloud:storage";
export const TAIL = "local-cloud:tail";
export const STAND_INS = "local-cloud:stand-ins";
export const OUTBOUND = "local-cloud:outbound";

/** Names the version to run; set by the edge, never passed on to a worker. */
export const TARGET_HEADER = "local-cloud-target";

/** The single way in: hands a request to the version the edge chose. */
export const edgeSource = `
const CF = { colo: "LOC", country: "US", city: "Localhost", continent: "NA", timezone: "UTC", asOrganization: "local-cloud",
  httpProtocol: "HTTP/1.1", tlsVersion: "", tlsCipher: "", requestPriority: "" };
export default {
  async fetch(request, env) {
    const target = request.headers.get("${TARGET_HEADER}");
    const service = target === null ? undefined : env["worker:" + target];
    if (service === undefined) {
      return new Response("local cloud: no running version named " + target + "\\n", { status: 404 });
    }
    const forwarded = new Request(request, { redirect: "manual", cf: CF });
    forwarded.headers.delete("${TARGET_HEADER}");
    try {
      return await service.fetch(forwarded);
    } catch (error) {
      const why = error instanceof Error ? error.name + ": " + error.message : String(error);
      return new Response("error code: 1101\\nlocal cloud: worker \`" + target + "\` threw an exception: " + why + "\\n",
        { status: 500, headers: { "content-type": "text/plain; charset=utf-8", "local-cloud-error": "1101" } });
    }
  },
};
`;

/** Reports what happened in a worker. \`props\` say which script and version the events belong to. */
export const tailSource = `
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async tail(items) {
    await this.env.SINK.fetch("http://events.local/", { method: "POST", body: JSON.stringify({ ...this.ctx.props, items }) });
  }
}
`;

/** D1, KV and R2 for the control plane: the same bindings the user's workers get. */
export const storageSource = `
const toBase64 = (buffer) => {
  const bytes = new Uint8Array(buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
};
const fromBase64 = (text) => Uint8Array.from(atob(text ?? ""), (character) => character.charCodeAt(0));
const describe = (object) => ({ key: object.key, size: object.size, etag: object.etag, version: object.version,
  uploaded: object.uploaded, http_metadata: object.httpMetadata, custom_metadata: object.customMetadata });
const need = (env, kind, id) => {
  const binding = env[kind + ":" + id];
  if (binding === undefined) throw new Error("no such " + kind + " resource in the running world: " + id);
  return binding;
};
const operations = {
  async "d1/batch"({ database_id, statements }, env) {
    const db = need(env, "d1", database_id);
    return { results: await db.batch(statements.map(({ sql, params }) => db.prepare(sql).bind(...params))) };
  },
  async "d1/dump"({ database_id, no_schema, no_data, tables }, env) {
    const db = need(env, "d1", database_id);
    const [lines] = await db.prepare("PRAGMA miniflare_d1_export(?,?,?);").bind(no_schema, no_data, ...tables).raw();
    return { sql: lines.join("\\n") };
  },
  async "kv/get"({ namespace_id, key }, env) {
    const { value, metadata } = await need(env, "kv", namespace_id).getWithMetadata(key, "arrayBuffer");
    return value === null ? { found: false } : { found: true, value_base64: toBase64(value), metadata };
  },
  async "kv/put"({ namespace_id, key, value_base64, expiration, expiration_ttl, metadata }, env) {
    await need(env, "kv", namespace_id).put(key, fromBase64(value_base64), {
      ...(expiration == null ? {} : { expiration }), ...(expiration_ttl == null ? {} : { expirationTtl: expiration_ttl }),
      ...(metadata == null ? {} : { metadata }) });
    return {};
  },
  async "kv/delete"({ namespace_id, key }, env) {
    await need(env, "kv", namespace_id).delete(key);
    return {};
  },
  async "kv/list"({ namespace_id, prefix, limit, cursor }, env) {
    const page = await need(env, "kv", namespace_id).list({ prefix: prefix ?? undefined, limit: limit ?? undefined, cursor: cursor ?? undefined });
    return { keys: page.keys, list_complete: page.list_complete, cursor: page.cursor ?? "" };
  },
  async "r2/get"({ bucket, key }, env) {
    const object = await need(env, "r2", bucket).get(key);
    return object === null ? { found: false } : { found: true, ...describe(object), value_base64: toBase64(await object.arrayBuffer()) };
  },
  async "r2/put"({ bucket, key, value_base64, http_metadata, custom_metadata }, env) {
    return describe(await need(env, "r2", bucket).put(key, fromBase64(value_base64),
      { httpMetadata: http_metadata ?? undefined, customMetadata: custom_metadata ?? undefined }));
  },
  async "r2/delete"({ bucket, keys }, env) {
    const objects = need(env, "r2", bucket);
    const found = await Promise.all(keys.map((key) => objects.head(key)));
    await objects.delete(keys.filter((_, index) => found[index] !== null));
    return { missing: keys.filter((_, index) => found[index] === null) };
  },
  async "r2/list"({ bucket, prefix, limit, cursor, delimiter }, env) {
    const page = await need(env, "r2", bucket).list({ prefix: prefix ?? undefined, limit: limit ?? undefined, cursor: cursor ?? undefined,
      delimiter: delimiter ?? undefined, include: ["httpMetadata", "customMetadata"] });
    return { objects: page.objects.map(describe), truncated: page.truncated, cursor: page.cursor ?? "", delimited_prefixes: page.delimitedPrefixes };
  },
};
export default {
  async fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    try {
      if (name.startsWith("queues/")) return await env.QUEUES.fetch("http://queues.local" + name.slice("queues".length), request);
      return Response.json({ ok: true, ...(await operations[name](await request.json(), env)) });
    } catch (error) {
      return Response.json({ ok: false, message: error instanceof Error ? error.message : String(error) });
    }
  },
};
`;

/** Stand-ins for what a laptop does not have, and loud refusals for what nobody configured. */
export const standInsSource = `
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
const LABEL = { stand_in: "local-cloud" };

/** Answers every property with a function that rejects: RPC and fetch on it fail loudly, loading never does. */
const refusing = (self, own, why) => new Proxy(self, {
  get(target, name) {
    if (own.includes(name) || typeof name === "symbol") return Reflect.get(target, name);
    return () => { throw new Error(why(name)); };
  },
});

export class Ai extends WorkerEntrypoint {
  run(model, input = {}) {
    const text = input.prompt ?? input.messages?.findLast((message) => message.role === "user")?.content ?? input.text ?? "";
    if (input.stream) {
      const event = "data: " + JSON.stringify({ response: answer(model, text), ...LABEL }) + "\\n\\ndata: [DONE]\\n\\n";
      return new Response(event).body;
    }
    if (/bge|embed/i.test(model)) {
      const texts = [text].flat();
      return { shape: [texts.length, 8], data: texts.map(vector), model, ...LABEL };
    }
    return { response: answer(model, text), model, usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }, ...LABEL };
  }
  models() { return []; }
}
/** The question as plain words: a worker that looks for JSON in an answer must not find its own question there. */
const words = (text) => String(Array.isArray(text) ? JSON.stringify(text) : text).replace(/[{}"]+/g, " ").trim();
const answer = (model, text) => "[local-cloud stand-in for " + model + "] " + words(text).slice(0, 200);
const vector = (text) => Array.from({ length: 8 }, (_, at) => {
  let sum = at + 1;
  for (const character of String(text)) sum = (sum * 31 + character.codePointAt(0)) % 1000003;
  return sum / 1000003;
});

export class Browser extends WorkerEntrypoint {
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/v1/")) {
      return Response.json({ ...LABEL, error: "the local cloud has no browser: this binding only answers plain fetch()" }, { status: 503 });
    }
    return Response.json({ ...LABEL, url: request.url, content: "<html><title>local-cloud stand-in browser</title></html>" });
  }
}

/** A service binding whose target is not deployed. */
export class MissingService extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    return refusing(this, ["fetch", "ctx", "env", "constructor"], (name) => this.why() + " (called: " + String(name) + ")");
  }
  why() { return "local cloud: service binding " + this.ctx.props.binding + ": " + this.ctx.props.why; }
  async fetch() {
    return new Response("local cloud: service binding " + this.ctx.props.binding + ": " + this.ctx.props.why + "\\n",
      { status: 503, headers: { "local-cloud-error": "missing-service" } });
  }
}

/** A binding to what the local cloud does not have. */
export class Unavailable extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    const { binding, why } = ctx.props;
    return refusing(this, ["ctx", "env", "constructor"],
      (name) => "local cloud: binding " + binding + ": " + why + " (called: " + String(name) + ")");
  }
}

/** A Durable Object class that no deployed worker provides. */
export class MissingObject extends DurableObject {
  async fetch() {
    return new Response("local cloud: the Durable Object class behind this binding is not deployed\\n", { status: 503 });
  }
}
export default { fetch() { return new Response("local cloud: stand-ins\\n", { status: 404 }); } };
`;

/** Keeps rehearsals offline: only loopback addresses may be fetched. */
export const outboundSource = `
const LOOPBACK = /^(localhost|127(\\.\\d+){3}|\\[::1\\])$/;
export default {
  async fetch(request) {
    const { hostname } = new URL(request.url);
    if (LOOPBACK.test(hostname)) return fetch(request);
    return new Response("local cloud: a fetch to " + hostname + " was not sent: a rehearsal never leaves this machine\\n",
      { status: 502, headers: { "local-cloud-error": "outbound-blocked" } });
  },
};
`;

/**
 * Stands before a script with two live versions: picks one per call by percentage, or the one the request asks for.
 * \`faces\` are the (entrypoint, props) pairs its callers are bound to; each becomes one exported class.
 */
export function splitSource(script, versions, faces) {
  return `
import { WorkerEntrypoint } from "cloudflare:workers";
const SCRIPT = ${JSON.stringify(script)};
const VERSIONS = ${JSON.stringify(versions)};
function asked(request) {
  const header = request.headers.get("cloudflare-workers-version-overrides");
  if (header === null) return undefined;
  for (const member of header.split(",")) {
    const [name, value] = member.split("=");
    if (name.trim().toLowerCase() !== SCRIPT.toLowerCase() || value === undefined) continue;
    const id = value.split(";")[0].trim().replace(/^"|"$/g, "");
    const index = VERSIONS.findIndex((version) => version.id === id);
    if (index !== -1) return index;
  }
  return undefined;
}
function pick() {
  let point = Math.random() * VERSIONS.reduce((sum, version) => sum + version.percentage, 0);
  for (let index = 0; index < VERSIONS.length; index++) {
    point -= VERSIONS[index].percentage;
    if (point < 0) return index;
  }
  return 0;
}
function face(number) {
  return class extends WorkerEntrypoint {
    constructor(ctx, env) {
      super(ctx, env);
      const chosen = env["version" + pick() + ":" + number];
      return new Proxy(this, {
        get(self, name) { return Reflect.has(self, name) ? Reflect.get(self, name) : Reflect.get(chosen, name); },
      });
    }
    fetch(request) {
      return this.env["version" + (asked(request) ?? pick()) + ":" + number].fetch(request);
    }
  };
}
${faces.map((_, number) => `export const Face${number} = face(${number});`).join("\n")}
export default { fetch() { return new Response("local cloud: split\\n", { status: 404 }); } };
`;
}
