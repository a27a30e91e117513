//! Repos of the shapes seen in the wild, and what is found in them.
#![expect(clippy::too_many_lines, reason = "most of it is what is expected")]

use std::fs;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::tools::git::Git;

/// A repo of these files; git commits those that `.gitignore` lets it.
fn repo(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn committed(files: &[(&str, &str)]) -> TempDir {
    let dir = repo(files);
    Git::commit_all(dir.path(), "main", "first").unwrap();
    dir
}

/// Everything found, in lines.
fn shown(dir: &TempDir) -> String {
    let files = Files::list(dir.path());
    let around = Surroundings {
        toolchains: Toolchains {
            rust: Err("`worker-build` is not installed".to_owned()),
            path: Vec::new(),
        },
    };
    let survey = take(dir.path(), &files, &around, &[]);
    let workers: Vec<&Candidate> = survey.workers.iter().collect();
    let names = short_names(&workers, &[]);
    let mut text = String::new();
    for (worker, name) in workers.iter().zip(names) {
        text.push_str(&format!(
            "{name}: {} {}",
            worker.path().display(),
            worker.config.name
        ));
        if worker.file_needed {
            text.push_str(" (file named)");
        }
        if let Some(env) = &worker.chosen.env {
            text.push_str(&format!(", env {env}"));
        }
        if let Some(build) = &worker.build {
            text.push_str(&format!(", build `{}` ({})", build.command, build.why));
        }
        if let Some(path) = &worker.health.path {
            text.push_str(&format!(", health {path}"));
        }
        if !worker.secrets.needed.is_empty() {
            let names: Vec<&str> = worker
                .secrets
                .needed
                .iter()
                .map(|secret| secret.name.as_str())
                .collect();
            text.push_str(&format!(", secrets {}", names.join(" ")));
        }
        text.push('\n');
    }
    for database in &survey.databases {
        text.push_str(&format!(
            "database {}: {:?}, {} files, schema {:?}, seed {:?}, others {:?}\n",
            database.name,
            database.migrations,
            database.files,
            database.schema,
            database.seed,
            database.others
        ));
    }
    for out in &survey.left_out {
        text.push_str(&format!("left out {}: {}\n", out.path.display(), out.why));
    }
    text
}

#[track_caller]
fn check(dir: &TempDir, expect: Expect) {
    expect.assert_eq(&shown(dir));
}

fn config(name: &str) -> String {
    format!("name = \"{name}\"\nmain = \"index.js\"\n")
}

#[test]
fn workers_are_told_from_everything_else_that_is_called_wrangler() {
    let site = config("site");
    check(
        &committed(&[
            (".gitignore", "dist/\nnode_modules/\n"),
            ("wrangler.toml", "[dev]\nport = 8787\n"),
            ("apps/site/wrangler.toml", &site),
            (
                "apps/site/index.js",
                "if (path === \"/healthz\") ok(); else if (path === '/health') ok();",
            ),
            ("apps/site/index.test.js", "get(\"/ping\")"),
            ("apps/site/wrangler.test.toml", &config("site-test")),
            (
                "apps/site/wrangler-exec.jsonc",
                "/* runs */ { \"name\": \"exec\", \"main\": \"index.js\", /* more */ }",
            ),
            (
                "apps/site/dist/site/wrangler.json",
                "{\"name\": \"site\", \"configPath\": \"/x\"}",
            ),
            ("apps/node_modules/x/wrangler.toml", &config("x")),
            ("apps/empty/wrangler.toml", ""),
            (
                "apps/made/wrangler.json",
                "{\"name\": \"made\", \"main\": \"a.js\", \"definedEnvironments\": []}",
            ),
            ("apps/template/wrangler.toml", &config("t")),
            ("apps/braces/wrangler.toml", "name = {{ name }}\n"),
            (
                "apps/broken/wrangler.jsonc",
                "{ \"name\": \"broken\" \"main\": \"secret-canary\" }",
            ),
            ("apps/latin/wrangler.toml", "name = \"x\"\n"),
            (
                "apps/pages/wrangler.toml",
                "name = \"pages\"\npages_build_output_dir = \"out\"\n",
            ),
            (
                "apps/types/wrangler.toml",
                "name = \"types-only\"\n[[kv_namespaces]]\nbinding = \"A\"\n",
            ),
            (
                "apps/upper/wrangler.toml",
                "name = \"Upper Case\"\nmain = \"index.js\"\n",
            ),
            (
                "apps/gone/wrangler.toml",
                "name = \"gone\"\nmain = \"src/index.ts\"\n",
            ),
            (
                "apps/py/wrangler.toml",
                "name = \"py\"\nmain = \"entry.py\"\ncompatibility_flags = [\"python_workers\"]\n",
            ),
            ("apps/py/entry.py", ""),
            (
                "apps/rust/wrangler.toml",
                "name = \"rust\"\nmain = \"build/worker/shim.mjs\"\n[build]\ncommand = \"cargo install -q worker-build && worker-build --release\"\n",
            ),
            (
                "apps/odd/wrangler.toml",
                "name = \"odd\"\nmain = \"out.js\"\n[build]\ncommand = \"no-such-bundler src\"\n",
            ),
            ("apps/copy/wrangler.toml", &site),
            ("apps/copy/index.js", ""),
        ]),
        expect![[r#"
            copy: apps/copy/wrangler.toml site
            site: apps/site/wrangler-exec.jsonc exec (file named), health /health
            left out apps/braces/wrangler.toml: it is a template: `{{ }}` in it is still to be filled in
            left out apps/broken/wrangler.jsonc: invalid JSON: expected a comma before this (line 1)
            left out apps/empty/wrangler.toml: the file is empty
            left out apps/gone/wrangler.toml: its `main`, src/index.ts, does not exist, and nothing says how it is built
            left out apps/latin/wrangler.toml: it has neither a `main` nor assets: there is nothing to upload
            left out apps/made/wrangler.json: a build generated it
            left out apps/odd/wrangler.toml: its build runs `no-such-bundler`, which is not installed
            left out apps/pages/wrangler.toml: it is a Pages project, which is deployed by other commands
            left out apps/py/wrangler.toml: it is written in Python, which the local cloud cannot run, so that no release with it could be rehearsed
            left out apps/rust/wrangler.toml: it is written in Rust, and `worker-build` is not installed
            left out apps/site/wrangler.test.toml: its name says that it is for `test`
            left out apps/site/wrangler.toml: apps/copy/wrangler.toml has the same name on Cloudflare
            left out apps/template/wrangler.toml: it lies below a folder called `template`
            left out apps/types/wrangler.toml: it has neither a `main` nor assets: there is nothing to upload
            left out apps/upper/wrangler.toml: its name may hold only lowercase letters, digits and dashes
            left out wrangler.toml: it names neither a worker nor a module: another tool's file
        "#]],
    );
}

#[test]
fn names_environments_and_files_are_chosen_as_wrangler_would() {
    let both = "name = \"api\"\nmain = \"../../src/api.ts\"\n[env.production]\nname = \"api-live\"\nroutes = []\n[env.staging]\n";
    check(
        &committed(&[
            (
                "wrangler.jsonc",
                "{\"name\": \"root-site\", \"main\": \"src/index.ts\"}",
            ),
            ("src/index.ts", ""),
            ("src/api.ts", ""),
            ("services/api/wrangler.toml", both),
            (
                "services/eu/wrangler.json",
                "{\"env\": {\"eu\": {\"name\": \"eu-live\", \"main\": \"i.js\"}}}",
            ),
            ("services/eu/i.js", ""),
            (
                "services/many/wrangler.json",
                "{\"env\": {\"eu\": {\"name\": \"a\"}, \"us\": {\"name\": \"b\"}}}",
            ),
            ("services/two/wrangler.toml", &config("two")),
            (
                "services/two/wrangler.json",
                "{\"name\": \"two-json\", \"main\": \"index.js\"}",
            ),
            ("services/two/index.js", ""),
            (
                "services/staged/wrangler.staging.toml",
                &config("staged-staging"),
            ),
            (
                "services/staged/wrangler.production.toml",
                &config("staged"),
            ),
            ("services/staged/index.js", ""),
            ("a/worker/wrangler.toml", &config("first-worker")),
            ("a/worker/index.js", ""),
            ("b/worker/wrangler.toml", &config("second-worker")),
            ("b/worker/index.js", ""),
            ("analyzer-worker/wrangler.toml", &config("an")),
            ("analyzer-worker/index.js", ""),
        ]),
        expect![[r#"
            root-site: wrangler.jsonc root-site
            analyzer: analyzer-worker/wrangler.toml an
            first-worker: a/worker/wrangler.toml first-worker
            second-worker: b/worker/wrangler.toml second-worker
            api: services/api/wrangler.toml api-live, env production
            eu: services/eu/wrangler.json eu-live, env eu
            staged: services/staged/wrangler.production.toml staged (file named)
            two-json: services/two/wrangler.json two-json (file named)
            two: services/two/wrangler.toml two (file named)
            left out services/many/wrangler.json: the top level has no `name`, and of its environments (`eu`, `us`) none says it is production
            left out services/staged/wrangler.staging.toml: its name says that it is for `staging`
        "#]],
    );
}

#[test]
fn builds_are_found_where_the_module_is_not_there_yet() {
    check(
        &committed(&[
            (".gitignore", "dist/\n.svelte-kit/\n"),
            ("pnpm-lock.yaml", ""),
            ("package.json", "{}"),
            (
                "svelte/wrangler.jsonc",
                "{\"name\": \"svelte\", \"main\": \".svelte-kit/cloudflare/_worker.js\", \"assets\": {\"directory\": \".svelte-kit/cloudflare\"}}",
            ),
            (
                "svelte/package.json",
                "{\"scripts\": {\"build\": \"vite build\"}}",
            ),
            // A build's leftovers are no reason to do without the build.
            ("svelte/.svelte-kit/cloudflare/_worker.js", ""),
            ("vite/wrangler.toml", &config("vite")),
            ("vite/index.js", ""),
            (
                "vite/vite.config.ts",
                "import { cloudflare } from \"@cloudflare/vite-plugin\";",
            ),
            (
                "vite/package.json",
                "{\"scripts\": {\"deploy\": \"vite build && wrangler deploy\"}}",
            ),
            ("css/wrangler.toml", &config("css")),
            ("css/index.js", ""),
            (
                "css/package.json",
                "{\"scripts\": {\"build\": \"tailwindcss\", \"deploy\": \"pnpm run build && wrangler deploy\"}}",
            ),
            ("plain/wrangler.toml", &config("plain")),
            ("plain/index.js", ""),
            (
                "plain/package.json",
                "{\"scripts\": {\"build\": \"wrangler deploy --dry-run\", \"deploy\": \"wrangler deploy\"}}",
            ),
            (
                "site/wrangler.toml",
                "name = \"pages\"\n[assets]\ndirectory = \"public\"\n",
            ),
            ("site/public/index.html", "<p>"),
        ]),
        expect![[r#"
            css: css/wrangler.toml css, build `pnpm run build` (the deploy script of package.json builds first)
            plain: plain/wrangler.toml plain
            site: site/wrangler.toml pages, health /
            svelte: svelte/wrangler.jsonc svelte, build `pnpm run build` (it makes its `main`, .svelte-kit/cloudflare/_worker.js)
            vite: vite/wrangler.toml vite, build `pnpm exec vite build` (vite.config.ts uses Cloudflare's plugin, which writes the config that ships)
        "#]],
    );
}

#[test]
fn databases_are_listed_once_with_what_belongs_to_them() {
    let bound = |name: &str, more: &str| {
        format!(
            "{}[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"data\"\ndatabase_id = \"5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3\"\n{more}",
            config(name)
        )
    };
    check(
        &committed(&[
            (
                "api/wrangler.toml",
                &bound("api", "migrations_dir = \"../db/migrations\"\n"),
            ),
            ("api/index.js", ""),
            ("site/wrangler.toml", &bound("site", "")),
            ("site/index.js", ""),
            ("site/migrations/0001_x.sql", "SELECT 1;"),
            ("db/migrations/0001_a.sql", "CREATE TABLE posts (id);"),
            (
                "db/migrations/0002_b.sql",
                "ALTER TABLE users ADD COLUMN x;",
            ),
            ("db/schema.sql", "CREATE TABLE users (id);"),
            ("db/seed.sql", "INSERT INTO users VALUES (1);"),
            (
                "other/wrangler.toml",
                "name = \"other\"\nmain = \"index.js\"\n[[d1_databases]]\nbinding = \"A\"\ndatabase_name = \"dump\"\n[[d1_databases]]\nbinding = \"B\"\ndatabase_name = \"none\"\nmigrations_dir = \"nowhere\"\n",
            ),
            ("other/index.js", ""),
            (
                "other/migrations/0001_a.sql",
                "create table IF NOT EXISTS posts (id);",
            ),
            ("other/schema.sql", "CREATE TABLE posts (id);"),
        ]),
        expect![[r#"
            api: api/wrangler.toml api
            other: other/wrangler.toml other
            site: site/wrangler.toml site
            database data: Some("db/migrations"), 2 files, schema Some(Schema { path: "db/schema.sql", made_twice: None }), seed Some("db/seed.sql"), others ["site/migrations"]
            database dump: Some("other/migrations"), 1 files, schema Some(Schema { path: "other/schema.sql", made_twice: Some("posts") }), seed None, others []
            database none: None, 0 files, schema None, seed None, others []
        "#]],
    );
}

#[test]
fn without_git_known_folders_are_left_out_and_it_is_said() {
    let dir = repo(&[
        ("a/wrangler.toml", &config("a")),
        ("a/index.js", ""),
        ("a/dist/wrangler.json", "{\"name\": \"a\"}"),
        ("node_modules/x/wrangler.toml", &config("x")),
        (".wrangler/y/wrangler.toml", &config("y")),
    ]);
    assert!(Files::list(dir.path()).without_git.is_some());
    check(
        &dir,
        expect![[r#"
        a: a/wrangler.toml a
    "#]],
    );
}

#[test]
fn what_is_for_development_stays_out_and_names_lose_their_environment() {
    let shop = "main = \"index.js\"\n[env.production]\nname = \"shop-production\"\n";
    check(
        &committed(&[
            ("wrangler.toml", &config("monorepo-dev")),
            ("index.js", ""),
            ("packages/mock-servers/wrangler.toml", &config("mocks")),
            ("packages/mock-servers/index.js", ""),
            ("app/wrangler.toml", shop),
            (
                "app/index.js",
                "const demo = { link: '/health', seen: env.STRIPE_KEY };",
            ),
            ("app/.env.example", "STRIPE_KEY=\nOLD_KEY=\n"),
        ]),
        expect![[r#"
            shop: app/wrangler.toml shop-production, env production, secrets STRIPE_KEY
            left out packages/mock-servers/wrangler.toml: it lies below a folder called `mock-servers`
            left out wrangler.toml: its `name` says that it is for `dev`
        "#]],
    );
}
