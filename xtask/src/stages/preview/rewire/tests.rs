//! What becomes of each kind of binding: the rules, as a person would check them.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn rewired(config: &Value, policy: &Preview) -> Result<Rewired, Vec<String>> {
    let siblings = BTreeMap::from([
        ("site".to_owned(), "site-pr-7-preview".to_owned()),
        ("api".to_owned(), "api-pr-7-preview".to_owned()),
    ]);
    let resources = Resources::of([config], "shop", Key::Pr(7));
    let ids = BTreeMap::from([("shop-db-pr-7-preview".to_owned(), "own-db".to_owned())]);
    let words = BTreeMap::from([
        ("pr".to_owned(), "7".to_owned()),
        (
            "url:api".to_owned(),
            "https://api-pr-7-preview.x.workers.dev".to_owned(),
        ),
    ]);
    let wiring = Wiring {
        key: Key::Pr(7),
        policy,
        siblings: &siblings,
        resources: &resources,
        ids: &ids,
        words: &words,
    };
    rewire("site", config, &wiring)
}

#[track_caller]
fn check(config: &Value, policy: &Preview, expect: Expect) {
    let text = match rewired(config, policy) {
        Ok(done) => {
            let mut lines = vec![done.config.to_string()];
            lines.extend(done.external.iter().map(|line| format!("external: {line}")));
            lines.extend(
                done.not_covered
                    .iter()
                    .map(|line| format!("not covered: {line}")),
            );
            lines.join("\n")
        }
        Err(mistakes) => mistakes.join("\n"),
    };
    expect.assert_eq(&text);
}

