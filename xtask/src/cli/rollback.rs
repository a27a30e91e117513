//! The flags of `rollback`.

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
        }
    }
}
