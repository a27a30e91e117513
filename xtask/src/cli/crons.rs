//! The command line of `crons`.

use clap::{Args, Subcommand};

use crate::stages::crons::{Options, Run};
use crate::zone::Day;

#[derive(Debug, Args)]
pub(super) struct CronsArgs {
    #[command(subcommand)]
    action: Option<CronsAction>,
    /// The day of the chart, in UTC, as if it had just begun [default: today]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    day: Option<Day>,
    /// How many runs to come are listed
    #[arg(long, value_name = "N", default_value_t = 8)]
    next: usize,
}

#[derive(Debug, Subcommand)]
enum CronsAction {
    /// Fire a cron trigger on the local cloud
    Run {
        /// The worker, by short name or script name
        worker: String,
        /// The expression, as its config has it
        cron: String,
    },
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "not a day such as 2027-03-14".to_owned())
}

impl From<CronsArgs> for Options {
    fn from(args: CronsArgs) -> Options {
        Options {
            day: args.day,
            next: args.next,
            run: args
                .action
                .map(|CronsAction::Run { worker, cron }| Run { worker, cron }),
        }
    }
}
