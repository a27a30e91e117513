//! `cargo xtask local`: the local cloud as a program of its own, for wrangler and for people.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::config::Local;
use crate::context::Ctx;
use crate::error::Fail;
use crate::tools::{local_cloud, process};
use crate::workspace::Workspace;

/// The flags of `local`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Go on in the background.
    pub detach: bool,
    /// Stop the one that runs.
    pub stop: bool,
    /// Say whether one runs.
    pub status: bool,
    /// Forget what it stored, first.
    pub reset: bool,
    /// Another port than pipeline.toml's.
    pub port: Option<u16>,
}

/// Starts, stops or describes the local cloud.
pub fn local(ctx: &Ctx, options: &Options) -> anyhow::Result<()> {
    if ctx.dry_run {
        return Err(Fail::setup("`local` has no dry run")
            .why("it plans nothing: it starts, stops or describes a process")
            .fix("cargo xtask local --status")
            .into());
    }
    let state = ctx.state().join("local-cloud");
    if options.status {
        return status(ctx, &state);
    }
    if options.stop || options.reset {
        let stopped = local_cloud::stop(&state)?;
        if options.stop {
            ctx.ui.info(if stopped {
                "the local cloud has stopped"
            } else {
                "no local cloud is running"
            });
        }
    }
    if options.reset && state.exists() {
        std::fs::remove_dir_all(&state)
            .with_context(|| format!("failed to remove {}", state.display()))?;
        ctx.ui.info("the local cloud has forgotten everything");
    }
    if options.stop {
        return Ok(());
    }
    // A repo without pipeline.toml can use the local cloud, too: any wrangler project may.
    let workspace = ctx
        .root
        .join("pipeline.toml")
        .exists()
        .then(|| Workspace::load(&ctx.root))
        .transpose()?;
    let mut settings = workspace
        .as_ref()
        .map_or_else(Local::default, |workspace| workspace.pipeline.local.clone());
    settings.port = options.port.unwrap_or(settings.port);
    if options.detach {
        let cloud = local_cloud::start(ctx, &settings, &state)?;
        if let Some(workspace) = &workspace {
            local_cloud::adopt(&cloud, workspace)?;
        }
        return status(ctx, &state);
    }
    foreground(ctx, workspace.as_ref(), &settings, &state)
}

fn foreground(
    ctx: &Ctx,
    workspace: Option<&Workspace>,
    settings: &Local,
    state: &Path,
) -> anyhow::Result<()> {
    if let Some(cloud) = local_cloud::running(state) {
        return Err(Fail::setup("the local cloud is running already")
            .why(format!("at {}/", cloud.edge))
            .fix("cargo xtask local --stop")
            .into());
    }
    let command = local_cloud::serve_command(ctx, settings, state)?;
    std::thread::scope(|scope| {
        scope.spawn(|| announce(ctx, workspace, state));
        let code = process::run_foreground(&command, &ctx.env, &ctx.ui.mask())?;
        if code == 0 || ctx.interrupt.requested() {
            return Ok(());
        }
        Err(Fail::setup("the local cloud ended with an error")
            .why(format!("exit code {code}; it has said why above"))
            .into())
    })
}

/// Waits until the cloud answers, tells it the repo's resources, and says where it is.
fn announce(ctx: &Ctx, workspace: Option<&Workspace>, state: &Path) {
    for _ in 0..200 {
        if ctx.interrupt.requested() {
            return;
        }
        if let Some(cloud) = local_cloud::running(state) {
            if let Some(Err(error)) =
                workspace.map(|workspace| local_cloud::adopt(&cloud, workspace))
            {
                ctx.ui.warn(&format!("{error:#}"));
            }
            if let Err(error) = status(ctx, state) {
                ctx.ui.error(&error);
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn status(ctx: &Ctx, state: &Path) -> anyhow::Result<()> {
    let Some(cloud) = local_cloud::running(state) else {
        return Err(Fail::check("no local cloud is running")
            .fix("cargo xtask local")
            .into());
    };
    ctx.ui.info(&format!("local cloud    {}/", cloud.edge));
    ctx.ui.info(&format!(
        "workers        http://<worker>.{}.localhost:{}/",
        cloud.subdomain,
        port(&cloud.edge)
    ));
    ctx.ui
        .info("wrangler       export CLOUDFLARE_API_TOKEN=local");
    ctx.ui.info(&format!(
        "               export CLOUDFLARE_API_BASE_URL={}",
        cloud.api
    ));
    Ok(())
}

fn port(edge: &str) -> &str {
    edge.rsplit(':').next().unwrap_or_default()
}
