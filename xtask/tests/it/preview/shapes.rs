//! Workers as real repos have them: each kind of config is previewed, and none of them reaches production.

use serde_json::Value;

use crate::support::World;

const LONG: &str = "a-worker-whose-name-somebody-thought-about-for-a-long-while-";

const PIPELINE: &str = r#"
[project]
name = "shapes"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"
[workers.left]
path = "left"
[workers.right]
path = "right"
[workers.staged]
path = "staged"
env = "production"
[workers.built]
path = "built"
build = "sh build.sh"
[workers.long]
path = "long"
[[preview.smoke]]
worker = "left"
path = "/other"
reaches = ["right"]
[[preview.smoke]]
worker = "right"
path = "/other"
reaches = ["left"]
[health]
within = "20s"
timeout = "10s"
[local]
port = 0
subdomain = "test"
"#;

const CODE: &str = r#"
import { DurableObject } from "cloudflare:workers";
export class Room extends DurableObject {
  async add() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}
export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  const told = { version: env.VERSION.id, release: env.VERSION.tag, mode: env.MODE };
  if (pathname === "/other") return env.OTHER.fetch("http://other/health");
  if (pathname === "/room") return Response.json({ ...told, count: await env.ROOM.getByName("one").add() });
  return Response.json(told);
} };
"#;

const RIGHT: &str = r#"/* a block comment first */
{
  "name": "right", // JSON with comments and trailing commas
  "main": "index.js",
  "compatibility_date": "2026-09-01",
  "workers_dev": true,
  "services": [{ "binding": "OTHER", "service": "left", }],
  "durable_objects": { "bindings": [{ "name": "ROOM", "class_name": "Room", "script_name": "right" }] },
  "migrations": [
    { "tag": "v1", "new_classes": ["Old"] },
    { "tag": "v2", "renamed_classes": [{ "from": "Old", "to": "Gone" }], "new_sqlite_classes": ["Room"] },
    { "tag": "v3", "deleted_classes": ["Gone"] },
  ],
  "version_metadata": { "binding": "VERSION" },
}
"#;

const BUILD: &str = r#"set -e
mkdir -p dist/app .wrangler/deploy
cp source.js dist/app/index.js
cat > dist/app/wrangler.json <<END
{"name": "built", "main": "index.js", "compatibility_date": "2026-09-01", "workers_dev": true, "no_bundle": true,
 "configPath": "/elsewhere/wrangler.toml", "topLevelName": "built", "definedEnvironments": [], "kv_namespaces": [],
 "r2_buckets": [], "d1_databases": [], "queues": {"producers": [], "consumers": []}, "vectorize": [], "unsafe": {},
 "rules": [{"type": "ESModule", "globs": ["**/*.js"]}], "version_metadata": {"binding": "VERSION"},
 "services": [{"binding": "OTHER", "service": "left"}], "vars": {"MODE": "generated"}}
END
echo '{"configPath": "../../dist/app/wrangler.json"}' > .wrangler/deploy/config.json
"#;

fn config(name: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n{more}\n\
         [version_metadata]\nbinding = \"VERSION\"\n"
    )
}

fn world() -> World {
    let left = config(
        "left",
        "routes = [{ pattern = \"left.example\", custom_domain = true }]\n[triggers]\ncrons = [\"0 6 * * *\"]\n\
         [[services]]\nbinding = \"OTHER\"\nservice = \"right\"",
    );
    let staged = config("staged", "[vars]\nMODE = \"top\"")
        + "[env.production.vars]\nMODE = \"production\"\n[env.production.version_metadata]\nbinding = \"VERSION\"\n\
           [[env.production.services]]\nbinding = \"OTHER\"\nservice = \"left\"\n";
    let built = config(
        "built",
        "[[services]]\nbinding = \"OTHER\"\nservice = \"left\"",
    );
    let built = built.replace("index.js", "source.js");
    let long = config(
        &LONG[..60].replace("while-", "whiles"),
        "[durable_objects]\nbindings = [{ name = \"ROOM\", class_name = \"Room\", script_name = \"right\" }]",
    );
    World::of(&[
        (".gitignore", "/.xtask/\nnode_modules\ndist/\n.wrangler/\n"),
        ("pipeline.toml", PIPELINE),
        ("left/wrangler.toml", &left),
        ("left/index.js", CODE),
        ("right/wrangler.jsonc", RIGHT),
        ("right/index.js", CODE),
        ("staged/wrangler.toml", &staged),
        ("staged/index.js", CODE),
        ("built/wrangler.toml", &built),
        ("built/source.js", CODE),
        ("built/build.sh", BUILD),
        ("long/wrangler.toml", &long),
        ("long/index.js", CODE),
    ])
}

/// Nothing was ever deployed here: a preview needs no production, and makes none.
#[test]
fn every_shape_of_worker_is_previewed() {
    let world = world();
    let run = world.run(["preview", "--pr", "7"]).exits(0);
    let state = world.cloud_state();
    let scripts: Vec<&String> = state["scripts"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .collect();
    assert_eq!(scripts.len(), 5, "{scripts:?}");
    assert!(
        scripts.iter().all(|name| name.ends_with("-pr-7-preview")),
        "{scripts:?}"
    );
    let long = scripts
        .iter()
        .find(|name| name.starts_with("a-worker"))
        .expect("it is there");
    assert_eq!(long.len(), 63, "{long}");

    let commit = world.git(&["rev-parse", "--short=7", "HEAD"]);
    let release = Value::from(format!("pr7-{commit}"));
    let host = |name: &str| format!("{name}-pr-7-preview.test.localhost");
    // The circle, in both directions; a named environment; a config its build made: all end in the preview.
    for name in ["left", "right", "staged-production", "built"] {
        let answer = world.edge_get(&host(name), "/other").ok();
        assert_eq!(answer["release"], release, "{name}: {run}");
    }
    assert_eq!(
        world.edge_get(&host("staged-production"), "/health").ok()["mode"],
        "production"
    );
    assert_eq!(
        world.edge_get(&host("built"), "/health").ok()["mode"],
        "generated"
    );
    // The Durable Objects of another worker are those of its preview.
    let counted = world
        .edge_get(&format!("{long}.test.localhost"), "/room")
        .ok();
    assert_eq!(counted["count"], 1);
    assert_eq!(world.edge_get(&host("right"), "/room").ok()["count"], 2);
    run.says("the crons of left do not run (`0 6 * * *`)")
        .says("left does not answer at left.example");

    // The same again changes nothing, and a second preview is another world.
    world.clear_journal();
    world.run(["preview", "--pr", "7"]).exits(0);
    assert_eq!(world.uploads(), [""; 0], "this commit is there already");
    world
        .run(["preview", "--pr", "8", "--only", "left"])
        .exits(0);
    let state = world.cloud_state();
    let of_8 = state["scripts"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys());
    let of_8: Vec<&String> = of_8.filter(|name| name.contains("-pr-8-")).collect();
    assert_eq!(
        of_8,
        ["left-pr-8-preview", "right-pr-8-preview"],
        "what left calls comes along"
    );
}
