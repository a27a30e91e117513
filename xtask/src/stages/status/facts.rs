//! What `status` knows: everything that is live, the releases on record, the repo, and what follows from comparing them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::context::Ctx;
use crate::drift::{Difference, Origin, Subject};
use crate::ledger::releases::{Record, Status as Ended};
use crate::preview::Key;
use crate::stages::cleanup::found::{self, Scope, Wanted};
use crate::stages::rollback::history::{History, shown};
use crate::stages::status::health::{self, Health};
use crate::standing::Standing;
use crate::target::Target;
use crate::tools::git::{Git, Head};
use crate::workspace::Workspace;

/// Everything that is shown.
pub(super) struct Status<'a> {
    pub(super) standing: Standing<'a>,
    /// The release that should serve.
    pub(super) release: Option<Record>,
    /// One entry for each worker: what it answered, and its address.
    pub(super) health: Vec<(Health, Option<String>)>,
    pub(super) differences: Vec<Difference>,
    /// Preview → how many workers, and how many stores; or why that is not known.
    pub(super) previews: Result<BTreeMap<Key, (usize, usize)>, String>,
    /// The repo, when it is one of git's.
    pub(super) repo: Option<Repo>,
    pub(super) now: SystemTime,
}

/// Where the repo stands.
pub(super) struct Repo {
    pub(super) head: Head,
    pub(super) dirty: bool,
    /// Commits it has that the release has not, and the other way round.
    pub(super) apart: Option<(usize, usize)>,
}

impl<'a> Status<'a> {
    /// Reads everything.
    pub(super) fn gather(
        ctx: &Ctx,
        workspace: &'a Workspace,
        target: &Target,
    ) -> anyhow::Result<Status<'a>> {
        let workers = workspace.select(&ctx.only)?;
        let (standing, previews) = std::thread::scope(|scope| {
            let previews = scope.spawn(|| previews(workspace, target));
            let standing = Standing::read(workspace, &workers, target, &ctx.env);
            let previews = previews
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (standing, previews)
        });
        let mut standing = standing?;
        let release = History::new(&standing.records)
            .stack()
            .last()
            .copied()
            .cloned();
        let health = std::thread::scope(|scope| {
            // The second round of reads waits for nothing of the first round of questions.
            let lives: Vec<_> = standing
                .workers
                .iter()
                .map(|it| crate::standing::Standpoint {
                    worker: it.worker,
                    live: it.live.clone(),
                    contents: BTreeMap::new(),
                })
                .collect();
            let settings = &workspace.pipeline.health;
            let asked = scope.spawn(move || {
                let urls: Vec<_> = lives
                    .iter()
                    .map(|it| Some(target.shown_url(&health::url(it, target)?)))
                    .collect();
                let answers = health::ask(&lives, target, settings)?;
                anyhow::Ok(answers.into_iter().zip(urls).collect::<Vec<_>>())
            });
            let contents = standing.read_contents(target, release.as_ref());
            let asked = asked
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            contents.and(asked)
        })?;
        let repo = repo(ctx, release.as_ref());
        let commit = repo.as_ref().filter(|repo| !repo.dirty);
        let commit = commit.map(|repo| repo.head.sha.clone());
        Ok(Status {
            differences: differences(&standing, release.as_ref(), commit.as_deref()),
            standing,
            release,
            health,
            previews: previews
                .map_err(|error| format!("{error:#}").lines().collect::<Vec<_>>().join(" ")),
            repo,
            now: SystemTime::now(),
        })
    }

    /// True while somebody deploys, migrates or rolls back: what is live is on its way.
    pub(super) fn under_way(&self) -> bool {
        self.standing
            .lease
            .as_ref()
            .is_some_and(|lease| lease.stale.is_none())
    }

    /// Differences of one origin.
    pub(super) fn of(&self, origin: Origin) -> impl Iterator<Item = &Difference> {
        self.differences
            .iter()
            .filter(move |it| it.origin == origin)
    }

    /// Everything a person has to see to, in sentences.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.under_way() {
            problems.extend(self.of(Origin::ByHand).map(sentence));
            let newest = self.standing.records.last();
            if let Some(newest) = newest.filter(|it| it.status == Ended::Partial) {
                problems.push(format!("the release {} was left part-way", shown(newest)));
            }
            for (it, (health, _)) in self.standing.workers.iter().zip(&self.health) {
                if let Health::Bad { why } = health {
                    problems.push(format!("{} is not healthy: {why}", it.worker.name));
                }
            }
        }
        problems.extend(
            self.standing
                .databases
                .iter()
                .flat_map(|schema| schema.wrong()),
        );
        problems
    }

    /// What a reader should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        match &self.standing.lease {
            Some(lease) if lease.stale.is_none() => warnings.push(format!(
                "{} is at work since {}: what is live may be on its way, and counts as no drift",
                lease.holder, lease.acquired_at
            )),
            Some(lease) => warnings.push(format!(
                "{} left the deploy lease behind ({}): the next deploy takes it over",
                lease.holder,
                lease.stale.as_deref().unwrap_or_default()
            )),
            None => {}
        }
        if let Err(why) = &self.previews {
            warnings.push(format!("the previews are not known: {why}"));
        }
        warnings
    }
}

fn differences(
    standing: &Standing<'_>,
    release: Option<&Record>,
    commit: Option<&str>,
) -> Vec<Difference> {
    let of = |it: &crate::standing::Standpoint<'_>| {
        let script = &it.worker.config.name;
        let content = |id: Option<&str>| it.contents.get(id?);
        let recorded = release.and_then(|release| release.versions.get(script));
        let subject = Subject {
            worker: it.worker,
            live: &it.live,
            serving: content(it.live.serving()),
            record: release.filter(|_| recorded.is_some()),
            recorded: content(recorded.map(String::as_str)),
            commit,
        };
        subject.differences()
    };
    standing.workers.iter().flat_map(of).collect()
}

/// `analyzer: secret EXTRA is live (set), and nobody asked for it`.
fn sentence(it: &Difference) -> String {
    let what = format!("{}: {} {}", it.worker, it.kind.word(), it.name);
    match (&it.repo, &it.live) {
        (Some(repo), Some(live)) => format!("{what} is {live} instead of {repo}"),
        (Some(repo), None) => format!("{what} is not live ({repo})"),
        (None, Some(live)) => format!("{what} is live ({live}), and nobody asked for it"),
        (None, None) => format!("{what} serves nobody"),
    }
}

fn previews(
    workspace: &Workspace,
    target: &Target,
) -> anyhow::Result<BTreeMap<Key, (usize, usize)>> {
    let scope = Scope::new(workspace, target.cloudflare.account(), Wanted::Every);
    let found = found::gather(&scope, target)?;
    let mut previews: BTreeMap<Key, (usize, usize)> = BTreeMap::new();
    for worker in &found.workers {
        previews.entry(worker.key).or_default().0 += 1;
    }
    for store in &found.stores {
        previews.entry(store.key).or_default().1 += 1;
    }
    Ok(previews)
}

/// A folder that is no repository has no place to tell.
fn repo(ctx: &Ctx, release: Option<&Record>) -> Option<Repo> {
    let git = Git::open(&ctx.root).ok()?;
    Some(Repo {
        head: git.head().ok()?,
        dirty: git.dirty_files().is_ok_and(|files| !files.is_empty()),
        apart: release.and_then(|release| git.ahead_behind(&release.sha)),
    })
}
