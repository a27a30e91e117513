//! Thin binary over the library: parse the command line, run it, turn the result into an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local_cloud::serve::{ServeOptions, serve};

/// A Cloudflare for one machine: wrangler talks to it, and the uploaded Workers really run.
#[derive(Parser)]
#[command(name = "local-cloud", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, the edge and the control page on one loopback port until stopped
    Serve(ServeOptions),
}

fn main() -> ExitCode {
    let Command::Serve(options) = Arguments::parse().command;
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            #[expect(clippy::print_stderr, reason = "the binary's only output to people")]
            {
                eprintln!("{fail}");
            }
            ExitCode::from(2)
        }
    }
}
