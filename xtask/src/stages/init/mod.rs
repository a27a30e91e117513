//! `cargo xtask init`: finds out what a repo ships and writes `pipeline.toml`; run again, it adds what is new and changes
//! nothing else. Also makes git ignore what the pipeline keeps, and the workflows hand over the secrets that are needed.

mod document;
mod propose;
mod report;
mod workflows;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::config::Pipeline;
use crate::context::Ctx;
use crate::diff;
use crate::error::Fail;
use crate::report::Report;
use crate::survey::{self, Files, Surroundings, Toolchains};
use crate::tools::git::Git;
use crate::ui::Format;

const STAGE: &str = "init";

/// A file that is to have another text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Relative to the root.
    pub path: PathBuf,
    /// Its text now; none when it is not there.
    pub old: Option<String>,
    /// Its text then.
    pub new: String,
}

/// What the repo says about itself, and what stands in the files that may change.
pub(crate) struct Facts {
    pub(crate) root: PathBuf,
    pub(crate) files: Files,
    pub(crate) survey: survey::Survey,
    pub(crate) pipeline: Option<String>,
    pub(crate) gitignore: Option<String>,
    pub(crate) workflows: Vec<(PathBuf, String)>,
    /// Patterns that git does not ignore yet.
    pub(crate) unignored: Vec<String>,
    pub(crate) name: String,
    pub(crate) main_branch: String,
}

/// Finds, proposes, writes. A dry run shows the difference.
pub fn init(ctx: &Ctx) -> anyhow::Result<Report> {
    let facts = gather(ctx)?;
    let proposal = propose::propose(&facts)?;
    let mut report = report::report(&proposal, &facts);
    if ctx.dry_run {
        let text: Vec<String> = proposal.changes.iter().map(Change::diff).collect();
        let text = text.concat();
        match ctx.ui.format() {
            Format::Json => {
                let mut document = report.json();
                document["diff"] = Value::from(text);
                ctx.ui.data(&document.to_string());
            }
            Format::Text => {
                ctx.ui.info(&report.text(ctx.ui.columns()));
                ctx.ui.data(if text.is_empty() {
                    "nothing would change"
                } else {
                    &text
                });
            }
        }
        return Ok(report);
    }
    for change in &proposal.changes {
        change.write(&ctx.root)?;
    }
    let written: Vec<String> = proposal
        .changes
        .iter()
        .map(|change| change.path.display().to_string())
        .collect();
    report.fact(
        "written",
        if written.is_empty() {
            "nothing: it is all there already".to_owned()
        } else {
            written.join(", ")
        },
    );
    if !written.is_empty() {
        report.fact(
            "next",
            "look at it, commit it, then: cargo xtask deploy --cloud local",
        );
    }
    Ok(report)
}

fn gather(ctx: &Ctx) -> anyhow::Result<Facts> {
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
    let survey = survey::take(&root, &files, &around, &[]);
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
        pipeline: read(Path::new("pipeline.toml"))?,
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

impl Change {
    pub(crate) fn diff(&self) -> String {
        diff::unified(
            &self.path.display().to_string(),
            self.old.as_deref(),
            Some(&self.new),
        )
    }

    /// Renamed into place: a killed run leaves the old file or the new one.
    pub(crate) fn write(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        let new = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::write(&new, &self.new).and_then(|()| std::fs::rename(&new, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.with_context(|| format!("failed to write {}", path.display()))
    }
}

/// Reads a `pipeline.toml` that is there; one that is no TOML stops everything, as nothing can be added to it safely.
pub(crate) fn known(root: &Path, text: &str) -> Result<Pipeline, Fail> {
    let mut problems = crate::config::Problems::new(root);
    let pipeline = Pipeline::parse(root, text, &mut problems);
    match pipeline {
        Some(pipeline) => Ok(pipeline),
        None => {
            problems.into_result()?;
            Err(Fail::setup("pipeline.toml cannot be read"))
        }
    }
}
