//! What is said about files that do not fit together.

use expect_test::expect;

use super::*;

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
    check(
        ONE,
        &[("a/wrangler.toml", &config)],
        expect![[r#"
            a/wrangler.toml:5:17: error: `database_id` of the binding `A` is missing, so a new one would be created; `wrangler d1 list` shows the ones there are
            a/wrangler.toml:5:57: error: `database_id` of the binding `B` is a placeholder; `wrangler d1 list` shows the ones there are
            a/wrangler.toml:6:3: warning: `d1_databases.database_name` is not shipped, so a deploy is refused: without it the pipeline cannot tell which database of pipeline.toml it is, and applies no migrations
            a/wrangler.toml:6:3: error: `database_id` of the binding `C` is a placeholder; `wrangler d1 list` shows the ones there are
            a/wrangler.toml:6:76: error: `database_id` of the binding `D` is not a UUID; `wrangler d1 list` shows the ones there are
            a/wrangler.toml:7:18: error: `id` of the binding `E` is missing, so a new one would be created; `wrangler kv namespace list` shows the ones there are
            a/wrangler.toml:7:37: error: `id` of the binding `F` is a placeholder; `wrangler kv namespace list` shows the ones there are
            a/wrangler.toml:8:15: error: `bucket_name` of the binding `H` is missing, so a new one would be created; `wrangler r2 bucket list` shows the ones there are
            a/wrangler.toml:8:34: error: `bucket_name` of the binding `I` may hold only lowercase letters, digits and dashes; `wrangler r2 bucket list` shows the ones there are
        "#]],
    );
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
    check(
        TWO,
        &files,
        expect![[r#"
        b/wrangler.toml:4:17: error: the database `db` is another one than in a/wrangler.toml:4:17; use the same `database_id`
        b/wrangler.toml:5:18: error: the KV binding `KV` is another one than in a/wrangler.toml:5:18; use the same one, or say `separate_bindings = ["KV"]` in pipeline.toml
        b/wrangler.toml:6:15: error: the R2 binding `R2` is another one than in a/wrangler.toml:6:15; use the same one, or say `separate_bindings = ["R2"]` in pipeline.toml
    "#]],
    );
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
            b/wrangler.toml:1:8: error: the script name `same` is taken by `a` (a/wrangler.toml:1:8)
            b/wrangler.toml:4:14: error: `account_id` differs from the one in a/wrangler.toml; a release goes to one account
            b/wrangler.toml:5:11: error: the route `x.com/*` is taken by a/wrangler.toml:5:9
            pipeline.toml:6:8: error: `again` and `a` ship the same wrangler config
        "#]],
    );
    let names = "[workers.a]\npath = \"a\"\nenv = \"Stage\"\n";
    let config = toml("a", "[env.Stage]\n");
    check(
        names,
        &[("a/wrangler.toml", &config)],
        expect![[r#"
        a/wrangler.toml:1:8: error: the script's name `a-Stage` may hold only lowercase letters, digits and dashes
    "#]],
    );
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
    check(
        pipeline,
        &[("a/wrangler.toml", &a)],
        expect![[r#"
        a/wrangler.toml:1:8: error: the secret `TOKEN` is also in `vars` of a/wrangler.toml; remove it from `vars`, and change its value if it was real
        pipeline.toml:3:12: error: the secret `ADMIN_KEY` is also in `vars` of a/wrangler.toml; remove it from `vars`, and change its value if it was real
    "#]],
    );
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
    let two_names = toml("b", &binding("DATA", "other-db"));
    check(
        &pipeline,
        &[files[0], ("b/wrangler.toml", &two_names), files[2]],
        expect![[r#"
            b/wrangler.toml:4:17: error: the database with this `database_id` is called `other-db` here and `main-db` in a/wrangler.toml:4:17; use the name that `wrangler d1 list` shows in both
        "#]],
    );
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
