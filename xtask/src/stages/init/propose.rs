//! What `init` makes of what it found: the files as they are going to be, and what a person has to know or do. Pure, but for
//! reading the configs once more through the new `pipeline.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use super::{Facts, STAGE, document, known, workflows};
use crate::config::edit::Editor;
use crate::config::{Pipeline, WorkerEntry, WranglerConfig};
use crate::error::Fail;
use crate::ledger::migrations;
use crate::stages::changes::Change;
use crate::stages::ci::packages;
use crate::survey::{Candidate, short_names};
use crate::workspace::Workspace;

/// What is going to be written, and said.
pub(crate) struct Proposal {
    pub(crate) changes: Vec<Change>,
    /// Names of the workers that are new.
    pub(crate) added: Vec<String>,
    /// What somebody has to look at.
    pub(crate) warnings: Vec<String>,
    pub(crate) workspace: Option<Workspace>,
}

/// Makes the changes that add what is new.
pub(crate) fn propose(facts: &Facts) -> Result<Proposal, Fail> {
    let old = facts.pipeline.as_deref();
    let pipeline = old.map(|text| known(&facts.root, text)).transpose()?;
    let new: Vec<&Candidate> = facts
        .survey
        .workers
        .iter()
        .filter(|worker| {
            let ships = |pipeline| shipped_as(&facts.root, pipeline, worker);
            pipeline.as_ref().and_then(ships).is_none()
        })
        .collect();
    if new.is_empty()
        && pipeline
            .as_ref()
            .is_none_or(|pipeline| pipeline.workers.is_empty())
    {
        return Err(nothing(facts));
    }
    let editor = old.map(|text| Editor::new(&facts.root, text)).transpose()?;
    let taken = editor
        .as_ref()
        .map(|editor| editor.names("workers"))
        .unwrap_or_default();
    let names = match &facts.called {
        Some(name) => vec![name.clone()],
        None => short_names(&new, &taken),
    };
    let external = external(facts, &new, pipeline.as_ref());
    let text = match editor {
        Some(editor) => merged(facts, editor, &new, &names, &external),
        None => fresh(facts, &new, &names, &external),
    };
    let (workspace, problems) = Workspace::read_as(&facts.root, &text);
    let mut warnings: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
    warnings.extend(to_do(facts, workspace.as_ref(), &external));
    let mut secrets: BTreeSet<String> = BTreeSet::new();
    for worker in workspace.iter().flat_map(|workspace| &workspace.workers) {
        secrets.extend(worker.secrets.iter().cloned());
    }
    let secrets: Vec<String> = secrets.into_iter().collect();
    let mut changes = changes(facts, &secrets);
    if old != Some(text.as_str()) {
        changes.push(Change {
            path: "pipeline.toml".into(),
            old: old.map(str::to_owned),
            new: text,
        });
    }
    Ok(Proposal {
        changes,
        added: names,
        warnings,
        workspace,
    })
}

/// The short name under which `pipeline.toml` ships this config already, in whichever environment.
pub(crate) fn shipped_as<'p>(
    root: &Path,
    pipeline: &'p Pipeline,
    worker: &Candidate,
) -> Option<&'p str> {
    let dir = root.join(&worker.dir);
    let ships = |entry: &WorkerEntry| {
        let same_file = match &entry.config {
            Some(config) => *config == worker.file,
            None => {
                ["wrangler.json", "wrangler.jsonc", "wrangler.toml"].contains(&worker.file.as_str())
            }
        };
        entry.path == dir && same_file
    };
    let mut workers = pipeline.workers.iter();
    workers
        .find(|(_, entry)| ships(entry))
        .map(|(name, _)| name.as_str())
}

fn nothing(facts: &Facts) -> Fail {
    let mut fail = Fail::setup("no worker was found");
    for out in facts.survey.left_out.iter().take(20) {
        fail = fail.why(format!("{}: {}", out.path.display(), out.why));
    }
    if facts.survey.left_out.is_empty() {
        fail = fail.why(format!(
            "no file below {} is called wrangler.toml, .json or .jsonc",
            facts.root.display()
        ));
    }
    fail.fix("run it in the repo that holds your workers, or name that with `--root`")
        .fix("npm create cloudflare@latest   (starts a worker)")
}

