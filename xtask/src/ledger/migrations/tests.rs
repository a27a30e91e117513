//! Ledgers against folders of migration files.

use super::*;
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
        expect![[r#"
        the applied migration `seed.sql` is missing
          why: the database has it, the repo does not: this checkout is too old, or the file was deleted
          fix: git pull   (or restore the file from git history)"#]],
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
        "r1",
        "now",
    );
    let request = apply.request("", "");
    assert!(request.starts_with(
        "SELECT 1 -- end\n;\nINSERT INTO \"d1_migrations\" (name) VALUES ('0001_it''s.sql');"
    ));
    assert!(request.contains("INSERT INTO xtask_migrations"));
}
