//! Repos of other shapes: `init` writes a pipeline for each, every file of theirs stays as it is, and `ci` and `deploy` plan with
//! what it wrote, unedited.
#![cfg(unix)]

use crate::support::World;
use expect_test::{Expect, expect};

const CODE: &str = "const well = (request) => new URL(request.url).pathname === \"/health\";\nexport default { async fetch(request) { return new Response(well(request) ? \"well\" : \"hello\"); } };\n";

const LOCK: &str = "{ \"name\": \"shape\", \"lockfileVersion\": 3, \"packages\": {} }\n";

/// `init`, and what comes of it.
struct Shape {
    world: World,
    /// What `init` said.
    said: String,
}

impl Shape {
    /// Runs `init` on a repo. Whatever was there stays, to the byte.
    #[track_caller]
    fn of(files: &[(&str, &str)]) -> Shape {
        let world = World::without_cloud(files);
        let before = world.files();
        let run = world.run(["init"]).exits(0);
        let after = world.files();
        for (path, bytes) in &before {
            let now = after
                .get(path)
                .unwrap_or_else(|| panic!("{path} is gone: {run}"));
            let kept = match path.as_str() {
                ".gitignore" => now.starts_with(bytes),
                _ => now == bytes,
            };
            assert!(kept, "{path} is not what it was: {run}");
        }
        let text = world.read("pipeline.toml");
        world
            .run(["init"])
            .exits(0)
            .says("nothing: it is all there already");
        assert_eq!(
            world.read("pipeline.toml"),
            text,
            "the second run changes nothing"
        );
        world.commit("the pipeline");
        Shape {
            world,
            said: run.stderr,
        }
    }

    /// `pipeline.toml` without its comments and what every repo has.
    #[track_caller]
    fn pipeline(self, expect: Expect) -> Shape {
        let text = self.world.read("pipeline.toml");
        let common = [
            "external_services = []",
            "ignored_workers = []",
            "separate_bindings = []",
            "main_branch = \"main\"",
        ];
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#') && !common.contains(line));
        expect.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
        self
    }

    /// The commands that `ci` would run, and where.
    #[track_caller]
    fn ci(self, expect: Expect) -> Shape {
        let plan = self.world.run(["ci", "--dry-run"]).exits(0);
        let commands = plan
            .stdout
            .lines()
            .filter(|line| line.contains("$ ") || line.contains(" install"));
        let commands: Vec<String> = commands
            .map(|line| self.world.redact(line.trim()))
            .collect();
        expect.assert_eq(&commands.join("\n"));
        self
    }

