//! The flags of `status`.

use std::time::Duration;

use clap::Args;

use crate::stages::status::Options;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Look again and again until Ctrl-C, with this much time in between [default: 5s]
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        default_missing_value = "5s",
        value_parser = humantime::parse_duration
    )]
    watch: Option<Duration>,
}

impl From<StatusArgs> for Options {
    fn from(args: StatusArgs) -> Options {
        Options { watch: args.watch }
    }
}
