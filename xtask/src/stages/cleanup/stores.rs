//! The databases, namespaces and buckets of previews. One is a preview's when its name says so and its marker does; or,
//! without a marker, when the repo's own configs lead to exactly its name and there is nothing in it: a `preview` that was
//! killed between making and marking it leaves that.

use serde_json::{Value, json};

use crate::error::Fail;
use crate::ledger::Database;
use crate::preview::names;
use crate::stages::cleanup::found::{Found, Kind, Scope, Store};
use crate::tools::cloudflare::{ApiError, Call, Cloudflare, encode};

/// Whose something is, as far as it tells itself.
enum Whose {
    /// It carries the marker of the preview its name tells.
    Ours,
    /// It carries another marker.
    Others,
    /// It carries none.
    Unmarked,
    /// It went meanwhile.
    Gone,
}

pub(super) fn databases(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let rows = cloud
        .rows(&cloud.path("/d1/database"))?
        .map_err(Fail::from)?;
    let mut found = Found::default();
    for store in candidates(scope, Kind::Database, &rows, "name", "uuid") {
        let whose = database_owner(cloud, &store, &scope.repo)?;
        let is_derived = |name: &String| *name == store.name;
        let derived = || scope.derived(store.key).databases.values().any(is_derived);
        let empty = || {
            let tables = Database::new(cloud, &store.name, &store.id).tables()?;
            Ok(tables.is_empty())
        };
        decide(&mut found, &store, &whose, derived, empty)?;
    }
    Ok(found)
}

pub(super) fn namespaces(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let rows = cloud
        .rows(&cloud.path("/storage/kv/namespaces"))?
        .map_err(Fail::from)?;
    let mut found = Found::default();
    for store in candidates(scope, Kind::Namespace, &rows, "title", "id") {
        let base = cloud.path(&format!("/storage/kv/namespaces/{}", encode(&store.id)));
        let marker = cloud.text(&format!("{base}/values/{}", names::MARKER_KEY))?;
        let whose = told_by(marker, &store, &scope.repo)?;
        let is_derived = |name: &String| *name == store.name;
        let derived = || scope.derived(store.key).namespaces.values().any(is_derived);
        let empty = || has_no_rows(cloud, &format!("{base}/keys?limit=10"));
        decide(&mut found, &store, &whose, derived, empty)?;
    }
    Ok(found)
}

pub(super) fn buckets(scope: &Scope<'_>, cloud: &Cloudflare) -> anyhow::Result<Found> {
    let rows = cloud.rows_by_cursor(&cloud.path("/r2/buckets"), "buckets")?;
    let rows = match rows {
        Ok(rows) => rows,
        // R2 has to be switched on for an account; where it is not, there are no buckets.
        Err(error) if error.code == 10042 => Vec::new(),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let mut found = Found::default();
    for store in candidates(scope, Kind::Bucket, &rows, "name", "name") {
        let base = cloud.path(&format!("/r2/buckets/{}/objects", encode(&store.id)));
        let marker = cloud.text(&format!("{base}/{}.json", names::MARKER_KEY))?;
        let whose = told_by(marker, &store, &scope.repo)?;
        let is_derived = |name: &String| *name == store.name;
        let derived = || scope.derived(store.key).buckets.values().any(is_derived);
        let empty = || has_no_rows(cloud, &format!("{base}?per_page=1"));
        decide(&mut found, &store, &whose, derived, empty)?;
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
        })
    });
    stores.collect()
}

fn decide(
    found: &mut Found,
    store: &Store,
    whose: &Whose,
    derived: impl FnOnce() -> bool,
    empty: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let why = match whose {
        Whose::Ours => {
            found.stores.push(store.clone());
            return Ok(());
        }
        Whose::Gone => return Ok(()),
        _ if !derived() => return Ok(()),
        Whose::Others => "carries the marker of another repo or preview",
        Whose::Unmarked if empty()? => {
            found.stores.push(store.clone());
            return Ok(());
        }
        Whose::Unmarked => "has something in it, but no marker of a preview",
    };
    let (word, name) = (store.kind.word(), &store.name);
    found.foreign.push(format!("the {word} `{name}` {why}"));
    Ok(())
}

/// A database says whose it is in a table.
fn database_owner(cloud: &Cloudflare, store: &Store, repo: &str) -> anyhow::Result<Whose> {
    let path = Database::new(cloud, &store.name, &store.id).query_path();
    let sql = json!({ "sql": format!("SELECT repo, preview FROM {}", names::MARKER_TABLE) });
    let answer = match cloud.call(&Call::repeatable("POST", path, sql))? {
        Ok(answer) => answer,
        Err(error) if error.message.contains("no such table") => return Ok(Whose::Unmarked),
        Err(error) if error.is_not_found() => return Ok(Whose::Gone),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let rows = answer[0]["results"].as_array().cloned().unwrap_or_default();
    let suffix = store.key.suffix();
    let is_ours = |row: &Value| row["repo"] == repo && row["preview"] == suffix.as_str();
    Ok(match rows.iter().any(is_ours) {
        true => Whose::Ours,
        false if rows.is_empty() => Whose::Unmarked,
        false => Whose::Others,
    })
}

/// A namespace or bucket says whose it is in a text of its own.
fn told_by(
    marker: Result<Option<String>, ApiError>,
    store: &Store,
    repo: &str,
) -> anyhow::Result<Whose> {
    Ok(match marker.map_err(Fail::from)? {
        None => Whose::Unmarked,
        Some(text) if names::is_marker(&text, store.key, repo) => Whose::Ours,
        Some(_) => Whose::Others,
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
        Kind::Namespace => cloud.path(&format!("/storage/kv/namespaces/{id}")),
        Kind::Bucket => cloud.path(&format!("/r2/buckets/{id}")),
    }
}

/// Cloudflare's codes for "there is no such database, namespace, bucket".
pub(super) const NOT_FOUND: [i64; 3] = [7404, 10013, 10006];

/// True when a key is that of the name: what is deleted is asked once more.
pub(super) fn is_consistent(store: &Store) -> bool {
    names::parse(&store.name) == Some(store.key)
        && (store.kind != Kind::Bucket || store.id == store.name)
}
