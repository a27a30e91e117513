//! Whole repos in temporary folders: what is read out of them, and what is said about their mistakes.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::error::{Exit, exit_of, render};

/// A repo with these files; `pipeline.toml` comes first.
fn repo(pipeline: &str, files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [("pipeline.toml", pipeline)].iter().chain(files) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load(pipeline: &str, files: &[(&str, &str)]) -> Workspace {
    let dir = repo(pipeline, files);
    Workspace::load(dir.path()).unwrap_or_else(|error| panic!("{}", render(&error)))
}

/// All problems of a repo, as text.
#[track_caller]
fn check(pipeline: &str, files: &[(&str, &str)], expected: Expect) {
    let dir = repo(pipeline, files);
    let (_, problems) = Workspace::read(dir.path());
    expected.assert_eq(&problems.to_string());
}

const ONE: &str = "[workers.a]\npath = \"a\"\n";
const TWO: &str = "[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n";

/// A minimal wrangler.toml with more below it.
fn toml(name: &str, more: &str) -> String {
    format!("name = \"{name}\"\nmain = \"index.ts\"\ncompatibility_date = \"2025-01-01\"\n{more}")
}

#[test]
fn the_error_lists_every_mistake_of_every_file() {
    let dir = repo(
        "[project]\nnmae = \"x\"\n[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n[workers.c]\npath = \"c\"\n",
        &[
            ("a/wrangler.toml", "name = \n"),
            (
                "b/wrangler.jsonc",
                "{ \"name\": \"b\", \"main\": 7 \"x\": 1 }",
            ),
        ],
    );
    let error = Workspace::load(dir.path()).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Setup);
    expect![[r#"
        error: the configuration has 4 mistakes
          why: a/wrangler.toml:1:8: error: invalid TOML: string values must be quoted, expected literal string
               b/wrangler.jsonc:1:26: error: invalid JSON: expected a comma before this
               pipeline.toml:2:1: error: unknown key `project.nmae`; did you mean `name`?
               pipeline.toml:8:8: error: `workers.c.path`: `c` does not exist"#]].assert_eq(&render(&error));
}

#[test]
fn no_pipeline_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = Workspace::load(dir.path()).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Setup);
    let text = render(&error).replace(&dir.path().display().to_string(), "REPO");
    expect![[r#"
        error: there is no `pipeline.toml` in `REPO`
          why: it says which workers ship; the pipeline does nothing without it
          fix: run the command inside the repo, or name the repo's folder with `--root`"#]].assert_eq(&text);
}

#[test]
fn pipeline_mistakes() {
    check(
        r#"
external_service = ["x"]
external_services = ["Bad Name"]
[project]
name = 7
main_branch = ""
[cloudflare]
account_id = "REPLACE_ME"
[workers.a]
path = "a"
secret = ["A"]
secrets = ["A", "A", "not a name", 3]
health = "health"
url = "example.com"
inputs = ["gone", "../outside"]
[workers.b]
[workers.c]
path = "/etc"
[workers."d e"]
path = "pipeline.toml"
health = true
[databases.db]
migrations = "gone"
schema = 1
seeds = "x"
[health]
status = 20
within = "0s"
timeout = "soon"
[deploy]
canary = 100
bake = 60
[local]
port = 70000
subdomain = "a.b"
[preview]
"#,
        &[("a/wrangler.toml", &toml("a", ""))],
        expect![[r#"
            pipeline.toml:2:1: error: unknown key `external_service`; did you mean `external_services`?
            pipeline.toml:3:22: error: the script name `Bad Name` may hold only lowercase letters, digits and dashes
            pipeline.toml:5:8: error: `project.name` must be a string, found a number
            pipeline.toml:6:15: error: `project.main_branch` must not be empty
            pipeline.toml:8:14: error: `cloudflare.account_id` is a placeholder; remove it to use CLOUDFLARE_ACCOUNT_ID, or copy it from the Cloudflare dashboard
            pipeline.toml:11:1: error: unknown key `workers.a.secret`; did you mean `secrets`?
            pipeline.toml:12:17: error: the secret `A` is listed twice
            pipeline.toml:12:22: error: `workers.a.secrets[2]` must be the name of an environment variable, such as ADMIN_KEY
            pipeline.toml:12:36: error: `workers.a.secrets[3]` must be a string, found a number
            pipeline.toml:13:10: error: `workers.a.health` must begin with `/`
            pipeline.toml:14:7: error: `workers.a.url` must begin with `https://` and a host name
            pipeline.toml:15:11: error: `workers.a.inputs`: `gone` does not exist
            pipeline.toml:15:19: error: `workers.a.inputs`: `../outside` must be a path inside the repo
            pipeline.toml:16:1: error: `workers.b.path` is missing
            pipeline.toml:18:8: error: `workers.c.path`: `/etc` must be a path inside the repo
            pipeline.toml:19:1: error: the short name `d e` may hold only letters, digits, `-`, `_` and `.`
            pipeline.toml:20:8: error: `workers.d e.path`: `pipeline.toml` is a file, not a folder
            pipeline.toml:21:10: error: `workers.d e.health` must be a path such as "/health", or false, found true or false
            pipeline.toml:23:14: error: `databases.db.migrations`: `gone` does not exist
            pipeline.toml:24:10: error: `databases.db.schema` must be a string, found a number
            pipeline.toml:25:1: error: unknown key `databases.db.seeds`; did you mean `seed`?
            pipeline.toml:27:10: error: `health.status` must be a whole number from 100 to 599
            pipeline.toml:28:10: error: `health.within` must be longer than nothing
            pipeline.toml:29:11: error: `health.timeout` must be a duration such as "30s" or "10m"
            pipeline.toml:31:10: error: `deploy.canary` must be a whole number from 0 to 99
            pipeline.toml:32:8: error: `deploy.bake` must be a duration such as "30s" or "10m", found a number
            pipeline.toml:34:8: error: `local.port` must be a whole number from 0 to 65535
            pipeline.toml:35:13: error: `local.subdomain` may hold only lowercase letters, digits and dashes
            pipeline.toml:36:2: error: unknown key `preview`; valid keys here: external_services, workers, databases, project, cloudflare, health, deploy, local, separate_bindings
        "#]],
    );
}

#[test]
fn an_empty_pipeline_ships_nothing() {
    check("", &[], expect![[r#"
        pipeline.toml:1:1: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
    "#]]);
    check("workers = 1", &[], expect![[r#"
        pipeline.toml:1:11: error: `workers` must be a table, found a number
        pipeline.toml:1:11: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
    "#]]);
    check("[workers]\na = \"path\"", &[], expect![[r#"
        pipeline.toml:1:1: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
        pipeline.toml:2:5: error: `workers.a` must be a table, found a string
    "#]]);
}

#[test]
fn which_config_ships() {
    check(ONE, &[("a/index.ts", "")], expect![[r#"
        pipeline.toml:2:8: error: there is no wrangler config in `a`; add one of wrangler.json, wrangler.jsonc, wrangler.toml
    "#]]);
    check(ONE, &[("a/wrangler-exec.jsonc", "{}")], expect![[r#"
        pipeline.toml:2:8: error: there is no wrangler config in `a`; if `wrangler-exec.jsonc` is meant, say `config = "wrangler-exec.jsonc"`
    "#]]);
    let both = [
        ("a/wrangler.toml", "name = \"a\""),
        ("a/wrangler.jsonc", "{}"),
    ];
    check(ONE, &both, expect![[r#"
        pipeline.toml:2:8: error: there are several wrangler configs in `a`: wrangler.jsonc, wrangler.toml; say which one ships, as in `config = "wrangler.jsonc"`
    "#]]);
    let chosen = "[workers.a]\npath = \"a\"\nconfig = \"wrangler.txt\"\n[workers.b]\npath = \"a\"\nconfig = \"gone.toml\"";
    check(chosen, &[("a/wrangler.txt", "")], expect![[r#"
        pipeline.toml:1:1: error: `config` must be a .toml, .json or .jsonc file
        pipeline.toml:4:1: error: `config`: there is no `gone.toml` in `a`
    "#]]);
}

#[test]
fn several_configs_of_one_folder_can_ship() {
    let pipeline = "[workers.a]\npath = \"a\"\nconfig = \"wrangler.toml\"\n[workers.exec]\npath = \"a\"\nconfig = \"wrangler-exec.jsonc\"\n\
        [workers.root]\npath = \".\"\n";
    let workspace = load(
        pipeline,
        &[
            ("a/wrangler.toml", &toml("a", "")),
            (
                "a/wrangler-exec.jsonc",
                r#"{"name":"a-exec","compatibility_date":"2025-01-01"}"#,
            ),
            (
                "wrangler.json",
                r#"{"name":"root","compatibility_date":"2025-01-01"}"#,
            ),
        ],
    );
    let names: Vec<&str> = workspace
        .workers
        .iter()
        .map(|worker| worker.config.name.as_str())
        .collect();
    assert_eq!(names, ["a", "a-exec", "root"]);
    assert_eq!(workspace.workers[2].dir, workspace.root);
    assert!(workspace.warnings.is_empty());
}

#[test]
fn syntax_errors_have_positions_in_every_format() {
    for (name, text, expected) in [
        ("wrangler.toml", "name = \"ä\" x\n", expect![[r#"
            a/wrangler.toml:1:12: error: invalid TOML: unexpected key or value, expected newline, `#`
        "#]]),
        (
            "wrangler.toml",
            "a = 1\r\nname = \"a\"\r\nname = \"b\"\r\n",
            expect![[r#"
                a/wrangler.toml:3:1: error: invalid TOML: duplicate key
            "#]],
        ),
        (
            "wrangler.toml",
            "name = \"{{ name }}\"\n{{ more }}\n",
            expect![[r#"
                a/wrangler.toml:2:1: error: invalid TOML: invalid key-value pair, expected key
            "#]],
        ),
        (
            "wrangler.json",
            "{\n  \"name\": \"ä\", oops\n}",
            expect![[r#"
                a/wrangler.json:2:16: error: invalid JSON: expected string for object property
            "#]],
        ),
        (
            "wrangler.json",
            "{ \"ä\": 1 \"name\": 2 }",
            expect![[r#"
                a/wrangler.json:1:10: error: invalid JSON: expected a comma before this
            "#]],
        ),
        ("wrangler.jsonc", "{ 'name': 'a' }", expect![[r#"
            a/wrangler.jsonc:1:3: error: invalid JSON: strings need double quotes
        "#]]),
        ("wrangler.jsonc", "{ \"name\": \"a\"", expect![[r#"
            a/wrangler.jsonc:1:1: error: invalid JSON: unterminated object
        "#]]),
        ("wrangler.jsonc", "{ /* open", expect![[r#"
            a/wrangler.jsonc:1:3: error: invalid JSON: unterminated comment block
        "#]]),
        ("wrangler.jsonc", "[1]", expect![[r#"
            a/wrangler.jsonc:1:1: error: the file must hold an object, found an array
        "#]]),
        ("wrangler.jsonc", "", expect![[r#"
            a/wrangler.jsonc:1:1: error: the file is empty
        "#]]),
        ("wrangler.toml", "", expect![[r#"
            a/wrangler.toml:1:1: error: `name` is missing; add the name the worker has on Cloudflare
        "#]]),
    ] {
        check(ONE, &[(&format!("a/{name}"), text)], expected);
    }
}

#[test]
fn a_file_that_is_not_text() {
    let dir = repo(ONE, &[]);
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(
        dir.path().join("a/wrangler.toml"),
        b"name = \"a\"\nx = \"\xff\"",
    )
    .unwrap();
    let (_, problems) = Workspace::read(dir.path());
    expect![[r#"
        a/wrangler.toml:2:6: error: this is not UTF-8 text; save the file as UTF-8
    "#]].assert_eq(&problems.to_string());
}

#[test]
fn wrong_types_name_the_key_and_never_the_value() {
    check(
        ONE,
        &[(
            "a/wrangler.jsonc",
            r#"{
  // comments, a BOM and trailing commas are fine
  "name": "a",
  "main": ["canary"],
  "compatibility_date": "canary",
  "compatibility_flags": "canary",
  "workers_dev": "canary",
  "routes": { "pattern": "canary" },
  "triggers": ["canary"],
  "vars": "canary",
  "d1_databases": [{ "binding": 1, "database_id": "canary" }, "canary"],
  "kv_namespaces": { "binding": "canary" },
  "services": [{ "binding": "X" }],
  "durable_objects": [],
  "migrations": [{ "new_classes": "canary" }, { "tag": "v1" }, { "tag": "v1", "renamed_classes": [{ "from": "A" }] }],
  "ai": { "binding": null },
  "unknown_to_us": { "fine": true },
}"#,
        )],
        expect![[r#"
            a/wrangler.jsonc:4:11: error: `main` must be a string, found an array
            a/wrangler.jsonc:5:25: error: `compatibility_date` must be a date such as "2025-06-01"
            a/wrangler.jsonc:6:26: error: `compatibility_flags` must be an array of strings, found a string
            a/wrangler.jsonc:7:18: error: `workers_dev` must be true or false, found a string
            a/wrangler.jsonc:8:13: error: `routes` must be an array of routes, found a table
            a/wrangler.jsonc:9:15: error: `triggers` must be a table, found an array
            a/wrangler.jsonc:10:11: error: `vars` must be a table, found a string
            a/wrangler.jsonc:11:33: error: `d1_databases[0].binding` must be a string, found a number
            a/wrangler.jsonc:11:63: error: `d1_databases[1]` must be a table, found a string
            a/wrangler.jsonc:12:20: error: `kv_namespaces` must be an array of tables, found a table
            a/wrangler.jsonc:13:16: error: `services[0].service` is missing
            a/wrangler.jsonc:14:22: error: `durable_objects` must be a table, found an array
            a/wrangler.jsonc:15:18: error: `migrations[0].tag` is missing
            a/wrangler.jsonc:15:73: error: `migrations[2].tag` is used by an earlier migration
            a/wrangler.jsonc:15:99: error: `migrations[2].renamed_classes[0].to` is missing
            a/wrangler.jsonc:16:22: error: `ai.binding` must be a string, found null
        "#]],
    );
}

#[test]
fn names_are_given_once() {
    let config = toml(
        "a",
        r#"
vars = { DB = "x", AI = 1 }
[[d1_databases]]
binding = "DB"
database_name = "db"
database_id = "6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b"
[ai]
binding = "AI"
[[hyperdrive]]
binding = "AI"
id = "x"
localConnectionString = "postgres://user:canary@host"
"#,
    );
    check(ONE, &[("a/wrangler.toml", &config)], expect![[r#"
        a/wrangler.toml:5:15: error: `vars.DB` gives the name `DB` again, which `d1_databases[0].binding` has
        a/wrangler.toml:5:25: error: `vars.AI` gives the name `AI` again, which `ai.binding` has
        a/wrangler.toml:13:11: error: `hyperdrive[0].binding` gives the name `AI` again, which `ai.binding` has
    "#]]);
    let dup = r#"{ "name": "x", "name": "a", "compatibility_date": "2025-01-01" }"#;
    check(ONE, &[("a/wrangler.json", dup)], expect![[r#"
        a/wrangler.json:1:16: warning: `name` occurs twice in this object; the last one counts
    "#]]);
}

#[test]
fn crons_and_routes() {
    let config = toml(
        "a",
        r#"
routes = ["example.com/*", { pattern = "app.example.com", custom_domain = true }, { pattern = "x.com/y", custom_domain = true },
  { pattern = "*.x.com", custom_domain = true }, "exa*mple.com", "ftp://example.com", " ", 7, { zone_name = "x" }, "x.com/*/y", "https://*x.com/a*"]
triggers = { crons = ["0 2 * * *", "0 25 * * *", "0 2 * * *", 5] }
"#,
    );
    check(ONE, &[("a/wrangler.toml", &config)], expect![[r#"
        a/wrangler.toml:5:83: error: `routes[2]` is a custom domain, so it must not have a path
        a/wrangler.toml:6:3: error: `routes[3]` is a custom domain, so it must not hold `*`
        a/wrangler.toml:6:50: error: `routes[4]` may hold `*` in its host name only at the very beginning
        a/wrangler.toml:6:66: error: `routes[5]` must begin with a host name, `http://` or `https://`
        a/wrangler.toml:6:87: error: `routes[6]` is not a pattern such as `example.com/*`
        a/wrangler.toml:6:92: error: `routes[7]` must be a pattern or a table with `pattern`, found a number
        a/wrangler.toml:6:95: error: `routes[8].pattern` is missing
        a/wrangler.toml:6:116: error: `routes[9]` may hold `*` in its path only at the very end
        a/wrangler.toml:7:36: error: the cron trigger is not valid: its hour is not within 0 to 23
        a/wrangler.toml:7:50: error: this cron trigger is listed twice
        a/wrangler.toml:7:63: error: `triggers.crons[3]` must be a string, found a number
    "#]]);
}

#[test]
fn ids_that_cannot_be_real() {
    let config = toml(
        "a",
        r#"
d1_databases = [{ binding = "A", database_name = "a" }, { binding = "B", database_name = "b", database_id = "REPLACE_WITH_ID" },
  { binding = "C", database_id = "00000000-0000-0000-0000-000000000000" }, { binding = "D", database_id = "d" }]
kv_namespaces = [{ binding = "E" }, { binding = "F", id = "" }, { binding = "G", id = "3f1c9a7be2d84c05b6a1d7e94f20c8aa" }]
r2_buckets = [{ binding = "H" }, { binding = "I", bucket_name = "<bucket>" }]
"#,
    );
    check(ONE, &[("a/wrangler.toml", &config)], expect![[r#"
        a/wrangler.toml:5:17: error: `database_id` of the binding `A` is missing, so a new one would be created; `wrangler d1 list` shows the ones there are
        a/wrangler.toml:5:57: error: `database_id` of the binding `B` is a placeholder; `wrangler d1 list` shows the ones there are
        a/wrangler.toml:6:3: error: `database_id` of the binding `C` is a placeholder; `wrangler d1 list` shows the ones there are
        a/wrangler.toml:6:76: error: `database_id` of the binding `D` is not a UUID; `wrangler d1 list` shows the ones there are
        a/wrangler.toml:7:18: error: `id` of the binding `E` is missing, so a new one would be created; `wrangler kv namespace list` shows the ones there are
        a/wrangler.toml:7:37: error: `id` of the binding `F` is a placeholder; `wrangler kv namespace list` shows the ones there are
        a/wrangler.toml:8:15: error: `bucket_name` of the binding `H` is missing, so a new one would be created; `wrangler r2 bucket list` shows the ones there are
        a/wrangler.toml:8:34: error: `bucket_name` of the binding `I` may hold only lowercase letters, digits and dashes; `wrangler r2 bucket list` shows the ones there are
    "#]]);
}

#[test]
fn ids_agree_between_workers() {
    let data = |digit: &str| {
        let (uuid, hex) = (
            format!("6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5{digit}"),
            format!("3f1c9a7be2d84c05b6a1d7e94f20c8a{digit}"),
        );
        format!(
            "d1_databases = [{{ binding = \"DB{digit}\", database_name = \"db\", database_id = \"{uuid}\" }}]\n\
             kv_namespaces = [{{ binding = \"KV\", id = \"{hex}\" }}]\nr2_buckets = [{{ binding = \"R2\", bucket_name = \"bucket{digit}\" }}]\n"
        )
    };
    let (a, b) = (toml("a", &data("1")), toml("b", &data("2")));
    let files = [
        ("a/wrangler.toml", a.as_str()),
        ("b/wrangler.toml", b.as_str()),
    ];
    check(TWO, &files, expect![[r#"
        b/wrangler.toml:4:17: error: the database `db` is another one than in a/wrangler.toml:4:17; use the same `database_id`
        b/wrangler.toml:5:18: error: the KV binding `KV` is another one than in a/wrangler.toml:5:18; use the same one, or say `separate_bindings = ["KV"]` in pipeline.toml
        b/wrangler.toml:6:15: error: the R2 binding `R2` is another one than in a/wrangler.toml:6:15; use the same one, or say `separate_bindings = ["R2"]` in pipeline.toml
    "#]]);
    check(
        &format!("separate_bindings = [\"KV\", \"R2\"]\n{TWO}"),
        &files,
        expect![[r#"
            b/wrangler.toml:4:17: error: the database `db` is another one than in a/wrangler.toml:4:17; use the same `database_id`
        "#]],
    );
    let same = toml("b", &data("1"));
    check(
        TWO,
        &[files[0], ("b/wrangler.toml", &same)],
        expect![[r#""#]],
    );
}

#[test]
fn used_by_two_workers() {
    let pipeline = "[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n[workers.again]\npath = \"./b/../a\"\n";
    let a = toml(
        "same",
        "account_id = \"3f1c9a7be2d84c05b6a1d7e94f20c8aa\"\nroute = \"x.com/*\"",
    );
    let b = toml(
        "same",
        "account_id = \"3f1c9a7be2d84c05b6a1d7e94f20c8ab\"\nroutes = [\"x.com/*\"]",
    );
    check(
        pipeline,
        &[("a/wrangler.toml", &a), ("b/wrangler.toml", &b)],
        expect![[r#"
            b/wrangler.toml:1:8: error: `account_id` differs from the one in a/wrangler.toml; a release goes to one account
            b/wrangler.toml:1:8: error: the script name `same` is taken by `a` (a/wrangler.toml:1:8)
            b/wrangler.toml:5:11: error: the route `x.com/*` is taken by a/wrangler.toml:5:9
            pipeline.toml:6:8: error: `again` and `a` ship the same wrangler config
        "#]],
    );
    let names = "[workers.a]\npath = \"a\"\nenv = \"Stage\"\n";
    let config = toml("a", "[env.Stage]\n");
    check(names, &[("a/wrangler.toml", &config)], expect![[r#"
        a/wrangler.toml:1:8: error: the script's name `a-Stage` may hold only lowercase letters, digits and dashes
    "#]]);
}

#[test]
fn targets_exist_or_are_declared() {
    let pipeline = "external_services = [\"elsewhere\"]\n[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\nenv = \"production\"\n";
    let a = toml(
        "a-script",
        r#"
services = [{ binding = "OK", service = "b-production" }, { binding = "EXT", service = "elsewhere" }, { binding = "ENV", service = "b" },
  { binding = "SHORT", service = "a" }, { binding = "SLIP", service = "b-producton" }, { binding = "GONE", service = "somebody-else" }]
[durable_objects]
bindings = [{ name = "OWN", class_name = "A" }, { name = "FOREIGN", class_name = "B", script_name = "nowhere-at-all" },
  { name = "SELF", class_name = "A", script_name = "a-script" }]
"#,
    );
    let b = toml("b", "[env.production]\n");
    check(
        pipeline,
        &[("a/wrangler.toml", &a), ("b/wrangler.toml", &b)],
        expect![[r#"
            a/wrangler.toml:5:103: error: `services`: `ENV` is bound to `b`, a worker this repo does not ship; did you mean `b-production`?
            a/wrangler.toml:6:3: error: `services`: `SHORT` is bound to `a`, a worker this repo does not ship; did you mean `a-script`?
            a/wrangler.toml:6:41: error: `services`: `SLIP` is bound to `b-producton`, a worker this repo does not ship; did you mean `b-production`?
            a/wrangler.toml:6:88: error: `services`: `GONE` is bound to `somebody-else`, a worker this repo does not ship; add it to pipeline.toml, or say `external_services = ["somebody-else"]` there
            a/wrangler.toml:8:13: warning: no migration creates the Durable Object class `A`; Cloudflare refuses it unless it exists already
            a/wrangler.toml:8:49: error: `durable_objects.bindings`: `FOREIGN` is bound to `nowhere-at-all`, a worker this repo does not ship; add it to pipeline.toml, or say `external_services = ["nowhere-at-all"]` there
            a/wrangler.toml:9:3: warning: no migration creates the Durable Object class `A`; Cloudflare refuses it unless it exists already
        "#]],
    );
}

#[test]
fn one_broken_config_does_not_blame_the_others() {
    let a = toml("a", "services = [{ binding = \"B\", service = \"b\" }]");
    check(
        TWO,
        &[("a/wrangler.toml", &a), ("b/wrangler.toml", "name = ")],
        expect![[r#"
            b/wrangler.toml:1:8: error: invalid TOML: string values must be quoted, expected literal string
        "#]],
    );
}

#[test]
fn secrets_are_not_vars() {
    let pipeline = "[workers.a]\npath = \"a\"\nsecrets = [\"ADMIN_KEY\", \"FINE\"]\n";
    let a = toml(
        "a",
        "vars = { ADMIN_KEY = \"canary\", TOKEN = \"canary\" }\nsecrets = { required = [\"TOKEN\", \"FINE\", \"MORE\"] }",
    );
    check(pipeline, &[("a/wrangler.toml", &a)], expect![[r#"
        a/wrangler.toml:1:8: error: the secret `TOKEN` is also in `vars` of a/wrangler.toml; remove it from `vars`, and change its value if it was real
        pipeline.toml:3:12: error: the secret `ADMIN_KEY` is also in `vars` of a/wrangler.toml; remove it from `vars`, and change its value if it was real
    "#]]);
    let clean = toml("a", "secrets = { required = [\"TOKEN\", \"FINE\"] }");
    let workspace = load(pipeline, &[("a/wrangler.toml", &clean)]);
    assert_eq!(workspace.workers[0].secrets, ["ADMIN_KEY", "FINE", "TOKEN"]);
}

#[test]
fn databases_take_their_id_from_the_bindings() {
    let pipeline = format!("{TWO}[databases.main-db]\nmigrations = \"a/migrations\"\n");
    let binding = |name: &str, db: &str| {
        format!(
            "d1_databases = [{{ binding = \"{name}\", database_name = \"{db}\", database_id = \"6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b\" }}]"
        )
    };
    let (a, b) = (
        toml("a", &binding("DB", "main-db")),
        toml("b", &binding("DATA", "main-db")),
    );
    let files = [
        ("a/wrangler.toml", a.as_str()),
        ("b/wrangler.toml", b.as_str()),
        ("a/migrations/0001_x.sql", ""),
    ];
    let workspace = load(&pipeline, &files);
    let database = &workspace.pipeline.databases[0];
    assert_eq!(
        database.id.as_deref(),
        Some("6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b")
    );
    let bound =
        [("a", "DB"), ("b", "DATA")].map(|(worker, name)| (worker.to_owned(), name.to_owned()));
    assert_eq!(database.bound_by, bound);
    assert_eq!(database.migrations, workspace.root.join("a/migrations"));
    let slip = toml("a", &binding("DB", "main_db"));
    check(
        &pipeline,
        &[
            ("a/wrangler.toml", &slip),
            ("b/wrangler.toml", &toml("b", "")),
            files[2],
        ],
        expect![[r#"
            pipeline.toml:5:1: error: no worker is bound to the database `main-db`; did you mean `main_db`?
        "#]],
    );
}

#[test]
fn selecting_workers() {
    let workspace = load(
        TWO,
        &[
            ("a/wrangler.toml", &toml("script-a", "")),
            ("b/wrangler.toml", &toml("a", "")),
        ],
    );
    let names = |only: &[&str]| -> Vec<String> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        workspace
            .select(&only)
            .unwrap()
            .iter()
            .map(|worker| worker.name.clone())
            .collect()
    };
    assert_eq!(names(&[]), ["a", "b"]);
    assert_eq!(names(&["b", "script-a", "b"]), ["a", "b"]);
    // A short name wins over a script name.
    assert_eq!(names(&["a"]), ["a"]);
    let error = workspace.select(&["script-b".to_owned()]).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Setup);
    expect![[r#"
        error: there is no worker `script-b`
          why: pipeline.toml names these: a, b
          fix: did you mean `script-a`?"#]].assert_eq(&render(&error));
    expect![[r#"
        error: there is no worker `payments`
          why: pipeline.toml names these: a, b
          fix: use one of these names, or add the worker to pipeline.toml"#]].assert_eq(&render(
        &workspace.select(&["payments".to_owned()]).unwrap_err(),
    ));
}

#[test]
fn callees_come_first() {
    let pipeline = "[workers.a]\npath = \"a\"\n[workers.b]\npath = \"b\"\n[workers.c]\npath = \"c\"\n[workers.d]\npath = \"d\"\n[workers.e]\npath = \"e\"\n";
    let calls = |name: &str, target: &str| {
        toml(
            name,
            &format!("services = [{{ binding = \"X\", service = \"{target}\" }}]"),
        )
    };
    let d = toml(
        "d",
        "durable_objects = { bindings = [{ name = \"X\", class_name = \"C\", script_name = \"a\" }] }",
    );
    let e = toml("e", "tail_consumers = [{ service = \"c\" }]");
    let workspace = load(
        pipeline,
        &[
            ("a/wrangler.toml", &calls("a", "b")),
            ("b/wrangler.toml", &calls("b", "a")),
            ("c/wrangler.toml", &calls("c", "c")),
            ("d/wrangler.toml", &d),
            ("e/wrangler.toml", &e),
        ],
    );
    let levels: Vec<Vec<&str>> = workspace
        .callees_first()
        .into_iter()
        .map(|level| {
            level
                .into_iter()
                .map(|worker| worker.name.as_str())
                .collect()
        })
        .collect();
    assert_eq!(levels, [vec!["a", "b", "c"], vec!["d", "e"]]);
    assert_eq!(workspace.cycles(), [["a", "b"]]);
}

#[test]
fn four_hundred_workers_load_quickly() {
    let mut pipeline = String::new();
    let mut files = Vec::new();
    for index in 0..400 {
        pipeline.push_str(&format!(
            "[workers.w{index}]\npath = \"workers/w{index}\"\n"
        ));
        let calls = if index == 0 {
            String::new()
        } else {
            format!(
                "services = [{{ binding = \"NEXT\", service = \"s{}\" }}]\n",
                index - 1
            )
        };
        let data = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"db\"\ndatabase_id = \"6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b\"\n";
        files.push((
            format!("workers/w{index}/wrangler.toml"),
            toml(&format!("s{index}"), &format!("{calls}{data}")),
        ));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let dir = repo(&pipeline, &files);
    let start = std::time::Instant::now();
    let workspace = Workspace::load(dir.path()).unwrap();
    let elapsed = start.elapsed();
    assert_eq!(
        (workspace.workers.len(), workspace.callees_first().len()),
        (400, 400)
    );
    // Generous: an unoptimised build on a busy machine takes about a tenth of this.
    assert!(elapsed.as_secs() < 5, "{elapsed:?}");
}

#[test]
fn the_pipeline_file_of_this_repo_is_read_in_full() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("pipeline.toml")).unwrap();
    let dir = repo(&text, &[]);
    let (_, problems) = Workspace::read(dir.path());
    let unknown: Vec<_> = problems
        .sorted()
        .into_iter()
        .filter(|problem| problem.message.contains("unknown key"))
        .collect();
    assert_eq!(unknown, []);
}
