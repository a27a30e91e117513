//! Follows the rows of every table through one file, statement by statement: where they are copied to, which table has
//! their name in the end, and which statements make them go. The schema of each moment is what the copy showed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::cascade::{self, Count, Doom, Live};
use super::effect::{At, Block};
use super::schema::{OnDelete, Schema, column, same};
use super::statement::{self, Kind, Parsed, Source};
use crate::tools::d1_copy::Statement;

/// Where the rows of a table come from: tables of the live database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Their names there.
    pub(crate) live: BTreeSet<String>,
    /// When it is one of them, row for row: each column's name there.
    pub(crate) columns: Option<BTreeMap<String, String>>,
}

/// By the names that tables have before a file.
pub(crate) type Origins = BTreeMap<String, Origin>;

/// What became of the rows of one table that was there before the file.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// The table's name now, or the last one it had.
    pub(super) name: String,
    /// It is still the same table, altered at most.
    pub(super) unbroken: bool,
    /// The tables that hold its rows, and why some may be missing there.
    pub(super) holders: BTreeMap<String, Option<&'static str>>,
    /// Its columns, and their names now.
    pub(super) columns: Vec<(String, Option<String>)>,
    /// Columns whose values an UPDATE has copied to another one.
    pub(super) carried: BTreeSet<(String, String)>,
}

/// A statement that makes all rows of a table go.
#[derive(Clone, Debug)]
pub(super) struct Emptied {
    pub(super) at: At,
    /// The table that was there before the file, if it is one.
    pub(super) own: Option<String>,
    /// Whether the table itself goes.
    pub(super) dropped: bool,
    /// Only rows that are in the way of others go.
    pub(super) some: bool,
    /// What that does to other tables, each with the table it was before the file.
    pub(super) doomed: Vec<(Option<String>, Doom, Count)>,
}

