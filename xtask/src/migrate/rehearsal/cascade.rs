//! What becomes of rows elsewhere when the rows of a table go: `ON DELETE`, followed through the schema of the moment,
//! and the questions to the live database that count them. Pure.

use std::collections::BTreeMap;

use super::schema::{OnDelete, Reference, Schema, quoted, same};

/// How many rows or values something is about: queries to the live database whose numbers add up. None stands for
/// rows that only the pending files themselves have written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Each gives one row with the column `n`.
    pub(crate) queries: Vec<String>,
    /// The true number may be smaller.
    pub(crate) at_most: bool,
}

/// A table of the copy that is, row for row, a table of the live database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// Its name there.
    pub(crate) table: String,
    /// Each column's name there.
    pub(crate) columns: BTreeMap<String, String>,
}

/// What happens to the rows of one table because those of another go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doom {
    /// The table, by its name of the moment.
    pub(crate) child: String,
    /// The table its rows refer to.
    pub(crate) parent: String,
    /// How.
    pub(crate) on_delete: OnDelete,
    /// The columns that refer.
    pub(crate) columns: Vec<String>,
    /// Checked at the end of the transaction only.
    pub(crate) deferred: bool,
    /// Which rows of the live table, as SQL; `None` when only the copy has such a table.
    pub(crate) live: Option<(String, String)>,
}

impl Count {
    /// All rows of live tables.
    pub(crate) fn rows<'a>(tables: impl IntoIterator<Item = &'a String>) -> Count {
        let query = |table: &String| format!("SELECT count(*) AS n FROM {}", quoted(table));
        Count {
            queries: tables.into_iter().map(query).collect(),
            at_most: false,
        }
    }

    /// The rows of a live table that a condition holds for.
    pub(crate) fn some(table: &str, condition: &str) -> Count {
        Count {
            queries: vec![format!(
                "SELECT count(*) AS n FROM {} WHERE {condition}",
                quoted(table)
            )],
            at_most: false,
        }
    }
}

/// Every table that loses rows, or what they refer to, when all rows of `table` go; those nearest to it first.
pub(crate) fn doomed(now: &Schema, table: &str, live: &dyn Fn(&str) -> Option<Live>) -> Vec<Doom> {
    // The tables whose rows go, in the order they are reached, and which of their rows.
    let mut going: Vec<(String, Which)> = vec![(table.to_owned(), Which::All)];
    let mut found: Vec<Doom> = Vec::new();
    let mut at = 0;
    while at < going.len() {
        let parent = going[at].clone();
        at += 1;
        for reference in now.references_to(&parent.0) {
            if same(&reference.child, table) {
                continue;
            }
            let which = which(&reference, &parent, live);
            if reference.on_delete == OnDelete::Cascade {
                match going
                    .iter_mut()
                    .find(|(name, _)| same(name, &reference.child))
                {
                    Some((_, known)) => known.add(&which),
                    None => going.push((reference.child.clone(), which.clone())),
                }
            }
            note(&mut found, reference, &parent.0, &which, live);
        }
    }
    // What is deleted itself needs nobody to refer to.
    let goes = |doom: &Doom| {
        going
            .iter()
            .skip(1)
            .any(|(name, _)| same(name, &doom.child))
    };
    found.retain(|doom| doom.on_delete == OnDelete::Cascade || !goes(doom));
    for doom in &mut found {
        if doom.on_delete == OnDelete::Cascade
            && let Some((_, which)) = going.iter().find(|(name, _)| same(name, &doom.child))
        {
            doom.live = which.live(&doom.child, live);
        }
    }
    found
}

/// Adds what a reference does; two that do the same to one table are one.
fn note(
    found: &mut Vec<Doom>,
    reference: Reference,
    parent: &str,
    which: &Which,
    live: &dyn Fn(&str) -> Option<Live>,
) {
    let columns: Vec<String> = reference
        .columns
        .into_iter()
        .map(|(from, _)| from)
        .collect();
    let twin = found.iter_mut().find(|doom| {
        let alike = same(&doom.child, &reference.child) && doom.on_delete == reference.on_delete;
        alike && (doom.on_delete == OnDelete::Cascade || doom.columns == columns)
    });
    if twin.is_some() {
        return;
    }
    found.push(Doom {
        live: which.live(&reference.child, live),
        child: reference.child,
        parent: parent.to_owned(),
        on_delete: reference.on_delete,
        columns,
        deferred: reference.deferred,
    });
}

/// Which rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    All,
    /// Those a condition on the live table holds for.
    Where(String),
    /// Nobody can tell: the table is not as it is in the live database.
    Unknown,
}

impl Which {
    fn add(&mut self, more: &Which) {
        *self = match (&*self, more) {
            (Which::All, _) => Which::All,
            (Which::Where(one), Which::Where(other)) if one == other => return,
            (Which::Where(one), Which::Where(other)) => Which::Where(format!("{one} OR {other}")),
            _ => Which::Unknown,
        };
    }

    fn live(&self, table: &str, live: &dyn Fn(&str) -> Option<Live>) -> Option<(String, String)> {
        match self {
            Which::Where(condition) => Some((live(table)?.table, condition.clone())),
            Which::All | Which::Unknown => None,
        }
    }
}

/// Which rows of the child refer to rows of the parent that go. Every value refers to one: D1 enforces it.
fn which(
    reference: &Reference,
    (parent, going): &(String, Which),
    live: &dyn Fn(&str) -> Option<Live>,
) -> Which {
    let Some(child) = live(&reference.child) else {
        return Which::Unknown;
    };
    let from: Option<Vec<String>> = reference
        .columns
        .iter()
        .map(|(from, _)| child.columns.get(from).map(|name| quoted(name)))
        .collect();
    let Some(from) = from else {
        return Which::Unknown;
    };
    let Which::Where(condition) = going else {
        let set: Vec<String> = from
            .iter()
            .map(|name| format!("{name} IS NOT NULL"))
            .collect();
        return match going {
            Which::All => Which::Where(format!("({})", set.join(" AND "))),
            _ => Which::Unknown,
        };
    };
    let Some(parent) = live(parent) else {
        return Which::Unknown;
    };
    let to = reference.columns.iter().map(|(_, to)| {
        let name = parent.columns.get(to).map_or("rowid", String::as_str);
        quoted(name)
    });
    let to: Vec<String> = to.collect();
    let left = match from.as_slice() {
        [one] => one.clone(),
        many => format!("({})", many.join(", ")),
    };
    Which::Where(format!(
        "{left} IN (SELECT {} FROM {} WHERE {condition})",
        to.join(", "),
        quoted(&parent.table)
    ))
}
