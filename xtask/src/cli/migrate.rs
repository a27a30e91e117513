//! The command line of `migrate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::stages::migrate::{Action, Options};

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    action: Option<MigrateAction>,
    /// The same as `migrate baseline`
    #[arg(long)]
    baseline: bool,
    /// Only this database, by its name in pipeline.toml
    #[arg(long, global = true, value_name = "NAME")]
    database: Option<String>,
    /// The database of this pull request's preview instead of production's
    #[arg(long, global = true, value_name = "N")]
    pr: Option<u64>,
    /// Take the deploy lease, whoever has it
    #[arg(long, global = true)]
    steal_lock: bool,
}

#[derive(Debug, Subcommand)]
enum MigrateAction {
    /// Say which SQL files are applied, pending, edited, missing or out of order
    Status,
    /// Apply what is pending, behind a restore point [the default]
    Up {
        /// Nothing numbered above N
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        /// Take the database back to the restore point when a file fails
        #[arg(long)]
        restore_on_failure: bool,
    },
    /// Start a migration with the next free number
    New {
        /// What it does, in a few words
        #[arg(required = true, value_name = "NAME")]
        name: Vec<String>,
    },
    /// Record the files as applied without running them, for a database that predates the ledger
    Baseline {
        /// Only up to this number; 0 for none
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        /// Even though the live schema is not what the files make
        #[arg(long)]
        force: bool,
    },
    /// Record an intended edit of an applied file
    Rebless {
        /// The file, or its name
        file: PathBuf,
        /// Why the edit is right
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

impl MigrateArgs {
    /// True when it runs in steps.
    pub(super) fn has_a_plan(&self) -> bool {
        !self.baseline && matches!(self.action, None | Some(MigrateAction::Up { .. }))
    }
}

impl From<MigrateArgs> for Options {
    fn from(args: MigrateArgs) -> Options {
        let action = match args.action {
            Some(MigrateAction::Status) => Action::Status,
            Some(MigrateAction::Up {
                to,
                restore_on_failure,
            }) => Action::Up {
                to,
                restore_on_failure,
            },
            Some(MigrateAction::New { name }) => Action::New {
                name: name.join(" "),
            },
            Some(MigrateAction::Baseline { to, force }) => Action::Baseline { to, force },
            Some(MigrateAction::Rebless { file, reason }) => Action::Rebless { file, reason },
            None if args.baseline => Action::Baseline {
                to: None,
                force: false,
            },
            None => Action::Up {
                to: None,
                restore_on_failure: false,
            },
        };
        Options {
            action,
            database: args.database,
            pr: args.pr,
            steal_lock: args.steal_lock,
        }
    }
}
