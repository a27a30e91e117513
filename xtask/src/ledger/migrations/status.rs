//! What state each SQL file of a database is in: the repo's files against the live ledger. Pure; judges nothing.

use std::collections::BTreeMap;

use super::{Files, Ledger, SqlFile, compare, number};

/// What is true of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Applied, with this very content.
    Applied,
    /// Applied by another program, so its content is not on record.
    Adopted,
    /// Not applied yet.
    Pending,
    /// Applied with other content than the repo has now.
    Edited,
    /// Applied, and no longer in the repo.
    Missing,
    /// Not applied, and another file has its number.
    Duplicate(String),
    /// Not applied, and numbered before one that is.
    OutOfOrder,
    /// Its name starts with no number.
    Unnumbered,
}

/// One file, in the repo or in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The file's name.
    pub name: String,
    /// `baseline`, `migration` or `seed`.
    pub kind: &'static str,
    /// What is true of it.
    pub state: State,
    /// The release that applied it, and when, if the ledger knows.
    pub by: Option<(String, String)>,
}

impl State {
    /// The word for people and programs.
    pub fn word(&self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Adopted => "applied, content not recorded",
            State::Pending => "pending",
            State::Edited => "edited",
            State::Missing => "missing",
            State::Duplicate(_) => "duplicate number",
            State::OutOfOrder => "out of order",
            State::Unnumbered => "no number",
        }
    }

    /// True when `up` refuses to go on because of it.
    pub fn is_wrong(&self) -> bool {
        !matches!(self, State::Applied | State::Adopted | State::Pending)
    }

    /// True when wrangler, which knows names only, would list the file as not applied.
    pub fn is_unapplied(&self) -> bool {
        matches!(
            self,
            State::Pending | State::Duplicate(_) | State::OutOfOrder | State::Unnumbered
        )
    }
}

/// The state of every file, in the order of application; what the repo lacks stands where its number belongs.
pub fn status(files: &Files, ledger: &Ledger) -> Vec<Row> {
    let by = |name: &str| ledger.releases.get(name).cloned();
    let mut rows: Vec<Row> = Vec::new();
    if let Some(file) = &files.baseline {
        rows.push(Row {
            name: file.name.clone(),
            kind: "baseline",
            state: once(file, ledger),
            by: by(&file.name),
        });
    }
    let mut migrations = migrations(files, ledger);
    for name in &ledger.applied {
        let mut known = files
            .migrations
            .iter()
            .chain(&files.baseline)
            .chain(&files.seed);
        if !known.any(|file| file.name == *name) {
            migrations.push((name.clone(), State::Missing));
        }
    }
    migrations.sort_by(|(a, _), (b, _)| compare(a, b));
    rows.extend(migrations.into_iter().map(|(name, state)| Row {
        by: by(&name),
        kind: "migration",
        name,
        state,
    }));
    if let Some(file) = &files.seed {
        let state = match ledger.hashes.get(&file.name) {
            Some(hash) if *hash == file.hash => State::Applied,
            _ => State::Pending,
        };
        rows.push(Row {
            name: file.name.clone(),
            kind: "seed",
            state,
            by: by(&file.name),
        });
    }
    rows
}

/// The baseline counts as applied once the database is in use: it is for an empty one only.
fn once(file: &SqlFile, ledger: &Ledger) -> State {
    match ledger.hashes.get(&file.name) {
        Some(_) => State::Applied,
        None if ledger.has_tables || !ledger.applied.is_empty() => State::Adopted,
        None => State::Pending,
    }
}

fn migrations(files: &Files, ledger: &Ledger) -> Vec<(String, State)> {
    let applied: BTreeMap<&str, ()> = ledger.applied.iter().map(|name| (&**name, ())).collect();
    let newest = ledger.applied.iter().filter_map(|name| number(name)).max();
    let mut numbers: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for file in &files.migrations {
        if let Some(number) = number(&file.name) {
            numbers.entry(number).or_default().push(&file.name);
        }
    }
    let state = |file: &SqlFile| {
        if applied.contains_key(file.name.as_str()) {
            return match ledger.hashes.get(&file.name) {
                Some(hash) if *hash == file.hash => State::Applied,
                Some(_) => State::Edited,
                None => State::Adopted,
            };
        }
        let Some(number) = number(&file.name) else {
            return State::Unnumbered;
        };
        let twin = numbers[&number].iter().find(|name| **name != file.name);
        match twin {
            Some(twin) => State::Duplicate((*twin).to_owned()),
            None if Some(number) < newest => State::OutOfOrder,
            None => State::Pending,
        }
    };
    files
        .migrations
        .iter()
        .map(|file| (file.name.clone(), state(file)))
        .collect()
}
