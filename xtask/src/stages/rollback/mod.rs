//! `cargo xtask rollback`: puts all workers back on the versions of an earlier release, at once. How the target is found
//! is in `history.rs`, what is refused in `check.rs`.

mod back;
mod carrier;
mod carry;
mod check;
mod durable;
mod facts;
pub(in crate::stages) mod history;
pub(in crate::stages) mod list;
mod plans;
mod postmortem;
mod record;
mod restore;
mod revert;
#[cfg(test)]
mod tests;
mod watch;

use std::time::Duration;

use crate::context::Ctx;
use crate::error::Fail;
use crate::github::runs;
use crate::ledger::{aside, lease};
use crate::report::Report;
use crate::stages::rollback::facts::Rollback;
use crate::target::Target;
use crate::workspace::Workspace;

/// The flags of `rollback`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The release to go to, instead of the previous one.
    pub to: Option<String>,
    /// Only list the releases.
    pub list: bool,
    /// Take the databases back, too, when their schema has changed since.
    pub restore_db: bool,
    /// Go even where the schema has changed since.
    pub force: bool,
    /// Answers the question about a restore.
    pub yes: bool,
    /// Take the lease whoever has it.
    pub steal_lock: bool,
    /// How long live events are watched afterwards, instead of what pipeline.toml says.
    pub watch: Option<Duration>,
    /// Begin a post-mortem, by this name.
    pub postmortem: Option<Option<String>>,
    /// Begin none.
    pub no_postmortem: bool,
    /// Take a commit back instead.
    pub revert: Option<Revert>,
}

/// The other way back: a commit that undoes another one, for a deploy to ship.
#[derive(Clone, Debug, Default)]
pub struct Revert {
    /// The commit to undo.
    pub commit: String,
    /// The branch to push to.
    pub branch: Option<String>,
    /// Push to the main branch.
    pub main: bool,
    /// Of a merge, the parent that stays.
    pub parent: Option<u8>,
}

/// Rolls back, or lists the releases. An `Err` means nothing was changed; a failure after that is in the report.
pub fn rollback(ctx: &Ctx, options: &Options) -> anyhow::Result<Option<Report>> {
    let workspace = Workspace::load(&ctx.root)?;
    if let Some(revert) = &options.revert {
        return revert::revert(ctx, &workspace, revert).map(Some);
    }
    let target = Target::open(ctx, &workspace)?;
    let database = facts::ledger(&workspace, &target)?;
    if options.list {
        return list::list(ctx, &workspace, &database).map(|()| None);
    }
    if options.restore_db && !ctx.only.is_empty() {
        return Err(Fail::setup("`--restore-db` takes no `--only`")
            .why("the other workers would run on a schema that is too old for them")
            .fix("roll all workers back, or leave the database as it is")
            .into());
    }
    let aside = !ctx.dry_run && aside::recover(&ctx.state(), &database)?;
    let before = facts::Before::read(ctx, &workspace, &database)?;
    if ctx.dry_run {
        let rollback = Rollback::gather(ctx, options, &workspace, &target, &database, before)?;
        rollback.check()?;
        return rollback.dry_run().map(Some);
    }
    let who = lease::Holder::of(&ctx.env, &before.id);
    let terms = lease::Terms {
        expiry: workspace.pipeline.deploy.lease_expiry,
        steal: options.steal_lock,
        interrupt: &ctx.interrupt,
        run: &|url| runs::state(ctx, &target, url),
    };
    let lease = lease::acquire(&database, &who, &terms)?;
    let left = match aside {
        true => aside::settle(&ctx.state(), &database)?,
        false => None,
    };
    // Read with the lease in hand: from here on nothing changes behind our back.
    let mut rollback = Rollback::gather(ctx, options, &workspace, &target, &database, before)?;
    rollback.check()?;
    rollback.warnings.extend(lease.notice.clone());
    rollback.warnings.extend(left);
    rollback.confirm()?;
    let ending = rollback.carry_out(&who);
    let ending = match ending {
        Err(error) if lease.lost() => {
            Err(error.context("another run took the lease over while this one ran"))
        }
        ending => ending,
    };
    let report = rollback.report(ending)?;
    drop(lease);
    Ok(Some(report))
}
