//! What GitHub is told of a preview and asked about its pull request. A preview is made whether GitHub listens or not: what
//! could not be told is a warning.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::config::PreviewData;
use crate::context::Ctx;
use crate::error::render;
use crate::github::{
    Access, Data, Outcome as Ended, PreviewSummary, PullRequest, State, Status as Stage,
    WorkerSummary, access, comment, event,
};
use crate::preview::Key;
use crate::run::Outcome;
use crate::stages::preview::facts::Subject;
use crate::stages::preview::making::Making;
use crate::stages::preview::piece::Piece;
use crate::stages::preview::{Ending, found};
use crate::target::Target;
use crate::tools::github::{DeploymentState, Github};

/// The way to a pull request on GitHub.
pub struct Telling {
    github: Option<(Github, u64)>,
    deployment: Option<u64>,
    /// Why nobody is told, for a note.
    pub why_not: Option<String>,
    /// What went wrong between GitHub and this run.
    pub troubles: BTreeSet<String>,
}

impl Telling {
    /// Opens the way, when the preview is of a pull request and this run may talk to GitHub.
    pub fn open(ctx: &Ctx, target: &Target, subject: &Subject) -> anyhow::Result<Telling> {
        let mut telling = Telling {
            github: None,
            deployment: None,
            why_not: None,
            troubles: BTreeSet::new(),
        };
        if let Key::Pr(number) = subject.key {
            match access::open(ctx, target)? {
                Access::Open(github) => telling.github = Some((github, number)),
                Access::None(why) => telling.why_not = Some(format!("GitHub is not told: {why}")),
            }
        }
        Ok(telling)
    }

    /// The pull request as it is now; one that GitHub does not know is nobody's to tell.
    pub fn pull(&mut self) -> Option<PullRequest> {
        let (github, number) = self.github.as_ref()?;
        match github.pull(*number) {
            Ok(None) => {
                let name = github.repository().full_name();
                self.why_not = Some(format!(
                    "GitHub is not told: {name} has no pull request {number}"
                ));
                self.github = None;
                None
            }
            Ok(pull) => pull,
            Err(error) => {
                let text = first_line(&error);
                self.troubles
                    .insert(format!("the pull request could not be looked up: {text}"));
                None
            }
        }
    }

    fn comment(&self, summary: &PreviewSummary) -> anyhow::Result<()> {
        match &self.github {
            Some((github, number)) => {
                github.upsert_comment(*number, &comment::markdown(summary), comment::is_marked)
            }
            None => Ok(()),
        }
    }

    /// Says how far the deployment to the pull request's environment has come. A later one makes earlier ones inactive.
    fn deployment(
        &mut self,
        sha: &str,
        state: &DeploymentState,
        run: Option<&str>,
    ) -> anyhow::Result<()> {
        let Some((github, number)) = &self.github else {
            return Ok(());
        };
        let environment = format!("preview/pr-{number}");
        let id = match self.deployment {
            Some(id) => id,
            None => github.deployment(&environment, sha)?,
        };
        self.deployment = Some(id);
        github.set_deployment(id, state, "", run)?;
        if matches!(state, DeploymentState::Success { .. }) {
            github.retire_deployments(&environment, Some(id), "a newer commit is previewed")?;
        }
        Ok(())
    }
}

