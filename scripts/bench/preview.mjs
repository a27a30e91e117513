// Measures the previews of a pull request: `xtask preview` against the wrangler commands that make the same environment, and
// `xtask cleanup` against those that delete it, in turns, on one local cloud. Knows how to measure, not how either side
// works. Started by preview.sh and cleanup.sh.

import fs from "node:fs";
import path from "node:path";

import { bench, check, ciEnv, copyRepo, cores, inTurns, median, ratio, readFlags, repoWithCloud, say, seconds, settle, table, timed, wranglerEnv } from "./common.mjs";

const BOUNDS = { preview: 0.6, cleanup: 0.2 };
/** In the order in which they can be deployed: callees first. */
const WORKERS = [
  { folder: "analyzer-worker", config: "wrangler.toml", script: "kiamichi-biz-ai-analyzer", secrets: ["ADMIN_KEY"] },
  { folder: "facebook-worker", config: "wrangler.toml", script: "kiamichi-facebook-worker", secrets: ["FB_SECRET", "FB_EMAIL", "FB_PASSWORD"] },
  { folder: "main", config: "wrangler.toml", script: "kiamichi-biz-connect", secrets: ["ADMIN_KEY", "GOOGLE_SECRET"] },
  { folder: "business-agent", config: "wrangler.jsonc", script: "kiamichi-business-agent", secrets: ["ADMIN_KEY"] },
];
const DATABASE = { name: "kiamichi-biz-connect-db", id: "6f3c1d84-2b57-4e0a-9c41-7d8e5a90b3f2" };
const NAMESPACE = { title: "kiamichi-biz-connect-kv-a5a33e27", id: "a5a33e270e4b4f6c8d19c7e2b0f35d61" };
const BUCKETS = ["kiamichi-biz-images", "kiamichi-templates", "kiamichi-assets"];
const ACCOUNT = "3f1c9a7be2d84c05b6a1d7e94f20c8aa";
const SIDES = {
  wrangler: "the wrangler commands, one after the other",
  npx: "the same through npx",
  xtask: "xtask",
};

const flags = readFlags(3, { measure: { type: "string", default: "preview" } });

class Bench {
  constructor(work, cloud) {
    this.cloud = cloud;
    this.ours = path.join(work, "ours");
    this.theirs = path.join(work, "theirs");
    this.secrets = path.join(work, "secrets");
    fs.mkdirSync(this.secrets);
    this.env = ciEnv(WORKERS.flatMap(({ secrets }) => secrets));
    for (const { folder, secrets } of WORKERS) {
      const values = Object.fromEntries(secrets.map((name) => [name, this.env[name]]));
      fs.writeFileSync(path.join(this.secrets, `${folder}.json`), JSON.stringify(values));
    }
    this.written = new Map(WORKERS.map(({ folder, config }) => {
      const file = path.join(this.theirs, "workers", folder, config);
      return [file, fs.readFileSync(file, "utf8")];
    }));
  }

  /** Runs wrangler commands (folder, arguments) one after the other. */
  wrangler(side, commands) {
    const env = { ...this.env, ...wranglerEnv(this.cloud), CLOUDFLARE_ACCOUNT_ID: ACCOUNT };
    const program = side === "npx" ? ["npx", "wrangler"] : ["node", path.join(flags.repo, "node_modules/wrangler/wrangler-dist/cli.js")];
    const total = { wall: 0, cpu: 0, commands: commands.length };
    for (const [folder, args] of commands) {
      const spent = timed([...program, ...args()], { cwd: path.join(this.theirs, "workers", folder), env });
      total.wall += spent.wall;
      total.cpu += spent.cpu;
      this.said = spent.said;
    }
    return total;
  }

  /** What a person would write: create the storage, fill the database, deploy every worker under another name. */
  make(side, pr) {
    const named = (name) => `${name}-pr-${pr}-preview`;
    const database = named(DATABASE.name);
    // Each id is known when the command after it is made.
    const ids = {};
    const note = (what, pattern) => { ids[what] ??= this.said.match(pattern)[0]; };
    const remote = ["--remote", "-y"];
    const fill = (file) => ["main", () => ["d1", "execute", database, ...remote, "--file", file]];
    return this.wrangler(side, [
      ["shared", () => ["d1", "create", database]],
      ["shared", () => { note("database", /[0-9a-f]{8}-[0-9a-f-]{27}/); return ["kv", "namespace", "create", named(NAMESPACE.title)]; }],
      ...BUCKETS.map((bucket, index) => ["shared", () => {
        if (index === 0) note("namespace", /[0-9a-f]{32}/);
        return ["r2", "bucket", "create", named(bucket)];
      }]),
      ["main", () => { this.rewrite(named, ids); return ["d1", "execute", database, ...remote, "--file", "schema.sql"]; }],
      ["main", () => ["d1", "migrations", "apply", database, "--remote"]],
      fill("seed.sql"),
      ...WORKERS.map(({ folder }) => [folder, () => ["deploy", "--secrets-file", path.join(this.secrets, `${folder}.json`)]]),
    ]);
  }

