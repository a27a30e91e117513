//! `worker remove`: a worker ships no longer. Its files stay, and `init` does not bring it back.

use std::path::{Path, PathBuf};

use super::{Now, STAGE, delete_command, place};
use crate::config::WorkerEntry;
use crate::config::edit::Editor;
use crate::context::Ctx;
use crate::error::Fail;
use crate::report::{Report, Table};
use crate::stages::changes::{self, Change};
use crate::survey::{self, Files};
use crate::workspace::{Worker, Workspace};

pub(super) fn remove(ctx: &Ctx, name: &str, external: bool) -> anyhow::Result<Report> {
    let now = Now::read(&ctx.root)?;
    let (workspace, _) = Workspace::read_as(&ctx.root, &now.text);
    let short = now.short_name(workspace.as_ref(), name)?;
    let workers = workspace
        .as_ref()
        .map_or(&[][..], |workspace| &workspace.workers);
    // A worker whose folder is gone already can be removed all the same: its name on Cloudflare is not known then.
    let worker = workers.iter().find(|worker| worker.name == short);
    let others: Vec<&Worker> = workers.iter().filter(|other| other.name != short).collect();
    let bound = worker.map_or_else(Vec::new, |worker| bound_to(&ctx.root, worker, &others));
    if !bound.is_empty() && !external {
        return Err(still_called(&short, &bound).into());
    }

    let mut editor = Editor::new(&ctx.root, &now.text)?;
    editor.remove_worker(&short)?;
    let ignored = now
        .pipeline
        .workers
        .iter()
        .find(|(other, _)| *other == short)
        .and_then(|(_, entry)| to_ignore(&ctx.root, &now, entry));
    if let Some(path) = &ignored {
        let comment = "# No longer shipped: `cargo xtask init` takes no Worker from these.\n";
        let path = [path.display().to_string()];
        editor.add_to_list("ignored_workers", &path, comment);
    }
    if let Some(worker) = worker.filter(|_| external) {
        let comment = "# Bound to, and not shipped from here.\n";
        let script = [worker.config.name.clone()];
        editor.add_to_list("external_services", &script, comment);
    }
    let new = editor.finish();
    let wrong = now.made_wrong(&ctx.root, &new);
    if !wrong.is_empty() {
        let fail = Fail::setup(format!("without `{short}` pipeline.toml would be wrong"));
        let fail = wrong.into_iter().fold(fail, Fail::why);
        return Err(fail.fix("put that right first; nothing was changed").into());
    }

    let mut report = Report::empty(STAGE);
    report.fact("removed", short.clone());
    let refers = referring(&now, &short, worker, &others);
    if !refers.rows.is_empty() {
        report.tables.push(refers);
    }
    if let Some(path) = &ignored {
        report.fact(
            "kept",
            format!(
                "{}, which `init` leaves alone from now on (`ignored_workers`)",
                path.display()
            ),
        );
    }
    if let Some(worker) = worker {
        said_of_live(&mut report, &now, worker, &others, external);
    }
    let change = Change {
        path: "pipeline.toml".into(),
        old: Some(now.text),
        new,
    };
    let next = "look at it, commit it, then: cargo xtask deploy --dry-run";
    changes::carry_out(ctx, report, &[change], next)
}

/// Where others are bound to it: they could not be deployed once it is gone.
fn bound_to(root: &Path, worker: &Worker, others: &[&Worker]) -> Vec<String> {
    let script = worker.config.name.as_str();
    let mut found = Vec::new();
    for other in others {
        let bindings = &other.config.bindings;
        let services = bindings.services.iter().filter(|it| it.service == script);
        let services = services.map(|it| (&it.binding, it.at.line));
        let objects = bindings.durable_objects.iter();
        let objects = objects.filter(|it| it.script_name.as_deref() == Some(script));
        let objects = objects.map(|it| (&it.name, it.at.line));
        found.extend(services.chain(objects).map(|(binding, line)| {
            let place = place(root, other, line);
            format!(
                "{place}: `{}` calls it by the binding `{binding}`",
                other.name
            )
        }));
    }
    found
}

fn still_called(short: &str, bound: &[String]) -> Fail {
    let fail = Fail::setup(format!("others are bound to `{short}`"));
    let fail = bound.iter().fold(fail, |fail, line| fail.why(line.clone()));
    fail.fix("take these bindings out, then run this again; nothing was changed")
        .fix(format!(
            "cargo xtask worker remove {short} --external   (it goes on living, shipped from elsewhere)"
        ))
}

