//! A Worker that Cloudflare's Vite plugin builds: its own config is only what the build starts from, the one that ships is
//! generated, for one named environment. The real plugin, as a repo that uses it has it.

use serde_json::{Value, json};

use crate::preview::dump::{difference, dump};
use crate::support::{ACCOUNT, DATABASE, World};

const PIPELINE: &str = r#"
[project]
name = "vite"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.site]
path = "site"
env = "production"
build = "npm run build"
smoke = ["/notes"]
[workers.api]
path = "api"
[databases.small-db]
migrations = "migrations"
seed = "seed.sql"
[[preview.smoke]]
worker = "site"
path = "/api"
reaches = ["api"]
[health]
within = "20s"
timeout = "10s"
[local]
port = 0
subdomain = "test"
"#;

/// Bindings are given for each environment; what is not production's must not get into it.
const CONFIG: &str = r#"{
  "name": "vite-site", // the environment that ships is called vite-site-production
  "main": "src/index.ts",
  "compatibility_date": "2026-09-01",
  "assets": { "binding": "ASSETS", "run_worker_first": ["/health", "/notes", "/count", "/api"] },
  "vars": { "MODE": "top level" },
  "env": {
    "production": {
      "routes": [{ "pattern": "vite.example", "custom_domain": true }],
      "triggers": { "crons": ["0 6 * * *"] },
      "vars": { "MODE": "production" },
      "d1_databases": [
        { "binding": "DB", "database_name": "small-db", "database_id": "5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3" },
      ],
      "kv_namespaces": [{ "binding": "CACHE", "id": "b6b44e270e4b4f6c8d19c7e2b0f35d62" }],
      "r2_buckets": [{ "binding": "IMAGES", "bucket_name": "vite-images" }],
      "services": [{ "binding": "API", "service": "vite-api" }],
      "durable_objects": { "bindings": [{ "name": "COUNTER", "class_name": "Counter" }] },
      "version_metadata": { "binding": "VERSION" },
    },
  },
  "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Counter"] }],
}
"#;

const CODE: &str = r#"
import { DurableObject } from "cloudflare:workers";
import { told } from "./told";

export class Counter extends DurableObject {
  async add(): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}

export default {
  async fetch(request: Request, env: any): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/api") return env.API.fetch("http://api/");
    if (pathname === "/notes" && request.method === "POST") {
      const text = await request.text();
      await env.DB.prepare("INSERT INTO notes (text) VALUES (?)").bind(text).run();
      await env.CACHE.put("last", text);
      await env.IMAGES.put("last", text);
    }
    if (pathname === "/notes") {
      const { results } = await env.DB.prepare("SELECT text FROM notes ORDER BY id").all();
      return Response.json(told(env, { notes: results.map((row: any) => row.text) }));
    }
    if (pathname === "/count") return Response.json(told(env, { count: await env.COUNTER.getByName("one").add() }));
    return Response.json(told(env, { mode: env.MODE }));
  },
};
"#;

const TOLD: &str = "export const told = (env: any, more: object): object => \
                    ({ version: env.VERSION.id, release: env.VERSION.tag, ...more });\n";

const API_CODE: &str = "export default { fetch(request, env) {\n\
                        return Response.json({ version: env.VERSION.id, release: env.VERSION.tag, worker: 'api' }); } };\n";

const API_CONFIG: &str = "name = \"vite-api\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\n\
                          workers_dev = true\n[version_metadata]\nbinding = \"VERSION\"\n";

const VITE_CONFIG: &str = "import { cloudflare } from \"@cloudflare/vite-plugin\";\n\
                           import { defineConfig } from \"vite\";\n\
                           export default defineConfig({ plugins: [cloudflare()] });\n";

const PAGE: &str = "<!doctype html>\n<title>A page</title>\n<div id=\"app\"></div>\n\
                    <script type=\"module\" src=\"/src/page.ts\"></script>\n";

const PREVIEW: &str = "vite-site-production-pr-7-preview.test.localhost";