    /// The steps that `deploy` would take, Worker by Worker, and its notes.
    #[track_caller]
    fn deploy(self, expect: Expect) -> Shape {
        let plan = self
            .world
            .run(["deploy", "--dry-run", "--format", "json"])
            .exits(0);
        let plan = plan.json();
        let steps = plan["steps"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<&str> = steps
            .iter()
            .filter_map(|step| step["id"].as_str())
            .collect();
        ids.sort_unstable();
        expect.assert_eq(&self.world.redact(&ids.join(", ")));
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Shape {
        assert!(
            self.said.contains(text),
            "expected {text:?} in: {}",
            self.said
        );
        self
    }
}

#[test]
fn a_pnpm_workspace() {
    Shape::of(&[
        ("package.json", "{ \"name\": \"shape\", \"private\": true, \"packageManager\": \"pnpm@10.4.1\", \"devDependencies\": { \"wrangler\": \"catalog:\" } }\n"),
        ("pnpm-workspace.yaml", "# All of them.\npackages:\n  - apps/*\n  - packages/*\ncatalog:\n  wrangler: 4.155.0\n"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("packages/shared/package.json", "{ \"name\": \"@shape/shared\", \"main\": \"index.js\" }\n"),
        ("packages/shared/index.js", "export const name = \"shared\";\n"),
        ("apps/web/package.json", "{ \"name\": \"@shape/web\", \"dependencies\": { \"@shape/shared\": \"workspace:*\" } }\n"),
        ("apps/web/wrangler.jsonc", "/* The front. */\n{\n  \"name\": \"web\", // its name\n  \"main\": \"index.js\",\n  \"compatibility_date\": \"2026-09-01\",\n  \"services\": [\n    // who answers\n    { \"binding\": \"API\", \"service\": \"api\" },\n  ],\n}\n"),
        ("apps/web/index.js", CODE),
        ("apps/api/package.json", "{ \"name\": \"@shape/api\" }\n"),
        ("apps/api/wrangler.toml", "name = \"api\" # answers\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\ntriggers = { crons = [\"0 2 * * *\"] }\n"),
        ("apps/api/index.js", CODE),
    ])
    .pipeline(expect![[r#"
        [project]
        name = "shape"
        [workers.api]
        path = "apps/api"
        [workers.web]
        path = "apps/web""#]])
    .ci(expect![[r#"
        2. install (up to 2 attempts)
        $ pnpm install --frozen-lockfile --ignore-scripts
        $ pnpm audit --json
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/api
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/web"#]])
    .deploy(expect!["address api, address web, build api, build web, create api, create web, crons api, observability api, observability web, promote api, promote web, stage api, stage web, upload api, upload web, verify api, verify web, workers.dev address api, workers.dev address web"]);
}

#[test]
fn a_worker_at_the_root_and_nested_ones_with_lock_files_of_their_own() {
    let package = "{ \"name\": \"shape\", \"devDependencies\": { \"wrangler\": \"4.155.0\" } }\n";
    Shape::of(&[
        ("package.json", package),
        ("package-lock.json", LOCK),
        ("wrangler.toml", "name = \"front\"\r\nmain = \"src/index.js\"\r\ncompatibility_date = \"2026-09-01\"\r\n# Windows wrote this.\r\n"),
        ("src/index.js", CODE),
        ("services/billing/package.json", package),
        ("services/billing/package-lock.json", LOCK),
        ("services/billing/wrangler.toml", "name = \"billing\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\n"),
        ("services/billing/index.js", CODE),
        ("services/deep/mailer/package.json", package),
        ("services/deep/mailer/yarn.lock", "# yarn lockfile v1\n"),
        ("services/deep/mailer/wrangler.json", "\u{feff}{ \"name\": \"mailer\", \"main\": \"index.js\", \"compatibility_date\": \"2026-09-01\" }\n"),
        ("services/deep/mailer/index.js", CODE),
    ])
    .pipeline(expect![[r#"
        [project]
        name = "shape"
        [workers.front]
        path = "."
        [workers.billing]
        path = "services/billing"
        [workers.mailer]
        path = "services/deep/mailer""#]])
    .ci(expect![[r#"
        2. install (up to 2 attempts)
        $ npm ci --ignore-scripts --no-audit --no-fund
        3. install services/billing (up to 2 attempts)
        $ npm ci --ignore-scripts --no-audit --no-fund
        4. install services/deep/mailer (up to 2 attempts)
        $ yarn install --frozen-lockfile --ignore-scripts
        $ npm audit --json
        $ npm audit --json
        $ yarn audit --json
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/front
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/billing
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/mailer"#]])
    .deploy(expect!["address billing, address front, address mailer, build billing, build front, build mailer, create billing, create front, create mailer, observability billing, observability front, observability mailer, promote billing, promote front, promote mailer, stage billing, stage front, stage mailer, upload billing, upload front, upload mailer, verify billing, verify front, verify mailer, workers.dev address billing, workers.dev address front, workers.dev address mailer"]);
}

#[test]
fn one_worker_with_its_config_at_the_root_and_no_database() {
    let shape = Shape::of(&[
        ("package.json", "{ \"name\": \"solo\", \"devDependencies\": { \"wrangler\": \"4.155.0\" } }\n"),
        ("package-lock.json", LOCK),
        (".gitignore", "node_modules\n# mine\n*.log"),
        ("wrangler.jsonc", "{\n\t// Strictly mine.\n\t\"name\": \"solo\",\n\t\"main\": \"index.js\",\n\t\"compatibility_date\": \"2026-09-01\",\n\t\"kv_namespaces\": [{ \"binding\": \"KV\", \"id\": \"b6b44e270e4b4f6c8d19c7e2b0f35d62\" }]\n}"),
        ("index.js", CODE),
    ])
    .pipeline(expect![[r#"
        [project]
        name = "solo"
        [workers.solo]
        path = ".""#]])
    .ci(expect![[r#"
        2. install (up to 2 attempts)
        $ npm ci --ignore-scripts --no-audit --no-fund
        $ npm audit --json
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/solo"#]])
    .deploy(expect!["address solo, build solo, create solo, observability solo, promote solo, stage solo, upload solo, verify solo, workers.dev address solo"]);
    assert_eq!(
        shape.world.read(".gitignore"),
        "node_modules\n# mine\n*.log\n# What `cargo xtask` and wrangler leave behind.\n/.xtask/\n.wrangler/\n"
    );
}

#[test]
fn named_environments_whose_bindings_are_not_inherited() {
    Shape::of(&[
        ("package.json", "{ \"name\": \"named\", \"devDependencies\": { \"wrangler\": \"4.155.0\" }, \"scripts\": { \"deploy\": \"wrangler deploy --env production\" } }\n"),
        ("bun.lock", "{}\n"),
        ("workers/shop/wrangler.toml", "main = \"index.js\"\ncompatibility_date = \"2026-09-01\"\n\n[env.staging]\nname = \"shop-staging\"\nvars = { STAGE = \"staging\" }\n\n[env.production]\nname = \"shop-live\" # the one people see\nroute = { pattern = \"shop.example/*\", zone_name = \"shop.example\" }\n\n  [[env.production.d1_databases]]\n  binding = \"DB\"\n  database_name = \"shop\"\n  database_id = \"5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3\"\n\n  [[env.production.services]]\n  binding = \"STOCK\"\n  service = \"stock-production\"\n"),
        ("workers/shop/index.js", CODE),
        ("workers/shop/migrations/0001_shop.sql", "CREATE TABLE shop (id INTEGER PRIMARY KEY);\n"),
        ("workers/stock/wrangler.toml", "name = \"stock\"\nmain = \"index.js\"\ncompatibility_date = \"2026-09-01\"\n[env.production.vars]\nSTAGE = \"production\"\n"),
        ("workers/stock/index.js", CODE),
    ])
    .pipeline(expect![[r#"
        [project]
        name = "named"
        [workers.shop]
        path = "workers/shop"
        env = "production"
        [workers.stock]
        path = "workers/stock"
        env = "production"
        [databases.shop]
        migrations = "workers/shop/migrations""#]])
    .ci(expect![[r#"
        2. install (up to 2 attempts)
        $ bun install --frozen-lockfile --ignore-scripts
        $ bun audit --json
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/shop --env=production
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/stock --env=production
        $ apply the SQL files of shop to an empty database"#]])
    .deploy(expect!["address stock, build shop, build stock, create shop, create stock, migration 0001_shop.sql, observability shop, observability stock, promote shop, promote stock, routes shop, stage shop, stage stock, upload shop, upload stock, verify shop, verify stock, workers.dev address stock"]);
}

#[test]
fn generated_configs_are_left_alone() {
    let generated = "{ \"name\": \"built\", \"main\": \"index.js\", \"no_bundle\": true, \"compatibility_date\": \"2026-09-01\", \"configPath\": \"/somewhere/wrangler.jsonc\", \"definedEnvironments\": [] }\n";
    let shape = Shape::of(&[
        ("package.json", "{ \"name\": \"vite\", \"devDependencies\": { \"wrangler\": \"4.155.0\" } }\n"),
        ("package-lock.json", LOCK),
        (".gitignore", "node_modules\ndist/\n.wrangler/\n.xtask/\n"),
        ("app/package.json", "{ \"name\": \"built\", \"scripts\": { \"build\": \"vite build\" }, \"devDependencies\": { \"@cloudflare/vite-plugin\": \"1.0.0\" } }\n"),
        ("app/vite.config.js", "import { cloudflare } from \"@cloudflare/vite-plugin\";\nexport default { plugins: [cloudflare()] };\n"),
        ("app/wrangler.jsonc", "{ \"name\": \"built\", \"main\": \"src/index.js\", \"compatibility_date\": \"2026-09-01\" }\n"),
        ("app/src/index.js", CODE),
        ("app/dist/built/wrangler.json", generated),
        ("app/dist/built/index.js", CODE),
        ("app/.wrangler/deploy/config.json", "{ \"configPath\": \"../../dist/built/wrangler.json\" }\n"),
        // One that somebody committed.
        ("old/wrangler.json", generated),
        ("old/index.js", CODE),
        ("tests/fixtures/wrangler.toml", "name = \"fixture\"\nmain = \"index.js\"\n"),
        ("empty/wrangler.toml", ""),
    ])
    .says("old/wrangler.json")
    .says("empty/wrangler.toml")
    .pipeline(expect![[r#"
        [project]
        name = "vite"
        [workers.built]
        path = "app"
        build = "npm run build""#]])
    .ci(expect![[r#"
        2. install (up to 2 attempts)
        $ npm ci --ignore-scripts --no-audit --no-fund
        $ npm audit --json
        $ npm run build
        $ wrangler deploy --dry-run --outdir [repo]/.xtask/build/built"#]])
    .deploy(expect!["address built, build built, create built, observability built, promote built, run the build of built, stage built, upload built, verify built, workers.dev address built"]);
    let config = shape.world.read("app/dist/built/wrangler.json");
    assert_eq!(config, generated);
}