  /** The configs of a preview, as one would keep them by hand. */
  rewrite(named, ids) {
    for (const [file, text] of this.written) {
      let config = text.replace(/"?routes"?\s*[=:]\s*\[[^\]]*\],?/, "").replace(/crons = \[[^\]]*\]/, "crons = []");
      // Two of them say so already.
      if (!/workers_dev/.test(config)) config = config.replace(/^(\s*"?name"?\s*([=:])\s*"[^"]+",?)/m, (line, name, sign) => (sign === "=" ? `${name}\nworkers_dev = true` : `${name}\n"workers_dev": true,`));
      for (const name of [DATABASE.name, ...BUCKETS, ...WORKERS.map(({ script }) => script)]) config = config.replaceAll(`"${name}"`, `"${named(name)}"`);
      config = config.replaceAll(DATABASE.id, ids.database).replaceAll(NAMESPACE.id, ids.namespace);
      fs.writeFileSync(file, config);
    }
    this.ids = ids;
  }

  /** What a person would write to delete it: callers first, as wrangler asks for. */
  unmake(side, pr, ids) {
    const named = (name) => `${name}-pr-${pr}-preview`;
    return this.wrangler(side, [
      ...[...WORKERS].reverse().map(({ script }) => ["shared", () => ["delete", "--name", named(script)]]),
      ["shared", () => ["d1", "delete", named(DATABASE.name), "-y"]],
      ["shared", () => ["kv", "namespace", "delete", "--namespace-id", ids.namespace, "-y"]],
      ...BUCKETS.map((bucket) => ["shared", () => ["r2", "bucket", "delete", named(bucket)]]),
    ]);
  }

  xtask(verb, pr) {
    const command = [path.join(flags.programs, "xtask"), verb, "--pr", String(pr), "--cloud", "local", "--root", this.ours];
    return timed(command, { cwd: this.ours, env: this.env });
  }

  async state() {
    return (await fetch(`${this.cloud.edge}/_local/state`)).json();
  }

  /** How many things bear the name of a preview. */
  async count(pr) {
    const state = await this.state();
    const names = [...Object.keys(state.scripts), ...Object.keys(state.r2), ...Object.values(state.d1).map(({ name }) => name), ...Object.values(state.kv).map(({ title }) => title)];
    return names.filter((name) => name.endsWith(`-pr-${pr}-preview`)).length;
  }

  /** Empties the buckets of a preview of xtask's, so that wrangler can delete them: that is not counted. */
  async empty(pr) {
    const state = await this.state();
    for (const bucket of BUCKETS.map((name) => `${name}-pr-${pr}-preview`)) {
      const address = `${this.cloud.api}/accounts/${ACCOUNT}/r2/buckets/${bucket}/objects`;
      const headers = { Authorization: "Bearer local-cloud-token" };
      const { result } = await (await fetch(address, { headers })).json();
      for (const { key } of result) await fetch(`${address}/${encodeURIComponent(key)}`, { method: "DELETE", headers });
    }
    const [namespace] = Object.entries(state.kv).find(([, { title }]) => title.endsWith(`-pr-${pr}-preview`));
    return { namespace };
  }

  /** One measured run of a side, on a pull request of its own. What is made before it or taken away after it is not timed. */
  async run(side, pr) {
    let spent;
    const all = WORKERS.length + BUCKETS.length + 2;
    if (flags.measure === "preview") {
      spent = side === "xtask" ? this.xtask("preview", pr) : this.make(side, pr);
      if (await this.count(pr) !== all) throw new Error(`${side} made ${await this.count(pr)} of ${all} things`);
      if (side === "xtask") this.xtask("cleanup", pr);
      else this.unmake("wrangler", pr, this.ids);
    } else {
      this.xtask("preview", pr);
      if (await this.count(pr) !== all) throw new Error(`the preview has ${await this.count(pr)} of ${all} things`);
      const ids = side === "xtask" ? {} : await this.empty(pr);
      await settle();
      spent = side === "xtask" ? this.xtask("cleanup", pr) : this.unmake(side, pr, ids);
    }
    if (await this.count(pr) !== 0) throw new Error(`${side} left ${await this.count(pr)} things`);
    await settle();
    return spent;
  }
}

/** Prints everything; true when the bound holds. */
function print(runs) {
  const of = (side, what) => median(runs[side].map((run) => run[what]));
  const title = { preview: "a preview of four workers with data of its own", cleanup: "cleanup of four workers and their storage" }[flags.measure];
  console.log(`\n${title}, medians of ${flags.rounds} rounds, ${cores()}\n`);
  table(Object.entries(SIDES).map(([side, name]) => [
    side === "xtask" ? `xtask ${flags.measure}` : `${name} (${runs[side][0].commands})`,
    `${seconds(of(side, "wall"))} s`, `${seconds(of(side, "cpu"))} s`, (of(side, "wall") / of("wrangler", "wall")).toFixed(2),
  ]), ["", "wall", "own CPU", "wall ratio"]);
  return check(`xtask ${flags.measure} / wrangler without npx, wall`, ratio(runs.xtask, runs.wrangler), BOUNDS[flags.measure]);
}

await bench(flags.measure, flags, async (work) => {
  copyRepo(flags.repo, path.join(work, "theirs"));
  const { cloud } = await repoWithCloud(flags, path.join(work, "ours"));
  const sides = new Bench(work, cloud);
  let pr = 1;
  say("warm-up: fills caches");
  for (const side of ["xtask", "wrangler"]) await sides.run(side, pr++);
  return print(await inTurns(Object.keys(SIDES), flags, async (side, round) => {
    const spent = await sides.run(side, pr++);
    say(`round ${round}: ${side} ${seconds(spent.wall)} s`);
    return spent;
  }));
});
