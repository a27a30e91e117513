//! The command line of `secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::stages::secrets::{How, Options, Source};

#[derive(Debug, Args)]
pub(super) struct SecretsArgs {
    #[command(subcommand)]
    action: Option<SecretsAction>,
}

#[derive(Debug, Subcommand)]
enum SecretsAction {
    /// Show where each declared secret is, and how old it is; names only [the default]
    List,
    /// Fail when a declared secret is nowhere a deploy would look
    Check,
    /// Give the live workers the values known here
    Sync {
        /// A JSON file that only you can read (mode 0600) [default: the environment]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Make versions with the new values, and send nobody to them
        #[arg(long, conflicts_with = "bulk")]
        no_promote: bool,
        /// One request for each worker, live at once, without a trial
        #[arg(long)]
        bulk: bool,
        /// Take the deploy lease, whoever has it
        #[arg(long)]
        steal_lock: bool,
    },
    /// Give every worker that declares a secret a new value: all of them, or none
    Rotate {
        /// The secret
        #[arg(value_name = "NAME")]
        name: String,
        /// The value stands in this JSON file that only you can read [default: in the variable NAME]
        #[arg(long, value_name = "FILE", conflicts_with_all = ["stdin", "generate"])]
        from: Option<PathBuf>,
        /// The value comes from standard input
        #[arg(long, conflicts_with = "generate")]
        stdin: bool,
        /// Make a value up: 256 random bits
        #[arg(long)]
        generate: bool,
        /// Keep the generated value in this new file, for you alone
        #[arg(long, value_name = "FILE", requires = "generate")]
        keep: Option<PathBuf>,
        /// Take the deploy lease, whoever has it
        #[arg(long)]
        steal_lock: bool,
    },
}

impl SecretsArgs {
    /// True when a dry run prints steps.
    pub(super) fn has_a_plan(&self) -> bool {
        matches!(
            self.action,
            Some(SecretsAction::Sync { .. } | SecretsAction::Rotate { .. })
        )
    }
}

impl From<SecretsArgs> for Options {
    fn from(args: SecretsArgs) -> Options {
        match args.action {
            None | Some(SecretsAction::List) => Options::List,
            Some(SecretsAction::Check) => Options::Check,
            Some(SecretsAction::Sync {
                from,
                no_promote,
                bulk,
                steal_lock,
            }) => Options::Sync {
                from,
                how: match (no_promote, bulk) {
                    (true, _) => How::Staged,
                    (_, true) => How::Bulk,
                    _ => How::Together,
                },
                steal_lock,
            },
            Some(SecretsAction::Rotate {
                name,
                from,
                stdin,
                generate,
                keep,
                steal_lock,
            }) => Options::Rotate {
                name,
                source: match (from, stdin, generate) {
                    (Some(path), ..) => Source::File(path),
                    (_, true, _) => Source::Stdin,
                    (.., true) => Source::Generated,
                    _ => Source::Env,
                },
                keep,
                steal_lock,
            },
        }
    }
}
