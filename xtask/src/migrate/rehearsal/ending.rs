//! What a file has done to data once it is at its end: which rows found no table again, which columns are gone or are
//! narrower, and which tables have to have as many rows as before. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::allow::Rule;
use super::cascade::Count;
use super::effect::{At, Block, Child, Effect, Loss};
use super::follow::{Emptied, Follower, Origin, Origins, Rows};
use super::schema::{Affinity, OnDelete, Schema, affinity, column, same};
use crate::tools::d1_copy::{Column, Table};

/// A table whose rows are counted before and after a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Its name before.
    pub(crate) before: String,
    /// Its name after; `None` when it is gone.
    pub(crate) after: Option<String>,
    /// Whether it must not have fewer rows.
    pub(crate) kept: bool,
}

/// Everything one file does.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) effects: Vec<Effect>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) watched: Vec<Watched>,
    /// Indexes and triggers that went with a table and did not come back.
    pub(crate) forgotten: Vec<String>,
    /// The schema it leaves, and where the rows of each table come from.
    pub(crate) schema: Schema,
    pub(crate) origins: Origins,
}

impl Follower<'_> {
    /// Comes to the end of the file.
    pub(crate) fn finish(self) -> Ending {
        let mut effects = Vec::new();
        for emptied in &self.emptied {
            effects.extend(self.effect_of(emptied));
        }
        for (start, columns, at) in &self.overwritten {
            effects.push(Effect {
                at: at.clone(),
                rules: vec![Rule::UpdateAll],
                loss: Loss::Overwritten {
                    table: start.clone(),
                    columns: columns.clone(),
                    count: self.count_of(start),
                },
                live: self.is_live(start),
            });
        }
        for (start, rows) in &self.rows {
            if let Some((name, table)) = self.end_of(start)
                && rows.holders.contains_key(name)
                && self.start.tables[start].kind == "table"
            {
                self.compare(start, name, table, &mut effects);
            }
        }
        effects.sort_by_key(|effect| effect.at.line);
        Ending {
            watched: self.watched(&effects),
            forgotten: self.forgotten(),
            origins: self.next_origins(),
            effects,
            blocks: self.blocks,
            schema: self.now,
        }
    }

    /// The table that stands for one of the start when the file ends.
    fn end_of(&self, start: &str) -> Option<(&str, &Table)> {
        let rows = &self.rows[start];
        if rows.unbroken || self.now.table(start).is_none() {
            return self.now.table(&rows.name);
        }
        self.now.table(start)
    }

    /// The table at the end holds the rows it had at the start.
    fn is_kept(&self, start: &str) -> bool {
        let held = &self.rows[start].holders;
        self.end_of(start)
            .is_some_and(|(name, _)| held.contains_key(name))
    }

    fn effect_of(&self, emptied: &Emptied) -> Option<Effect> {
        let mut rules = Vec::new();
        let own = emptied.own.as_ref().filter(|_| !emptied.some);
        let lost = own.is_some_and(|start| !self.is_kept(start));
        if lost {
            rules.push(if emptied.dropped {
                Rule::DropTable
            } else {
                Rule::DeleteAll
            });
        }
        let mut children = Vec::new();
        let mut live = own.is_some_and(|start| lost && self.is_live(start));
        for (start, doom, count) in &emptied.doomed {
            // Rows that were put back from a copy are as they were.
            let goes = doom.on_delete == OnDelete::Cascade && !emptied.some;
            if goes && start.as_ref().is_none_or(|start| self.is_kept(start)) {
                continue;
            }
            live |= !count.queries.is_empty();
            children.push(Child {
                table: start.as_ref().unwrap_or(&doom.child).clone(),
                on_delete: doom.on_delete,
                columns: doom.columns.clone(),
                count: count.clone(),
            });
        }
        if !children.is_empty() {
            rules.push(Rule::CascadeLoss);
        }
        let kept_in = own.filter(|_| !lost).map(|start| {
            let (name, _) = self
                .end_of(start)
                .unwrap_or((start, &self.start.tables[start]));
            name.to_owned()
        });
        (!rules.is_empty()).then(|| Effect {
            at: emptied.at.clone(),
            rules,
            loss: Loss::Rows {
                own: own.map(|start| self.count_of(start)).unwrap_or_default(),
                kept_in,
                children,
            },
            live,
        })
    }

    /// The columns of a table that still has its rows.
    fn compare(&self, start: &str, name: &str, table: &Table, effects: &mut Vec<Effect>) {
        let rows = &self.rows[start];
        let before = &self.start.tables[start];
        let made = self.made.get(name).cloned().unwrap_or_default();
        let mut push = |at: &At, rule: Rule, loss: Loss| {
            effects.push(Effect {
                at: at.clone(),
                rules: vec![rule],
                loss,
                live: self.is_live(start),
            });
        };
        for (first, now) in &rows.columns {
            let Some(old) = column(before, first).filter(|old| !old.generated) else {
                continue;
            };
            let end = now.as_deref().and_then(|now| column(table, now));
            let end = end.or_else(|| carried(rows, first, table));
            let Some(end) = end else {
                let cut = self
                    .cut
                    .iter()
                    .find(|(of, name, _)| of == start && name == first);
                let at = cut.map_or(&made, |(_, _, at)| at);
                let loss = Loss::Column {
                    table: start.to_owned(),
                    column: first.clone(),
                    count: self.count_of_values(start, first),
                };
                push(at, Rule::DropColumn, loss);
                continue;
            };
            if affinity(&end.declared) == Affinity::Number
                && affinity(&old.declared) != Affinity::Number
            {
                let why = format!("{first} becomes {} (was {})", shown(end), shown(old));
                let loss = Loss::Narrowed {
                    table: start.to_owned(),
                    why,
                    count: self.count_of_values(start, first),
                };
                push(&made, Rule::Narrowing, loss);
            }
        }
        for end in required(table) {
            let known = rows
                .columns
                .iter()
                .find(|(_, now)| now.as_deref() == Some(&*end.name));
            let known = known.and_then(|(first, _)| column(before, first));
            if known.is_some_and(|old| old.not_null && old.default.is_none()) {
                continue;
            }
            let key = (name.to_owned(), end.name.clone());
            let at = self.added.get(&key).unwrap_or(&made);
            let loss = Loss::NotNull {
                table: start.to_owned(),
                column: end.name.clone(),
            };
            push(at, Rule::NotNull, loss);
        }
        if let Some(Some(missing)) = rows.holders.get(name) {
            let loss = Loss::Narrowed {
                table: start.to_owned(),
                why: format!("{missing} may leave rows out"),
                count: self.count_of(start),
            };
            push(&made, Rule::Narrowing, loss);
        }
    }

    /// The values that a column has in the live database.
    fn count_of_values(&self, start: &str, column: &str) -> Count {
        let origin = self.origins.get(start);
        let live = origin.and_then(|origin| {
            let name = origin.columns.as_ref()?.get(column)?;
            Some((origin.live.first()?, name))
        });
        match live {
            Some((table, name)) => Count::some(
                table,
                &format!("{} IS NOT NULL", super::schema::quoted(name)),
            ),
            None => Count {
                at_most: true,
                ..self.count_of(start)
            },
        }
    }

    /// Every table that a statement has emptied or made anew, and all whose rows refer to one of these.
    fn watched(&self, effects: &[Effect]) -> Vec<Watched> {
        let mut names: BTreeSet<String> = self.may_shrink.clone();
        for emptied in &self.emptied {
            names.extend(emptied.own.clone());
            names.extend(
                emptied
                    .doomed
                    .iter()
                    .filter_map(|(start, _, _)| start.clone()),
            );
        }
        let mut queue: Vec<String> = names.iter().cloned().collect();
        while let Some(parent) = queue.pop() {
            for reference in self.start.references_to(&parent) {
                if names.insert(reference.child.clone()) {
                    queue.push(reference.child);
                }
            }
        }
        let lost: BTreeSet<&str> = effects.iter().flat_map(losing).collect();
        let mut watched = Vec::new();
        for start in names
            .into_iter()
            .filter(|name| self.start.tables.contains_key(name))
        {
            let may = self.may_shrink.contains(&start) || lost.contains(start.as_str());
            watched.push(Watched {
                after: self.end_of(&start).map(|(name, _)| name.to_owned()),
                kept: self.is_kept(&start) && !may,
                before: start,
            });
        }
        watched
    }

    /// Of tables that were made anew: what was there and is not, and was not dropped by name.
    fn forgotten(&self) -> Vec<String> {
        let mut forgotten = Vec::new();
        for (what, other) in &self.start.others {
            let rows = self.rows.get(&other.table);
            let anew = rows.is_some_and(|rows| !rows.unbroken) && self.is_kept(&other.table);
            let named = self.dropped_others.contains(&what.to_ascii_lowercase());
            if anew && other.sql.is_some() && !named && !self.now.others.contains_key(what) {
                forgotten.push(format!("the {what} of {}", other.table));
            }
        }
        forgotten
    }

    fn next_origins(&self) -> Origins {
        let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
        for (start, rows) in &self.rows {
            let Some(origin) = self.origins.get(start) else {
                continue;
            };
            for holder in rows.holders.keys() {
                let next = origins.entry(holder.clone()).or_default();
                next.live.extend(origin.live.iter().cloned());
                let same_rows = rows.unbroken && same(&rows.name, holder);
                if let (true, Some(known)) = (same_rows, &origin.columns) {
                    let columns = rows
                        .columns
                        .iter()
                        .filter_map(|(first, now)| Some((now.clone()?, known.get(first)?.clone())));
                    next.columns = Some(columns.collect());
                }
            }
        }
        for origin in origins.values_mut().filter(|origin| origin.live.len() > 1) {
            origin.columns = None;
        }
        origins
    }
}

