//! `secrets list` and `secrets check`: where each declared secret is, how old it is, and what is amiss. Pure but for `gather`.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::STAGE;
use super::places::{self, GithubSecrets, LiveSecrets, Places};
use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::github::access;
use crate::live;
use crate::report::{Report, Table};
use crate::run::{Status, StepReport};
use crate::target::Target;
use crate::workspace::{Worker, Workspace};

/// A value older than this deserves to be changed.
const AGE_MAX: Duration = Duration::from_secs(90 * 86_400);

/// One secret of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub secret: String,
    /// The worker's short name.
    pub worker: String,
    /// False for one the live worker has and no file declares.
    pub declared: bool,
    /// Whether it is set in this environment.
    pub env: bool,
    /// Where GitHub keeps it; none when it does not, or when that is not known.
    pub github: Option<String>,
    /// Whether the live worker has it; none when that is not known.
    pub live: Option<bool>,
    /// How old the value is, and who says so.
    pub age: Option<(Duration, &'static str)>,
}

impl Row {
    /// True when the next deploy from here ships it.
    fn is_somewhere(&self) -> Option<bool> {
        match (self.env, self.live) {
            (true, _) | (_, Some(true)) => Some(true),
            (false, Some(false)) => Some(false),
            (false, None) => None,
        }
    }

    fn is_old(&self) -> bool {
        self.age.is_some_and(|(age, _)| age > AGE_MAX)
    }
}

/// Looks where the secrets are. Changes nothing.
pub fn gather(ctx: &Ctx, workspace: &Workspace) -> anyhow::Result<Places> {
    let target = Target::look(ctx, workspace)?;
    let access = access::open(ctx, &target)?;
    let workers = workspace.select(&ctx.only)?;
    let scripts: Vec<String> = workers
        .iter()
        .map(|worker| worker.config.name.clone())
        .collect();
    let live = match target.reachable {
        true => {
            let lives = live::read_all(&target.cloudflare, &scripts)?;
            let named = workers.iter().zip(&lives);
            named
                .map(|(worker, live)| (worker.name.clone(), LiveSecrets::of(live)))
                .collect()
        }
        false => {
            let unknown = || LiveSecrets::Unknown("the local cloud does not run".to_owned());
            workers
                .iter()
                .map(|worker| (worker.name.clone(), unknown()))
                .collect()
        }
    };
    Ok(Places {
        env: places::in_env(ctx, workspace),
        github: places::on_github(ctx, &access)?,
        live,
    })
}

/// All rows: declared ones in the order of `pipeline.toml`, then those nobody declares.
pub fn rows(workers: &[&Worker], places: &Places, now: SystemTime) -> Vec<Row> {
    let mut rows = Vec::new();
    for worker in workers {
        let live = places.live.get(&worker.name);
        for secret in &worker.secrets {
            rows.push(row(worker, secret, true, places, now));
        }
        if let Some(LiveSecrets::Has(names)) = live {
            let others = names.keys().filter(|name| !worker.secrets.contains(name));
            rows.extend(others.map(|name| row(worker, name, false, places, now)));
        }
    }
    rows.sort_by_key(|row| !row.declared);
    rows
}

fn row(worker: &Worker, secret: &str, declared: bool, places: &Places, now: SystemTime) -> Row {
    let live = places.live.get(&worker.name);
    let on_github = match &places.github {
        GithubSecrets::Known(known) => known.get(secret),
        GithubSecrets::Unknown(_) => None,
    };
    let since = |time: &str| {
        now.duration_since(humantime::parse_rfc3339(time).ok()?)
            .ok()
    };
    let set_live = match live {
        Some(LiveSecrets::Has(names)) => names.get(secret).and_then(Option::as_deref),
        _ => None,
    };
    let by_live = set_live.and_then(since).map(|age| (age, "live"));
    let by_github =
        on_github.and_then(|(_, updated)| Some((since(updated.as_deref()?)?, "GitHub")));
    Row {
        secret: secret.to_owned(),
        worker: worker.name.clone(),
        declared,
        env: places.env.contains(secret),
        github: on_github.map(|(kept, _)| kept.shown()),
        live: live.and_then(|live| live.has(secret)),
        // What was set last here is what serves.
        age: by_live.or(by_github),
    }
}

