//! The schema of a database as values: what the copy tells, and the questions the rest asks of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::tools::d1_copy::{Change, Column, Other, Table};

/// All tables, and what belongs to them. SQLite's names do not mind upper and lower case; every look-up here does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Schema {
    /// By name.
    pub(crate) tables: BTreeMap<String, Table>,
    /// `index NAME`, `view NAME`, `trigger NAME`.
    pub(crate) others: BTreeMap<String, Other>,
}

/// One foreign key that refers to a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    /// The table that refers.
    pub(crate) child: String,
    /// The columns that refer, and the ones referred to.
    pub(crate) columns: Vec<(String, String)>,
    /// What happens to the rows when the row referred to goes.
    pub(crate) on_delete: OnDelete,
    /// Checked at the end of the transaction only.
    pub(crate) deferred: bool,
}

/// `ON DELETE …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OnDelete {
    Cascade,
    SetNull,
    SetDefault,
    /// `RESTRICT` and no action at all: the row referred to has to stay.
    Refuse,
}

impl Schema {
    /// The schema a change makes of this one.
    pub(crate) fn apply(&mut self, change: &Change) {
        for (name, table) in &change.tables {
            match table {
                Some(table) => self.tables.insert(name.clone(), table.clone()),
                None => self.tables.remove(name),
            };
        }
        for (name, other) in &change.others {
            match other {
                Some(other) => self.others.insert(name.clone(), other.clone()),
                None => self.others.remove(name),
            };
        }
    }

    /// A table, with its name as it is written.
    pub(crate) fn table(&self, name: &str) -> Option<(&str, &Table)> {
        let found = self.tables.get_key_value(name);
        let found = found.or_else(|| self.tables.iter().find(|(own, _)| same(own, name)));
        found.map(|(name, table)| (name.as_str(), table))
    }

    /// The foreign keys that refer to a table.
    pub(crate) fn references_to(&self, parent: &str) -> Vec<Reference> {
        let mut references = Vec::new();
        for (child, table) in &self.tables {
            let ids: BTreeSet<u32> = table.keys.iter().map(|key| key.id).collect();
            for id in ids {
                let parts: Vec<_> = table.keys.iter().filter(|key| key.id == id).collect();
                if !same(&parts[0].parent, parent) {
                    continue;
                }
                let primary = self.primary_key(parent);
                let columns = parts.iter().enumerate().map(|(at, key)| {
                    let to = key.to.clone().or_else(|| primary.get(at).cloned());
                    (key.from.clone(), to.unwrap_or_else(|| "rowid".to_owned()))
                });
                references.push(Reference {
                    child: child.clone(),
                    columns: columns.collect(),
                    on_delete: match parts[0].on_delete.as_str() {
                        "CASCADE" => OnDelete::Cascade,
                        "SET NULL" => OnDelete::SetNull,
                        "SET DEFAULT" => OnDelete::SetDefault,
                        _ => OnDelete::Refuse,
                    },
                    deferred: table
                        .sql
                        .to_ascii_uppercase()
                        .contains("INITIALLY DEFERRED"),
                });
            }
        }
        references
    }

    fn primary_key(&self, table: &str) -> Vec<String> {
        let Some((_, table)) = self.table(table) else {
            return Vec::new();
        };
        let mut columns: Vec<&Column> = table.columns.iter().filter(|one| one.pk > 0).collect();
        columns.sort_by_key(|column| column.pk);
        columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The triggers of a table, as they were made.
    pub(crate) fn triggers_of(&self, table: &str) -> impl Iterator<Item = &str> {
        self.others.iter().filter_map(move |(name, other)| {
            let fires = name.starts_with("trigger ") && same(&other.table, table);
            other.sql.as_deref().filter(|_| fires)
        })
    }
}

impl OnDelete {
    /// As SQL says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            OnDelete::Cascade => "ON DELETE CASCADE",
            OnDelete::SetNull => "ON DELETE SET NULL",
            OnDelete::SetDefault => "ON DELETE SET DEFAULT",
            OnDelete::Refuse => "no ON DELETE action",
        }
    }
}

/// A column of a table.
pub(crate) fn column<'a>(table: &'a Table, name: &str) -> Option<&'a Column> {
    table.columns.iter().find(|column| same(&column.name, name))
}

/// Whether two names are one to SQLite.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// A name as SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What SQLite makes of a declared type: what it turns values into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that looks like a number becomes one: `007` becomes 7.
    Number,
    /// Values stay as they are.
    Any,
}

/// The affinity of a declared type, by SQLite's own rules.
pub(crate) fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["INT"]) {
        Affinity::Number
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if declared.is_empty() || has(&["BLOB", "ANY"]) {
        Affinity::Any
    } else {
        Affinity::Number
    }
}
