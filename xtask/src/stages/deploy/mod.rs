//! `cargo xtask deploy`: ships all workers as one release. The protocol, step by step, is in ARCHITECTURE.md.

mod addresses;
pub(in crate::stages) mod build;
mod commit;
mod live;
pub(in crate::stages) mod part;
pub(in crate::stages) mod placeholder;
pub(in crate::stages) mod plans;
mod record;
pub(in crate::stages) mod release;
pub(in crate::stages) mod serving;
#[cfg(test)]
mod tests;
pub(in crate::stages) mod triggers;
mod unshipped;
mod upload;
mod watch;

use std::time::{Duration, Instant};

use crate::context::Ctx;
use crate::error::{Exit, exit_of};
use crate::report::Report;
use crate::stages::deploy::release::Release;
use crate::target::Target;
use crate::workspace::Workspace;

/// The flags of `deploy`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Ship uncommitted changes, and commits that are not on the main branch.
    pub allow_dirty: bool,
    /// Upload every worker, even one whose content is live already.
    pub force: bool,
    /// Take the lease whoever has it.
    pub steal_lock: bool,
    /// Percent of the traffic in the first of two promotions.
    pub canary: Option<u8>,
    /// How long the canary is watched.
    pub bake: Option<Duration>,
    /// How long live events are watched after the promotion, instead of what pipeline.toml says.
    pub watch: Option<Duration>,
    /// Take the databases back to their restore points when the release fails.
    pub restore_on_failure: bool,
}

/// Ships. An `Err` means nothing was changed; a failure after that is in the report.
pub fn deploy(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    let workspace = Workspace::load(&ctx.root)?;
    unshipped::refuse(&workspace, &workspace.select(&ctx.only)?)?;
    let commit = commit::commit(ctx, &workspace, options)?;
    let target = Target::open(ctx, &workspace)?;
    let mut release = Release::gather(ctx, options, &workspace, &target, commit)?;
    release.check()?;
    if ctx.dry_run {
        return release.dry_run();
    }
    ctx.go_on()?;
    let lease = release.lease()?;
    // Somebody may have deployed while we waited: from here on nothing changes behind our back.
    release.refresh()?;
    release.check()?;
    ctx.go_on()?;
    let result = ship(&mut release);
    let lost = lease
        .as_ref()
        .is_some_and(crate::ledger::lease::Lease::lost);
    let result = match result {
        Err(error) if options.restore_on_failure && !lost => Err(release.restore(error)),
        result => result,
    };
    let ending = match result {
        Err(error) if lost => {
            Err(error.context("another deploy took the lease over while this one ran"))
        }
        result => result,
    };
    let mut report = release.report(ending)?;
    drop(lease);
    report.keep_to(workspace.pipeline.budgets.deploy, started.elapsed());
    Ok(report)
}

/// The protocol. Up to the staging nothing of production changes but the database; `go_live` puts back what it did.
fn ship(release: &mut Release<'_>) -> anyhow::Result<()> {
    release.rehearse()?;
    // Build first: the commonest failure must leave the database alone.
    release.build()?;
    release.migrate()?;
    release.upload()?;
    release.stage_and_smoke()?;
    if let Err(error) = release.go_live() {
        release.record_failure(exit_of(&error) == Exit::Partial);
        return Err(error);
    }
    release.record()
}
