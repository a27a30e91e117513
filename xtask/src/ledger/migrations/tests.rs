//! Ledgers against folders of migration files.

use super::*;
use crate::digest;
use expect_test::{Expect, expect};

fn file(name: &str, sql: &str) -> SqlFile {
    SqlFile {
        name: name.into(),
        path: format!("migrations/{name}"),
        sql: sql.into(),
        hash: digest::text(sql),
    }
}

fn ledger(applied: &[(&str, &str)]) -> Ledger {
    Ledger {
        applied: applied.iter().map(|(name, _)| (*name).to_owned()).collect(),
        hashes: applied
            .iter()
            .map(|(name, sql)| ((*name).to_owned(), digest::text(sql)))
            .collect(),
        releases: BTreeMap::new(),
        has_tables: !applied.is_empty(),
        has_ledger: true,
    }
}

#[track_caller]
fn check(migrations: &[(&str, &str)], applied: &[(&str, &str)], expect: Expect) {
    let files = Files {
        baseline: Some(file("schema.sql", "CREATE TABLE a (x);")),
        migrations: migrations
            .iter()
            .map(|(name, sql)| file(name, sql))
            .collect(),
        seed: Some(file("seed.sql", "INSERT INTO a VALUES (1)")),
        history: BTreeSet::new(),
        table: "d1_migrations".to_owned(),
    };
    let text = match pending(&files, &ledger(applied), "r1", SystemTime::UNIX_EPOCH) {
        Ok(todo) => todo
            .iter()
            .map(|apply| format!("{} {}", apply.kind, apply.name))
            .collect::<Vec<_>>()
            .join("\n"),
        Err(fail) => fail.to_string(),
    };
    expect.assert_eq(&text);
}

