//! One worker's config against what is live of it, with and without a record.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::workspace::Workspace;

const CONFIG: &str = r#"
name = "w"
main = "i.js"
compatibility_date = "2026-09-01"
workers_dev = true
vars = { MODE = "secret-looking value", LIMIT = 3 }
kv_namespaces = [{ binding = "CACHE", id = "0123456789abcdef0123456789abcdef" }]
r2_buckets = [{ binding = "FILES", bucket_name = "files" }]
services = [{ binding = "ME", service = "w" }]
vectorize = [{ binding = "INDEX", index_name = "places" }]
send_email = [{ name = "MAIL" }]
"#;

fn content() -> Content {
    let bindings = json!([
        {"name": "MODE", "type": "plain_text", "text": "secret-looking value"},
        {"name": "LIMIT", "type": "json", "json": 3},
        {"name": "CACHE", "type": "kv_namespace", "namespace_id": "0123456789abcdef0123456789abcdef"},
        {"name": "FILES", "type": "r2_bucket", "bucket_name": "files"},
        {"name": "ME", "type": "service", "service": "w"},
        {"name": "INDEX", "type": "vectorize", "index_name": "places"},
        {"name": "MAIL", "type": "send_email"},
        {"name": "__STATIC_CONTENT", "type": "kv_namespace", "namespace_id": "x"},
    ]);
    Content {
        bindings: bindings.as_array().cloned().unwrap_or_default(),
        compatibility_date: Some("2026-09-01".to_owned()),
        ..Content::default()
    }
}

fn live(message: &str) -> Live {
    let version = Version {
        id: "11111111-aaaa".to_owned(),
        tag: Some("r1".to_owned()),
        message: Some(message.to_owned()),
        ..Version::default()
    };
    Live {
        exists: true,
        split: vec![(version.id.clone(), 100)],
        versions: vec![version],
        triggers: Triggers {
            workers_dev: true,
            ..Triggers::default()
        },
        ..Live::default()
    }
}

fn record(version: &str) -> Record {
    let record = json!({
        "id": "r1", "number": 1, "created_at": "2026-11-24T12:00:00Z", "sha": "abc", "author": "A", "status": "live",
        "versions": {"w": version}, "previous": {}, "bookmark": null, "migrations": {}, "secrets": {}, "digests": {},
        "triggers": {"w": {"workers_dev": true, "previews": false, "crons": [], "routes": {}, "domains": []}},
    });
    serde_json::from_value(record).expect("a record")
}

/// The differences of the worker, as lines.
#[track_caller]
fn check(
    live: &Live,
    serving: &Content,
    (record, recorded): (Option<&Record>, Option<&Content>),
    expected: Expect,
) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    let (workspace, problems) = Workspace::read(folder.path());
    assert!(problems.ok(), "{:?}", problems.sorted());
    let workspace = workspace.expect("it can be read");
    let subject = Subject {
        worker: &workspace.workers[0],
        live,
        serving: Some(serving),
        record,
        recorded,
        commit: Some("abcdef0123"),
    };
    let line = |it: Difference| {
        let (repo, live) = (it.repo.unwrap_or_default(), it.live.unwrap_or_default());
        format!(
            "{} {}: {repo} | {live} {:?}",
            it.kind.word(),
            it.name,
            it.origin
        )
    };
    let lines: Vec<String> = subject.differences().into_iter().map(line).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn write(folder: &Path) {
    std::fs::create_dir(folder.join("w")).expect("a folder can be made");
    std::fs::write(folder.join("w/wrangler.toml"), CONFIG).expect("a file can be written");
    std::fs::write(folder.join("w/i.js"), "").expect("a file can be written");
    std::fs::write(folder.join("pipeline.toml"), "[workers.w]\npath = \"w\"\n")
        .expect("a file can be written");
}

#[test]
fn what_was_released_is_no_difference() {
    let released = record("11111111-aaaa");
    check(
        &live("xtask abcdef0 digest=x"),
        &content(),
        (Some(&released), Some(&content())),
        expect![[""]],
    );
    check(
        &live("xtask abcdef0 digest=x"),
        &content(),
        (None, None),
        expect![[""]],
    );
}

#[test]
fn another_target_is_told_and_a_value_never() {
    let mut other = content();
    other.bindings[0]["text"] = json!("another secret-looking value");
    other.bindings[2]["namespace_id"] = json!("ffffffffffffffffffffffffffffffff");
    other.bindings[3]["type"] = json!("kv_namespace");
    other.bindings[5]["index_name"] = json!("people");
    other.compatibility_flags.insert("nodejs_compat".to_owned());
    // The version on record is another one: what differs from it was changed since.
    check(
        &live("by hand"),
        &other,
        (Some(&record("22222222-bbbb")), Some(&content())),
        expect![[r#"
            deployment w: 22222222 | 11111111 ByHand
            binding CACHE: KV 0123456789abcdef0123456789abcdef | KV ffffffffffffffffffffffffffffffff ByHand
            binding FILES: R2 files | KV ? ByHand
            binding INDEX: vectorize places | vectorize people ByHand
            var MODE: its value | another value ByHand
            compatibility compatibility_flags:  | nodejs_compat ByHand"#]],
    );
    // The version on record is this one, so it is the repo that has changed.
    check(
        &live("xtask abcdef0 digest=x"),
        &other,
        (Some(&record("11111111-aaaa")), Some(&other)),
        expect![[r#"
            binding CACHE: KV 0123456789abcdef0123456789abcdef | KV ffffffffffffffffffffffffffffffff NotDeployed
            binding FILES: R2 files | KV ? NotDeployed
            binding INDEX: vectorize places | vectorize people NotDeployed
            var MODE: its value | another value NotDeployed
            compatibility compatibility_flags:  | nodejs_compat NotDeployed"#]],
    );
}

#[test]
fn without_a_record_the_commit_of_the_version_decides() {
    let mut switched = live("xtask abcdef0 digest=x");
    switched.triggers.workers_dev = false;
    check(
        &switched,
        &content(),
        (None, None),
        expect!["address workers.dev: on | off ByHand"],
    );
    switched.versions[0].message = Some("xtask 9999999 digest=x".to_owned());
    check(
        &switched,
        &content(),
        (None, None),
        expect!["address workers.dev: on | off NotDeployed"],
    );
    check(
        &live("mine"),
        &content(),
        (None, None),
        expect!["deployment w:  | 11111111 ByHand"],
    );
}

#[test]
fn what_a_config_is_silent_about_is_compared_with_the_release() {
    let released = record("11111111-aaaa");
    let mut changed = live("xtask abcdef0 digest=x");
    changed.triggers.crons.insert("* * * * *".to_owned());
    changed.triggers.previews = true;
    changed.triggers.routes = BTreeMap::from([("a.test/*".to_owned(), None)]);
    check(
        &changed,
        &content(),
        (Some(&released), Some(&content())),
        expect![[r#"
            route a.test/*:  | set ByHand
            cron * * * * *:  | set ByHand
            address preview URLs: off | on ByHand"#]],
    );
}
