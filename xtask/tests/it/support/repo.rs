//! The repos the tests ship: small sets of Workers in plain JavaScript, and a copy of this repo's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::setup;

/// `pipeline.toml` of the small set.
pub const PIPELINE: &str = r#"
[project]
name = "small"

[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"

[workers.site]
path = "workers/site"
secrets = ["SITE_KEY", "API_KEY"]

[workers.agent]
path = "workers/agent"

[workers.api]
path = "workers/api"
secrets = ["API_KEY"]

[databases.small-db]
migrations = "migrations"
schema = "schema.sql"
seed = "seed.sql"

[health]
within = "20s"
timeout = "10s"

[local]
port = 0
subdomain = "test"
"#;

/// The public worker: a custom domain, a cron, D1, KV, two service bindings, secrets.
pub const SITE_CONFIG: &str = r#"
name = "small-site"
main = "index.js"
compatibility_date = "2026-09-01"
routes = [{ pattern = "small.example", custom_domain = true }]

[triggers]
crons = ["0 6 * * *"]

[[d1_databases]]
binding = "DB"
database_name = "small-db"
database_id = "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3"

[[kv_namespaces]]
binding = "CACHE"
id = "b6b44e270e4b4f6c8d19c7e2b0f35d62"

[[services]]
binding = "API"
service = "small-api"

[[services]]
binding = "AGENT"
service = "small-agent"

[version_metadata]
binding = "VERSION"
"#;

/// Its code: `/health`, `/notes` out of D1, `/api` and `/agent` through the bindings, `/secrets` says which are set.
pub const SITE_CODE: &str = r#"
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const version = env.VERSION.id;
    if (pathname === "/health") {
      await env.DB.prepare("SELECT 1").first();
      return Response.json({ ok: true, version });
    }
    if (pathname === "/notes") {
      const { results } = await env.DB.prepare("SELECT text FROM notes ORDER BY id").all();
      return Response.json({ version, notes: results.map((row) => row.text) });
    }
    if (pathname === "/secrets") {
      return Response.json({ site: env.SITE_KEY?.length, api: env.API_KEY?.length });
    }
    if (pathname.startsWith("/api")) return env.API.fetch("http://api/version");
    if (pathname.startsWith("/agent")) return env.AGENT.fetch("http://agent/count");
    return Response.json({ version, page: "site" });
  },
  async scheduled(event, env) {
    await env.CACHE.put("cron", event.cron);
  },
};
"#;

/// A worker with a SQLite Durable Object that counts, and a binding to the api.
pub const AGENT_CONFIG: &str = r#"{
  // JSON with comments
  "name": "small-agent",
  "main": "index.js",
  "compatibility_date": "2026-09-01",
  "workers_dev": true,
  "services": [{ "binding": "API", "service": "small-api" }],
  "durable_objects": { "bindings": [{ "name": "COUNTER", "class_name": "Counter" }] },
  "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Counter"] }],
  "version_metadata": { "binding": "VERSION" },
}
"#;

/// Its code: `/count` counts in the Durable Object.
pub const AGENT_CODE: &str = r#"
import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject {
  async add() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const version = env.VERSION.id;
    if (pathname === "/health") return Response.json({ ok: true, version });
    if (pathname === "/count") {
      return Response.json({ version, count: await env.COUNTER.getByName("one").add() });
    }
    if (pathname === "/api") return env.API.fetch("http://api/version");
    return new Response("no such page", { status: 404 });
  },
};
"#;

/// The worker that everybody calls.
pub const API_CONFIG: &str = r#"
name = "small-api"
main = "index.js"
compatibility_date = "2026-09-01"
workers_dev = true

[[d1_databases]]
binding = "DB"
database_name = "small-db"
database_id = "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3"

[[kv_namespaces]]
binding = "CACHE"
id = "b6b44e270e4b4f6c8d19c7e2b0f35d62"

[version_metadata]
binding = "VERSION"
"#;

/// Its code.
pub const API_CODE: &str = r#"
export default {
  async fetch(request, env) {
    return Response.json({ ok: true, version: env.VERSION.id, worker: "api" });
  },
};
"#;

/// What git must not see.
const IGNORED: &str = "/.xtask/\nnode_modules\ndist/\n.wrangler/\n";

/// The files of the small set.
pub fn small_set() -> Vec<(&'static str, &'static str)> {
    vec![
        (".gitignore", IGNORED),
        ("pipeline.toml", PIPELINE),
        ("workers/site/wrangler.toml", SITE_CONFIG),
        ("workers/site/index.js", SITE_CODE),
        ("workers/agent/wrangler.jsonc", AGENT_CONFIG),
        ("workers/agent/index.js", AGENT_CODE),
        ("workers/api/wrangler.toml", API_CONFIG),
        ("workers/api/index.js", API_CODE),
        (
            "schema.sql",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n",
        ),
        (
            "migrations/0001_tags.sql",
            "CREATE TABLE tags (name TEXT PRIMARY KEY);\n",
        ),
        (
            "seed.sql",
            "INSERT OR IGNORE INTO notes (id, text) VALUES (1, 'first note');\n",
        ),
    ]
}

/// One worker without a database: the quickest repo there is. `code` is its module.
pub fn one_worker(code: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        (".gitignore", IGNORED),
        ("pipeline.toml", ONE_PIPELINE),
        ("worker/wrangler.toml", ONE_CONFIG),
        ("worker/index.js", code),
    ]
}

const ONE_PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"

[workers.one]
path = "worker"

[health]
within = "20s"
timeout = "10s"

[local]
port = 0
subdomain = "test"
"#;

const ONE_CONFIG: &str = r#"
name = "one"
main = "index.js"
compatibility_date = "2026-09-01"
workers_dev = true

[version_metadata]
binding = "VERSION"
"#;

/// Copies this repo's workers, shared code, packages and `pipeline.toml`; the local port becomes any free one.
pub fn copy_own_workers(to: &Path) {
    let from = setup::own_repo();
    for name in [".gitignore", "package.json", "tsconfig.base.json"] {
        fs::copy(from.join(name), to.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let text = fs::read_to_string(from.join("pipeline.toml")).expect("the repo has one");
    let port = "\nport = 8787";
    assert!(text.contains(port), "pipeline.toml no longer says {port:?}");
    let text = text.replace(port, "\nport = 0");
    fs::write(to.join("pipeline.toml"), text).expect("a file can be written");
    copy_folder(&from.join("workers"), &to.join("workers"));
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("it can be read");
        let name = entry.file_name();
        let made = ["node_modules", "dist", ".wrangler"];
        if made.iter().any(|made| name == *made) {
            continue;
        }
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).expect("a file can be copied");
        }
    }
}

/// Every file below `folder`, without git's, the packages and the local cloud's state.
pub fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        let name = path.strip_prefix(root).unwrap_or(&path);
        let name = name.display().to_string();
        let skipped = [".git", "node_modules", ".xtask/local-cloud", ".xtask/cache"];
        if skipped.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            found.insert(name, fs::read(&path).unwrap_or_default());
        }
    }
}
