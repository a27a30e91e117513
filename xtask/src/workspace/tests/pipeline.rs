//! What is said about `pipeline.toml` itself.

use expect_test::expect;

use super::*;
use crate::config::Word as _;

#[test]
fn pipeline_mistakes() {
    check(
        r#"
external_service = ["x"]
external_services = ["Bad Name"]
[project]
name = 7
main_branch = ""
time_zone = "America/Chikago"
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
"#,
        &[("a/wrangler.toml", &toml("a", ""))],
        expect![[r#"
            pipeline.toml:2:1: error: unknown key `external_service`; did you mean `external_services`?
            pipeline.toml:3:22: error: the script name `Bad Name` may hold only lowercase letters, digits and dashes
            pipeline.toml:5:8: error: `project.name` must be a string, found a number
            pipeline.toml:6:15: error: `project.main_branch` must not be empty
            pipeline.toml:7:13: error: there is no time zone `America/Chikago`; did you mean `America/Chicago`?
            pipeline.toml:9:14: error: `cloudflare.account_id` is a placeholder; remove it to use CLOUDFLARE_ACCOUNT_ID, or copy it from the Cloudflare dashboard
            pipeline.toml:12:1: error: unknown key `workers.a.secret`; did you mean `secrets`?
            pipeline.toml:13:17: error: the secret `A` is listed twice
            pipeline.toml:13:22: error: `workers.a.secrets[2]` must be the name of an environment variable, such as ADMIN_KEY
            pipeline.toml:13:36: error: `workers.a.secrets[3]` must be a string, found a number
            pipeline.toml:14:10: error: `workers.a.health` must begin with `/`
            pipeline.toml:15:7: error: `workers.a.url` must begin with `https://` and a host name
            pipeline.toml:16:11: error: `workers.a.inputs`: `gone` does not exist
            pipeline.toml:16:19: error: `workers.a.inputs`: `../outside` must be a path inside the repo
            pipeline.toml:17:1: error: `workers.b.path` is missing
            pipeline.toml:19:8: error: `workers.c.path`: `/etc` must be a path inside the repo
            pipeline.toml:20:1: error: the short name `d e` may hold only letters, digits, `-`, `_` and `.`
            pipeline.toml:21:8: error: `workers.d e.path`: `pipeline.toml` is a file, not a folder
            pipeline.toml:22:10: error: `workers.d e.health` must be a path such as "/health", or false, found true or false
            pipeline.toml:24:14: error: `databases.db.migrations`: `gone` does not exist
            pipeline.toml:25:10: error: `databases.db.schema` must be a string, found a number
            pipeline.toml:26:1: error: unknown key `databases.db.seeds`; did you mean `seed`?
        "#]],
    );
}

#[test]
fn numbers_and_durations_have_ranges() {
    check(
        r#"
[workers.a]
path = "a"
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
[previews]
"#,
        &[("a/wrangler.toml", &toml("a", ""))],
        expect![[r#"
            pipeline.toml:5:10: error: `health.status` must be a whole number from 100 to 599
            pipeline.toml:6:10: error: `health.within` must be longer than nothing
            pipeline.toml:7:11: error: `health.timeout` must be a duration such as "30s" or "10m"
            pipeline.toml:9:10: error: `deploy.canary` must be a whole number from 0 to 99
            pipeline.toml:10:8: error: `deploy.bake` must be a duration such as "30s" or "10m", found a number
            pipeline.toml:12:8: error: `local.port` must be a whole number from 0 to 65535
            pipeline.toml:13:13: error: `local.subdomain` may hold only lowercase letters, digits and dashes
            pipeline.toml:14:2: error: unknown key `previews`; did you mean `preview`?
        "#]],
    );
}

#[test]
fn exceptions_need_a_reason_and_a_day() {
    check(
        r#"
[workers.a]
path = "a"
bundle_max_gzip = "4 MB"
[audit]
level = "severe"
offline = true
[[audit.except]]
id = "GHSA-aaaa-bbbb-cccc"
[[audit.except]]
id = "GHSA-aaaa-bbbb-dddd"
reason = " "
until = "2027-02-30"
[[allow]]
step = "t*st main"
reason = "known"
until = "soon"
[[allow]]
step = "test main"
reason = "known"
until = 2027-01-31
when = 1
[budgets]
ci = "0m"
rollback = "1m"
[bundle]
plan = "enterprise"
max_gzip = 3
"#,
        &[("a/wrangler.toml", &toml("a", ""))],
        expect![[r#"
            pipeline.toml:4:19: error: `workers.a.bundle_max_gzip` is more than the 3 MiB that Cloudflare takes on the free plan; say `plan = "paid"` under `[bundle]` if the account is on it
            pipeline.toml:6:9: error: `audit.level` must be one of "low", "moderate", "high", "critical"
            pipeline.toml:7:11: error: `audit.offline` must be a string, found true or false
            pipeline.toml:8:1: error: `audit.except[0].reason` is missing
            pipeline.toml:8:1: error: `audit.except[0].until` is missing: a day such as 2027-01-31
            pipeline.toml:12:10: error: `audit.except[1].reason` must not be empty
            pipeline.toml:13:9: error: `audit.except[1].until` must be a day such as 2027-01-31
            pipeline.toml:15:8: error: `allow[0].step` must be the id of a step, such as "test main"; a `*` may stand only at its end, as in "test *"
            pipeline.toml:17:9: error: `allow[0].until` must be a day such as 2027-01-31
            pipeline.toml:22:1: error: unknown key `allow[1].when`; valid keys here: step, reason, until
            pipeline.toml:24:6: error: `budgets.ci` must be longer than nothing
            pipeline.toml:25:1: error: unknown key `budgets.rollback`; valid keys here: ci, preview, migrate, deploy
            pipeline.toml:27:8: error: `bundle.plan` must be one of "free", "paid"
            pipeline.toml:28:12: error: `bundle.max_gzip` must be a size such as "900 KB" or "2.5 MiB", found a number
        "#]],
    );
}

#[test]
fn what_is_said_about_checks_is_read() {
    let workspace = load(
        r#"
[workers.a]
path = "a"
bundle_max_gzip = "900 KiB"
[audit]
level = "critical"
offline = "fail"
[[audit.except]]
id = "GHSA-aaaa-bbbb-cccc"
reason = "not reachable"
until = 2027-01-31
[[allow]]
step = "test *"
reason = "known"
until = "2027-01-31"
[budgets]
ci = "20m"
[bundle]
plan = "paid"
max_gzip = "5 MiB"
"#,
        &[("a/wrangler.toml", &toml("a", ""))],
    );
    let pipeline = workspace.pipeline;
    assert_eq!(pipeline.workers[0].1.bundle_max_gzip, Some(900 * 1024));
    assert_eq!(pipeline.bundle.gzip_bytes_max(None), 5 * 1024 * 1024);
    assert_eq!(pipeline.audit.level.word(), "critical");
    assert_eq!(pipeline.audit.offline, crate::config::Offline::Fail);
    assert_eq!(pipeline.audit.except[0].reason, "not reachable");
    assert_eq!(pipeline.allow[0].until, pipeline.audit.except[0].until);
    let minutes = |stage| {
        pipeline
            .budgets
            .of(stage)
            .map(|budget| budget.as_secs() / 60)
    };
    assert_eq!(
        ["ci", "deploy", "rollback"].map(minutes),
        [Some(20), Some(8), None]
    );
}

#[test]
fn an_empty_pipeline_ships_nothing() {
    check(
        "",
        &[],
        expect![[r#"
        pipeline.toml:1:1: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
    "#]],
    );
    check(
        "workers = 1",
        &[],
        expect![[r#"
        pipeline.toml:1:11: error: `workers` must be a table, found a number
        pipeline.toml:1:11: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
    "#]],
    );
    check(
        "[workers]\na = \"path\"",
        &[],
        expect![[r#"
        pipeline.toml:1:1: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
        pipeline.toml:2:5: error: `workers.a` must be a table, found a string
    "#]],
    );
}

#[test]
fn which_config_ships() {
    check(
        ONE,
        &[("a/index.ts", "")],
        expect![[r#"
        pipeline.toml:2:8: error: there is no wrangler config in `a`; add one of wrangler.json, wrangler.jsonc, wrangler.toml
    "#]],
    );
    check(
        ONE,
        &[("a/wrangler-exec.jsonc", "{}")],
        expect![[r#"
        pipeline.toml:2:8: error: there is no wrangler config in `a`; if `wrangler-exec.jsonc` is meant, say `config = "wrangler-exec.jsonc"`
    "#]],
    );
    let both = [
        ("a/wrangler.toml", "name = \"a\""),
        ("a/wrangler.jsonc", "{}"),
    ];
    check(
        ONE,
        &both,
        expect![[r#"
        pipeline.toml:2:8: error: there are several wrangler configs in `a`: wrangler.jsonc, wrangler.toml; say which one ships, as in `config = "wrangler.jsonc"`
    "#]],
    );
    let chosen = "[workers.a]\npath = \"a\"\nconfig = \"wrangler.txt\"\n[workers.b]\npath = \"a\"\nconfig = \"gone.toml\"";
    check(
        chosen,
        &[("a/wrangler.txt", "")],
        expect![[r#"
            pipeline.toml:3:10: error: `config` must be a .toml, .json or .jsonc file
            pipeline.toml:6:10: error: `config`: there is no `gone.toml` in `a`
        "#]],
    );
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

#[test]
fn mistakes_in_a_preview_are_told_with_their_place() {
    check(
        r#"
[workers.a]
path = "a"
[preview]
data = "copied"
data_reset = "sometimes"
max = -1
drafts = "no"
vars = { "not a name" = 1 }
[[preview.smoke]]
worker = "b"
path = "search"
reaches = ["a", "c"]
[[preview.smoke]]
worker = "a"
"#,
        &[("a/wrangler.toml", &toml("a", ""))],
        expect![[r#"
            pipeline.toml:5:8: error: `preview.data` must be one of "isolated", "shared"
            pipeline.toml:6:14: error: `preview.data_reset` must be one of "always", "never", "on-schema-change"
            pipeline.toml:7:7: error: `preview.max` must be a whole number from 0 to 1000
            pipeline.toml:8:10: error: `preview.drafts` must be true or false, found a string
            pipeline.toml:9:25: error: `preview.vars.not a name` is no name of a variable
            pipeline.toml:11:10: error: `preview.smoke[0].worker`: there is no worker `b`; did you mean `a`?
            pipeline.toml:12:8: error: `preview.smoke[0].path` must be a path that starts with `/`
            pipeline.toml:13:17: error: `preview.smoke[0].reaches`: there is no worker `c`; did you mean `a`?
            pipeline.toml:14:1: error: `preview.smoke[1].path` is missing
        "#]],
    );
}
