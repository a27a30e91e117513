//! What a preview has to say at its end, for the terminal, the summary and the pull request.

use crate::config::PreviewData;
use crate::ledger::Database;
use crate::ledger::migrations::{self, Ledger};
use crate::migrate;
use crate::plan::{Action, Plan, Step};
use crate::report::{Report, Table};
use crate::stages::preview::check::SHARED_WARNING;
use crate::stages::preview::facts::Subject;
use crate::stages::preview::making::Making;
use crate::stages::preview::{Ending, STAGE, plans, storage};

/// The report of a run that rightly made nothing.
pub fn skipped(subject: &Subject, why: &str) -> Report {
    let mut report = Report::empty(STAGE);
    report.warn(format!("no preview was made: {why}"));
    report.fact("commit", format!("{} {}", subject.commit, subject.subject));
    report
}

impl Making<'_> {
    /// Everything a reader wants to know at the end.
    pub fn report(&mut self, ending: anyhow::Result<Ending>) -> anyhow::Result<Report> {
        let mut report = match &self.outcome {
            Some(outcome) => Report::new(STAGE, outcome),
            None => Report::empty(STAGE),
        };
        report.release = Some(self.release.clone());
        match &ending {
            Ok(Ending::Superseded(why)) => self.warnings.push(format!("this run stopped: {why}")),
            Ok(Ending::Closed) => {
                let closed = "the pull request was closed meanwhile: what was made was taken down";
                self.warnings.push(closed.to_owned());
            }
            _ => {}
        }
        self.notes.extend(self.telling.why_not.clone());
        self.warnings.extend(self.telling.troubles.clone());
        for warning in &self.warnings {
            report.warn(warning);
        }
        report.fact("preview", self.subject.key.shown());
        report.fact(
            "commit",
            format!("{} {}", self.subject.commit, self.subject.subject),
        );
        report.fact("data", self.data_text());
        for (name, lines) in [
            ("external", self.external()),
            ("not covered", self.not_covered()),
        ] {
            for line in lines {
                report.fact(name, line);
            }
        }
        if !self.on_deploy.is_empty() {
            report.fact("migrations on deploy", self.on_deploy.join(", "));
        }
        for note in &self.notes {
            report.fact("note", note);
        }
        let budget = self.source.pipeline.budgets.preview;
        report.keep_to(budget, self.started.elapsed().unwrap_or_default());
        let ready = matches!(ending, Ok(Ending::Ready));
        report.tables.push(self.table(ready));
        if let Err(error) = ending {
            self.ctx.fail(&mut report, error)?;
        }
        Ok(report)
    }

    fn table(&self, ready: bool) -> Table {
        let mut table = Table::new("workers", &["worker", "script", "change", "url"]);
        for piece in &self.pieces {
            let change = match (ready, piece.uploaded) {
                (false, _) => "-",
                (true, true) => "uploaded",
                (true, false) => "unchanged",
            };
            let url = if ready {
                self.target.workers_dev_url(piece.script())
            } else {
                "-".to_owned()
            };
            table.row([piece.name(), piece.script(), change, &url]);
        }
        table
    }

    fn data_text(&self) -> String {
        match self.source.pipeline.preview.data {
            PreviewData::Isolated => "isolated: own databases, namespaces and buckets".to_owned(),
            PreviewData::Shared => format!("shared: {SHARED_WARNING}"),
        }
    }

    pub(super) fn external(&self) -> Vec<String> {
        self.pieces
            .iter()
            .flat_map(|piece| piece.rewired.external.clone())
            .collect()
    }

    pub(super) fn not_covered(&self) -> Vec<String> {
        self.pieces
            .iter()
            .flat_map(|piece| piece.rewired.not_covered.clone())
            .collect()
    }

    /// Prints what a preview would do, and does nothing.
    pub fn dry_run(&self) -> anyhow::Result<Report> {
        let plan = self.whole_plan()?;
        self.ctx.show(&plan);
        let mut report = Report::empty(STAGE);
        report.release = Some(self.release.clone());
        Ok(report)
    }

    /// Every phase in one plan, with names where ids are only known later.
    fn whole_plan(&self) -> anyhow::Result<Plan> {
        let cloud = &self.target.cloudflare;
        let mut plan = Plan::new(STAGE);
        if !self.target.reachable {
            plan.notes.push("the local cloud is not running or does not know this repo yet: planned as the first preview".to_owned());
        }
        plan.notes
            .extend(self.warnings.iter().chain(&self.notes).cloned());
        plan.notes
            .extend(self.external().into_iter().chain(self.not_covered()));
        let mut there = storage::Storage::default();
        if self.target.reachable {
            there = storage::look(cloud, &self.resources)?;
        }
        plan.steps.extend(self.build_plan().steps);
        let claim = plans::claim(cloud, self.twin, &self.pieces, &self.tags());
        let create = storage::create(cloud, &self.resources, &there, &claim);
        plan.steps.extend(claim.steps);
        plan.steps.extend(create.steps);
        plan.then(self.data_plan(&there)?);
        let mut uploads = Plan::new(STAGE);
        let mut pieces = self.pieces.clone();
        for piece in &mut pieces {
            piece.version = Some(format!("(new version of {})", piece.name()));
            let goal = format!("upload the preview of {}", piece.name());
            let step = Step::new(
                "upload",
                format!("upload {}", piece.name()),
                goal,
                Action::Nothing,
            );
            uploads.push(step.worker(piece.name()));
        }
        plan.then(uploads);
        plan.then(plans::serve(
            cloud,
            &self.levels,
            &pieces,
            &self.release,
            &self.tags(),
        ));
        let mut proof = Plan::new(STAGE);
        let prove = Step::new(
            "proof",
            "prove",
            "read every live binding back: none is production's",
            Action::Nothing,
        );
        proof.push(prove);
        plan.then(proof);
        plan.then(self.smoke_plan().0);
        Ok(plan)
    }

    /// What is written into storage, of which `there` exists.
    fn data_plan(&self, there: &storage::Storage) -> anyhow::Result<Plan> {
        let cloud = &self.target.cloudflare;
        let named = |name: &String| (name.clone(), format!("(id of {name})"));
        let every = self
            .resources
            .databases
            .values()
            .chain(self.resources.namespaces.values());
        let assumed = storage::Storage {
            ids: every.map(named).chain(there.ids.clone()).collect(),
            buckets: self.resources.buckets.values().cloned().collect(),
        };
        let mut plan = storage::mark(
            cloud,
            &self.resources,
            &assumed,
            self.subject.key,
            &self.repo,
        );
        for (production, name) in &self.resources.databases {
            let Some((_, files)) = self.files.iter().find(|(id, _)| id == production) else {
                continue;
            };
            let ledger = match there.ids.get(name) {
                Some(id) => {
                    let database = Database::new(cloud, name, id).recorded_in(&files.table);
                    migrations::read_ledger(&database)?
                }
                None => Ledger::default(),
            };
            // What no longer fits is made anew, so that everything is applied.
            let todo =
                migrations::pending(files, &ledger, &self.release, self.started).or_else(|_| {
                    migrations::pending(files, &Ledger::default(), &self.release, self.started)
                })?;
            let database = Database::new(cloud, name, &assumed.ids[name]).recorded_in(&files.table);
            plan.then(migrate::plan(STAGE, &database, &todo));
        }
        Ok(plan)
    }
}
