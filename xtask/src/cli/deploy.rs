//! The flags of `deploy`.

use std::time::Duration;

use clap::Args;

use crate::stages::deploy;

#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// Ship uncommitted changes, and commits that are not on the main branch
    #[arg(long)]
    allow_dirty: bool,
    /// Upload every worker, even one whose content is live already
    #[arg(long)]
    force: bool,
    /// Take the deploy lease, whoever has it
    #[arg(long)]
    steal_lock: bool,
    /// First give the new versions this share of the traffic, in percent [default: pipeline.toml]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=99))]
    canary: Option<u8>,
    /// How long the canary is watched before the rest follows, e.g. 60s [default: pipeline.toml]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    bake: Option<Duration>,
    /// Watch the public's requests for so long at the end, e.g. 60s; too many errors put the release back [default: pipeline.toml]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    watch: Option<Duration>,
    /// When the release fails, take the database back to where it was, with all that was written since
    #[arg(long)]
    restore_on_failure: bool,
}

impl From<DeployArgs> for deploy::Options {
    fn from(args: DeployArgs) -> deploy::Options {
        deploy::Options {
            allow_dirty: args.allow_dirty,
            force: args.force,
            steal_lock: args.steal_lock,
            canary: args.canary,
            bake: args.bake,
            watch: args.watch,
            restore_on_failure: args.restore_on_failure,
        }
    }
}
