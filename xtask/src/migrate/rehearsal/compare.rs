//! In what a live schema differs from the one that files make. Pure.

use std::collections::BTreeSet;

use super::schema::{Schema, column};
use super::tokens::tokens;
use crate::ledger::is_own_table;
use crate::tools::d1_copy::{Column, Table};

/// One line for each difference; none when the files make what is live.
/// `ledger` is the table of applied migrations, which no file makes.
pub(crate) fn differences(live: &Schema, made: &Schema, ledger: &str) -> Vec<String> {
    let is_own = |table: &str| is_own_table(table, ledger);
    let mut found = Vec::new();
    let alone = made.tables.keys().filter(|name| live.table(name).is_none());
    let names: BTreeSet<&String> = live.tables.keys().chain(alone).collect();
    for name in names.into_iter().filter(|name| !is_own(name)) {
        match (live.table(name), made.table(name)) {
            (None, _) => found.push(format!("the table {name} is missing")),
            (_, None) => found.push(format!("the table {name} is made by no file")),
            (Some((_, live)), Some((_, made))) => table(name, live, made, &mut found),
        }
    }
    let whats: BTreeSet<&String> = live.others.keys().chain(made.others.keys()).collect();
    for what in whats {
        let text = |schema: &Schema| {
            let other = schema.others.get(what)?;
            other.sql.clone().filter(|_| !is_own(&other.table))
        };
        match (text(live), text(made)) {
            (None, Some(_)) => found.push(format!("the {what} is missing")),
            (Some(_), None) => found.push(format!("the {what} is made by no file")),
            (Some(live), Some(made)) if words(&live) != words(&made) => {
                found.push(format!("the {what} is another one"));
            }
            _ => {}
        }
    }
    found
}

fn table(name: &str, live: &Table, made: &Table, found: &mut Vec<String>) {
    for wanted in &made.columns {
        match column(live, &wanted.name) {
            None => found.push(format!("the column {name}.{} is missing", wanted.name)),
            Some(is) if shape(is) != shape(wanted) => found.push(format!(
                "the column {name}.{} is `{}`, and `{}` by the files",
                wanted.name,
                shape(is),
                shape(wanted)
            )),
            Some(_) => {}
        }
    }
    let extra = live
        .columns
        .iter()
        .filter(|one| column(made, &one.name).is_none());
    found.extend(extra.map(|one| format!("the column {name}.{} is made by no file", one.name)));
    if keys(live) != keys(made) {
        found.push(format!("the foreign keys of {name} are others"));
    }
}

/// `TEXT NOT NULL DEFAULT 'x'`
fn shape(column: &Column) -> String {
    let mut words = vec![column.declared.to_ascii_uppercase()];
    if column.pk > 0 {
        words.push("PRIMARY KEY".to_owned());
    }
    if column.not_null {
        words.push("NOT NULL".to_owned());
    }
    words.extend(
        column
            .default
            .as_ref()
            .map(|text| format!("DEFAULT {text}")),
    );
    if column.generated {
        words.push("GENERATED".to_owned());
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn keys(table: &Table) -> BTreeSet<[String; 4]> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let key = table.keys.iter().map(|key| {
        let to = key.to.as_deref().unwrap_or_default();
        [
            lower(&key.parent),
            lower(&key.from),
            lower(to),
            key.on_delete.clone(),
        ]
    });
    key.collect()
}

/// A definition without its line breaks, comments and letter case.
fn words(sql: &str) -> Vec<String> {
    let tokens = tokens(sql).into_iter();
    let tokens = tokens.filter(|one| !matches!(one.token, super::tokens::Token::Comment(_)));
    tokens
        .map(|one| format!("{:?}", one.token).to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::d1_copy::Change;
    use expect_test::expect;

    fn schema(text: &str) -> Schema {
        let change: Change = serde_json::from_str(text).expect("a schema");
        let mut schema = Schema::default();
        schema.apply(&change);
        schema
    }

    fn a_table(columns: &str) -> String {
        format!(r#"{{"kind":"table","sql":"","keys":[],"columns":[{columns}]}}"#)
    }

    fn a_column(name: &str, declared: &str) -> String {
        format!(
            r#"{{"name":"{name}","type":"{declared}","not_null":false,"default":null,"pk":0,"generated":false}}"#
        )
    }

    #[test]
    fn every_difference_is_told() {
        let users = |columns: &str| a_table(columns);
        let (id, text) = (a_column("id", "INTEGER"), a_column("zip", "TEXT"));
        let live = schema(&format!(
            r#"{{"tables":{{"users":{},"old":{},"xtask_lease":{}}},"others":{{"index i":{{"table":"users","sql":"CREATE INDEX i\n ON users (id)"}},"view v":{{"table":"v","sql":"CREATE VIEW v AS SELECT 1"}}}}}}"#,
            users(&format!("{id},{text}")),
            users(&id),
            users(&id)
        ));
        let made = schema(&format!(
            r#"{{"tables":{{"Users":{},"tags":{}}},"others":{{"index i":{{"table":"users","sql":"create index i on users (id)"}},"view v":{{"table":"v","sql":"CREATE VIEW v AS SELECT 2"}},"trigger t":{{"table":"users","sql":"…"}}}}}}"#,
            users(&format!(
                "{},{}",
                a_column("id", "TEXT"),
                a_column("name", "")
            )),
            users(&id)
        ));
        expect![[r#"
            the table old is made by no file
            the table tags is missing
            the column users.id is `INTEGER`, and `TEXT` by the files
            the column users.name is missing
            the column users.zip is made by no file
            the trigger t is missing
            the view v is another one"#]]
        .assert_eq(&differences(&live, &made, "d1_migrations").join("\n"));
        assert_eq!(differences(&live, &live, "d1_migrations"), [""; 0]);
    }
}
