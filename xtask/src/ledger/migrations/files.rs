//! The SQL files of a database, found and ordered as wrangler does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Files, SqlFile, number};
use crate::config::{self, layout};
use crate::digest;
use crate::error::Fail;

/// Reads the SQL files `pipeline.toml` names; paths are relative to `root`.
pub fn gather(root: &Path, database: &config::Database) -> anyhow::Result<Files> {
    let mut migrations = Vec::new();
    for (name, path) in list(root, database)? {
        migrations.push(SqlFile {
            name,
            ..read(root, &path)?
        });
    }
    let optional = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| read(root, &root.join(path)))
            .transpose()
    };
    Ok(Files {
        baseline: optional(&database.schema)?,
        migrations,
        seed: optional(&database.seed)?,
        history: BTreeSet::new(),
        table: database.layout.table.clone(),
    })
}

/// The migrations of a database in the order they are applied: name and path. A folder in which nothing matches although SQL
/// lies below it is refused: its schema would never ship.
pub fn list(root: &Path, database: &config::Database) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let folder = root.join(&database.migrations);
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut folders = vec![(folder.clone(), 0)];
    while let Some((inner, depth)) = folders.pop() {
        let failed = || format!("failed to read {}", inner.display());
        for entry in std::fs::read_dir(&inner).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            if path.is_dir() {
                // One deeper than the pattern, to notice a layout it does not cover.
                if database.layout.depth().is_none_or(|limit| depth <= limit) {
                    folders.push((path, depth + 1));
                }
                continue;
            }
            // A baseline or a seed may lie in the folder of the migrations without being one.
            let mut named = [&database.schema, &database.seed].into_iter().flatten();
            if named.any(|other| root.join(other) == path) {
                continue;
            }
            let name = layout::name_below(&folder, &path);
            match database.layout.matches(&name) {
                true => found.push((name, path)),
                false if name.ends_with(".sql") => others.push(name),
                false => {}
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| compare(a, b));
    others.sort();
    match found.is_empty() && !others.is_empty() {
        true => Err(unmatched(database, &others).into()),
        false => Ok(found),
    }
}

/// `others` are SQL files below the folder; the pattern that most of them have is proposed.
fn unmatched(database: &config::Database, others: &[String]) -> Fail {
    let pattern_of = |name: &String| {
        let mut parts: Vec<&str> = name.split('/').map(|_| "*").collect();
        let last = name.rsplit('/').next().unwrap_or_default();
        parts.pop();
        parts.push(if last == "migration.sql" {
            last
        } else {
            "*.sql"
        });
        parts.join("/")
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in others {
        *counts.entry(pattern_of(name)).or_default() += 1;
    }
    let likeliest = counts.into_iter().max_by_key(|(_, count)| *count);
    let (likeliest, _) = likeliest.unwrap_or_default();
    let example = others.iter().find(|name| pattern_of(name) == likeliest);
    let pattern = &database.layout.pattern;
    Fail::setup(format!("no migration of `{}` matches `{pattern}`", database.name))
        .why(format!(
            "`.sql` files below the folder are never applied, such as `{}`",
            example.map_or("", String::as_str)
        ))
        .fix(format!(
            "add migrations_pattern = \"<migrations_dir>/{likeliest}\" to the D1 binding in the wrangler config"
        ))
}

fn read(root: &Path, path: &Path) -> anyhow::Result<SqlFile> {
    let raw = std::fs::read_to_string(path).map_err(|error| {
        Fail::setup(format!("{} cannot be read", path.display()))
            .why(error.to_string())
            .fix("make it a UTF-8 text file, or correct its path in pipeline.toml")
    })?;
    let sql = raw.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(SqlFile {
        hash: digest::text(&sql),
        path: path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string(),
        name,
        sql,
    })
}

/// The order of migrations, as wrangler has it: folder by folder, by number, names without one last, then by name.
pub fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let parts = |name: &'_ str| -> Vec<(bool, u64, String)> {
        let part = |part: &str| {
            let number = number(part);
            (number.is_none(), number.unwrap_or(0), part.to_owned())
        };
        name.split('/').map(part).collect()
    };
    parts(a).cmp(&parts(b))
}
