//! The D1 databases the workers are bound to, and the SQL that belongs to them: the folder of migrations wrangler would use,
//! a baseline beside it, rows to begin with.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::{Candidate, Files};
use crate::config::D1;
use crate::config::layout::{Layout, name_below};
use crate::ledger::migrations::number;

/// A database, by its name on Cloudflare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundDatabase {
    /// Its name.
    pub name: String,
    /// The configs bound to it, relative to the root.
    pub bound_by: Vec<PathBuf>,
    /// The folder of its migrations, relative to the root; none when there is none.
    pub migrations: Option<PathBuf>,
    /// How many files are in it.
    pub files: usize,
    /// Other folders that configs name for it: two folders for one database.
    pub others: Vec<PathBuf>,
    /// A baseline beside the migrations.
    pub schema: Option<Schema>,
    /// Rows beside the migrations.
    pub seed: Option<PathBuf>,
}

/// A `schema.sql`, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// The file, relative to the root.
    pub path: PathBuf,
    /// The first table that it and the migrations both make: it is what the migrations amount to, no baseline.
    pub made_twice: Option<String>,
}

/// Finds them, in the order of the workers.
pub(super) fn find(root: &Path, files: &Files, workers: &[Candidate]) -> Vec<FoundDatabase> {
    let mut found: Vec<FoundDatabase> = Vec::new();
    let mut layouts: HashMap<String, Layout> = HashMap::new();
    for worker in workers {
        for d1 in &worker.config.bindings.d1 {
            // Without a name there is nothing to call it by; the check of the configs tells.
            let Some(name) = &d1.database_name else {
                continue;
            };
            let index = found
                .iter()
                .position(|known| known.name == *name)
                .unwrap_or_else(|| {
                    found.push(FoundDatabase {
                        name: name.clone(),
                        bound_by: Vec::new(),
                        migrations: None,
                        files: 0,
                        others: Vec::new(),
                        schema: None,
                        seed: None,
                    });
                    found.len() - 1
                });
            let database = &mut found[index];
            let path = worker.path();
            if !database.bound_by.contains(&path) {
                database.bound_by.push(path);
            }
            let Some(folder) = folder_of(files, &worker.dir, d1) else {
                continue;
            };
            match &database.migrations {
                None => {
                    let layout = d1.layout(&worker.path());
                    database.files = sql_in(files, &folder, &layout).count();
                    database.migrations = Some(folder);
                    layouts.insert(database.name.clone(), layout);
                }
                Some(first) if *first != folder && !database.others.contains(&folder) => {
                    database.others.push(folder)
                }
                Some(_) => {}
            }
        }
    }
    for database in &mut found {
        let Some(folder) = database.migrations.clone() else {
            continue;
        };
        let layout = layouts.remove(&database.name).unwrap_or_default();
        let migrations: Vec<&Path> = sql_in(files, &folder, &layout).collect();
        let beside = |name: &str| {
            let above = folder.parent().unwrap_or(Path::new(""));
            [folder.join(name), above.join(name)]
                .into_iter()
                .find(|path| files.has(path))
        };
        database.seed = beside("seed.sql");
        database.schema = beside("schema.sql").map(|path| Schema {
            made_twice: made_twice(root, &path, &migrations),
            path,
        });
    }
    found
}

/// The folder wrangler takes migrations from, or one of that name further up, where workers share it.
fn folder_of(files: &Files, dir: &Path, d1: &D1) -> Option<PathBuf> {
    let layout = d1.layout(dir);
    if let Some(named) = &d1.migrations_dir {
        let folder = plain(&dir.join(named))?;
        return sql_in(files, &folder, &layout)
            .next()
            .map(|_| folder.clone());
    }
    dir.ancestors()
        .map(|above| above.join("migrations"))
        .find(|folder| sql_in(files, folder, &layout).any(|path| number_of(path).is_some()))
}

fn sql_in<'a>(
    files: &'a Files,
    folder: &'a Path,
    layout: &'a Layout,
) -> impl Iterator<Item = &'a Path> {
    files
        .below(folder)
        .filter(move |path| layout.matches(&name_below(folder, path)))
}

fn number_of(path: &Path) -> Option<u64> {
    number(&path.file_name()?.to_string_lossy())
}

/// The first table that both the baseline and a migration make. A baseline makes what the migrations start from.
fn made_twice(root: &Path, schema: &Path, migrations: &[&Path]) -> Option<String> {
    let read = |path: &Path| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let baseline = tables_made(&read(schema));
    let later: BTreeSet<String> = migrations
        .iter()
        .filter(|path| **path != schema)
        .flat_map(|path| tables_made(&read(path)))
        .collect();
    baseline.into_iter().find(|table| later.contains(table))
}

/// The tables that `CREATE TABLE` names, in lower case.
fn tables_made(sql: &str) -> Vec<String> {
    let without_comments: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let sql = without_comments
        .join(" ")
        .replace('(', " ( ")
        .to_lowercase();
    let mut words = sql.split_whitespace().peekable();
    let mut made = Vec::new();
    while let Some(word) = words.next() {
        if word != "create" || words.peek() != Some(&"table") {
            continue;
        }
        words.next();
        let name = words.find(|word| !matches!(*word, "if" | "not" | "exists"));
        made.extend(name.map(|name| {
            name.trim_matches(['"', '`', '[', ']', '\'', ';'])
                .to_owned()
        }));
    }
    made
}

/// A relative path without `.` and `..`; none when it leaves the repo.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if !plain.pop() => return None,
            Component::ParentDir => {}
            Component::Normal(part) => plain.push(part),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_told_by_their_statements() {
        let sql = "-- CREATE TABLE no (id);\ncreate table if not exists \"Users\"(id);\nCREATE TABLE `posts` (id);\nCREATE INDEX i ON posts (id);";
        assert_eq!(tables_made(sql), ["users", "posts"]);
    }
}
