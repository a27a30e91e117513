//! One database has one name, and one folder, pattern and table of migrations: in every config, and in `pipeline.toml`.

use std::collections::HashMap;
use std::path::Path;

use super::Worker;
use crate::config::{D1, Database, Place, Problems};

/// Compares what each config that binds the database has.
pub(super) fn check(database: &Database, workers: &[Worker], problems: &mut Problems) {
    for worker in workers {
        let name = Some(database.name.as_str());
        let bindings = worker.config.bindings.d1.iter();
        for d1 in bindings.filter(|d1| d1.database_name.as_deref() == name) {
            check_one(database, worker, d1, problems);
        }
    }
}

fn check_one(database: &Database, worker: &Worker, d1: &D1, problems: &mut Problems) {
    let said = d1.layout(&worker.config_path);
    let first = database.layout.from.as_ref().map(|(path, place)| {
        let path = problems.relative(path);
        format!("{}:{}:{}", path.display(), place.line, place.col)
    });
    let pairs = [
        (
            "migrations_pattern",
            d1.migrations_pattern.is_some(),
            &said.pattern,
            &database.layout.pattern,
        ),
        (
            "migrations_table",
            d1.migrations_table.is_some(),
            &said.table,
            &database.layout.table,
        ),
    ];
    for (key, is_said, value, known) in pairs {
        if is_said && value != known {
            let message = format!(
                "`{key}` of `{}` is `{value}` here and `{known}` in {}",
                database.name,
                first.as_deref().unwrap_or_default()
            );
            let fix =
                "use the same value in both: the database has one set of migrations".to_owned();
            problems.error_with_fix(&worker.config_path, d1.at, message, fix);
        }
    }
    if d1.migrations_pattern.is_none() {
        return;
    }
    let dir = d1.migrations_dir.as_deref().unwrap_or_default();
    let folder = std::path::absolute(worker.dir.join(dir)).ok();
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if folder.is_some_and(|folder| real(&folder) != real(&database.migrations)) {
        let message = format!(
            "`migrations_dir` of `{}` is `{dir}`, but `migrations` in pipeline.toml is another folder: `migrations_pattern` counts from one of them",
            database.name
        );
        let fix = "name the same folder in both".to_owned();
        problems.error_with_fix(&worker.config_path, d1.at, message, fix);
    }
}

/// A database under two names: by one of them it would be migrated, by the other not be found.
pub(super) fn check_names(workers: &[Worker], problems: &mut Problems) {
    let mut first: HashMap<&str, (&str, &Worker, Place)> = HashMap::new();
    for worker in workers {
        for d1 in &worker.config.bindings.d1 {
            let (Some(id), Some(name)) = (&d1.database_id, &d1.database_name) else {
                continue;
            };
            let (known, other, at) = *first.entry(id).or_insert((name, worker, d1.at));
            if known == name {
                continue;
            }
            let path = problems.relative(&other.config_path);
            let message = format!(
                "the database with this `database_id` is called `{name}` here and `{known}` in {}:{}:{}",
                path.display(),
                at.line,
                at.col
            );
            let fix = "use the name that `wrangler d1 list` shows in both";
            problems.error_with_fix(&worker.config_path, d1.at, message, fix);
        }
    }
}