#[test]
fn a_fresh_database_gets_baseline_migrations_and_seed_in_order() {
    check(
        &[("0001_a.sql", "1"), ("0010_b.sql", "2")],
        &[],
        expect![[r#"
        baseline schema.sql
        migration 0001_a.sql
        migration 0010_b.sql
        seed seed.sql"#]],
    );
}

#[test]
fn only_what_is_new_is_applied() {
    check(
        &[("0001_a.sql", "1"), ("0002_b.sql", "2")],
        &[
            ("0001_a.sql", "1"),
            ("seed.sql", "INSERT INTO a VALUES (1)"),
        ],
        expect!["migration 0002_b.sql"],
    );
    check(
        &[("0001_a.sql", "1"), ("0002_b.sql", "2")],
        &[("0001_a.sql", "1")],
        expect![[r#"
        migration 0002_b.sql
        seed seed.sql"#]],
    );
}

#[test]
fn what_would_make_ledger_and_schema_disagree_is_refused() {
    check(
        &[("0001_a.sql", "edited")],
        &[("0001_a.sql", "1")],
        expect![[r#"
        the applied migration `0001_a.sql` was edited
          why: its content differs from what the database's ledger says was applied
          fix: restore the file from git history, and put the change into a new migration"#]],
    );
    check(
        &[("0001_a.sql", "1"), ("1-b.sql", "2")],
        &[],
        expect![[r#"
        two migrations have the number 1
          why: `0001_a.sql` and `1-b.sql`: their order would be a guess
          fix: give the newer one the next free number"#]],
    );
    check(
        &[("0001_a.sql", "1"), ("0002_b.sql", "2")],
        &[("0002_b.sql", "2")],
        expect![[r#"
        the new migration `0001_a.sql` is numbered before an applied one
          why: number 2 is already applied: databases would differ in their order
          fix: give it the next free number"#]],
    );
    check(
        &[("seed_data.sql", "1")],
        &[],
        expect![[r#"
        the migration `seed_data.sql` has no number
          why: migrations are applied in the order of the number their name starts with
          fix: rename it to NNNN_name.sql, or move it out of the migrations folder"#]],
    );
}

#[test]
fn a_file_and_its_ledger_rows_are_one_request() {
    let apply = apply(
        "migration",
        &file("0001_it's.sql", "SELECT 1 -- end"),
        &Files {
            table: "d1_migrations".to_owned(),
            ..Files::default()
        },
        "r1",
        "now",
    );
    let request = apply.request("", "");
    assert!(request.starts_with(
        "SELECT 1 -- end\n;\nINSERT INTO \"d1_migrations\" (name) VALUES ('0001_it''s.sql');"
    ));
    assert!(request.contains("INSERT INTO xtask_migrations"));
}

#[test]
fn what_the_ledger_has_is_history_whatever_it_is_called() {
    // Two with one number, and files without one, all applied by wrangler: the next file ships.
    check(
        &[
            ("0009-a.sql", "1"),
            ("0009-b.sql", "2"),
            ("0010_new.sql", "3"),
            ("demo_data.sql", "4"),
        ],
        &[
            ("0009-a.sql", "1"),
            ("0009-b.sql", "2"),
            ("demo_data.sql", "4"),
        ],
        expect![[r#"
            migration 0010_new.sql
            seed seed.sql"#]],
    );
    // A third one with the number is new.
    check(
        &[
            ("0009-a.sql", "1"),
            ("0009-b.sql", "2"),
            ("0009-c.sql", "3"),
        ],
        &[("0009-a.sql", "1"), ("0009-b.sql", "2")],
        expect![[r#"
            two migrations have the number 9
              why: `0009-b.sql` and `0009-c.sql`: their order would be a guess
              fix: give the newer one the next free number"#]],
    );
    // An edit of a file without a number is an edit.
    check(
        &[("demo_data.sql", "edited")],
        &[("demo_data.sql", "4")],
        expect![[r#"
            the applied migration `demo_data.sql` was edited
              why: its content differs from what the database's ledger says was applied
              fix: restore the file from git history, and put the change into a new migration"#]],
    );
}

#[test]
fn a_copy_takes_the_order_of_what_it_copies() {
    let files = Files {
        migrations: vec![file("0001_a.sql", "1"), file("demo_data.sql", "2")],
        ..Files::default()
    };
    let names = |files: &Files| -> Result<Vec<String>, String> {
        let todo = pending(files, &Ledger::default(), "r1", SystemTime::UNIX_EPOCH);
        let todo = todo.map_err(|fail| fail.what)?;
        Ok(todo.into_iter().map(|apply| apply.name).collect())
    };
    assert!(names(&files).is_err());
    let copied = Files {
        history: ["0001_a.sql", "demo_data.sql"].map(str::to_owned).into(),
        ..files
    };
    assert_eq!(
        names(&copied),
        Ok(vec!["0001_a.sql".to_owned(), "demo_data.sql".to_owned()])
    );
}

#[test]
fn a_baseline_in_the_folder_is_no_migration() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        std::fs::create_dir_all(folder.path().join("m")).unwrap();
        std::fs::write(folder.path().join("m").join(name), "SELECT 1").unwrap();
    };
    for name in ["0001_a.sql", "schema.sql", "seed.sql", "b.sql"] {
        write(name);
    }
    let database = crate::config::Database {
        name: "shop".into(),
        id: None,
        migrations: folder.path().join("m"),
        schema: Some(folder.path().join("m/schema.sql")),
        seed: Some(folder.path().join("m/seed.sql")),
        bound_by: Vec::new(),
        layout: crate::config::layout::Layout::default(),
        at: crate::config::source::Place::default(),
    };
    let files = gather(folder.path(), &database).unwrap();
    let names: Vec<&str> = files.migrations.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["0001_a.sql", "b.sql"]);
}

/// The order of wrangler 4.155.0 for the same files.
#[test]
fn a_folder_per_migration_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = folder.path().join("drizzle").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "SELECT 1").unwrap();
    };
    for name in [
        "10_c/migration.sql",
        "9_b/migration.sql",
        "0001_a/migration.sql",
        "0001_a/down.sql",
        "init/migration.sql",
        "meta/_journal.json",
        "meta/deep/1.sql",
    ] {
        write(name);
    }
    let mut database = crate::config::Database {
        name: "shop".into(),
        id: None,
        migrations: folder.path().join("drizzle"),
        schema: None,
        seed: None,
        bound_by: Vec::new(),
        layout: crate::config::layout::Layout::default(),
        at: crate::config::source::Place::default(),
    };
    let refused = gather(folder.path(), &database).unwrap_err();
    expect![[r#"
        no migration of `shop` matches `*.sql`
          why: `.sql` files below the folder are never applied, such as `0001_a/migration.sql`
          fix: add migrations_pattern = "<migrations_dir>/*/migration.sql" to the D1 binding in the wrangler config"#]].assert_eq(&refused.to_string());
    database.layout.pattern = "*/migration.sql".to_owned();
    let files = gather(folder.path(), &database).unwrap();
    let names: Vec<&str> = files.migrations.iter().map(|file| &*file.name).collect();
    assert_eq!(
        names,
        [
            "0001_a/migration.sql",
            "9_b/migration.sql",
            "10_c/migration.sql",
            "init/migration.sql"
        ]
    );
}
