//! `cargo xtask preview`: a whole environment of a pull request, which cannot touch production. The protocol, step by
//! step, is in docs/preview.md.

mod check;
mod facts;
mod found;
mod kinds;
mod making;
mod piece;
mod plans;
mod proof;
mod report;
mod rewire;
mod smoke;
mod storage;
mod telling;
mod twin;
mod upload;

use crate::context::Ctx;
use crate::report::Report;
use crate::stages::preview::facts::Subject;
use crate::stages::preview::making::Making;
use crate::stages::preview::telling::Telling;
use crate::target::Target;
use crate::workspace::Workspace;

/// The verb all plans of this stage belong to.
const STAGE: &str = "preview";

/// The flags of `preview`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pull request's number.
    pub pr: Option<u64>,
    /// The commit the preview is named after.
    pub sha: Option<String>,
    /// The branch the preview is named after.
    pub branch: Option<String>,
    /// Make the preview's data anew, whatever `data_reset` says.
    pub reset_data: bool,
}

/// How a run that did not fail ended.
enum Ending {
    /// The preview answers.
    Ready,
    /// A newer commit is being previewed.
    Superseded(String),
    /// The pull request was closed meanwhile: what was made was taken down.
    Closed,
}

/// Makes or updates a preview. An `Err` means nothing was changed; a failure after that is in the report.
pub fn preview(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let workspace = Workspace::load(&ctx.root)?;
    let mut subject = Subject::find(ctx, options)?;
    if let Some(why) = subject.not_previewed(&workspace.pipeline.preview) {
        return Ok(report::skipped(&subject, &why));
    }
    twin::check_names(&workspace, subject.key)?;
    let twin = twin::twin(&workspace, subject.key, &ctx.only)?;
    let target = Target::open(ctx, &workspace)?;
    let mut telling = Telling::open(ctx, &target, &subject)?;
    if let Some(now) = telling.pull() {
        let newer = subject.take(now);
        if let Some(why) = subject.not_previewed(&workspace.pipeline.preview).or(newer) {
            return Ok(report::skipped(&subject, &why));
        }
    }
    let workspaces = (&workspace, &twin);
    let mut making = Making::gather(ctx, options, workspaces, &target, (&subject, telling))?;
    if ctx.dry_run {
        making.check()?;
        return making.dry_run();
    }
    let result = make(&mut making);
    making.tell_end(&result);
    making.report(result)
}

/// The protocol. Nothing of production is written at any point; a preview that could is taken down again.
fn make(making: &mut Making<'_>) -> anyhow::Result<Ending> {
    making.check()?;
    making.tell_begin();
    making.build_and_claim()?;
    making.take_configs()?;
    making.fill()?;
    making.upload()?;
    if let Some(ending) = making.unwanted()? {
        return Ok(ending);
    }
    making.serve()?;
    making.prove()?;
    making.smoke()?;
    Ok(making.unwanted()?.unwrap_or(Ending::Ready))
}
