//! The flags of `ci`.

use std::path::PathBuf;

use clap::Args;

use crate::stages::ci;

#[derive(Debug, Args)]
pub(super) struct CiArgs {
    /// Run everything, whatever passed before on the same inputs
    #[arg(long)]
    no_cache: bool,
    /// Only the workers a diff touches, and those that call them [default base: origin's main branch]
    #[arg(long, value_name = "BASE", num_args = 0..=1)]
    affected: Option<Option<String>>,
    /// Only this part of the steps, for several runners
    #[arg(long, value_name = "I/N")]
    shard: Option<ci::Shard>,
    /// Print the JSON for a GitHub `strategy.matrix` and stop
    #[arg(long)]
    matrix: bool,
    /// Put the reports of all shards in this folder together and stop
    #[arg(long, value_name = "DIR")]
    gather: Option<PathBuf>,
    /// Run every step, whatever fails [default in CI]
    #[arg(long, conflicts_with = "fail_fast")]
    keep_going: bool,
    /// Stop at the first failure [default on a laptop]
    #[arg(long)]
    fail_fast: bool,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl CiArgs {
    /// True when it runs in steps.
    pub(super) fn has_a_plan(&self) -> bool {
        !self.matrix && self.gather.is_none()
    }
}

impl From<CiArgs> for ci::Options {
    fn from(args: CiArgs) -> ci::Options {
        let keep_going = match (args.keep_going, args.fail_fast) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        ci::Options {
            no_cache: args.no_cache,
            affected: args.affected,
            shard: args.shard,
            matrix: args.matrix,
            gather: args.gather,
            keep_going,
            junit: args.junit,
        }
    }
}