/// A column whose values were copied to one that has its name in the end: the way to change a column's type.
fn carried<'a>(rows: &Rows, first: &str, table: &'a Table) -> Option<&'a Column> {
    let copied = rows.carried.iter().any(|(from, _)| same(from, first));
    column(table, first).filter(|_| copied)
}

/// Columns that every new row has to say.
fn required(table: &Table) -> impl Iterator<Item = &Column> {
    let optional = |one: &&Column| one.generated || one.pk > 0 || !one.not_null;
    let no_default = |one: &&Column| {
        one.default
            .as_ref()
            .is_none_or(|text| text.eq_ignore_ascii_case("NULL"))
    };
    table
        .columns
        .iter()
        .filter(move |one| !optional(one) && no_default(one))
}

fn shown(column: &Column) -> &str {
    match column.declared.as_str() {
        "" => "untyped",
        declared => declared,
    }
}

/// The tables that an effect takes rows from.
fn losing(effect: &Effect) -> Vec<&str> {
    match &effect.loss {
        Loss::Rows { children, .. } => {
            // SET NULL and SET DEFAULT leave the rows there.
            let going = children
                .iter()
                .filter(|child| child.on_delete == OnDelete::Cascade);
            going.map(|child| child.table.as_str()).collect()
        }
        Loss::Narrowed { table, .. } => vec![table],
        _ => Vec::new(),
    }
}
