//! The flags of `preview` and `cleanup`.

use clap::Args;

use crate::stages::{cleanup, preview};

#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// The pull request [default: GitHub's event; without one, the preview that belongs to none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pr: Option<u64>,
    /// The commit the preview is named after [default: GitHub's event, else HEAD]
    #[arg(long)]
    sha: Option<String>,
    /// The branch the preview is named after [default: GitHub's event, else the current one]
    #[arg(long)]
    branch: Option<String>,
    /// Throw the preview's data away and make it anew
    #[arg(long)]
    reset_data: bool,
}

#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    /// The pull request [default: GitHub's event; without one, the preview that belongs to none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pr: Option<u64>,
    /// The previews of all pull requests that are closed
    #[arg(long, conflicts_with = "pr")]
    stale: bool,
}

impl From<PreviewArgs> for preview::Options {
    fn from(args: PreviewArgs) -> preview::Options {
        preview::Options {
            pr: args.pr,
            sha: args.sha,
            branch: args.branch,
            reset_data: args.reset_data,
        }
    }
}

impl From<CleanupArgs> for cleanup::Options {
    fn from(args: CleanupArgs) -> cleanup::Options {
        cleanup::Options {
            pr: args.pr,
            stale: args.stale,
        }
    }
}
