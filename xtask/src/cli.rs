//! The command line: flags in, exit code out. Each verb's work is in `stages`.

mod ci;
mod completions;
mod crons;
mod deploy;
mod doctor;
mod logs;
mod migrate;
mod preview;
mod rollback;
mod secrets;
mod status;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::config::PIPELINE;
use crate::context::{CloudKind, Ctx};
use crate::env::Env;
use crate::error::{Exit, Fail, exit_of, render};
use crate::interrupt::Interrupt;
use crate::report::Report;
use crate::stages::{self, local, rehearse, tidy};
use crate::tools::local_cloud;
use crate::ui::{Format, Ui};

/// The pipeline of a Cloudflare Workers monorepo: the same commands on a laptop and in CI.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done, 1 a check failed, 2 set-up or input is wrong, 3 the cloud refused or the release\n\
was put back, 4 left part-way: a person has to look, 101 a bug of the pipeline."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The repo to work on [default: the one that holds xtask]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Which cloud to talk to [default: $XTASK_CLOUD, else cloudflare]
    #[arg(long, global = true, value_name = "CLOUD")]
    cloud: Option<CloudName>,
    /// Only this worker, by short name or script name; may be repeated
    #[arg(long, global = true, value_name = "WORKER")]
    only: Vec<String>,
    /// How many steps run at the same time [default: the number of CPUs]
    #[arg(long, global = true, value_name = "N")]
    jobs: Option<usize>,
    /// Print the plan and make no write anywhere
    #[arg(long, global = true)]
    dry_run: bool,
    /// What stdout carries
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    format: FormatName,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Show every line the steps print
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CloudName {
    /// Production, or what CLOUDFLARE_API_BASE_URL names
    Cloudflare,
    /// The local cloud of this repo, started on demand
    Local,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Nothing, or the text that was asked for
    Text,
    /// One JSON document
    Json,
    /// The plan as a Mermaid diagram; like --dry-run, this makes no write anywhere
    Mermaid,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check the repo: types, audit, build, tests; side by side, and never twice for the same inputs
    Ci(ci::CiArgs),
    /// Ship all workers as one release: together or not at all
    Deploy(deploy::DeployArgs),
    /// Bring the databases forward, or say how they stand
    Migrate(migrate::MigrateArgs),
    /// Make or update the preview of a pull request: every worker under a name and with data of its own
    Preview(preview::PreviewArgs),
    /// Take previews down: workers, databases, namespaces and buckets
    Cleanup(preview::CleanupArgs),
    /// Print a script that makes a shell complete `cargo xtask`
    Completions(completions::CompletionsArgs),
    /// Show when the cron triggers fire: a chart of a day, the next runs, and what differs live
    Crons(crons::CronsArgs),
    /// Find the workers of a repo and write its pipeline.toml; run again, add what is new and leave the rest as it is
    Init,
    /// Install the packages of every lock file, exactly as locked
    Install,
    /// Look at everything a stage needs: programs, packages, git, configs, token, secrets, what is live
    Doctor(doctor::DoctorArgs),
    /// Run the local cloud: Cloudflare's API and edge on a loopback port
    Local(LocalArgs),
    /// Show what the workers meet and say, live, until Ctrl-C
    Logs(logs::LogsArgs),
    /// Run the whole pipeline offline: deploy twice to a fresh local cloud, show what is live
    Rehearse(RehearseArgs),
    /// Put all workers back on the versions of an earlier release, at once
    Rollback(rollback::RollbackArgs),
    /// Show where the secrets are, and give the workers new values: names are shown, values never
    Secrets(secrets::SecretsArgs),
    /// Print the JSON Schema of pipeline.toml, for editors
    Schema,
    /// Say what is live: release, versions, health, schema, previews, and what differs from the repo
    Status(status::StatusArgs),
    /// Check the repo's own rules: workflows, file sizes, documents, dependencies
    Tidy,
    /// Change which workers ship and what they are called, in every file that says so
    Worker(worker::WorkerArgs),
}

