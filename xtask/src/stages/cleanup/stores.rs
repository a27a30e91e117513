//! The databases, namespaces and buckets of previews. One is a preview's when its name says so and its marker does; or,
//! without a marker, when there is nothing in it and a Worker of the preview announces exactly its name, or the repo's own
//! configs lead to it: a `preview` that was killed between making and marking it leaves that.

use serde_json::{Value, json};

use crate::error::Fail;
use crate::ledger::Database;
use crate::preview::{Kind, marks, names};
use crate::stages::cleanup::found::{Found, Scope, Store, Whose};
use crate::tools::cloudflare::{ApiError, Call, Cloudflare, R2_IS_OFF, STORE_NOT_FOUND, encode};

/// What a store tells of itself.
enum Told {
    /// It carries the marker of the preview its name tells.
    Ours,
    /// It carries another one, or none.
    Not(Whose),
    /// It went meanwhile.
    Gone,
}

pub(super) fn databases(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let rows = cloud
        .rows(&cloud.path("/d1/database"))?
        .map_err(Fail::from)?;
    let mut found = Found::default();
    for store in candidates(scope, Kind::Database, &rows, "name", "uuid") {
        let told = database_owner(cloud, &store, &scope.repo)?;
        take(&mut found, store, told);
    }
    Ok(found)
}

pub(super) fn namespaces(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let rows = cloud
        .rows(&cloud.path("/storage/kv/namespaces"))?
        .map_err(Fail::from)?;
    let mut found = Found::default();
    for store in candidates(scope, Kind::Namespace, &rows, "title", "id") {
        let base = cloud.path(&marks::namespace_path(&store.id));
        let marker = cloud.text(&format!("{base}/values/{}", names::MARKER_KEY))?;
        let told = told_by(marker, &store, &scope.repo)?;
        take(&mut found, store, told);
    }
    Ok(found)
}

pub(super) fn buckets(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let rows = cloud.rows_by_cursor(&cloud.path("/r2/buckets"), "buckets")?;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) if error.says(&R2_IS_OFF) => Vec::new(),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let mut found = Found::default();
    for store in candidates(scope, Kind::Bucket, &rows, "name", "name") {
        let told = bucket_owner(cloud, &store, &scope.repo)?;
        take(&mut found, store, told);
    }
    Ok(found)
}

fn candidates(scope: &Scope<'_>, kind: Kind, rows: &[Value], name: &str, id: &str) -> Vec<Store> {
    let stores = rows.iter().filter_map(|row| {
        let (name, id) = (row[name].as_str()?, row[id].as_str()?);
        let key = scope.key_of(name)?;
        (!scope.is_production(id)).then(|| Store {
            kind,
            name: name.to_owned(),
            id: id.to_owned(),
            key,
            unmarked: false,
        })
    });
    stores.collect()
}

fn take(found: &mut Found, store: Store, told: Told) {
    match told {
        Told::Ours => found.stores.push(store),
        Told::Not(whose) => found.undecided.push((store, whose)),
        Told::Gone => {}
    }
}

/// Decides about what carries no marker, or a wrong one, now that the Workers are known.
pub(super) fn decide(
    found: &mut Found,
    scope: &Scope<'_>,
    cloud: &Cloudflare,
) -> anyhow::Result<()> {
    for (mut store, whose) in std::mem::take(&mut found.undecided) {
        let announced = found.workers.iter().any(|worker| worker.announces(&store));
        if !announced && !is_derived(scope, &store) {
            continue;
        }
        let why = match whose {
            Whose::Others => "carries the marker of another repo or preview",
            Whose::Unmarked if is_empty(cloud, &store)? => {
                store.unmarked = true;
                found.stores.push(store);
                continue;
            }
            Whose::Unmarked => "has something in it, but no marker of a preview",
        };
        let (word, name) = (store.kind.word(), &store.name);
        found.foreign.push(format!("the {word} `{name}` {why}"));
    }
    Ok(())
}

/// True when the repo's configs lead to exactly this name.
fn is_derived(scope: &Scope<'_>, store: &Store) -> bool {
    let derived = scope.derived(store.key);
    let names = match store.kind {
        Kind::Database => derived.databases,
        Kind::Namespace => derived.namespaces,
        Kind::Bucket => derived.buckets,
    };
    names.values().any(|name| *name == store.name)
}