/// Scripts that new workers are bound to and that the repo does not ship.
fn external(facts: &Facts, new: &[&Candidate], pipeline: Option<&Pipeline>) -> Vec<String> {
    let ours: BTreeSet<&str> = facts
        .survey
        .workers
        .iter()
        .map(|worker| worker.config.name.as_str())
        .collect();
    let declared = pipeline
        .map(|pipeline| pipeline.external_services.clone())
        .unwrap_or_default();
    let shipped = facts
        .pipeline
        .as_ref()
        .and_then(|text| Workspace::read_as(&facts.root, text).0)
        .map(|workspace| {
            workspace
                .workers
                .into_iter()
                .map(|worker| worker.config.name)
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let targets: BTreeSet<String> = new
        .iter()
        .flat_map(|worker| targets(&worker.config))
        .collect();
    targets
        .into_iter()
        .filter(|target| {
            !ours.contains(target.as_str())
                && !declared.contains(target)
                && !shipped.contains(target)
        })
        .collect()
}

fn targets(config: &WranglerConfig) -> Vec<String> {
    let services = config
        .bindings
        .services
        .iter()
        .map(|service| service.service.clone());
    let objects = config.bindings.durable_objects.iter();
    services
        .chain(objects.filter_map(|object| object.script_name.clone()))
        .collect()
}

/// KV and R2 binding names that stand for different things in different workers.
fn separate(workers: &[&Candidate]) -> Vec<String> {
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for worker in workers {
        let kv = worker.config.bindings.kv.iter();
        let r2 = worker.config.bindings.r2.iter();
        let kv = kv.filter_map(|kv| Some((kv.binding.as_str(), kv.id.as_deref()?)));
        let r2 = r2.filter_map(|r2| Some((r2.binding.as_str(), r2.bucket_name.as_deref()?)));
        for (binding, id) in kv.chain(r2) {
            seen.entry(binding).or_default().insert(id);
        }
    }
    let several = seen.into_iter().filter(|(_, ids)| ids.len() > 1);
    several.map(|(binding, _)| binding.to_owned()).collect()
}

fn fresh(facts: &Facts, new: &[&Candidate], names: &[String], external: &[String]) -> String {
    let mut text = document::head(&facts.name, &facts.main_branch, external, &separate(new));
    text.push('\n');
    text.push_str(&document::above("workers"));
    let tables: Vec<String> = new
        .iter()
        .zip(names)
        .map(|(worker, name)| document::worker(name, worker))
        .collect();
    text.push_str(&tables.join("\n"));
    let tables: Vec<String> = facts
        .survey
        .databases
        .iter()
        .filter_map(document::database)
        .collect();
    text.push('\n');
    text.push_str(&document::above("databases"));
    text.push_str(&tables.join("\n"));
    text.push_str(&document::rest());
    text
}

fn merged(
    facts: &Facts,
    mut editor: Editor,
    new: &[&Candidate],
    names: &[String],
    external: &[String],
) -> String {
    for (key, text) in &facts.taken_back {
        editor.remove_from_list(key, text);
    }
    if !external.is_empty() {
        editor.add_to_list(
            "external_services",
            external,
            "# Bound to, and not shipped from here.\n",
        );
    }
    let tables: Vec<String> = new
        .iter()
        .zip(names)
        .map(|(worker, name)| document::worker(name, worker))
        .collect();
    if !tables.is_empty() {
        editor.add_table("workers", &tables.join("\n"));
    }
    let known = editor.names("databases");
    let tables: Vec<String> = facts
        .survey
        .databases
        .iter()
        .filter(|database| !known.contains(&database.name))
        .filter_map(document::database)
        .collect();
    if !tables.is_empty() {
        editor.add_table("databases", &tables.join("\n"));
    }
    editor.finish()
}

/// `.gitignore` and the workflows.
fn changes(facts: &Facts, secrets: &[String]) -> Vec<Change> {
    let mut changes = Vec::new();
    if !facts.unignored.is_empty() {
        let mut new = facts.gitignore.clone().unwrap_or_default();
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str("# What `cargo xtask` and wrangler leave behind.\n");
        for pattern in &facts.unignored {
            new.push_str(&format!("{pattern}\n"));
        }
        changes.push(Change {
            path: ".gitignore".into(),
            old: facts.gitignore.clone(),
            new,
        });
    }
    let fresh = facts.pipeline.is_none();
    for (path, text) in &facts.workflows {
        if let Some(new) = workflows::rewritten(text, secrets, &facts.main_branch, fresh) {
            changes.push(Change {
                path: path.clone(),
                old: Some(text.clone()),
                new,
            });
        }
    }
    changes
}

/// What somebody has to know or do that no check of the configs tells.
fn to_do(facts: &Facts, workspace: Option<&Workspace>, external: &[String]) -> Vec<String> {
    let mut list = Vec::new();
    if let Some(why) = &facts.files.without_git {
        list.push(format!(
            "git cannot tell which files are ignored ({}): folders that usually hold what was generated were left out",
            why.lines().next().unwrap_or_default()
        ));
    }
    if !external.is_empty() {
        list.push(format!(
            "bound to, and not in this repo: {}; they are declared in `external_services`, correct a name that is a slip",
            external.join(", ")
        ));
    }
    for worker in &facts.survey.workers {
        let undeclared = &worker.secrets.undeclared;
        if !undeclared.is_empty() {
            list.push(format!(
                "{}: the source reads {}, and they are neither variables nor bindings nor secrets",
                worker.config.name,
                undeclared.join(", ")
            ));
        }
    }
    for database in &facts.survey.databases {
        if database.migrations.is_none() {
            list.push(format!(
                "the database {} has no folder of migrations: its schema is no part of a release",
                database.name
            ));
        }
        for other in &database.others {
            list.push(format!(
                "the database {} has a second folder of migrations, {}: it is left alone",
                database.name,
                other.display()
            ));
        }
    }
    for database in workspace
        .iter()
        .flat_map(|workspace| &workspace.pipeline.databases)
    {
        let files = migrations::gather(&facts.root, database);
        let ledger = migrations::Ledger::default();
        if let Ok(files) = files
            && let Err(fail) = migrations::pending(&files, &ledger, STAGE, SystemTime::UNIX_EPOCH)
        {
            list.push(format!(
                "{}: {} ({})",
                database.name,
                fail.what,
                fail.fix.join("; ")
            ));
        }
    }
    for path in facts.files.paths.iter().filter(|path| is_secret_file(path)) {
        list.push(format!(
            "{} is not ignored by git, and it holds secrets: add it to .gitignore",
            path.display()
        ));
    }
    let committed = facts.files.without_git.is_none();
    let locked =
        facts.survey.workers.iter().any(|worker| {
            packages::install_of(&facts.root, &facts.root.join(&worker.dir)).is_some()
        });
    if !locked && committed {
        list.push("no lock file: `npm install --save-dev wrangler` makes one, and what it names is what CI installs".to_owned());
    }
    list
}

fn is_secret_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let example = ["example", "sample", "template"]
        .iter()
        .any(|word| name.contains(word));
    name.starts_with(".dev.vars") && !example
}
