//! Judges what a copy showed: what fails, what is lost and by whose leave, what the live code is going to miss. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::allow::{self, Allow};
use super::cascade::Count;
use super::effect::{Block, Effect, Loss};
use super::ending::{Ending, Watched};
use super::follow::{Follower, Origin, Origins};
use super::problem;
use super::schema::{Schema, same};
use super::statement::{Kind, parse};
use super::words::{self, Numbers, amount};
use crate::findings::{Finding, sql};
use crate::ledger::migrations::SqlFile;
use crate::tools::d1_copy::{Answer, Object, Said, Tried};

/// Everything that was seen, before the live database was asked for numbers.
pub(super) struct Case<'a> {
    answer: &'a Answer,
    files: &'a [&'a SqlFile],
    endings: Vec<Ending>,
    before: Schema,
}

/// The verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    pub(super) problems: Vec<Finding>,
    pub(super) warnings: Vec<String>,
    pub(super) incompatible: Vec<String>,
    /// File → its losses in words.
    pub(super) losses: BTreeMap<String, Vec<String>>,
    /// File → tables to count.
    pub(super) watched: BTreeMap<String, Vec<Watched>>,
    pub(super) missing_allow: bool,
}

impl<'a> Case<'a> {
    /// Follows the rows through every file.
    pub(super) fn new(answer: &'a Answer, live: &[Object], files: &'a [&'a SqlFile]) -> Case<'a> {
        let mut before = Schema::default();
        before.apply(&answer.before);
        let mut origins = origins(&before, live);
        let mut schema = before.clone();
        let mut endings = Vec::new();
        for (tried, file) in answer.files.iter().zip(files) {
            let lines = u32::try_from(file.sql.trim_end().lines().count()).unwrap_or(u32::MAX);
            let mut follower = Follower::new(&schema, &origins);
            let failed = tried.failure.as_ref().map_or(usize::MAX, |said| said.index);
            let own = tried.statements.iter().take(failed);
            for statement in own.filter(|statement| statement.line <= lines) {
                follower.step(statement);
            }
            let ending = follower.finish();
            schema = ending.schema.clone();
            origins = ending.origins.clone();
            endings.push(ending);
        }
        Case {
            answer,
            files,
            endings,
            before,
        }
    }

    /// What the live database has to be asked for.
    pub(super) fn counts(&self) -> Vec<&Count> {
        let effects = self.endings.iter().flat_map(|ending| &ending.effects);
        let blocks = self.endings.iter().flat_map(|ending| &ending.blocks);
        let effects = effects.flat_map(Effect::counts);
        effects.chain(blocks.map(|block| &block.count)).collect()
    }

    /// The verdict.
    pub(super) fn judge(&self, numbers: Numbers<'_>) -> Judged {
        let mut judged = Judged {
            problems: failures(self.answer, self.files),
            ..Judged::default()
        };
        for ((file, ending), tried) in self.files.iter().zip(&self.endings).zip(&self.answer.files)
        {
            judged.blocks(file, ending, numbers);
            judged.effects(file, ending, numbers);
            judged.skipped(file, tried);
            let what = ending.forgotten.iter();
            judged.warnings.extend(
                what.map(|what| {
                    format!("{}: {what} went with it and is not made again", file.path)
                }),
            );
            judged
                .watched
                .insert(file.name.clone(), ending.watched.clone());
        }
        judged
            .problems
            .sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        if let Some(last) = self.endings.last() {
            judged.incompatible = missing(&self.before, &last.schema);
        }
        judged
    }
}

impl Effect {
    fn counts(&self) -> Vec<&Count> {
        match &self.loss {
            Loss::Rows { own, children, .. } => std::iter::once(own)
                .chain(children.iter().map(|child| &child.count))
                .collect(),
            Loss::Column { count, .. }
            | Loss::Overwritten { count, .. }
            | Loss::Narrowed { count, .. } => {
                vec![count]
            }
            Loss::NotNull { .. } => Vec::new(),
        }
    }
}

impl Judged {
    /// Statements that fail for the rows that are live.
    fn blocks(&mut self, file: &SqlFile, ending: &Ending, numbers: Numbers<'_>) {
        for block in &ending.blocks {
            if fails(block, numbers) {
                let message = format!(
                    "{} fails: {}; {} now",
                    block.at.head,
                    block.why,
                    amount(&block.count, "row", numbers)
                );
                self.problems.push(problem(file, block.at.line, message));
            } else if numbers(&block.count) > 0 {
                self.warnings.push(format!(
                    "{}:{}: {} may fail: {}",
                    file.path, block.at.line, block.at.head, block.why
                ));
            }
        }
    }

    /// What is lost, and whether the file says why.
    fn effects(&mut self, file: &SqlFile, ending: &Ending, numbers: Numbers<'_>) {
        let (allows, mistakes) = allow::read(&file.sql);
        for (line, mistake) in mistakes {
            self.problems.push(problem(file, line, mistake));
        }
        let mut used: BTreeSet<u32> = BTreeSet::new();
        for effect in &ending.effects {
            let (given, missing) = leave(effect, &allows);
            used.extend(given.iter().map(|allow| allow.line));
            let fails = |block: &Block| block.at == effect.at && fails(block, numbers);
            if !effect.live || ending.blocks.iter().any(fails) {
                // What only the pending files themselves have made is nobody's loss, and what fails loses nothing.
                continue;
            }
            let text = words::effect(effect, numbers);
            let mut line = format!("{}:{}: {text}", file.path, effect.at.line);
            if missing.is_empty() {
                let reasons: Vec<String> = given
                    .iter()
                    .map(|allow| format!("{} allowed because {}", allow.rule.name(), allow.reason))
                    .collect();
                line.push_str(&format!("; {}", reasons.join("; ")));
            } else {
                self.missing_allow = true;
                let mut finding = problem(file, effect.at.line, hinted(text, file));
                finding.rule = Some(missing.join(", "));
                self.problems.push(finding);
                line.push_str(&format!("; {} is not allowed", missing.join(", ")));
            }
            self.losses.entry(file.name.clone()).or_default().push(line);
        }
        for allow in allows.iter().filter(|allow| !used.contains(&allow.line)) {
            self.warnings.push(format!(
                "{}:{}: nothing in the file needs `allow {}`",
                file.path,
                allow.line,
                allow.rule.name()
            ));
        }
    }

    /// Statements that the copy could not carry out for want of rows.
    fn skipped(&mut self, file: &SqlFile, tried: &Tried) {
        for said in &tried.skipped {
            let statement = &tried.statements[said.index];
            let parsed = parse(&statement.sql);
            let needs_rows = parsed.selects
                || said.message.contains("_FOREIGNKEY")
                || said.message.contains("_TRIGGER")
                || !matches!(parsed.kind, Kind::Insert { .. });
            if needs_rows {
                self.warnings.push(format!(
                    "{}:{}: {} depends on rows that only the live database has: it was not tried",
                    file.path, statement.line, parsed.head
                ));
            } else {
                self.problems.push(failure(file, tried, said));
            }
        }
    }
}

fn fails(block: &Block, numbers: Numbers<'_>) -> bool {
    numbers(&block.count) > 0 && !block.count.at_most
}

/// The allow comments that are about an effect, and the rules that none is about.
fn leave<'a>(effect: &Effect, allows: &'a [Allow]) -> (Vec<&'a Allow>, Vec<&'static str>) {
    let mut given = Vec::new();
    let mut missing = Vec::new();
    for rule in &effect.rules {
        match allows.iter().find(|allow| allow.rule == *rule) {
            Some(allow) => given.push(allow),
            None => missing.push(rule.name()),
        }
    }
    (given, missing)
}

/// What many a file relies on, and does nothing on D1.
fn hinted(text: String, file: &SqlFile) -> String {
    let lower = file.sql.to_ascii_lowercase();
    let pragma = lower.contains("pragma foreign_keys");
    let deferred = lower.contains("defer_foreign_keys");
    match (pragma, deferred) {
        (true, _) => format!(
            "{text}\n`PRAGMA foreign_keys` does nothing inside a transaction, and D1 runs every file in one"
        ),
        (_, true) => {
            format!("{text}\n`PRAGMA defer_foreign_keys` puts off checks, not what ON DELETE does")
        }
        _ => text,
    }
}

/// What failed on the copy whatever the rows are.
pub(super) fn failures(answer: &Answer, files: &[&SqlFile]) -> Vec<Finding> {
    let mut problems = Vec::new();
    for (tried, file) in answer.files.iter().zip(files) {
        if let Some(said) = &tried.failure {
            problems.push(failure(file, tried, said));
        } else if !tried.recorded {
            let message =
                "the ledger's rows behind it are lost: its last comment or quote is not closed";
            let last = u32::try_from(file.sql.trim_end().lines().count()).unwrap_or(0);
            problems.push(problem(file, last, message));
        }
    }
    problems
}

fn failure(file: &SqlFile, tried: &Tried, said: &Said) -> Finding {
    let statement = &tried.statements[said.index];
    let mut finding = sql::finding(
        file.path.as_ref(),
        &file.sql,
        Some(&statement.sql),
        &said.message,
    );
    finding.line.get_or_insert(statement.line);
    finding
}

/// Every live table stands for its own rows.
fn origins(before: &Schema, live: &[Object]) -> Origins {
    let is_live = |name: &str| {
        live.iter()
            .any(|object| object.kind == "table" && same(&object.name, name))
    };
    let tables = before.tables.iter().filter(|(name, _)| is_live(name));
    tables
        .map(|(name, table)| {
            let columns = table
                .columns
                .iter()
                .map(|one| (one.name.clone(), one.name.clone()));
            let origin = Origin {
                live: BTreeSet::from([name.clone()]),
                columns: Some(columns.collect()),
            };
            (name.clone(), origin)
        })
        .collect()
}

/// Tables, views and columns of one schema that another has not, by name: code asks for names.
fn missing(before: &Schema, after: &Schema) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, table) in &before.tables {
        let Some((_, now)) = after.table(name) else {
            missing.push(format!("the table {name}"));
            continue;
        };
        let columns = table.columns.iter();
        let gone = columns.filter(|one| super::schema::column(now, &one.name).is_none());
        missing.extend(gone.map(|one| format!("the column {name}.{}", one.name)));
    }
    let views = before
        .others
        .keys()
        .filter(|what| what.starts_with("view "));
    let gone = views.filter(|what| !after.others.contains_key(*what));
    missing.extend(gone.map(|what| format!("the {what}")));
    missing
}
