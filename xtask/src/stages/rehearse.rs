//! `cargo xtask rehearse`: the whole pipeline, offline, on a copy of the repo and a fresh local cloud. Nothing of the
//! repo itself is changed, and no real secret is used.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::context::{CloudKind, Ctx};
use crate::error::Fail;
use crate::interrupt::Interrupt;
use crate::report::Report;
use crate::stages::{deploy, install};
use crate::tools::git::Git;
use crate::tools::{local_cloud, node, wrangler};
use crate::ui::{Format, Ui};
use crate::workspace::Workspace;

const STAGE: &str = "rehearse";

/// A change that every TypeScript and JavaScript module can bear, and that reaches the bundle.
const CHANGE: &str = "\n// Added by the rehearsal: a release with one changed worker.\nReflect.set(globalThis, \"rehearsal\", 2);\n";

/// Rehearses. The local cloud goes on afterwards, so that the workers can be looked at, unless `stop` says otherwise.
pub fn rehearse(ctx: &Ctx, stop: bool) -> anyhow::Result<Report> {
    if ctx.dry_run {
        return Err(Fail::setup("`rehearse` has no dry run")
            .why("it is one: it ships a copy of the repo to a cloud of its own")
            .fix("cargo xtask deploy --cloud local --dry-run   (prints the plan of a deploy)")
            .into());
    }
    install(ctx)?;
    let copy = copy_repo(ctx)?;
    let workspace = Workspace::load(&copy)?;
    let inner = inner_context(ctx, &copy, &workspace);
    let mut settings = workspace.pipeline.local.clone();
    if TcpListener::bind(("127.0.0.1", settings.port)).is_err() {
        ctx.ui.info(&format!(
            "port {} is taken; the rehearsal uses a free one",
            settings.port
        ));
        settings.port = 0;
    }
    let state = inner.state().join("local-cloud");
    local_cloud::start(&inner, &settings, &state)?;

    let options = deploy::Options {
        // There is no public here to be watched.
        watch: Some(Duration::ZERO),
        ..deploy::Options::default()
    };
    ctx.ui.info("\nfirst release: every worker is new");
    let first = deploy::deploy(&inner, &options)?;
    let mut report = first;
    if report.exit == 0 {
        let changed = change_one(&copy, &workspace)?;
        ctx.ui
            .info(&format!("\nsecond release: {changed} has changed"));
        let second = deploy::deploy(&inner, &options)?;
        report = join(report, second);
    }
    report.stage = STAGE.to_owned();
    if stop || ctx.env.ci {
        local_cloud::stop(&state)?;
    } else if let Some(cloud) = local_cloud::running(&state) {
        report.fact("local cloud", format!("{}/ (it goes on)", cloud.edge));
        report.fact(
            "stop it",
            format!(
                "cargo xtask local --stop --root {}",
                shown(&copy, &ctx.env.cwd)
            ),
        );
    }
    Ok(report)
}

/// Both releases in one report: the steps of both, the workers as the second left them.
fn join(first: Report, second: Report) -> Report {
    let mut report = second;
    let mut steps = first.steps;
    for step in &mut steps {
        step.group = format!("1 {}", step.group);
    }
    for step in &mut report.steps {
        step.group = format!("2 {}", step.group);
    }
    steps.append(&mut report.steps);
    report.steps = steps;
    for warning in first.warnings {
        report.warn(warning);
    }
    report
}

/// Installs what the lock files say, when wrangler or Node is missing.
fn install(ctx: &Ctx) -> anyhow::Result<()> {
    let root = &ctx.root;
    let (workspace, _) = Workspace::read(root);
    let workers = workspace.iter().flat_map(|workspace| &workspace.workers);
    let folders = || workers.clone().map(|worker| worker.dir.as_path());
    let has_wrangler = |folder| wrangler::installed_for(root, folders(), folder).is_some();
    let ready = folders().all(has_wrangler) && has_wrangler(root);
    if ready && node::find(root).is_ok() {
        return Ok(());
    }
    let installs = install::of_repo(root);
    if installs.is_empty() {
        return Err(Fail::setup(
            "wrangler is not installed, and there is no lock file to install it from",
        )
        .why("package-lock.json, pnpm-lock.yaml, yarn.lock and bun.lock were looked for")
        .fix("npm install --save-dev wrangler   (or the same with pnpm, yarn or bun)")
        .into());
    }
    let plan = install::plan(root, &installs);
    let runner = install::Installer {
        ctx,
        installs: &installs,
    };
    if ctx.run(&plan, &runner).ok() {
        return Ok(());
    }
    Err(Fail::setup("the packages could not be installed")
        .why("the package manager has said why above")
        .fix("cargo xtask install")
        .into())
}

