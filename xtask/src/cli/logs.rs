//! The flags of `logs`.

use std::time::Duration;

use clap::Args;

use crate::stages::logs::Options;

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// Only these workers, by short name or script name
    #[arg(value_name = "WORKER")]
    workers: Vec<String>,
    /// Only events that hold this text, in any case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// End after this time, e.g. 30s [default: at Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
}

impl From<LogsArgs> for Options {
    fn from(args: LogsArgs) -> Options {
        Options {
            workers: args.workers,
            grep: args.grep,
            time: args.time,
        }
    }
}
