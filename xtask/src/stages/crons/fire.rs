//! `crons run`: fires one cron trigger on the local cloud, which has no clock of its own for them.

use crate::context::{CloudKind, Ctx};
use crate::error::Fail;
use crate::report::Report;
use crate::stages::crons::{Run, STAGE};
use crate::tools::{http, local_cloud};
use crate::workspace::Workspace;

/// Fires it and waits for its end. A handler that throws is a failed check.
pub(super) fn fire(ctx: &Ctx, workspace: &Workspace, run: &Run) -> anyhow::Result<Report> {
    let worker = workspace.select(std::slice::from_ref(&run.worker))?[0];
    let cron = run.cron.split_whitespace().collect::<Vec<_>>().join(" ");
    let again = format!(
        "cargo xtask crons run {} \"{cron}\" --cloud local",
        worker.name
    );
    if ctx.cloud != CloudKind::Local {
        return Err(
            Fail::setup("`crons run` fires a cron on the local cloud only")
                .why("Cloudflare takes no such request: there a cron fires when its time has come")
                .fix(again)
                .into(),
        );
    }
    http::installed()?;
    let Some(cloud) = local_cloud::running(&ctx.state().join("local-cloud")) else {
        return Err(Fail::setup("the local cloud is not running")
            .why("a cron is fired where its worker is live")
            .fix("cargo xtask deploy --cloud local")
            .into());
    };
    let mut report = Report::empty(STAGE);
    if ctx.dry_run {
        report.answer = Some(format!("would fire `{cron}` of {}", worker.name));
        return Ok(report);
    }
    let outcome = match local_cloud::run_cron(&cloud, &worker.config.name, &cron)? {
        Ok(outcome) => outcome,
        Err(why) => {
            return Err(
                Fail::setup(format!("`{cron}` of {} cannot be fired", worker.name))
                    .why(why)
                    .fix("cargo xtask crons --cloud local   (the column `live`)")
                    .into(),
            );
        }
    };
    let version = outcome["version"].as_str().unwrap_or_default();
    if outcome["outcome"] != "ok" {
        let said = outcome["message"].as_str().or(outcome["outcome"].as_str());
        return Err(Fail::check(format!("`{cron}` of {} failed", worker.name))
            .why(said.unwrap_or("no reason given"))
            .fix(format!(
                "correct its `scheduled` handler, deploy, then again: {again}"
            ))
            .into());
    }
    let version = version.get(..8).unwrap_or(version);
    report.answer = Some(format!(
        "`{cron}` of {} ran in version {version}: ok",
        worker.name
    ));
    report.more.insert("run".to_owned(), outcome);
    Ok(report)
}