#[test]
fn storage_is_the_previews_own() {
    let config = json!({
        "name": "site",
        "d1_databases": [{"binding": "DB", "database_name": "shop-db", "database_id": "prod-db", "migrations_dir": "m",
                          "preview_database_id": "local"}],
        "kv_namespaces": [{"binding": "CACHE", "id": "aabbccddeeff", "preview_id": "x"}],
        "r2_buckets": [{"binding": "IMAGES", "bucket_name": "images", "jurisdiction": "eu"}],
    });
    check(
        &config,
        &Preview::default(),
        expect![[r#"
            {"name":"site","kv_namespaces":[{"binding":"CACHE","id":"(id of shop-kv-aabbccdd-pr-7-preview)"}],"d1_databases":[{"binding":"DB","database_name":"shop-db-pr-7-preview","database_id":"own-db"}],"r2_buckets":[{"binding":"IMAGES","bucket_name":"images-pr-7-preview"}]}
            not covered: the jurisdiction (eu) of the bucket `IMAGES` of site: the preview's bucket has none"#]],
    );
    let shared = Preview {
        data: PreviewData::Shared,
        ..Preview::default()
    };
    let kept = rewired(&config, &shared).unwrap();
    assert_eq!(kept.config["d1_databases"][0]["database_id"], "prod-db");
    assert_eq!(kept.expected[0].fields, [("id", "prod-db".to_owned())]);
}

#[test]
fn calls_end_at_the_siblings_previews() {
    check(
        &json!({
            "name": "site",
            "services": [
                {"binding": "API", "service": "api", "environment": "production", "entrypoint": "Rpc"},
                {"binding": "SELF", "service": "site"},
                {"binding": "AUTH", "service": "auth"},
            ],
            "durable_objects": {"bindings": [
                {"name": "OWN", "class_name": "A"}, {"name": "MINE", "class_name": "A", "script_name": "site"},
                {"name": "ROOM", "class_name": "B", "script_name": "api", "environment": "production"},
                {"name": "USER", "class_name": "C", "script_name": "auth"},
            ]},
            "migrations": [{"tag": "v1", "transferred_classes": [{"from": "A", "from_script": "old", "to": "A"}]}],
            "tail_consumers": [{"service": "api"}, {"service": "logs"}],
        }),
        &Preview::default(),
        expect![[r#"
            {"name":"site","durable_objects":{"bindings":[{"name":"OWN","class_name":"A"},{"name":"MINE","class_name":"A"},{"name":"ROOM","class_name":"B","script_name":"api-pr-7-preview"},{"name":"USER","class_name":"C","script_name":"auth"}]},"services":[{"binding":"API","service":"api-pr-7-preview","entrypoint":"Rpc"},{"binding":"SELF","service":"site-pr-7-preview"},{"binding":"AUTH","service":"auth"}],"tail_consumers":[{"service":"api-pr-7-preview"}]}
            external: site: `AUTH` calls auth, which this repo does not ship
            external: site: `USER` reaches the Durable Objects of auth, which this repo does not ship
            not covered: the logs of site are not sent to logs"#]],
    );
}

#[test]
fn other_kinds_follow_their_rule() {
    let policy = Preview {
        keep: vec!["MAIL".to_owned()],
        ..Preview::default()
    };
    check(
        &json!({
            "name": "site",
            "ai": {"binding": "AI"},
            "version_metadata": {"binding": "VERSION"},
            "assets": {"directory": "dist", "binding": "ASSETS"},
            "queues": {"producers": [{"binding": "JOBS", "queue": "jobs"}], "consumers": [{"queue": "jobs"}]},
            "hyperdrive": [{"binding": "PG", "id": "x"}],
            "send_email": [{"name": "MAIL"}, {"name": "NEWS"}],
            "workflows": [{"binding": "FLOW", "name": "flow", "class_name": "F"}],
            "unsafe": {"bindings": [{"name": "ODD", "type": "kv_namespace", "namespace_id": "x"}]},
            "analytics_engine_datasets": [{"binding": "STATS", "dataset": "clicks"}],
            "ratelimits": [{"name": "LIMIT", "namespace_id": "1001", "simple": {"limit": 1, "period": 10}}],
            "vectorize": [],
            "future": {"anything": ["but", "a binding of any kind"]},
        }),
        &policy,
        expect![[r#"
            {"name":"site","ratelimits":[{"name":"LIMIT","namespace_id":"1587482844","simple":{"limit":1,"period":10}}],"ai":{"binding":"AI"},"assets":{"directory":"dist","binding":"ASSETS"},"send_email":[{"name":"MAIL"}],"version_metadata":{"binding":"VERSION"},"analytics_engine_datasets":[{"binding":"STATS","dataset":"clicks_pr_7_preview"}],"future":{"anything":["but","a binding of any kind"]}}
            external: site: `AI` is the account's own Workers AI
            external: site: `MAIL` is production's own e-mail, kept by `preview.keep`
            not covered: the binding `PG` of site (Hyperdrive) is left out
            not covered: the binding `NEWS` of site (e-mail) is left out
            not covered: the binding `ODD` of site (unsafe binding) is left out
            not covered: the binding `FLOW` of site (workflow) is left out
            not covered: site is not woken by the queue `jobs`
            not covered: the binding `JOBS` of site (queue) is left out"#]],
    );
}

#[test]
fn nothing_calls_a_preview_and_vars_are_laid_over() {
    let policy = Preview {
        vars: vec![
            ("API".to_owned(), json!("{url:api}/v1 for {pr} {kept}")),
            ("DEBUG".to_owned(), json!(true)),
        ],
        ..Preview::default()
    };
    check(
        &json!({
            "name": "site", "vars": {"API": "https://shop.example", "MODE": "x"}, "logpush": true,
            "triggers": {"crons": ["0 6 * * *"]}, "route": "a.example/*", "containers": [{"class_name": "C"}],
            "routes": ["b.example/*", {"pattern": "shop.example", "custom_domain": true}],
        }),
        &policy,
        expect![[r#"
            {"name":"site","vars":{"API":"https://api-pr-7-preview.x.workers.dev/v1 for 7 {kept}","MODE":"x","DEBUG":true}}
            not covered: the crons of site do not run (`0 6 * * *`)
            not covered: site does not answer at b.example/*, shop.example, a.example/*
            not covered: the containers of site are left out
            not covered: the logs of site are not pushed anywhere"#]],
    );
}

#[test]
fn what_has_no_rule_is_a_mistake_and_all_are_told() {
    let policy = Preview {
        vars: vec![
            ("DB".to_owned(), json!("x")),
            ("API".to_owned(), json!("{url:nobody}")),
        ],
        ..Preview::default()
    };
    check(
        &json!({
            "name": "site",
            "d1_databases": [{"binding": "DB", "database_id": "prod-db"}, {"binding": "NONE"}],
            "kv_namespaces": [{"binding": "CACHE"}],
            "novelties": [{"binding": "NEW", "id": "x"}],
        }),
        &policy,
        expect![[r#"
            site: the D1 binding `NONE` names no database
            site: the KV binding `CACHE` names no namespace
            site: `preview.vars.API`: there is no worker `nobody`
            site: there is no rule for the bindings of `novelties`
            site: the name `DB` is given twice, by `preview.vars` or by two bindings"#]],
    );
}
