//! Takes in what a statement did to the schema, as the copy shows it: tables and columns that come, go, or get another
//! name. Pure.

use super::effect::{At, Block};
use super::follow::Follower;
use super::schema::{column, same};
use crate::tools::d1_copy::{Change, Column, Table};

impl Follower<'_> {
    /// Takes in what a statement did to the schema.
    pub(super) fn change(&mut self, change: &Change, at: &At) {
        let gone: Vec<&String> = change
            .tables
            .iter()
            .filter(|(_, table)| table.is_none())
            .map(|(name, _)| name)
            .collect();
        let come: Vec<(&String, &Table)> = change
            .tables
            .iter()
            .filter_map(|(name, table)| Some((name, table.as_ref()?)))
            .collect();
        let new: Vec<&String> = come
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !self.now.tables.contains_key(*name))
            .collect();
        // No statement but ALTER TABLE … RENAME TO takes one table away and brings another.
        if let ([from], [to]) = (gone.as_slice(), new.as_slice()) {
            self.rename(from, to);
        } else {
            for name in gone {
                for rows in self.rows.values_mut().filter(|rows| same(&rows.name, name)) {
                    rows.unbroken = false;
                }
            }
            for name in new {
                self.made.insert(name.clone(), at.clone());
            }
        }
        for (name, table) in come {
            if let Some(before) = self.now.tables.get(name).cloned() {
                self.alter(name, &before, table, at);
            }
        }
        self.now.apply(change);
    }

    fn rename(&mut self, from: &str, to: &str) {
        for rows in self.rows.values_mut() {
            if rows.unbroken && same(&rows.name, from) {
                rows.name = to.to_owned();
            }
            if let Some(missing) = rows.holders.remove(from) {
                rows.holders.insert(to.to_owned(), missing);
            }
        }
        if let Some(at) = self.made.remove(from) {
            self.made.insert(to.to_owned(), at);
        }
    }

    /// One ALTER TABLE: columns come, go, or change their name, and never two of these.
    fn alter(&mut self, name: &str, before: &Table, after: &Table, at: &At) {
        let Some(start) = self.own(name) else {
            return;
        };
        let gone = |one: &&Column| column(after, &one.name).is_none();
        let new = |one: &&Column| column(before, &one.name).is_none();
        let gone = before.columns.iter().find(gone);
        let new = after.columns.iter().find(new);
        let Some(rows) = self.rows.get_mut(&start) else {
            return;
        };
        if let Some(gone) = gone {
            let known = rows
                .columns
                .iter_mut()
                .find(|(_, now)| now.as_deref() == Some(&*gone.name));
            if let Some((first, now)) = known {
                *now = new.map(|new| new.name.clone());
                if now.is_none() && !gone.generated {
                    self.cut.push((start.clone(), first.clone(), at.clone()));
                }
            }
        }
        if let (None, Some(new)) = (gone, new) {
            self.added
                .insert((name.to_owned(), new.name.clone()), at.clone());
            self.block_added(&start, after, new, at);
        }
    }

    /// What SQLite refuses as soon as the table has rows, which the copy has not.
    fn block_added(&mut self, start: &str, table: &Table, new: &Column, at: &At) {
        let default = new
            .default
            .as_deref()
            .unwrap_or("NULL")
            .to_ascii_uppercase();
        let refers = table.keys.iter().any(|key| same(&key.from, &new.name));
        let why = if new.generated {
            return;
        } else if new.not_null && default == "NULL" {
            "it has rows, and a NOT NULL column without a default cannot be added to them"
        } else if default.starts_with('(') || default.starts_with("CURRENT_") {
            "it has rows, and a column whose default is computed cannot be added to them"
        } else if refers && default != "NULL" {
            "it has rows, and a column that refers to another table can only be added with the default NULL"
        } else {
            return;
        };
        self.blocks.push(Block {
            at: at.clone(),
            why: why.to_owned(),
            count: self.count_of(start),
            until: None,
        });
    }
}