/// One file under way.
pub(super) struct Follower<'a> {
    pub(super) origins: &'a Origins,
    pub(super) start: Schema,
    pub(super) now: Schema,
    pub(super) rows: BTreeMap<String, Rows>,
    pub(super) emptied: Vec<Emptied>,
    pub(super) blocks: Vec<Block>,
    /// Tables of the start that statements of the file delete from on purpose.
    pub(super) may_shrink: BTreeSet<String>,
    /// Table → the statement that made it.
    pub(super) made: BTreeMap<String, At>,
    /// Table and column → the statement that added it.
    pub(super) added: BTreeMap<(String, String), At>,
    /// Table of the start and column → the ALTER that dropped it.
    pub(super) cut: Vec<(String, String, At)>,
    /// Table of the start and columns that were overwritten in all rows.
    pub(super) overwritten: Vec<(String, Vec<String>, At)>,
    /// Indexes, views and triggers that were dropped by name.
    pub(super) dropped_others: BTreeSet<String>,
    /// `PRAGMA defer_foreign_keys = on`.
    deferred: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(start: &Schema, origins: &'a Origins) -> Follower<'a> {
        let rows = start.tables.iter().map(|(name, table)| {
            let columns = table.columns.iter().map(|one| &one.name);
            let rows = Rows {
                name: name.clone(),
                unbroken: true,
                holders: BTreeMap::from([(name.clone(), None)]),
                columns: columns
                    .map(|name| (name.clone(), Some(name.clone())))
                    .collect(),
                carried: BTreeSet::new(),
            };
            (name.clone(), rows)
        });
        Follower {
            origins,
            rows: rows.collect(),
            start: start.clone(),
            now: start.clone(),
            emptied: Vec::new(),
            blocks: Vec::new(),
            may_shrink: BTreeSet::new(),
            made: BTreeMap::new(),
            added: BTreeMap::new(),
            cut: Vec::new(),
            overwritten: Vec::new(),
            dropped_others: BTreeSet::new(),
            deferred: false,
        }
    }

    /// Takes one statement in.
    pub(super) fn step(&mut self, statement: &Statement) {
        let parsed = statement::parse(&statement.sql);
        let at = At {
            line: statement.line,
            head: parsed.head.clone(),
        };
        self.move_rows(&parsed, &at);
        if let Some(change) = &statement.after {
            self.change(change, &at);
        }
        // The table is there only now.
        if let Kind::CreateAs { table, from } = &parsed.kind {
            self.copy(from, table);
        }
    }

    fn move_rows(&mut self, parsed: &Parsed, at: &At) {
        match &parsed.kind {
            Kind::DropTable { table } => self.empty(table, at, true, false),
            Kind::Delete { table, all: true } => self.empty(table, at, false, false),
            Kind::Delete { table, all: false } => self.shrink(table),
            Kind::Insert {
                into,
                replaces,
                from,
            } => {
                if *replaces {
                    self.empty(into, at, false, true);
                }
                self.shrink_by_triggers(into);
                if let Some(from) = from {
                    self.copy(from, into);
                }
            }
            Kind::Update {
                table,
                all,
                columns,
                reads,
            } => {
                self.shrink_by_triggers(table);
                if *all {
                    self.overwrite(table, columns, reads, at);
                }
            }
            Kind::Pragma { name, value } if name == "defer_foreign_keys" => {
                self.deferred = ["on", "1", "true", "yes"].contains(&value.as_str());
            }
            Kind::DropOther { what } => drop(self.dropped_others.insert(what.to_ascii_lowercase())),
            Kind::CreateAs { .. } | Kind::Pragma { .. } | Kind::Other => {}
        }
    }

    /// The table that was there before the file and has this name now.
    pub(super) fn own(&self, table: &str) -> Option<String> {
        let mut rows = self.rows.iter();
        let found = rows.find(|(_, rows)| rows.unbroken && same(&rows.name, table));
        found.map(|(start, _)| start.clone())
    }

    /// Tables of the start whose rows this table holds.
    fn held(&self, table: &str) -> Vec<String> {
        let holds = |rows: &Rows| rows.holders.keys().any(|name| same(name, table));
        let held = self.rows.iter().filter(|(_, rows)| holds(rows));
        held.map(|(start, _)| start.clone()).collect()
    }

    /// A table of this moment that is one of the live database, row for row.
    fn live(&self, table: &str) -> Option<Live> {
        let start = self.own(table)?;
        let rows = &self.rows[&start];
        let origin = self.origins.get(&start)?;
        // A table that was emptied has none of them left.
        let known = origin
            .columns
            .as_ref()
            .filter(|_| rows.holders.contains_key(&rows.name))?;
        let columns = rows.columns.iter().filter_map(|(start, now)| {
            let live = known.get(start)?;
            Some((now.clone()?, live.clone()))
        });
        Some(Live {
            table: origin.live.first()?.clone(),
            columns: columns.collect(),
        })
    }

    /// All rows that a table of the start has in the live database.
    pub(super) fn count_of(&self, start: &str) -> Count {
        let origin = self.origins.get(start);
        Count::rows(origin.iter().flat_map(|origin| &origin.live))
    }

    fn count_of_doomed(&self, doom: &Doom) -> Count {
        if let Some((table, condition)) = &doom.live {
            return Count::some(table, condition);
        }
        let held = self.held(&doom.child);
        let live = held.iter().filter_map(|start| self.origins.get(start));
        let tables: BTreeSet<&String> = live.flat_map(|origin| &origin.live).collect();
        Count {
            at_most: true,
            ..Count::rows(tables)
        }
    }

    /// All rows of a table go, or (`some`) those in the way of others.
    fn empty(&mut self, table: &str, at: &At, dropped: bool, some: bool) {
        let Some((table, _)) = self.now.table(table) else {
            return;
        };
        let table = table.to_owned();
        let mut doomed = Vec::new();
        for doom in cascade::doomed(&self.now, &table, &|name| self.live(name)) {
            let mut count = self.count_of_doomed(&doom);
            count.at_most |= some;
            let own = self.own(&doom.child);
            if let Some(block) = self.block(&doom, &count, at, some) {
                self.blocks.push(block);
            } else if doom.on_delete != OnDelete::Refuse {
                doomed.push((own, doom, count));
            }
        }
        let going = doomed
            .iter()
            .filter(|(_, doom, _)| doom.on_delete == OnDelete::Cascade);
        let mut going: Vec<String> = going.map(|(_, doom, _)| doom.child.clone()).collect();
        going.push(table.clone());
        let own = self.own(&table);
        if !some {
            for rows in self.rows.values_mut() {
                rows.holders
                    .retain(|name, _| !going.iter().any(|gone| same(gone, name)));
            }
            // A child without rows refers to nobody any more.
            let blocks = self.blocks.iter_mut();
            for block in blocks.filter(|block| block.at != *at) {
                let child = block.until.as_ref().map(|(_, child)| child);
                if child.is_some_and(|child| going.iter().any(|gone| same(gone, child))) {
                    block.count = Count::default();
                }
            }
        }
        self.emptied.push(Emptied {
            at: at.clone(),
            own,
            dropped,
            some,
            doomed,
        });
    }

    /// Rows that refer to ones which have to stay, or whose column cannot become NULL.
    fn block(&self, doom: &Doom, count: &Count, at: &At, some: bool) -> Option<Block> {
        if some {
            return None;
        }
        let child = &doom.child;
        let why = match doom.on_delete {
            OnDelete::Refuse if self.deferred || doom.deferred => format!(
                "rows of {child} would refer to nothing when the file ends (a table renamed to {} does not count, \
                 rows inserted into one made under that name do)",
                doom.parent
            ),
            OnDelete::Refuse => format!("rows of {child} refer to it, with no ON DELETE action"),
            OnDelete::SetNull => {
                let (_, table) = self.now.table(child)?;
                let must = |name: &&String| column(table, name).is_some_and(|one| one.not_null);
                let name = doom.columns.iter().find(must)?;
                format!("rows of {child} would get NULL as {name}, which is NOT NULL")
            }
            _ => return None,
        };
        let waits = doom.on_delete == OnDelete::Refuse && (self.deferred || doom.deferred);
        Some(Block {
            at: at.clone(),
            why,
            count: count.clone(),
            until: waits.then(|| (doom.parent.clone(), child.clone())),
        })
    }

    /// Rows of a table and of its children may go, and somebody wants it so.
    fn shrink(&mut self, table: &str) {
        let doomed = cascade::doomed(&self.now, table, &|name| self.live(name));
        let going = doomed
            .iter()
            .filter(|doom| doom.on_delete == OnDelete::Cascade);
        let mut going: Vec<String> = going.map(|doom| doom.child.clone()).collect();
        going.push(table.to_owned());
        for name in &going {
            let held = self.held(name);
            self.may_shrink.extend(held);
            self.shrink_by_triggers(name);
        }
    }

    /// A trigger may delete from every table that it names.
    fn shrink_by_triggers(&mut self, table: &str) {
        let mut named = BTreeSet::new();
        for sql in self.now.triggers_of(table) {
            let words = super::tokens::tokens(sql);
            let tables = words.iter().filter_map(|word| self.now.table(word.name()?));
            named.extend(tables.map(|(name, _)| name.to_owned()));
        }
        for name in named.iter().filter(|name| !same(name, table)) {
            let held = self.held(name);
            self.may_shrink.extend(held);
        }
    }

    /// The rows of some tables are copied into another.
    fn copy(&mut self, from: &Source, into: &str) {
        let Some((into, _)) = self.now.table(into) else {
            return;
        };
        let into = into.to_owned();
        for rows in self.rows.values_mut() {
            let read = rows
                .holders
                .iter()
                .find(|(name, _)| from.tables.iter().any(|one| same(one, name)));
            let Some((_, &missing)) = read else {
                continue;
            };
            let missing = missing.or(from.leaves_out);
            // Rows that are there already are not lost by copying fewer.
            let known = rows.holders.entry(into.clone()).or_insert(missing);
            if missing.is_none() {
                *known = None;
            }
        }
        for block in &mut self.blocks {
            if block
                .until
                .as_ref()
                .is_some_and(|(parent, _)| same(parent, &into))
            {
                block.count = Count::default();
            }
        }
    }

    fn overwrite(&mut self, table: &str, columns: &[String], reads: &BTreeSet<String>, at: &At) {
        let Some(start) = self.own(table) else {
            return;
        };
        let Some(rows) = self.rows.get_mut(&start) else {
            return;
        };
        let mut old = Vec::new();
        for name in columns {
            for read in reads {
                rows.carried
                    .insert((read.clone(), name.to_ascii_lowercase()));
            }
            let known = rows
                .columns
                .iter()
                .find(|(_, now)| now.as_ref().is_some_and(|now| same(now, name)));
            old.extend(known.map(|(start, _)| start.clone()));
        }
        if !old.is_empty() {
            self.overwritten.push((start, old, at.clone()));
        }
    }

    /// True when the table has rows of the live database.
    pub(super) fn is_live(&self, start: &str) -> bool {
        let origin = self.origins.get(start);
        origin.is_some_and(|origin| !origin.live.is_empty())
    }
}
