//! `init` on repos nobody has told the pipeline about, and what it wrote put to use, unedited: checked, deployed and previewed
//! on a local cloud.
#![cfg(unix)]

use crate::support::World;
use expect_test::{Expect, expect};

const CODE: &str = r#"
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/healthz") return Response.json({ ok: true });
    if (pathname === "/next") return env.NEXT.fetch("http://next/name");
    return Response.json({ name: env.NAME ?? "none" });
  },
};
"#;

/// Reads the secret that its `.dev.vars.example` names.
const API: &str = r#"
export default {
  async fetch(request, env) {
    if (!env.API_KEY) return new Response("no key", { status: 500 });
    const { pathname } = new URL(request.url);
    if (pathname === "/healthz") return Response.json({ ok: true });
    return Response.json({ name: env.NAME ?? "none" });
  },
};
"#;

/// As the workspace's `packageManager` says: another one would fetch this one first.
const PNPM: &str = "pnpm@10.4.1";

/// Finds the name through a link that only pnpm makes.
const SHOP: &str = r#"
import { name } from "@shop/shared";
export default {
  fetch: (request) =>
    new URL(request.url).pathname === "/healthz" ? Response.json({ ok: true }) : Response.json({ name }),
};
"#;

/// A worker at the root with a database, one with a lock file of its own, a JSON config and an environment that restates its
/// bindings, one without any of that, static assets only, a pnpm workspace, and what must be left out.
const REPO: [(&str, &str); 26] = [
    (".gitignore", "node_modules\n"),
    (
        "package.json",
        r#"{ "name": "@acme/shapes", "private": true, "devDependencies": { "wrangler": "4.155.0" } }"#,
    ),
    (
        "wrangler.toml",
        "name = \"front\"\nmain = \"src/index.js\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n[[services]]\nbinding = \"NEXT\"\nservice = \"api-production\"\n[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"shapes\"\ndatabase_id = \"5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3\"\nmigrations_dir = \"db/migrations\"\n",
    ),
    ("src/index.js", CODE),
    (
        "db/migrations/0001_notes.sql",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\n",
    ),
    (
        "db/schema.sql",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\n",
    ),
    (
        "services/api/wrangler.json",
        r#"{ "name": "api", "main": "index.js", "compatibility_date": "2026-09-01", "vars": { "NAME": "development" }, "env": { "production": { "workers_dev": true, "vars": { "NAME": "production" } } } }"#,
    ),
    ("services/api/index.js", API),
    ("services/api/package.json", "{ \"name\": \"api\" }\n"),
    (
        "services/api/package-lock.json",
        "{ \"name\": \"api\", \"lockfileVersion\": 3, \"packages\": { \"\": { \"name\": \"api\" } } }\n",
    ),
    ("services/api/.dev.vars.example", "API_KEY=\n"),
    (
        "services/quiet/wrangler.jsonc",
        "{\n  // Asked nothing by anybody.\n  \"name\": \"quiet\", \"main\": \"index.js\", \"compatibility_date\": \"2026-09-01\", \"workers_dev\": false,\n}\n",
    ),
    (
        "services/quiet/index.js",
        "export default { async scheduled() {} };\n",
    ),
    (
        "site/wrangler.toml",
        "name = \"site\"\ncompatibility_date = \"2026-09-01\"\nworkers_dev = true\n[assets]\ndirectory = \"public\"\n",
    ),
    ("site/public/index.html", "<h1>The site</h1>\n"),
    (
        "shop/package.json",
        "{ \"name\": \"shop\", \"private\": true, \"packageManager\": \"pnpm@10.4.1\" }\n",
    ),
    (
        "shop/pnpm-workspace.yaml",
        "packages:\n  - apps/*\n  - packages/*\n",
    ),
    (
        "shop/pnpm-lock.yaml",
        "lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\n\nimporters:\n\n  .: {}\n\n  apps/web:\n    dependencies:\n      '@shop/shared':\n        specifier: workspace:*\n        version: link:../../packages/shared\n\n  packages/shared: {}\n",
    ),
    (
        "shop/packages/shared/package.json",
        "{ \"name\": \"@shop/shared\", \"version\": \"1.0.0\", \"type\": \"module\", \"main\": \"index.js\" }\n",
    ),
    (
        "shop/packages/shared/index.js",
        "export const name = \"shared\";\n",
    ),
    (
        "shop/apps/web/package.json",
        "{ \"name\": \"@shop/web\", \"dependencies\": { \"@shop/shared\": \"workspace:*\" } }\n",
    ),
    (
        "shop/apps/web/wrangler.jsonc",
        "{ \"name\": \"web\", \"main\": \"index.js\", \"compatibility_date\": \"2026-09-01\", \"workers_dev\": true }\n",
    ),
    ("shop/apps/web/index.js", SHOP),
    (
        "snake/wrangler.toml",
        "name = \"snake\"\nmain = \"entry.py\"\n",
    ),
    ("snake/entry.py", "pass\n"),
    ("broken/wrangler.toml", "name = {{ name }}\n"),
];