/// The list: a table for people, `secrets` for programs.
pub fn list(rows: &[Row], places: &Places, columns: usize) -> Report {
    let mut report = Report::empty(STAGE);
    warn_of_age(&mut report, rows);
    warn_of_undeclared(&mut report, rows);
    let mut table = Table::new("", &["secret", "worker", "here", "GitHub", "live", "age"]);
    for row in rows {
        table.row([
            row.secret.clone(),
            row.worker.clone(),
            if row.env { "set" } else { "-" }.to_owned(),
            match (&row.github, &places.github) {
                (Some(kept), _) => kept.clone(),
                (None, GithubSecrets::Known(_)) => "-".to_owned(),
                (None, GithubSecrets::Unknown(_)) => "?".to_owned(),
            },
            match row.live {
                Some(true) if !row.declared => "set, not declared",
                Some(true) => "set",
                Some(false) => "-",
                None => "?",
            }
            .to_owned(),
            row.age.map_or_else(
                || "?".to_owned(),
                |(age, source)| format!("{}d, says {source}", days(age)),
            ),
        ]);
    }
    let mut blocks = vec![table.text(columns)];
    if let GithubSecrets::Unknown(why) = &places.github {
        blocks.push(format!("GitHub's secrets cannot be listed: {why}"));
    }
    blocks.extend(
        report
            .warnings
            .iter()
            .map(|text| format!("warning: {text}")),
    );
    report.answer = Some(blocks.join("\n"));
    let entries: Vec<Value> = rows.iter().map(|row| json!({
        "secret": row.secret, "worker": row.worker, "declared": row.declared, "env": row.env, "github": row.github,
        "live": row.live, "age_days": row.age.map(|(age, _)| days(age)), "age_source": row.age.map(|(_, source)| source),
    })).collect();
    report
        .more
        .insert("secrets".to_owned(), Value::from(entries));
    report
}

fn days(age: Duration) -> u64 {
    age.as_secs() / 86_400
}

fn warn_of_age(report: &mut Report, rows: &[Row]) {
    let mut told: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.is_old() && row.declared) {
        if !told.contains(&row.secret.as_str()) {
            told.push(&row.secret);
            let age = row.age.map_or(0, |(age, _)| days(age));
            report.warn(format!(
                "{} is {age} days old: cargo xtask secrets rotate {}",
                row.secret, row.secret
            ));
        }
    }
}

fn warn_of_undeclared(report: &mut Report, rows: &[Row]) {
    for row in rows.iter().filter(|row| !row.declared) {
        report.warn(format!(
            "{} has the secret {}, which no file declares: declare it in pipeline.toml, or delete it",
            row.worker, row.secret
        ));
    }
}

/// The check: one step per declared secret of a worker. Exit 2 when one is nowhere: `deploy` would refuse.
pub fn check(rows: &[Row], places: &Places, now: SystemTime) -> Report {
    let mut report = Report::empty(STAGE);
    let mut table = Table::new("secrets", &["secret", "worker", "found"]);
    for row in rows.iter().filter(|row| row.declared) {
        let step = step(row, places, now);
        let found = step.note.as_deref().unwrap_or_default();
        table.row([row.secret.as_str(), row.worker.as_str(), found]);
        report.steps.push(step);
    }
    report.tables.push(table);
    warn_of_age(&mut report, rows);
    warn_of_undeclared(&mut report, rows);
    if let GithubSecrets::Unknown(why) = &places.github {
        report.fact("GitHub", format!("not looked at: {why}"));
    }
    if report
        .steps
        .iter()
        .any(|step| step.status == Status::Failed)
    {
        report.fail(Exit::Setup as u8);
    }
    report
}

fn step(row: &Row, places: &Places, now: SystemTime) -> StepReport {
    let where_: Vec<String> = [
        row.env.then(|| "here".to_owned()),
        row.github.as_ref().map(|kept| format!("GitHub ({kept})")),
        (row.live == Some(true)).then(|| "live".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let missing_there = matches!(places.github, GithubSecrets::Known(_))
        && row.github.is_none()
        && row.live == Some(false);
    let fail = match row.is_somewhere() {
        Some(false) => Some(
            Fail::setup(format!("{} of {} is set nowhere", row.secret, row.worker))
                .why("neither this environment nor the live worker has it: deploy refuses")
                .fix(format!("read -rs {0} && export {0}", row.secret)),
        ),
        _ if missing_there => Some(
            Fail::setup(format!(
                "GitHub has no {}, and {} does not have it yet",
                row.secret, row.worker
            ))
            .why("a deploy on GitHub is refused")
            .fix(format!("gh secret set {} --env production", row.secret)),
        ),
        _ => None,
    };
    let status = match (&fail, row.is_somewhere()) {
        (Some(_), _) => Status::Failed,
        (None, None) => Status::Skipped,
        (None, Some(_)) => Status::Passed,
    };
    StepReport {
        id: format!("{} {}", row.secret, row.worker),
        goal: format!("find {} of {}", row.secret, row.worker),
        group: "secrets".to_owned(),
        worker: Some(row.worker.clone()),
        status,
        started: now,
        duration: Duration::ZERO,
        attempts: 0,
        exit: fail.as_ref().map(|_| Exit::Setup),
        error: fail.map(|fail| format!("error: {fail}")),
        note: Some(match where_.is_empty() {
            true => "nowhere that could be looked at".to_owned(),
            false => where_.join(", "),
        }),
        output: Value::Null,
        log: Vec::new(),
    }
}
