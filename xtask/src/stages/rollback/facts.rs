//! One rollback under way: what is live, what the records say, and where it goes. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::Value;

use crate::context::Ctx;
use crate::error::Fail;
use crate::ledger::Database;
use crate::ledger::lease::Holder;
use crate::ledger::releases::{self, Record};
use crate::live::{self, Live, Version};
use crate::run::Outcome;
use crate::stages::deploy::part::{Change, Part};
use crate::stages::rollback::check::{self, Gap, Tags};
use crate::stages::rollback::history::{Goal, History, Wish};
use crate::stages::rollback::{Options, durable, restore};
use crate::target::Target;
use crate::tools::cloudflare::Cloudflare;
use crate::watch::Seen;
use crate::workspace::{Worker, Workspace};

const LEASE_SQL: &str = "SELECT token FROM xtask_lease WHERE name = 'deploy'";

/// A rollback under way.
pub struct Rollback<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) options: &'a Options,
    pub(super) workspace: &'a Workspace,
    pub(super) target: &'a Target,
    pub(super) database: &'a Database,
    pub(super) records: Vec<Record>,
    pub(super) goal: Goal,
    /// The id of this rollback's own record.
    pub(super) id: String,
    /// The workers it is about: `version` is the target's, `base` what serves now.
    pub(super) parts: Vec<Part<'a>>,
    /// Script → what serves, of the other workers.
    pub(super) others: BTreeMap<String, String>,
    pub(super) levels: Vec<BTreeSet<String>>,
    /// Database → the migrations it has.
    pub(super) applied: BTreeMap<String, Vec<String>>,
    pub(super) gaps: BTreeMap<String, Gap>,
    /// Databases that are taken back.
    pub(super) restores: Vec<restore::Restore>,
    pub(super) tags: Tags,
    pub(super) outcome: Option<Outcome>,
    pub(super) warnings: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Facts for the report.
    pub(super) said: Vec<(String, String)>,
    /// What was heard of what serves again.
    pub(super) seen: Seen,
}

/// What is read before the lease is taken: by whom the last rollback was begun, should it not have ended.
pub struct Before {
    /// The id of the rollback that is carried on, or else a new one: what the lease is taken for.
    pub id: String,
    new_id: String,
    lease_token: Option<String>,
    run_url: Option<String>,
}

/// The database with the ledger. Without one there are no records to go by.
pub fn ledger(workspace: &Workspace, target: &Target) -> anyhow::Result<Database> {
    if !target.reachable {
        return Err(
            Fail::setup("the local cloud is not running, or has never seen this repo")
                .why("a rollback goes by the records of the releases there")
                .fix("cargo xtask deploy --cloud local")
                .into(),
        );
    }
    let databases = &workspace.pipeline.databases;
    let first = databases
        .iter()
        .find_map(|database| Some((database, database.id.as_ref()?)));
    let Some((database, id)) = first else {
        return Err(Fail::setup("there are no release records to go by")
            .why("they are kept in the first database of pipeline.toml, and it names none")
            .fix("npx wrangler rollback --name <worker>   (one worker at a time)")
            .fix("or take a commit back: cargo xtask rollback --revert <commit>")
            .into());
    };
    Ok(Database::of(&target.cloudflare, database, id))
}

/// All records, oldest first, and the token of the lease when somebody has it; refuses when there are no records.
pub fn records(database: &Database) -> anyhow::Result<(Vec<Record>, Option<String>)> {
    let none = || {
        Fail::setup("no release is on record")
            .why(format!(
                "{} holds no records of the pipeline",
                database.name
            ))
            .fix("cargo xtask deploy")
    };
    let sql = format!("{}; {LEASE_SQL}", releases::ALL_SQL);
    let sets = database.read_each(&sql)?.ok_or_else(none)?;
    let records = releases::read(sets.first().map_or(&[], Vec::as_slice));
    if records.is_empty() {
        return Err(none().into());
    }
    let lease = sets.get(1).and_then(|rows| text(&rows.first()?["token"]));
    Ok((records, lease))
}