fn is_empty(cloud: &Cloudflare, store: &Store) -> anyhow::Result<bool> {
    let id = encode(&store.id);
    let path = match store.kind {
        Kind::Database => {
            let tables = Database::new(cloud, &store.name, &store.id).tables()?;
            return Ok(tables.is_empty());
        }
        Kind::Namespace => format!("/storage/kv/namespaces/{id}/keys?limit=10"),
        Kind::Bucket => format!("/r2/buckets/{id}/objects?per_page=1"),
    };
    has_no_rows(cloud, &cloud.path(&path))
}

/// A database says whose it is in a table.
fn database_owner(cloud: &Cloudflare, store: &Store, repo: &str) -> anyhow::Result<Told> {
    let path = Database::new(cloud, &store.name, &store.id).query_path();
    let sql = json!({ "sql": format!("SELECT repo, preview FROM {}", names::MARKER_TABLE) });
    let answer = match cloud.call(&Call::repeatable("POST", path, sql))? {
        Ok(answer) => answer,
        Err(error) if error.message.contains("no such table") => {
            return Ok(Told::Not(Whose::Unmarked));
        }
        Err(error) if error.is_not_found() => return Ok(Told::Gone),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let rows = answer[0]["results"].as_array().cloned().unwrap_or_default();
    let suffix = store.key.suffix();
    let is_ours = |row: &Value| row["repo"] == repo && row["preview"] == suffix.as_str();
    Ok(match rows.iter().any(is_ours) {
        true => Told::Ours,
        false if rows.is_empty() => Told::Not(Whose::Unmarked),
        false => Told::Not(Whose::Others),
    })
}

/// A bucket says whose it is in the id of a rule.
fn bucket_owner(cloud: &Cloudflare, store: &Store, repo: &str) -> anyhow::Result<Told> {
    let path = cloud.path(&marks::lifecycle_path(&store.id));
    let answer = match cloud.call(&Call::get(path))? {
        Ok(answer) => answer,
        Err(error) if error.says(&STORE_NOT_FOUND) => return Ok(Told::Gone),
        // A bucket without rules.
        Err(error) if error.is_not_found() => return Ok(Told::Not(Whose::Unmarked)),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let rules = answer["rules"].as_array().into_iter().flatten();
    let marks: Vec<&str> = rules
        .filter_map(|rule| rule["id"].as_str())
        .filter(|id| names::is_rule(id))
        .collect();
    let ours = names::rule(store.key, repo);
    Ok(match marks.as_slice() {
        [] => Told::Not(Whose::Unmarked),
        [mark] if *mark == ours => Told::Ours,
        _ => Told::Not(Whose::Others),
    })
}

/// A namespace says whose it is in a text of its own.
fn told_by(
    marker: Result<Option<String>, ApiError>,
    store: &Store,
    repo: &str,
) -> anyhow::Result<Told> {
    Ok(match marker.map_err(Fail::from)? {
        None => Told::Not(Whose::Unmarked),
        Some(text) if names::is_marker(&text, store.key, repo) => Told::Ours,
        Some(_) => Told::Not(Whose::Others),
    })
}

fn has_no_rows(cloud: &Cloudflare, path: &str) -> anyhow::Result<bool> {
    match cloud.call(&Call::get(path))? {
        Ok(rows) => Ok(rows.as_array().is_some_and(Vec::is_empty)),
        // What is not there needs no deleting.
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(Fail::from(error).into()),
    }
}

/// What a DELETE takes away.
pub(super) fn deletion_path(cloud: &Cloudflare, store: &Store) -> String {
    let id = encode(&store.id);
    match store.kind {
        Kind::Database => cloud.path(&format!("/d1/database/{id}")),
        Kind::Namespace => cloud.path(&marks::namespace_path(&store.id)),
        Kind::Bucket => cloud.path(&format!("/r2/buckets/{id}")),
    }
}

/// True when a key is that of the name: what is deleted is asked once more.
pub(super) fn is_consistent(store: &Store) -> bool {
    names::parse(&store.name) == Some(store.key)
        && (store.kind != Kind::Bucket || store.id == store.name)
}
