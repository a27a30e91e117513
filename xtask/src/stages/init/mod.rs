//! `cargo xtask init`: finds out what a repo ships and writes `pipeline.toml`; run again, it adds what is new and changes
//! nothing else. Also makes git ignore what the pipeline keeps, and the workflows hand over the secrets that are needed.

mod document;
pub(crate) mod propose;
pub(crate) mod report;
mod workflows;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::{Pipeline, Problems};
use crate::context::Ctx;
use crate::error::Fail;
use crate::report::Report;
use crate::stages::changes;
use crate::survey::{self, Files, Surroundings, Toolchains};
use crate::tools::git::Git;

const STAGE: &str = "init";

/// What the repo says about itself, and what stands in the files that may change.
pub(crate) struct Facts {
    pub(crate) root: PathBuf,
    pub(crate) files: Files,
    pub(crate) survey: survey::Survey,
    pub(crate) pipeline: Option<String>,
    /// Where `pipeline.toml` says that nothing is taken from.
    pub(crate) ignored: Vec<PathBuf>,
    /// The short name of the one new worker, when somebody chose it.
    pub(crate) called: Option<String>,
    /// Entries of lists in `pipeline.toml` (key and text) that no longer hold with the new worker.
    pub(crate) taken_back: Vec<(&'static str, String)>,
    pub(crate) gitignore: Option<String>,
    pub(crate) workflows: Vec<(PathBuf, String)>,
    /// Patterns that git does not ignore yet.
    pub(crate) unignored: Vec<String>,
    pub(crate) name: String,
    pub(crate) main_branch: String,
}

/// Finds, proposes, writes. A dry run shows the difference.
pub fn init(ctx: &Ctx) -> anyhow::Result<Report> {
    let facts = gather(ctx, |root, files, around, ignored| {
        Ok(survey::take(root, files, around, ignored))
    })?;
    let proposal = propose::propose(&facts)?;
    let mut report = report::report(STAGE, &proposal, &facts);
    if !facts.ignored.is_empty() {
        let ignored = facts.ignored.iter().map(|path| path.display().to_string());
        let ignored: Vec<String> = ignored.collect();
        report.fact(
            "ignored",
            format!(
                "{} (`ignored_workers` in pipeline.toml)",
                ignored.join(", ")
            ),
        );
    }
    changes::carry_out(
        ctx,
        report,
        &proposal.changes,
        "look at it, commit it, then: cargo xtask deploy --cloud local",
    )
}

/// Reads what there is.
pub(crate) fn gather(
    ctx: &Ctx,
    look: impl FnOnce(&Path, &Files, &Surroundings, &[PathBuf]) -> Result<survey::Survey, Fail>,
) -> anyhow::Result<Facts> {
    let root = ctx.root.clone();
    let read = |path: &Path| -> anyhow::Result<Option<String>> {
        match std::fs::read_to_string(root.join(path)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fail::setup(format!("`{}` cannot be read", path.display()))
                .why(error.to_string())
                .fix("make it a UTF-8 text file that you may read")
                .into()),
        }
    };
    let files = Files::list(&root);
    let around = Surroundings {
        toolchains: Toolchains::find(&ctx.env),
    };
    let pipeline = read(Path::new("pipeline.toml"))?;
    let ignored = pipeline.as_deref().and_then(|text| {
        // Its mistakes are told when it is read to be changed.
        Pipeline::parse(&root, text, &mut Problems::new(&root))
    });
    let ignored = ignored.map_or_else(Vec::new, |pipeline| pipeline.ignored_workers);
    let survey = look(&root, &files, &around, &ignored)?;
    let git = Git::open(&root).ok();
    let gitignore = read(Path::new(".gitignore"))?;
    let mut workflows = Vec::new();
    for path in files.below(Path::new(".github/workflows")) {
        workflows.extend(read(path)?.map(|text| (path.to_owned(), text)));
    }
    let unignored = unignored(
        &root,
        &survey,
        git.as_ref(),
        gitignore.as_deref().unwrap_or_default(),
    );
    Ok(Facts {
        pipeline,
        ignored,
        called: None,
        taken_back: Vec::new(),
        name: project_name(&root),
        main_branch: git
            .and_then(|git| git.likely_main())
            .unwrap_or_else(|| "main".to_owned()),
        unignored,
        gitignore,
        workflows,
        survey,
        files,
        root,
    })
}

/// What the pipeline and wrangler leave behind would count as uncommitted changes, which are not deployed.
fn unignored(root: &Path, survey: &survey::Survey, git: Option<&Git>, text: &str) -> Vec<String> {
    let mut wanted = vec![("/.xtask/", ".xtask/x".to_owned())];
    if root.join("xtask/Cargo.toml").is_file() {
        wanted.push(("/target/", "target/x".to_owned()));
    }
    let worker = survey
        .workers
        .first()
        .map(|worker| worker.dir.clone())
        .unwrap_or_default();
    let in_worker = |name: &str| worker.join(name).join("x").display().to_string();
    wanted.push((".wrangler/", in_worker(".wrangler")));
    // Without a slash: it may be a link.
    wanted.push(("node_modules", in_worker("node_modules")));
    let ignored = |pattern: &str, probe: &str| match git {
        Some(git) => {
            let folder = probe.trim_end_matches("/x");
            git.ignores(probe) || git.ignores(folder)
        }
        None => text
            .lines()
            .any(|line| line.trim().trim_matches('/') == pattern.trim_matches('/')),
    };
    wanted
        .into_iter()
        .filter(|(pattern, probe)| !ignored(pattern, probe))
        .map(|(pattern, _)| pattern.to_owned())
        .collect()
}

/// The name in the root's package.json, else the folder's.
fn project_name(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("package.json")).unwrap_or_default();
    let package: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
    let named = package["name"]
        .as_str()
        .map(|name| name.rsplit('/').next().unwrap_or(name));
    let folder = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    named
        .filter(|name| !name.trim().is_empty())
        .map(str::to_owned)
        .or(folder)
        .unwrap_or_else(|| "project".to_owned())
}

/// Reads a `pipeline.toml` that is there; one that is no TOML stops everything, as nothing can be added to it safely.
pub(crate) fn known(root: &Path, text: &str) -> Result<Pipeline, Fail> {
    let mut problems = Problems::new(root);
    let pipeline = Pipeline::parse(root, text, &mut problems);
    match pipeline {
        Some(pipeline) => Ok(pipeline),
        None => {
            problems.into_result()?;
            Err(Fail::setup("pipeline.toml cannot be read"))
        }
    }
}