/// Copies the repo as it is on disk, ignored files apart, and makes the copy a repository with one commit.
fn copy_repo(ctx: &Ctx) -> anyhow::Result<PathBuf> {
    let copy = ctx.state().join("rehearsal");
    local_cloud::stop(&copy.join(".xtask/local-cloud"))?;
    if copy.exists() {
        std::fs::remove_dir_all(&copy)
            .with_context(|| format!("failed to empty {}", copy.display()))?;
    }
    for file in Git::open(&ctx.root)?.files()? {
        let from = ctx.root.join(&file);
        // A deleted file is still listed until the deletion is committed; a submodule is a folder.
        if from.is_file() {
            let to = copy.join(&file);
            let folder = to.parent().unwrap_or(&copy);
            std::fs::create_dir_all(folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
            std::fs::copy(&from, &to)
                .with_context(|| format!("failed to copy {}", from.display()))?;
        }
    }
    link_modules(&ctx.root, &copy)?;
    let main = Workspace::load(&copy)?.pipeline.project.main_branch;
    Git::commit_all(&copy, &main, "rehearsal: the repo as it is on disk")?;
    Ok(copy)
}

/// Installed packages are shared with the copy: the root's, and those of workers that have their own.
fn link_modules(root: &Path, copy: &Path) -> anyhow::Result<()> {
    let workspace = Workspace::load(copy)?;
    let folders = workspace
        .workers
        .iter()
        .filter_map(|worker| worker.dir.strip_prefix(&workspace.root).ok());
    for folder in std::iter::once(Path::new("")).chain(folders) {
        let from = root.join(folder).join("node_modules");
        let to = copy.join(folder).join("node_modules");
        if from.is_dir() && !to.exists() {
            link(&from, &to).with_context(|| format!("failed to link {}", to.display()))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(windows)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(from, to)
}

/// The context of the copy: the local cloud, and stand-ins for all secrets.
fn inner_context(ctx: &Ctx, copy: &Path, workspace: &Workspace) -> Ctx {
    let mut env = ctx.env.clone();
    for name in workspace.workers.iter().flat_map(|worker| &worker.secrets) {
        env = env.with(name, format!("rehearsal-{}", name.to_lowercase()));
    }
    let ui = Ui::new(&env, false, ctx.ui.verbose(), Format::Text);
    // The stand-ins do not make the real values public.
    ui.hide(&ctx.ui.mask());
    Ctx {
        ui,
        env,
        root: copy.to_owned(),
        cloud: CloudKind::Local,
        only: Vec::new(),
        jobs: ctx.jobs,
        dry_run: false,
        diagram: false,
        interrupt: Interrupt::install(),
    }
}

/// Changes one worker of the copy and commits it; gives its name.
fn change_one(copy: &Path, workspace: &Workspace) -> anyhow::Result<String> {
    let changed = workspace.workers.iter().find_map(|worker| {
        let main = worker
            .config_path
            .parent()?
            .join(worker.config.main.as_ref()?);
        main.is_file().then_some((worker, main))
    });
    let Some((worker, main)) = changed else {
        return Err(Fail::setup("no worker has a `main` module to change").into());
    };
    let mut text = std::fs::read_to_string(&main)
        .with_context(|| format!("failed to read {}", main.display()))?;
    text.push_str(CHANGE);
    std::fs::write(&main, text).with_context(|| format!("failed to write {}", main.display()))?;
    Git::commit_all(
        copy,
        &workspace.pipeline.project.main_branch,
        &format!("{}: a change", worker.name),
    )?;
    Ok(worker.name.clone())
}

fn shown(path: &Path, cwd: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}