#[derive(Debug, Args)]
struct LocalArgs {
    /// Go on in the background
    #[arg(long, conflicts_with_all = ["stop", "status"])]
    detach: bool,
    /// Stop the one that runs
    #[arg(long, conflicts_with = "status")]
    stop: bool,
    /// Say whether one runs, and where
    #[arg(long)]
    status: bool,
    /// Forget everything it has stored, first
    #[arg(long, conflicts_with = "status")]
    reset: bool,
    /// The port, 0 for any free one [default: pipeline.toml]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

#[derive(Debug, Args)]
struct RehearseArgs {
    /// Stop the local cloud at the end [default in CI]
    #[arg(long)]
    stop: bool,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let env = Env::read();
    crate::pause::scale(env.var("XTASK_PAUSES"));
    let format = match cli.global.format {
        FormatName::Text | FormatName::Mermaid => Format::Text,
        FormatName::Json => Format::Json,
    };
    let ui = Ui::new(&env, cli.global.quiet, cli.global.verbose, format);
    let stage = cli.verb.name();
    let ctx = match cli.global.context(env, ui) {
        Ok(ctx) => ctx,
        Err((ui, error)) => return failed(&ui, stage, &error),
    };
    if ctx.diagram && !cli.verb.has_a_plan() {
        let fail = Fail::setup(format!("`{stage}` has no plan to draw here"))
            .why("only what runs in steps is planned first")
            .fix("cargo xtask deploy --format mermaid");
        return failed(&ctx.ui, stage, &fail.into());
    }
    match cli.verb.run(&ctx) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => written(&ctx, &report),
        // A program that the same signal ended has failed, too: that is not worth a word.
        Err(error) if ctx.interrupt.requested() && exit_of(&error) != Exit::Partial => {
            interrupted(&ctx.ui, stage)
        }
        Err(error) => failed(&ctx.ui, stage, &error),
    }
}

/// The end of a run that was interrupted before it changed anything: a verb that has changed something reports instead.
fn interrupted(ui: &Ui, stage: &str) -> ExitCode {
    ui.error(&Fail::setup("interrupted: nothing was changed").into());
    if ui.format() == Format::Json {
        let mut report = Report::empty(stage);
        report.fail(INTERRUPTED);
        report.fact("error", "interrupted: nothing was changed");
        ui.data(&report.json().to_string());
    }
    ExitCode::from(INTERRUPTED)
}

fn written(ctx: &Ctx, report: &Report) -> ExitCode {
    if ctx.dry_run {
        report.tell_answer(&ctx.ui);
        return ExitCode::from(report.exit);
    }
    if let Err(error) = report.write(&ctx.env, &ctx.ui, &ctx.root) {
        // The document is out already; what the stage found counts for more than that it could not be stored.
        ctx.ui.error(&error);
        let code = match report.exit {
            0 => Exit::Setup as u8,
            code => code,
        };
        return ExitCode::from(code);
    }
    ExitCode::from(report.exit)
}

/// The exit code of a run that a signal ended.
const INTERRUPTED: u8 = 130;

/// Programs get a document even when nothing could be run.
fn failed(ui: &Ui, stage: &str, error: &anyhow::Error) -> ExitCode {
    let code = exit_of(error) as u8;
    ui.error(error);
    if ui.format() == Format::Json {
        let mut report = Report::empty(stage);
        report.fail(code);
        report.fact("error", render(error));
        ui.data(&report.json().to_string());
    }
    ExitCode::from(code)
}

impl Global {
    fn context(self, env: Env, ui: Ui) -> Result<Ctx, (Ui, anyhow::Error)> {
        let cloud = match (self.cloud, env.var("XTASK_CLOUD")) {
            (Some(CloudName::Local), _) | (None, Some("local")) => CloudKind::Local,
            (Some(CloudName::Cloudflare), _) | (None, None | Some("cloudflare")) => {
                CloudKind::Cloudflare
            }
            (None, Some(other)) => {
                let fail = Fail::setup(format!("XTASK_CLOUD is `{other}`"))
                    .why("it names a cloud there is none of")
                    .fix("export XTASK_CLOUD=local   (or cloudflare)");
                return Err((ui, fail.into()));
            }
        };
        let root = self
            .root
            .map_or_else(local_cloud::own_repo, |root| env.cwd.join(root));
        // Symbolic links out of the way: paths are compared and shown relative to the root.
        let root = match std::fs::canonicalize(&root) {
            Ok(root) => root,
            Err(error) => {
                let fail = Fail::setup(format!("{} cannot be opened", root.display()))
                    .why(error.to_string())
                    .fix("give --root the folder that holds pipeline.toml");
                return Err((ui, fail.into()));
            }
        };
        // Before anything can run or be printed.
        ui.hide(&crate::target::mask_of(&env, &root));
        let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Ctx {
            env,
            ui,
            root,
            cloud,
            only: self.only,
            jobs: self.jobs.unwrap_or(cpus).max(1),
            dry_run: self.dry_run || self.format == FormatName::Mermaid,
            diagram: self.format == FormatName::Mermaid,
            interrupt: Interrupt::install(),
        })
    }
}

