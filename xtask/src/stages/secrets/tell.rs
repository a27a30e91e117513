//! What a change of secrets refuses, and what it reports.

use super::STAGE;
use super::change::{Change, How};
use super::setter::names_of;
use crate::error::Fail;
use crate::ledger::lease::Lease;
use crate::report::{Report, Table};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::release::short;

impl Change<'_> {
    /// What is not changed, and why.
    pub(super) fn notes(&self) -> Vec<String> {
        let absent = self.absent.iter();
        let mut notes: Vec<String> = absent
            .map(|name| format!("{name} was never deployed: its first deploy brings its secrets"))
            .collect();
        if !self.left_alone.is_empty() {
            let left: Vec<&str> = self.left_alone.iter().map(String::as_str).collect();
            notes.push(format!(
                "no value was given for {}: what the workers have stays",
                left.join(", ")
            ));
        }
        notes
    }

    /// What came of it.
    pub(super) fn report(
        &self,
        result: anyhow::Result<()>,
        lease: Option<&Lease>,
    ) -> anyhow::Result<Report> {
        let mut report = Report::empty(STAGE);
        if let Some(outcome) = &self.outcome {
            report.add(outcome);
        }
        let mut table = Table::new("workers", &["worker", "secrets", "version", "before"]);
        for part in &self.parts {
            let version = part.version.as_deref().map_or("-", short);
            let before = part.base.as_deref().map_or("-", short);
            let secrets = names_of(part.worker, self.values).join(", ");
            table.row([part.name(), &secrets, version, before]);
        }
        report.tables.push(table);
        report
            .warnings
            .extend(lease.and_then(|lease| lease.notice.clone()));
        for note in self.notes() {
            report.warn(note);
        }
        match result {
            Ok(()) if self.terms.how == How::Staged => {
                report.fact("next", "nobody is sent to these versions yet: cargo xtask secrets sync (without --no-promote) promotes them");
            }
            Ok(()) => {}
            Err(error) => {
                let mut fail = error.downcast::<Fail>()?;
                if lease.is_some_and(Lease::lost) {
                    fail = fail.why("another run took the lease over while this one ran");
                }
                report.fail(fail.exit as u8);
                let error = format!("error: {fail}");
                report.more.insert("error".to_owned(), error.into());
                self.ctx.ui.error(&fail.into());
            }
        }
        Ok(report)
    }
}

/// A secret changes the latest version: anything newer than what serves, other than what an interrupted run of ours made,
/// would go live with it.
pub(super) fn check_part(part: &Part<'_>) -> Result<(), Fail> {
    let (name, script) = (part.name(), part.script());
    let serving = part.live.serving();
    if part.live.others().iter().any(|(_, share)| *share > 0) {
        return Err(Fail::setup(format!("{name} is in a gradual deployment"))
            .why("two versions serve, and a secret belongs to a version (Cloudflare: 10214)")
            .fix(format!(
                "npx wrangler versions deploy --name {script}   (finish it, or put it back)"
            )));
    }
    let newer = part
        .live
        .versions
        .iter()
        .take_while(|version| Some(version.id.as_str()) != serving);
    let foreign = newer
        .into_iter()
        .find(|version| !version.is_ours_for_secrets());
    match foreign {
        None => Ok(()),
        Some(version) => Err(Fail::setup(format!("the latest version of {name} is not deployed: {}", short(&version.id)))
            .why("a new secret is made into the latest version, and its code would go live with it (Cloudflare: 10215)")
            .fix("cargo xtask deploy")),
    }
}
