//! What is deleted before what.

use super::*;
use crate::preview::Kind;
use crate::stages::cleanup::found::{Store, Worker};
use crate::tools::cloudflare::Cloudflare;
use expect_test::expect;

fn worker(name: &str, bound: &[&str]) -> Worker {
    Worker {
        script: format!("{name}-pr-7-preview"),
        key: Key::Pr(7),
        bound: bound.iter().map(|name| (*name).to_owned()).collect(),
        tags: Vec::new(),
    }
}

fn store(kind: Kind, name: &str, id: &str) -> Store {
    Store {
        kind,
        name: name.to_owned(),
        id: id.to_owned(),
        key: Key::Pr(7),
        unmarked: false,
    }
}

/// One line per step: what, and what has to be done before.
fn order(found: &Found) -> String {
    let cloud = Cloudflare::new("https://cloud.test", "acc", "token");
    let plan = plan::plan(found, &cloud, "repo").plan;
    let lines = plan.steps.iter().map(|step| match step.needs.join(" + ") {
        needs if needs.is_empty() => format!("{}\n", step.id),
        needs => format!("{} <- {needs}\n", step.id),
    });
    lines.collect()
}

#[test]
fn whoever_is_bound_to_something_goes_before_it() {
    let found = Found {
        workers: vec![
            worker(
                "agent",
                &["analyzer-pr-7-preview", "db-id", "agent-pr-7-preview"],
            ),
            worker("analyzer", &["db-id"]),
            worker("main", &["agent-pr-7-preview", "images-pr-7-preview"]),
        ],
        stores: vec![
            store(Kind::Database, "db-pr-7-preview", "db-id"),
            store(Kind::Bucket, "images-pr-7-preview", "images-pr-7-preview"),
            store(Kind::Namespace, "kv-pr-7-preview", "kv-id"),
        ],
        ..Found::default()
    };
    expect![[r#"
        delete worker main-pr-7-preview
        delete worker agent-pr-7-preview <- delete worker main-pr-7-preview
        delete worker analyzer-pr-7-preview <- delete worker agent-pr-7-preview
        delete database db-pr-7-preview <- delete worker agent-pr-7-preview + delete worker analyzer-pr-7-preview
        empty bucket images-pr-7-preview <- delete worker main-pr-7-preview
        delete bucket images-pr-7-preview <- empty bucket images-pr-7-preview
        delete namespace kv-pr-7-preview
    "#]].assert_eq(&order(&found));
}

#[test]
fn a_circle_is_broken_somewhere() {
    let found = Found {
        workers: vec![
            worker("a", &["b-pr-7-preview"]),
            worker("b", &["c-pr-7-preview"]),
            worker("c", &["a-pr-7-preview", "outside"]),
        ],
        ..Found::default()
    };
    expect![[r#"
        delete worker a-pr-7-preview
        delete worker b-pr-7-preview <- delete worker a-pr-7-preview
        delete worker c-pr-7-preview <- delete worker b-pr-7-preview
    "#]]
    .assert_eq(&order(&found));
}

#[test]
fn what_nothing_but_tags_tells_is_marked_before_they_go() {
    let unmarked = |kind, name: &str, id: &str| Store {
        unmarked: true,
        ..store(kind, name, id)
    };
    let names = ["new-db-pr-7-preview", "images-pr-7-preview"].map(str::to_owned);
    let telling = |name: &str, bound: &[&str]| Worker {
        tags: crate::preview::names::stores_tags(&names, &[]),
        ..worker(name, bound)
    };
    let found = Found {
        workers: vec![
            telling("a", &["b-pr-7-preview", "images-pr-7-preview"]),
            telling("b", &[]),
            worker("c", &[]),
        ],
        stores: vec![
            // Somebody took the marker out of one that is in use.
            unmarked(Kind::Bucket, "images-pr-7-preview", "images-pr-7-preview"),
            unmarked(Kind::Database, "new-db-pr-7-preview", "id-1"),
            unmarked(Kind::Database, "derived-db-pr-7-preview", "id-2"),
        ],
        ..Found::default()
    };
    expect![[r#"
        mark the bucket images-pr-7-preview
        mark the database new-db-pr-7-preview
        delete worker a-pr-7-preview <- mark the bucket images-pr-7-preview + mark the database new-db-pr-7-preview
        delete worker b-pr-7-preview <- mark the bucket images-pr-7-preview + mark the database new-db-pr-7-preview + delete worker a-pr-7-preview
        delete worker c-pr-7-preview
        empty bucket images-pr-7-preview <- mark the bucket images-pr-7-preview + delete worker a-pr-7-preview
        delete bucket images-pr-7-preview <- empty bucket images-pr-7-preview
        delete database new-db-pr-7-preview <- mark the database new-db-pr-7-preview
        delete database derived-db-pr-7-preview
    "#]]
    .assert_eq(&order(&found));
}

#[test]
#[should_panic(expected = "only previews are deleted")]
fn what_is_no_preview_is_never_deleted() {
    let odd = Worker {
        script: "main".to_owned(),
        ..worker("main", &[])
    };
    order(&Found {
        workers: vec![odd],
        ..Found::default()
    });
}

#[test]
#[should_panic(expected = "only previews are deleted")]
fn a_bucket_is_deleted_by_its_own_name_only() {
    order(&Found {
        stores: vec![store(Kind::Bucket, "images-pr-7-preview", "images")],
        ..Found::default()
    });
}