impl Verb {
    /// True when `--dry-run` prints a plan of steps, which `--format mermaid` can draw.
    fn has_a_plan(&self) -> bool {
        match self {
            Verb::Ci(args) => args.has_a_plan(),
            Verb::Migrate(args) => args.has_a_plan(),
            Verb::Rollback(args) => args.has_a_plan(),
            Verb::Secrets(args) => args.has_a_plan(),
            Verb::Deploy(_) | Verb::Preview(_) | Verb::Cleanup(_) | Verb::Install | Verb::Tidy => {
                true
            }
            _ => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Verb::Ci(_) => "ci",
            Verb::Deploy(_) => "deploy",
            Verb::Migrate(_) => "migrate",
            Verb::Preview(_) => "preview",
            Verb::Cleanup(_) => "cleanup",
            Verb::Completions(_) => "completions",
            Verb::Crons(_) => "crons",
            Verb::Init => "init",
            Verb::Install => "install",
            Verb::Doctor(_) => "doctor",
            Verb::Local(_) => "local",
            Verb::Logs(_) => "logs",
            Verb::Rehearse(_) => "rehearse",
            Verb::Rollback(_) => "rollback",
            Verb::Secrets(_) => "secrets",
            Verb::Schema => "schema",
            Verb::Status(_) => "status",
            Verb::Tidy => "tidy",
            Verb::Worker(_) => "worker",
        }
    }

    fn run(self, ctx: &Ctx) -> anyhow::Result<Option<Report>> {
        match self {
            Verb::Ci(args) => stages::ci::ci(ctx, &args.into()).map(Some),
            Verb::Deploy(args) => stages::deploy::deploy(ctx, &args.into()).map(Some),
            Verb::Migrate(args) => stages::migrate::migrate(ctx, &args.into()).map(Some),
            Verb::Preview(args) => stages::preview::preview(ctx, &args.into()).map(Some),
            Verb::Cleanup(args) => stages::cleanup::cleanup(ctx, &args.into()).map(Some),
            Verb::Crons(args) => stages::crons::crons(ctx, &args.into()).map(Some),
            Verb::Init => stages::init::init(ctx).map(Some),
            Verb::Install => stages::install::install(ctx).map(Some),
            Verb::Doctor(args) => stages::doctor::doctor(ctx, &args.into()),
            Verb::Local(args) => local::local(ctx, &args.into()).map(|()| None),
            Verb::Schema => {
                let text = serde_json::to_string_pretty(&PIPELINE.schema("pipeline.toml"))?;
                ctx.ui.data(&text);
                Ok(None)
            }
            Verb::Completions(args) => {
                ctx.ui.data(args.script(Cli::command()).trim_end());
                Ok(None)
            }
            Verb::Status(args) => stages::status::status(ctx, &args.into()),
            Verb::Tidy => tidy::tidy(ctx).map(Some),
            Verb::Worker(args) => stages::worker::worker(ctx, &args.into()).map(Some),
            Verb::Rollback(args) => stages::rollback::rollback(ctx, &args.into()),
            Verb::Logs(args) => stages::logs::logs(ctx, &args.into()).map(|()| None),
            Verb::Secrets(args) => stages::secrets::secrets(ctx, &args.into()).map(Some),
            Verb::Rehearse(args) => rehearse::rehearse(ctx, args.stop).map(Some),
        }
    }
}

impl From<LocalArgs> for local::Options {
    fn from(args: LocalArgs) -> local::Options {
        local::Options {
            detach: args.detach,
            stop: args.stop,
            status: args.status,
            reset: args.reset,
            port: args.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_text_is_as_recorded() {
        let mut text = Cli::command().render_help().to_string();
        for verb in Cli::command().get_subcommands_mut() {
            let name = verb.get_name().to_owned();
            text.push_str(&format!("\n---- {name} ----\n{}", verb.render_help()));
        }
        expect_test::expect_file!["../tests/snapshots/help.txt"].assert_eq(&text);
    }
}
