//! The flags of `rollback`.

use std::time::Duration;

use clap::Args;

use crate::stages::rollback;

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Go to this release: its number, id or commit [default: the previous one]
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,
    /// List the releases on record and stop
    #[arg(long, conflicts_with_all = ["to", "restore_db", "force"])]
    list: bool,
    /// Take the databases back, too, when their schema has changed since: what was written since then is lost
    #[arg(long, conflicts_with = "force")]
    restore_db: bool,
    /// Go even when the schema has changed since
    #[arg(long)]
    force: bool,
    /// Restore without asking
    #[arg(long)]
    yes: bool,
    /// Take the deploy lease, whoever has it
    #[arg(long)]
    steal_lock: bool,
    /// Watch the public's requests for so long afterwards, e.g. 60s, and tell the share of errors [default: pipeline.toml]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with_all = ["list", "revert"])]
    watch: Option<Duration>,
    /// Begin a post-mortem in docs/postmortems/ [default: in production, see pipeline.toml]
    #[arg(long, value_name = "SLUG", num_args = 0..=1, conflicts_with = "no_postmortem")]
    postmortem: Option<Option<String>>,
    /// Begin none
    #[arg(long)]
    no_postmortem: bool,
    /// Instead, take a commit back with `git revert` and push that, for a deploy to ship
    #[arg(long, value_name = "COMMIT", conflicts_with_all = ["to", "list", "restore_db", "force", "steal_lock"])]
    revert: Option<String>,
    /// With --revert: push to this branch [default: revert-<commit>]
    #[arg(
        long,
        value_name = "NAME",
        requires = "revert",
        conflicts_with = "main"
    )]
    branch: Option<String>,
    /// With --revert: push to the main branch itself
    #[arg(long, requires = "revert")]
    main: bool,
    /// With --revert of a merge: the parent that stays, usually 1
    #[arg(long, value_name = "N", requires = "revert")]
    parent: Option<u8>,
}

impl RollbackArgs {
    /// True when it runs in steps.
    pub(super) fn has_a_plan(&self) -> bool {
        !self.list
    }
}

impl From<RollbackArgs> for rollback::Options {
    fn from(args: RollbackArgs) -> rollback::Options {
        rollback::Options {
            to: args.to,
            list: args.list,
            restore_db: args.restore_db,
            force: args.force,
            yes: args.yes,
            steal_lock: args.steal_lock,
            watch: args.watch,
            postmortem: args.postmortem,
            no_postmortem: args.no_postmortem,
            revert: args.revert.map(|commit| rollback::Revert {
                commit,
                branch: args.branch,
                main: args.main,
                parent: args.parent,
            }),
        }
    }
}