/// `pipeline.toml` without its comments.
#[track_caller]
fn check(world: &World, expect: Expect) {
    let text = world.read("pipeline.toml");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    expect.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn what_init_writes_is_checked_deployed_and_previewed_unedited() {
    let mut world = World::without_cloud(&REPO);
    world.set("npm_config_registry", "http://127.0.0.1:9/");
    world.set("npm_config_fetch_retries", "0");
    let pnpm = crate::support::tools::npm(PNPM);
    let path = format!("{}:{}", pnpm.display(), world.variable("PATH"));
    world.set("PATH", &path);
    let before = world.files();
    let dry = world.run(["init", "--dry-run"]).exits(0);
    assert_eq!(world.files(), before, "a dry run writes nothing: {dry}");
    assert!(
        dry.stdout.contains("+++ b/pipeline.toml") && dry.stdout.contains("+[workers.front]"),
        "{dry}"
    );
    let run = world
        .run(["init"])
        .exits(0)
        .says("snake/wrangler.toml")
        .says("it is written in Python");
    run.says("broken/wrangler.toml").says("it is a template");
    check(
        &world,
        expect![[r#"
            external_services = []
            separate_bindings = []
            ignored_workers = []
            [project]
            name = "shapes"
            main_branch = "main"
            [workers.front]
            path = "."
            health = "/healthz"
            [workers.site]
            path = "site"
            health = "/"
            [workers.api]
            path = "services/api"
            env = "production"
            secrets = ["API_KEY"]
            health = "/healthz"
            [workers.quiet]
            path = "services/quiet"
            health = false
            [workers.web]
            path = "shop/apps/web"
            health = "/healthz"
            [databases.shapes]
            migrations = "db/migrations"
        "#]],
    );
    assert!(world.read(".gitignore").contains("/.xtask/\n"));
    world.commit("the pipeline");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    let text = world.read("pipeline.toml");
    world
        .run(["init"])
        .exits(0)
        .says("nothing: it is all there already");
    assert_eq!(world.read("pipeline.toml"), text);

    world.start_cloud();
    it_is_put_to_use(&world);
}

/// Checked, deployed and previewed, with what `init` wrote.
fn it_is_put_to_use(world: &World) {
    let ci = world.run(["ci", "--keep-going"]).exits(0).report("ci");
    let steps = ci["steps"].as_array().into_iter().flatten();
    let installed: Vec<&str> = steps
        .filter(|step| step["status"] == "passed")
        .filter_map(|step| step["id"].as_str())
        .filter(|id| id.starts_with("install"))
        .collect();
    assert_eq!(installed, ["install services/api", "install shop"], "{ci}");
    world.deploy();
    assert_eq!(
        world.edge_get("front.test.localhost", "/next").ok()["name"],
        "production"
    );
    assert_eq!(world.edge_get("site.test.localhost", "/").status, 200);
    assert_eq!(
        world.edge_get("web.test.localhost", "/").ok()["name"],
        "shared"
    );
    world.run(["preview", "--pr", "7"]).exits(0);
    let preview = world.edge_get("web-pr-7-preview.test.localhost", "/").ok();
    assert_eq!(preview["name"], "shared");
    let preview = world
        .edge_get("front-pr-7-preview.test.localhost", "/next")
        .ok();
    assert_eq!(
        preview["name"], "production",
        "the variables are the Worker's own"
    );
    world
        .deploy()
        .says("nothing changed: no version was uploaded");
}

#[test]
fn run_again_it_adds_what_is_new_and_keeps_everything_else() {
    let world = World::without_cloud(&REPO);
    let mine = "# Mine.\n[workers.front] # and this\npath   = \".\"\n\n[health]\nwithin = \"9s\" # patient\n";
    world.edit("pipeline.toml", mine);
    world.run(["init"]).exits(0);
    let text = world.read("pipeline.toml");
    assert!(
        text.starts_with("external_services")
            || text.starts_with("# Mine.\n[workers.front] # and this\npath   = \".\"\n"),
        "{text}"
    );
    check(
        &world,
        expect![[r#"
            [workers.front] # and this
            path   = "."
            [workers.site]
            path = "site"
            health = "/"
            [workers.api]
            path = "services/api"
            env = "production"
            secrets = ["API_KEY"]
            health = "/healthz"
            [workers.quiet]
            path = "services/quiet"
            health = false
            [workers.web]
            path = "shop/apps/web"
            health = "/healthz"
            [health]
            within = "9s" # patient
            [databases.shapes]
            migrations = "db/migrations"
        "#]],
    );
    world.run(["init"]).exits(0);
    assert_eq!(world.read("pipeline.toml"), text);
}

#[test]
fn what_cannot_be_adopted_is_said_and_left_alone() {
    let world = World::without_cloud(&[("README.md", "nothing"), ("t/wrangler.toml", "")]);
    let run = world.run(["init"]).exits(2);
    expect![[r#"
        error: no worker was found
          why: t/wrangler.toml: the file is empty
          fix: run it in the repo that holds your workers, or name that with `--root`
               npm create cloudflare@latest   (starts a worker)"#]]
    .assert_eq(&world.redact(run.error()));
    let broken = World::without_cloud(&REPO);
    broken.edit("pipeline.toml", "[workers\n");
    let run = broken.run(["init"]).exits(2);
    expect![[r#"
        error: the configuration has a mistake
          why: pipeline.toml:1:9: error: invalid TOML: unclosed table, expected `]`
          fix: correct the place above, then see whether all is well:
               cargo xtask deploy --cloud local --dry-run"#]]
    .assert_eq(&broken.redact(run.error()));
    assert_eq!(broken.read("pipeline.toml"), "[workers\n");
    std::fs::remove_dir_all(broken.root().join(".git")).expect("there is one");
    broken.remove("pipeline.toml");
    broken
        .run(["init"])
        .exits(0)
        .says("git cannot tell which files are ignored");
}
