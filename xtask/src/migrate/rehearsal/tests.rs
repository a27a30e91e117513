//! Statements as they are read, and rows as they are followed.

use expect_test::{Expect, expect};

use super::cascade::{self, Live};
use super::schema::{Schema, column};
use super::statement::{Kind, parse};
use crate::tools::d1_copy::{Column, Key};

#[track_caller]
fn check(statements: &[&str], expected: Expect) {
    let lines = statements.iter().map(|sql| {
        let parsed = parse(sql);
        let what = match parsed.kind {
            Kind::Insert {
                into,
                replaces,
                from,
            } => {
                let way = if replaces { "replaces" } else { "inserts" };
                match from {
                    None => format!("{way} into {into}"),
                    Some(from) => format!(
                        "{way} into {into} from {:?}, leaving out: {:?}",
                        from.tables, from.leaves_out
                    ),
                }
            }
            Kind::CreateAs { table, from } => {
                format!(
                    "{table} from {:?}, leaving out: {:?}",
                    from.tables, from.leaves_out
                )
            }
            other => format!("{other:?}"),
        };
        format!("{}: {what}", parsed.head)
    });
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn where_rows_come_from_is_read_past_names_quotes_and_subqueries() {
    check(
        &[
            "INSERT INTO main.\"new users\" (id, x) SELECT id, (SELECT max(y) FROM t WHERE t.u = users.id) FROM users",
            "/* c */ insert or ignore into a select * from b -- where\n;",
            "INSERT INTO a SELECT * FROM b WHERE true ON CONFLICT (id) DO UPDATE SET x = 1",
            "INSERT INTO a SELECT * FROM b WHERE x > 1",
            "INSERT INTO a SELECT count(DISTINCT x) FROM b LEFT JOIN c ON b.id = c.id",
            "INSERT INTO a SELECT DISTINCT x FROM b",
            "INSERT INTO a SELECT x FROM b, c",
            "INSERT INTO a SELECT x FROM (SELECT x FROM b WHERE y)",
            "INSERT INTO a SELECT x FROM b UNION ALL SELECT x FROM [c d]",
            "WITH q AS (SELECT 1) INSERT INTO a SELECT x FROM b JOIN q",
            "REPLACE INTO a VALUES ((SELECT 1))",
            "INSERT OR REPLACE INTO a DEFAULT VALUES",
            "CREATE TABLE IF NOT EXISTS a AS SELECT * FROM b LIMIT 5",
            "CREATE TABLE a (x DEFAULT (1))",
        ],
        expect![[r#"
            INSERT INTO new users: inserts into new users from ["t", "users"], leaving out: None
            INSERT INTO a: inserts into a from ["b"], leaving out: Some("OR IGNORE")
            INSERT INTO a: inserts into a from ["b"], leaving out: None
            INSERT INTO a: inserts into a from ["b"], leaving out: Some("WHERE")
            INSERT INTO a: inserts into a from ["b", "c"], leaving out: None
            INSERT INTO a: inserts into a from ["b"], leaving out: Some("DISTINCT")
            INSERT INTO a: inserts into a from ["b", "c"], leaving out: Some("a join")
            INSERT INTO a: inserts into a from ["b"], leaving out: Some("WHERE")
            INSERT INTO a: inserts into a from ["b", "c d"], leaving out: None
            INSERT INTO a: inserts into a from ["b", "q"], leaving out: Some("JOIN")
            REPLACE INTO a: replaces into a
            REPLACE INTO a: replaces into a
            CREATE TABLE a: a from ["b"], leaving out: Some("LIMIT")
            CREATE TABLE a: Other"#]],
    );
}

#[test]
fn what_a_statement_changes_is_read() {
    check(
        &[
            "DELETE FROM a",
            "delete from main.a where 1",
            "DELETE FROM a WHERE x IN (SELECT x FROM b)",
            "WITH q AS (SELECT id FROM b WHERE y) DELETE FROM a WHERE id IN q",
            "UPDATE a SET x = y + z, (b, c) = (SELECT d, e FROM f)",
            "UPDATE OR IGNORE main.a SET \"x\" = 1 WHERE y = 2",
            "DROP TABLE IF EXISTS `a`",
            "DROP TRIGGER t",
            "PRAGMA defer_foreign_keys = on",
            "PRAGMA defer_foreign_keys=1",
            "PRAGMA defer_foreign_keys(true)",
            "SELECT 'DROP TABLE a'",
            "ALTER TABLE users ADD COLUMN a b c d e f",
        ],
        expect![[r#"
            DELETE FROM a: Delete { table: "a", all: true }
            DELETE FROM a: Delete { table: "a", all: true }
            DELETE FROM a: Delete { table: "a", all: false }
            DELETE FROM a: Delete { table: "a", all: false }
            UPDATE a: Update { table: "a", all: true, columns: ["x", "b", "c"], reads: {"d", "e", "f", "from", "select", "y", "z"} }
            UPDATE a: Update { table: "a", all: false, columns: ["x"], reads: {} }
            DROP TABLE a: DropTable { table: "a" }
            DROP TRIGGER t: DropOther { what: "trigger t" }
            PRAGMA defer_foreign_keys: Pragma { name: "defer_foreign_keys", value: "on" }
            PRAGMA defer_foreign_keys: Pragma { name: "defer_foreign_keys", value: "1" }
            PRAGMA defer_foreign_keys: Pragma { name: "defer_foreign_keys", value: "true" }
            SELECT: Other
            ALTER TABLE users ADD COLUMN a b: Other"#]],
    );
}

/// `child(column) -> parent(column) ACTION`, one per line; every table has the columns that are named.
fn schema(references: &[&str]) -> Schema {
    let mut schema = Schema::default();
    let mut table = |name: &str, columns: &[&str]| {
        let table = schema.tables.entry(name.to_owned()).or_default();
        for name in columns {
            if column(table, name).is_none() {
                let name = (*name).to_owned();
                table.columns.push(Column {
                    name,
                    ..Column::default()
                });
            }
        }
    };
    let split = |side: &str| {
        let (name, columns) = side.trim_end_matches(')').split_once('(').expect("a (");
        let columns: Vec<String> = columns.split(", ").map(str::to_owned).collect();
        (name.to_owned(), columns)
    };
    let mut keys = Vec::new();
    for (id, reference) in (0..).zip(references) {
        let (child, rest) = reference.split_once(" -> ").expect("an arrow");
        let (parent, action) = rest.split_once(") ").expect("an action");
        let ((child, from), (parent, to)) = (split(child), split(parent));
        table(&child, &from.iter().map(String::as_str).collect::<Vec<_>>());
        table(&parent, &to.iter().map(String::as_str).collect::<Vec<_>>());
        for (from, to) in from.into_iter().zip(to) {
            let key = Key {
                id,
                parent: parent.clone(),
                from,
                to: Some(to),
                on_delete: action.to_owned(),
            };
            keys.push((child.clone(), key));
        }
    }
    for (child, key) in keys {
        schema.tables.entry(child).or_default().keys.push(key);
    }
    schema
}

#[test]
fn rows_that_go_along_are_counted_through_every_reference() {
    let schema = schema(&[
        "orders(user) -> users(id) CASCADE",
        "lines(order) -> orders(id) CASCADE",
        "parts(a, b) -> lines(a, b) CASCADE",
        "notes(order) -> orders(id) SET NULL",
        "notes(user) -> users(id) CASCADE",
        "audit(line) -> lines(id) NO ACTION",
        "orders(parent) -> orders(id) CASCADE",
        "users(boss) -> users(id) CASCADE",
        "visits(user) -> users(id) SET DEFAULT",
        "elsewhere(x) -> other(id) CASCADE",
        "new(user) -> users(id) CASCADE",
    ]);
    let live = |name: &str| {
        let (name, table) = schema.table(name).filter(|(name, _)| *name != "new")?;
        let columns = table
            .columns
            .iter()
            .map(|one| (one.name.clone(), one.name.clone()));
        Some(Live {
            table: name.to_owned(),
            columns: columns.collect(),
        })
    };
    let doomed = cascade::doomed(&schema, "users", &live);
    let lines = doomed.iter().map(|doom| {
        let which = doom
            .live
            .as_ref()
            .map_or("nobody knows which", |(_, which)| which);
        format!("{} {}: {which}", doom.child, doom.on_delete.word())
    });
    expect![[r#"
        new ON DELETE CASCADE: nobody knows which
        notes ON DELETE CASCADE: ("user" IS NOT NULL)
        orders ON DELETE CASCADE: ("user" IS NOT NULL) OR "parent" IN (SELECT "id" FROM "orders" WHERE ("user" IS NOT NULL))
        visits ON DELETE SET DEFAULT: ("user" IS NOT NULL)
        lines ON DELETE CASCADE: "order" IN (SELECT "id" FROM "orders" WHERE ("user" IS NOT NULL))
        audit no ON DELETE action: "line" IN (SELECT "id" FROM "lines" WHERE "order" IN (SELECT "id" FROM "orders" WHERE ("user" IS NOT NULL)))
        parts ON DELETE CASCADE: ("a", "b") IN (SELECT "a", "b" FROM "lines" WHERE "order" IN (SELECT "id" FROM "orders" WHERE ("user" IS NOT NULL)))"#]].assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}