fn world() -> World {
    World::of(&[
        (".gitignore", "/.xtask/\nnode_modules\ndist/\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        (
            "migrations/0001_notes.sql",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n",
        ),
        (
            "seed.sql",
            "INSERT OR IGNORE INTO notes (id, text) VALUES (1, 'first note');\n",
        ),
        (
            "site/package.json",
            "{ \"name\": \"site\", \"private\": true, \"type\": \"module\", \"scripts\": { \"build\": \"vite build\" } }\n",
        ),
        ("site/vite.config.ts", VITE_CONFIG),
        ("site/wrangler.jsonc", CONFIG),
        ("site/index.html", PAGE),
        (
            "site/src/page.ts",
            "document.querySelector(\"#app\")!.textContent = \"made by Vite\";\n",
        ),
        ("site/src/index.ts", CODE),
        ("site/src/told.ts", TOLD),
        ("api/wrangler.toml", API_CONFIG),
        ("api/index.js", API_CODE),
    ])
}

#[test]
fn what_the_vite_plugin_builds_is_deployed_previewed_and_cleaned_up() {
    let world = world();
    world.deploy();
    let generated: Value = serde_json::from_str(&world.read("site/dist/vite_site/wrangler.json"))
        .expect("the plugin generates JSON");
    assert_eq!(generated["targetEnvironment"], "production", "{generated}");
    answers(&world, "vite.example.localhost");
    // Its output has the same digest each time, so nothing of it is uploaded again.
    world.clear_journal();
    world.deploy();
    assert_eq!(world.uploads(), [""; 0]);
    let production = dump(&world, "");

    world
        .run(["preview", "--pr", "7"])
        .exits(0)
        .says("the crons of site do not run (`0 6 * * *`)");
    answers(&world, PREVIEW);
    is_its_own(&world);
    let said = world
        .cloud()
        .edge("POST", PREVIEW, "/notes", &[], "only in the preview");
    assert!(said.body.contains("only in the preview"), "{said}");
    assert_eq!(world.edge_get(PREVIEW, "/count").ok()["count"], 2);
    let changed = difference(&production, &dump(&world, "preview"));
    assert!(changed.is_empty(), "production has changed: {changed:#?}");

    world.run(["cleanup", "--pr", "7"]).exits(0);
    let left: Vec<String> = dump(&world, "").into_keys().collect();
    assert!(
        !left.iter().any(|name| name.contains("preview")),
        "{left:?}"
    );
    let notes = world.edge_get("vite.example.localhost", "/notes").ok();
    assert_eq!(notes["notes"], json!(["first note"]));
}

/// The Worker, its page and what the page loads, its data, its objects and its sibling answer.
#[track_caller]
fn answers(world: &World, host: &str) {
    let health = world.edge_get(host, "/health").ok();
    assert_eq!(health["mode"], "production", "{health}");
    let notes = world.edge_get(host, "/notes").ok();
    assert_eq!(notes["notes"], json!(["first note"]));
    assert_eq!(world.edge_get(host, "/count").ok()["count"], 1);
    let sibling = world.edge_get(host, "/api").ok();
    assert_eq!(
        (&sibling["worker"], &sibling["release"]),
        (&json!("api"), &health["release"])
    );
    let page = world.edge_get(host, "/");
    assert!(page.body.contains("<title>A page</title>"), "{page}");
    let script = page.body.split('"').find(|text| text.ends_with(".js"));
    let script = world.edge_get(host, script.expect("Vite gave it a script"));
    assert!(script.body.contains("made by Vite"), "{script}");
}

/// What is live of the preview names nothing of production's.
#[track_caller]
fn is_its_own(world: &World) {
    let path = "/workers/scripts/vite-site-production-pr-7-preview/settings";
    let settings = world.cloud().result("GET", path, None);
    let bindings = settings["bindings"].to_string();
    for own in ["vite-images-pr-7-preview", "vite-api-pr-7-preview"] {
        assert!(bindings.contains(&format!("\"{own}\"")), "{bindings}");
    }
    for foreign in [
        DATABASE,
        "b6b44e270e4b4f6c8d19c7e2b0f35d62",
        "\"vite-images\"",
        "\"vite-api\"",
        ACCOUNT,
    ] {
        assert!(!bindings.contains(foreign), "{bindings}");
    }
}