impl Making<'_> {
    /// Says that the preview is being made.
    pub fn tell_begin(&mut self) {
        let summary = self.summary(Ended::Building);
        let told = self.telling.comment(&summary);
        let run = summary.run_url.clone();
        let state = DeploymentState::InProgress;
        let told = told.and(
            self.telling
                .deployment(&self.subject.sha, &state, run.as_deref()),
        );
        self.told(told);
    }

    /// Whether the preview is still wanted. What was made for a pull request that was closed meanwhile is taken down.
    pub fn unwanted(&mut self) -> anyhow::Result<Option<Ending>> {
        let ending = self.overtaken()?;
        if matches!(ending, Some(Ending::Closed)) {
            self.take_down("the pull request was closed meanwhile")?;
        }
        Ok(ending)
    }

    /// Whether the pull request was closed or got a newer commit, or another run took the preview over, since this one
    /// began.
    fn overtaken(&mut self) -> anyhow::Result<Option<Ending>> {
        if let Some(now) = self.telling.pull() {
            if now.state == State::Closed {
                return Ok(Some(Ending::Closed));
            }
            if let Some(why) = self.subject.newer(&now) {
                return Ok(Some(Ending::Superseded(why)));
            }
        }
        if !self.claimed {
            return Ok(None);
        }
        let found = found::read(&self.target.cloudflare)?;
        let ours = &self.subject.commit;
        let mut commits = self
            .pieces
            .iter()
            .filter_map(|piece| found.commit(piece.script()));
        let other = commits.find(|commit| commit != ours);
        Ok(other.map(|commit| {
            Ending::Superseded(format!(
                "the commit {commit} is previewed instead of {ours}"
            ))
        }))
    }

    /// Says how it ended. A run that another overtook leaves the comment to that one.
    pub fn tell_end(&mut self, ending: &anyhow::Result<Ending>) {
        let (outcome, state) = match ending {
            Ok(Ending::Ready) => {
                let first = self.pieces.first();
                let url = first.map(|piece| self.target.workers_dev_url(piece.script()));
                (Some(Ended::Ready), DeploymentState::Success { url })
            }
            Ok(Ending::Superseded(_)) => (None, DeploymentState::Inactive),
            Ok(Ending::Closed) => (Some(Ended::Removed), DeploymentState::Inactive),
            Err(error) => {
                let reason = Ended::Failed(self.reason(error));
                let overtaken = matches!(self.overtaken(), Ok(Some(_)));
                ((!overtaken).then_some(reason), DeploymentState::Failure)
            }
        };
        let mut told = Ok(());
        if let Some(outcome) = outcome {
            told = self.telling.comment(&self.summary(outcome));
        }
        let run = event::run_url(&self.ctx.env);
        let told = told.and(
            self.telling
                .deployment(&self.subject.sha, &state, run.as_deref()),
        );
        self.told(told);
    }

    fn told(&mut self, told: anyhow::Result<()>) {
        if let Err(error) = told {
            let text = first_line(&error);
            self.telling
                .troubles
                .insert(format!("the pull request could not be told: {text}"));
        }
    }

    /// What the pull request is told.
    fn summary(&self, outcome: Ended) -> PreviewSummary {
        let mut summary = PreviewSummary::new(self.subject.key, &self.subject.sha);
        summary.branch.clone_from(&self.subject.branch);
        summary.title = self.subject.pull.as_ref().map(|pull| pull.title.clone());
        summary.duration = match outcome {
            Ended::Building => None,
            _ => SystemTime::now().duration_since(self.started).ok(),
        };
        summary.data = match self.source.pipeline.preview.data {
            PreviewData::Isolated => Data::Isolated,
            PreviewData::Shared => Data::Shared,
        };
        summary.workers = self
            .pieces
            .iter()
            .map(|piece| self.worker(piece, &outcome))
            .collect();
        summary.migrations_on_deploy.clone_from(&self.on_deploy);
        summary.not_covered = self.not_covered();
        summary.external_bindings = self.external();
        summary.notes = self.warnings.iter().chain(&self.notes).cloned().collect();
        summary.removal = self.removal();
        summary.run_url = event::run_url(&self.ctx.env);
        summary.outcome = outcome;
        summary
    }

    fn worker(&self, piece: &Piece<'_>, outcome: &Ended) -> WorkerSummary {
        let mut worker = WorkerSummary::waiting(piece.name(), piece.script());
        let mut failed = self.outcome.iter().flat_map(Outcome::failures);
        worker.status = match outcome {
            Ended::Ready if piece.uploaded => Stage::Ready,
            Ended::Ready => Stage::Unchanged,
            Ended::Building => Stage::Waiting,
            _ if failed.any(|step| step.worker.as_deref() == Some(piece.name())) => Stage::Failed,
            _ => Stage::NotTried,
        };
        if matches!(outcome, Ended::Ready) {
            worker.url = Some(self.target.workers_dev_url(piece.script()));
        }
        worker.size = piece.size;
        let signed = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok());
        let sizes = signed(piece.size).zip(signed(piece.size_of_production));
        worker.size_change = sizes.map(|(now, before)| now - before);
        worker
    }

    fn removal(&self) -> String {
        match self.subject.key {
            Key::Pr(number) => {
                format!(
                    "It is removed when the pull request is closed, or by `cargo xtask cleanup --pr {number}`."
                )
            }
            Key::None => "`cargo xtask cleanup` removes it.".to_owned(),
        }
    }

    /// The first lines of what went wrong, for the pull request; secrets are hidden.
    fn reason(&self, error: &anyhow::Error) -> String {
        let failed = self.outcome.iter().flat_map(Outcome::failures);
        let steps: Vec<String> = failed.filter_map(|step| step.error.clone()).collect();
        let text = match steps.is_empty() {
            true => render(error),
            false => steps.join("\n\n"),
        };
        self.ctx.ui.mask().apply(&text).into_owned()
    }
}

fn first_line(error: &anyhow::Error) -> String {
    let text = render(error);
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}