impl Before {
    /// Reads whose lease is there and which rollback is unfinished.
    pub fn read(ctx: &Ctx, workspace: &Workspace, database: &Database) -> anyhow::Result<Before> {
        let (records, lease_token) = records(database)?;
        let stamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
        let new = format!("r{}-{}-rollback", &digits[..8], &digits[8..14]);
        let mut before = Before {
            id: new.clone(),
            new_id: new,
            lease_token,
            run_url: Holder::of(&ctx.env, "").run_url,
        };
        let wish = before.wish(None, &only(workspace, &workspace.select(&ctx.only)?));
        if let Some(unfinished) = History::new(&records).unfinished(&wish) {
            before.id.clone_from(&unfinished.id);
        }
        Ok(before)
    }

    fn wish<'w>(&self, to: Option<&'w str>, only: &[String]) -> Wish<'w> {
        Wish {
            to,
            only: only.to_vec(),
            lease_token: self.lease_token.clone(),
            run_url: self.run_url.clone(),
            ..Wish::default()
        }
    }
}

impl<'a> Rollback<'a> {
    /// Reads everything a rollback needs to know. Changes nothing.
    pub fn gather(
        ctx: &'a Ctx,
        options: &'a Options,
        workspace: &'a Workspace,
        target: &'a Target,
        database: &'a Database,
        before: Before,
    ) -> anyhow::Result<Rollback<'a>> {
        let cloud = &target.cloudflare;
        let scripts: Vec<String> = workspace
            .workers
            .iter()
            .map(|worker| worker.config.name.clone())
            .collect();
        // Side by side: a rollback is waited for.
        let (lives, ledgers) = std::thread::scope(|scope| {
            let lives = scope.spawn(|| live::read_all(cloud, &scripts));
            let ledgers = read_ledgers(cloud, workspace, database);
            let lives = lives
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (lives, ledgers)
        });
        let (lives, (records, applied)) = (lives?, ledgers?);
        let selected = workspace.select(&ctx.only)?;
        let (goal, parts, others, notes) = choose(&selected, workspace, lives, &records, |only| {
            before.wish(options.to.as_deref(), only)
        })?;
        let mut parts = parts;
        if let Some(record) = &goal.resumed {
            remember(&mut parts, record, goal.from.as_ref());
        }
        let gaps = check::gaps(&records, &goal.target, &applied);
        let tags = durable::tags(cloud, &parts)?;
        let levels = workspace
            .callees_first()
            .iter()
            .map(|level| level.iter().map(|worker| worker.name.clone()).collect())
            .collect();
        let id = match &goal.resumed {
            Some(record) => record.id.clone(),
            // Two within a second.
            None if records.iter().any(|record| record.id == before.new_id) => {
                format!("{}-2", before.new_id)
            }
            None => before.new_id,
        };
        let mut rollback = Rollback {
            ctx,
            options,
            workspace,
            target,
            database,
            records,
            goal,
            id,
            parts,
            others,
            levels,
            applied,
            gaps,
            restores: Vec::new(),
            tags,
            outcome: None,
            warnings: workspace.warnings.clone(),
            notes,
            said: Vec::new(),
            seen: Seen::default(),
        };
        if options.restore_db {
            rollback.restores = restore::find(&rollback)?;
        }
        Ok(rollback)
    }

    /// Refuses what cannot or must not be rolled back to. Nothing has been changed yet.
    pub fn check(&self) -> Result<(), Fail> {
        let target = &self.goal.target;
        if !self.options.force {
            check::schema(target, &self.gaps, self.options.restore_db)?;
        }
        check::versions(target, &self.parts)?;
        check::durable(target, &self.tags)
    }

    pub(super) fn url(&self, part: &Part<'_>, triggers: &live::Triggers) -> Option<String> {
        part.url(triggers, &self.target.workers_dev_url(part.script()))
    }

    /// True when nothing of what is live has to change.
    pub(super) fn nothing_to_do(&self) -> bool {
        let same = |part: &Part<'_>| {
            let serves = part.live.split.as_slice();
            matches!(serves, [(id, 100)] if Some(id) == part.version.as_ref())
                && part.live.triggers.are_as(&part.wanted)
        };
        self.restores.is_empty() && self.parts.iter().all(same)
    }
}

type Ledgers = (Vec<Record>, BTreeMap<String, Vec<String>>);

/// The migrations a database has, in the order they were applied.
pub(super) fn applied(database: &Database) -> anyhow::Result<Vec<String>> {
    let sets = database.read_each(&database.applied_sql())?;
    let rows = sets.iter().flatten().flatten();
    Ok(rows.filter_map(|row| text(&row["name"])).collect())
}