/// What `init` has to leave alone so that it does not come back: its folder where nothing else is in it, else its config.
/// One that cannot be read now may be put right later, so what counts is that it is there.
fn to_ignore(root: &Path, now: &Now, entry: &WorkerEntry) -> Option<PathBuf> {
    let dir = entry.path.strip_prefix(root).ok()?.to_owned();
    let names = match &entry.config {
        Some(config) => vec![config.as_str()],
        None => survey::DEFAULTS.to_vec(),
    };
    let mut configs = names.iter().map(|name| dir.join(name));
    let config = configs.find(|config| root.join(config).is_file())?;
    let mut others = now.pipeline.workers.iter().map(|(_, other)| other);
    // Shipped in another environment, too: it is known, and not taken again.
    let same = |other: &WorkerEntry| {
        (&other.path, &other.config) == (&entry.path, &entry.config) && other.env != entry.env
    };
    let ignored = &now.pipeline.ignored_workers;
    if others.any(same) || ignored.iter().any(|path| config.starts_with(path)) {
        return None;
    }
    let files = Files::list(root);
    let alone = files
        .configs()
        .iter()
        .all(|other| !other.starts_with(&dir) || *other == config);
    let whole = alone && dir != Path::new("");
    Some(if whole { dir } else { config })
}

/// What else is about it.
fn referring(now: &Now, short: &str, worker: Option<&Worker>, others: &[&Worker]) -> Table {
    let mut table = Table::new("refers to it still", &["where", "what", "what to do"]);
    for allow in &now.pipeline.allow {
        if allow
            .step
            .split(' ')
            .skip(1)
            .any(|word| word.trim_end_matches('*') == short)
        {
            table.row([
                "pipeline.toml".to_owned(),
                format!("[[allow]] of `{}`", allow.step),
                "take it out: it is about no step any more".to_owned(),
            ]);
        }
    }
    let address = format!("{{url:{short}}}");
    for (name, value) in &now.pipeline.preview.vars {
        if value.to_string().contains(&address) {
            table.row([
                "pipeline.toml".to_owned(),
                format!("`{address}` in `preview.vars.{name}`"),
                "give it another value: no preview can be made with this one".to_owned(),
            ]);
        }
    }
    let Some(worker) = worker else {
        return table;
    };
    for other in others {
        if other
            .config
            .tail_services()
            .contains(&worker.config.name.as_str())
        {
            table.row([
                other.name.clone(),
                "`tail_consumers`".to_owned(),
                "take it out before the worker is deleted".to_owned(),
            ]);
        }
    }
    let only_its = |secret: &&String| !others.iter().any(|other| other.secrets.contains(secret));
    for secret in worker.secrets.iter().filter(only_its) {
        table.row([
            "the workflows, GitHub".to_owned(),
            format!("the secret `{secret}`"),
            "no other worker needs it".to_owned(),
        ]);
    }
    table
}

fn said_of_live(
    report: &mut Report,
    now: &Now,
    worker: &Worker,
    others: &[&Worker],
    external: bool,
) {
    let config = &worker.config;
    let script = &config.name;
    if external {
        report.fact(
            "on cloudflare",
            format!(
                "`{script}` stays as it is; others here may be bound to it (`external_services`)"
            ),
        );
        return;
    }
    report.fact(
        "on cloudflare",
        format!("`{script}` stays as it is, if it is live: its address, routes and crons go on"),
    );
    report.fact("to delete it", delete_command(&now.pipeline, script));
    let classes = config.live_durable_classes();
    if !classes.is_empty() {
        let classes: Vec<String> = classes.into_iter().map(|(class, _)| class).collect();
        report.warn(format!(
            "deleting `{script}` deletes what its Durable Objects hold ({})",
            classes.join(", ")
        ));
    }
    for d1 in &config.bindings.d1 {
        let same = |other: &&Worker| {
            let mut theirs = other.config.bindings.d1.iter();
            theirs.any(|it| it.database_name == d1.database_name)
        };
        if let Some(name) = d1
            .database_name
            .as_ref()
            .filter(|_| !others.iter().any(same))
        {
            report.warn(format!(
                "no other worker is bound to the database {name}; it stays, with its rows"
            ));
        }
    }
}
