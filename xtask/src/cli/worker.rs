//! The command line of `worker`.

use clap::{Args, Subcommand};

use crate::stages::worker::{Action, Script};

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    #[command(subcommand)]
    action: WorkerAction,
}

#[derive(Debug, Subcommand)]
enum WorkerAction {
    /// Ship a worker from now on, as `init` would have found it
    Add {
        /// Its folder, or its wrangler config
        #[arg(value_name = "PATH")]
        path: String,
        /// Its short name [default: the folder's name, or the one on Cloudflare]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Ship a worker no longer; its files stay, and what is live, too
    Remove {
        /// The worker, by short name or script name
        name: String,
        /// It goes on living, shipped from elsewhere: others here may be bound to it
        #[arg(long)]
        external: bool,
    },
    /// Call a worker something else, in every config that says its name
    Rename {
        /// The worker, by short name or script name
        from: String,
        /// Its new short name
        to: String,
        /// Its new name on Cloudflare [default: the old one with the new short name in it]
        #[arg(long, value_name = "NAME", conflicts_with = "short_only")]
        script: Option<String>,
        /// Leave its name on Cloudflare as it is
        #[arg(long)]
        short_only: bool,
    },
}

impl From<WorkerArgs> for Action {
    fn from(args: WorkerArgs) -> Action {
        match args.action {
            WorkerAction::Add { path, name } => Action::Add { path, name },
            WorkerAction::Remove { name, external } => Action::Remove { name, external },
            WorkerAction::Rename {
                from,
                to,
                script,
                short_only,
            } => Action::Rename {
                from,
                to,
                script: match (script, short_only) {
                    (Some(name), _) => Script::Named(name),
                    (None, true) => Script::Kept,
                    (None, false) => Script::Derived,
                },
            },
        }
    }
}