/// The records, and the migrations each database has.
fn read_ledgers(
    cloud: &Cloudflare,
    workspace: &Workspace,
    ledger: &Database,
) -> anyhow::Result<Ledgers> {
    let mut applied = BTreeMap::new();
    for database in &workspace.pipeline.databases {
        let Some(id) = &database.id else { continue };
        let database = Database::of(cloud, database, id);
        let names = self::applied(&database)?;
        applied.insert(database.name, names);
    }
    Ok((releases::all(ledger)?, applied))
}

/// A rollback that is carried on goes back, should it fail, to what served before its first run.
fn remember(parts: &mut [Part<'_>], begun: &Record, from: Option<&Record>) {
    for part in parts {
        let script = part.script().to_owned();
        part.base = begun.previous.get(&script).cloned().or(part.base.take());
        let triggers = from.and_then(|from| from.triggers.get(&script));
        part.before = triggers.map(|triggers| {
            live::Triggers::before_interrupted(triggers, &part.live.triggers, &part.wanted)
        });
    }
}

/// The scripts of a part of the workers; none when it is about all.
pub(super) fn only(workspace: &Workspace, selected: &[&Worker]) -> Vec<String> {
    if selected.len() == workspace.workers.len() {
        return Vec::new();
    }
    let scripts = selected.iter().map(|worker| worker.config.name.clone());
    scripts.collect()
}

type Chosen<'a> = (Goal, Vec<Part<'a>>, BTreeMap<String, String>, Vec<String>);

/// The goal, and the part each worker has in it.
fn choose<'a, 'w>(
    selected: &[&'a Worker],
    workspace: &'a Workspace,
    lives: Vec<Live>,
    records: &[Record],
    wish: impl Fn(&[String]) -> Wish<'w>,
) -> anyhow::Result<Chosen<'a>> {
    let history = History::new(records);
    let top = history.stack().last().copied();
    let mut serving = BTreeMap::new();
    for (worker, live) in workspace.workers.iter().zip(&lives) {
        let script = &worker.config.name;
        serving.extend(recorded(script, live, top).map(|id| (script.clone(), id)));
    }
    let scripts: Vec<String> = selected
        .iter()
        .map(|worker| worker.config.name.clone())
        .collect();
    let goal = history.choose(&Wish {
        scripts: scripts.iter().cloned().collect(),
        serving,
        ..wish(&only(workspace, selected))
    })?;
    let mut parts = Vec::new();
    let mut others = BTreeMap::new();
    let mut notes = Vec::new();
    for (worker, live) in workspace.workers.iter().zip(lives) {
        let script = &worker.config.name;
        let version = goal.target.versions.get(script);
        let Some(version) = version.filter(|_| scripts.contains(script)) else {
            if scripts.contains(script) {
                notes.push(format!(
                    "{} is no part of the release #{}: it is left as it is",
                    worker.name, goal.target.number
                ));
            }
            others.extend(live.serving().map(|id| (script.clone(), id.to_owned())));
            continue;
        };
        let mut part = Part::new(worker, live, "", &BTreeMap::new());
        part.version = Some(version.clone());
        part.change = Change::Unchanged;
        part.wanted = match goal.target.triggers.get(script) {
            Some(triggers) => triggers.clone(),
            None => {
                notes.push(format!(
                    "the record of #{} does not say what called {}: its triggers are left as they are",
                    goal.target.number, worker.name
                ));
                part.live.triggers.clone()
            }
        };
        parts.push(part);
    }
    let known = |script: &&String| {
        workspace
            .workers
            .iter()
            .any(|worker| worker.config.name == **script)
    };
    for script in goal.target.versions.keys().filter(|script| !known(script)) {
        notes.push(format!(
            "{script} was part of the release #{}, but is not in this repo: it is left as it is",
            goal.target.number
        ));
    }
    Ok((goal, parts, others, notes))
}

/// What serves, as the records would put it: a version that only came about because a secret was changed stands for the
/// recorded one.
fn recorded(script: &str, live: &Live, top: Option<&Record>) -> Option<String> {
    let serving = live.serving()?;
    let by_secret = live.version(serving).is_some_and(Version::is_by_secret);
    let known = top.and_then(|record| record.versions.get(script));
    Some(match known {
        Some(known) if by_secret => known.clone(),
        _ => serving.to_owned(),
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
