//! `cargo xtask status`: what is live, by release, version, health and schema, and how it differs from the repo. It reads,
//! side by side, and changes nothing.

mod facts;
mod health;
mod screen;

use std::time::Duration;

use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::report::Report;
use crate::target::Target;
use crate::ui::Format;
use crate::workspace::Workspace;

use self::facts::Status;

const STAGE: &str = "status";

/// The flags of `status`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Look again and again, with this much time in between.
    pub watch: Option<Duration>,
}

/// Says how everything stands. With `--watch` it goes on until Ctrl-C, and there is no report to write.
pub fn status(ctx: &Ctx, options: &Options) -> anyhow::Result<Option<Report>> {
    let Some(pause) = options.watch else {
        let report = look(ctx)?;
        if report.exit != 0 {
            ctx.ui.error(&fail(&report).into());
        }
        return Ok(Some(report));
    };
    while !ctx.interrupt.requested() {
        match look(ctx) {
            Ok(report) if ctx.ui.format() == Format::Json => {
                ctx.ui
                    .data(&ctx.ui.mask().apply_json(&report.json()).to_string());
            }
            Ok(report) => ctx.ui.picture(report.answer.as_deref().unwrap_or_default()),
            // What cannot be read now may be a moment later: whoever watches is told, and goes on watching.
            Err(error) => ctx.ui.error(&error),
        }
        let naps = pause.as_millis().div_ceil(50);
        for _ in 0..naps {
            if ctx.interrupt.requested() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(None)
}

/// One look.
fn look(ctx: &Ctx) -> anyhow::Result<Report> {
    let workspace = Workspace::load(&ctx.root)?;
    let target = Target::look(ctx, &workspace)?;
    if !target.reachable {
        return Err(
            Fail::setup("the local cloud is not running, or has never seen this repo")
                .why("nothing is live there")
                .fix("cargo xtask deploy --cloud local")
                .into(),
        );
    }
    let status = Status::gather(ctx, &workspace, &target)?;
    Ok(status.report(ctx.ui.columns()))
}

/// What is wrong, for people who see no table: in the annotations of a workflow.
fn fail(report: &Report) -> Fail {
    let problems = report.more.get("problems").and_then(|it| it.as_array());
    let problems = problems.into_iter().flatten().filter_map(|it| it.as_str());
    let fail = Fail::new(Exit::Check, "what is live is not as it was released");
    problems
        .fold(fail, |fail, problem| fail.why(problem))
        .fix("cargo xtask deploy   (puts back what the repo says), or put what was changed by hand into the repo")
}
