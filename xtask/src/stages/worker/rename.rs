//! `worker rename`: a worker is called something else, in every file that says so: its wrangler config, those of the workers
//! bound to it, and `pipeline.toml`, in this order. A run that was killed is finished by the same command.

use std::path::Path;

use super::{Now, STAGE, Script, delete_command, mentions};
use crate::config::edit::{Editor, Renamed};
use crate::config::names;
use crate::context::Ctx;
use crate::error::Fail;
use crate::report::{Report, Table};
use crate::stages::changes::{self, Change};
use crate::survey::Files;
use crate::workspace::{Worker, Workspace};

/// So many places are shown to a person.
const PLACES_MAX: usize = 20;

pub(super) fn rename(ctx: &Ctx, from: &str, to: &str, script: &Script) -> anyhow::Result<Report> {
    let now = Now::read(&ctx.root)?;
    let (workspace, problems) = Workspace::read_as(&ctx.root, &now.text);
    let workers = workspace
        .as_ref()
        .map_or(&[][..], |workspace| &workspace.workers);
    let short = now.short_name(workspace.as_ref(), from)?;
    if workers.len() < now.pipeline.workers.len() {
        // What cannot be read may say the name, too.
        problems.into_result()?;
    }
    let Some(worker) = workers.iter().find(|worker| worker.name == short) else {
        anyhow::bail!(
            "`{short}` is in pipeline.toml and could not be read, and no reason was given"
        );
    };
    short_name_is_free(&now, &short, to)?;
    let old_script = worker.config.name.as_str();
    let new_script = match script {
        Script::Kept => old_script.to_owned(),
        Script::Named(name) => name.clone(),
        Script::Derived => derived(old_script, &short, to)?,
    };
    script_is_free(&now, workers, worker, &new_script)?;

    let (mut changes, renamed) = match new_script == old_script {
        true => (Vec::new(), Vec::new()),
        false => configs(&ctx.root, workers, worker, &new_script)?,
    };
    if short != to {
        let mut editor = Editor::new(&ctx.root, &now.text)?;
        editor.rename_worker(&short, to);
        let new = editor.finish();
        let wrong = now.made_wrong(&ctx.root, &new);
        if !wrong.is_empty() {
            let fail = Fail::setup(format!("with `{to}` pipeline.toml would be wrong"));
            let fail = wrong.into_iter().fold(fail, Fail::why);
            return Err(fail.fix("put that right first; nothing was changed").into());
        }
        changes.push(Change {
            path: "pipeline.toml".into(),
            old: Some(now.text.clone()),
            new,
        });
    }
    let mut report = told(&short, to, &renamed);
    if let Some(places) = left_alone(&ctx.root, &changes, &short, to, &renamed) {
        report.tables.push(places);
    }
    if !renamed.is_empty() {
        said_of_live(&mut report, &now, worker, (to, &new_script));
    }
    let next = "look at it (git diff), commit it, then: cargo xtask deploy --cloud local";
    changes::carry_out(ctx, report, &changes, next)
}

fn short_name_is_free(now: &Now, short: &str, to: &str) -> Result<(), Fail> {
    if !names::is_short_name(to) {
        return Err(Fail::setup(format!("`{to}` cannot be a short name"))
            .why("it may hold only letters, digits, `-`, `_` and `.`, and not begin with `-`")
            .fix("choose another name"));
    }
    let mut others = now.pipeline.workers.iter();
    if others.any(|(other, _)| other == to && other != short) {
        return Err(Fail::setup(format!("the name `{to}` is taken"))
            .why("pipeline.toml has a worker of that name")
            .fix("choose another name"));
    }
    Ok(())
}

/// The name on Cloudflare with the short name in it replaced.
fn derived(script: &str, short: &str, to: &str) -> Result<String, Fail> {
    let count = |name: &str| {
        let parts = script.split(['-', '_']).collect::<Vec<_>>();
        let wanted = name.split(['-', '_']).collect::<Vec<_>>();
        parts
            .windows(wanted.len())
            .filter(|it| *it == wanted.as_slice())
            .count()
    };
    match (count(short), count(to)) {
        (1, 0) => {
            let at = whole_word(script, short);
            Ok(format!(
                "{}{to}{}",
                &script[..at],
                &script[at + short.len()..]
            ))
        }
        // As a run left it that was killed: the configs are written before pipeline.toml.
        (0, 1..) => Ok(script.to_owned()),
        (found, _) => {
            let why = match found {
                0 => format!("`{script}` does not hold `{short}`"),
                1 => format!("`{script}` holds both `{short}` and `{to}`"),
                _ => format!("`{script}` holds `{short}` more than once"),
            };
            let command = format!("cargo xtask worker rename {short} {to}");
            Err(Fail::setup(format!(
                "what `{to}` is to be called on Cloudflare is not clear"
            ))
            .why(why)
            .fix(format!("{command} --script NAME   (this name)"))
            .fix(format!("{command} --short-only   (`{script}` stays)")))
        }
    }
}

/// Where the short name begins in a script name that holds it once, between dashes.
fn whole_word(script: &str, short: &str) -> usize {
    let joins = |c: Option<char>| c.is_none_or(|c| matches!(c, '-' | '_'));
    let alone = |at: &usize| {
        joins(script[..*at].chars().next_back()) && joins(script[at + short.len()..].chars().next())
    };
    let mut places = script.match_indices(short).map(|(at, _)| at);
    places.find(alone).unwrap_or(0)
}

fn script_is_free(now: &Now, workers: &[Worker], worker: &Worker, new: &str) -> Result<(), Fail> {
    let fail = || Fail::setup(format!("`{new}` cannot be the name on Cloudflare"));
    let fix = "choose another one: `--script NAME`";
    if let Some(why) = names::script_name_mistake(new) {
        return Err(fail().why(format!("it {why}")).fix(fix));
    }
    let mut others = workers.iter().filter(|other| other.name != worker.name);
    if let Some(other) = others.find(|other| other.config.name == new) {
        return Err(fail()
            .why(format!("that is the name of `{}`", other.name))
            .fix(fix));
    }
    if now
        .pipeline
        .external_services
        .iter()
        .any(|name| name == new)
    {
        return Err(fail()
            .why("`external_services` says that it is a worker of somebody else's")
            .fix(fix));
    }
    Ok(())
}

/// The wrangler configs, those of others first; and every script whose name changes.
fn configs(
    root: &Path,
    workers: &[Worker],
    worker: &Worker,
    new: &str,
) -> anyhow::Result<(Vec<Change>, Vec<Renamed>)> {
    let read = |path: &Path| -> anyhow::Result<(String, Editor)> {
        let text = std::fs::read_to_string(path)?;
        let editor = Editor::open(root, path, &text)?;
        Ok((text, editor))
    };
    let own = &worker.config_path;
    let (own_text, mut own_editor) = read(own)?;
    let renamed = own_editor
        .rename_script(worker.env_name.as_deref(), &worker.config.name, new)
        .map_err(|why| {
            Fail::setup(format!("`{new}` cannot be the name on Cloudflare"))
                .why(why)
                .fix("choose another one: `--script NAME`")
        })?;
    let mut changes = Vec::new();
    let mut add = |path: &Path, old: String, editor: Editor| {
        let new = editor.finish();
        let path = path.strip_prefix(root).unwrap_or(path).to_owned();
        let old = Some(old);
        changes.push(Change { path, old, new });
    };
    let mut seen = vec![own];
    for other in workers {
        if seen.contains(&&other.config_path) {
            continue;
        }
        seen.push(&other.config_path);
        let (text, mut editor) = read(&other.config_path)?;
        if editor.rename_references(&renamed) > 0 {
            add(&other.config_path, text, editor);
        }
    }
    own_editor.rename_references(&renamed);
    add(own, own_text, own_editor);
    Ok((changes, renamed))
}

fn told(short: &str, to: &str, renamed: &[Renamed]) -> Report {
    let mut report = Report::empty(STAGE);
    let mut table = Table::new("renamed", &["what", "from", "to"]);
    if short != to {
        table.row(["the short name", short, to]);
    }
    for one in renamed {
        table.row(["on cloudflare", &one.from, &one.to]);
    }
    if !table.rows.is_empty() {
        report.tables.push(table);
    }
    report
}

/// Where a name stands that the pipeline knows nothing of: code, documents, other tools' files.
fn left_alone(
    root: &Path,
    changes: &[Change],
    short: &str,
    to: &str,
    renamed: &[Renamed],
) -> Option<Table> {
    let files = Files::list(root);
    let mut found: Vec<(String, String)> = Vec::new();
    for one in renamed {
        let places = mentions::find(root, &files, changes, &one.from);
        found.extend(places.into_iter().map(|place| (place, one.from.clone())));
    }
    // A short name is often a word like any other; after `--only` it is a name.
    if short != to {
        let flag = format!("--only {short}");
        let places = mentions::find(root, &files, changes, &flag);
        found.extend(places.into_iter().map(|place| (place, flag.clone())));
    }
    let mut table = Table::new("says the old name, and was left alone", &["where", "name"]);
    let more = found.len().saturating_sub(PLACES_MAX);
    for (place, name) in found.into_iter().take(PLACES_MAX) {
        table.row([place, name]);
    }
    if more > 0 {
        table.row([format!("and {more} more"), String::new()]);
    }
    (!table.rows.is_empty()).then_some(table)
}

fn said_of_live(report: &mut Report, now: &Now, worker: &Worker, (to, new): (&str, &str)) {
    let config = &worker.config;
    let old = &config.name;
    report.fact(
        "on cloudflare",
        format!("`{old}` stays as it is, if it is live; the next deploy makes `{new}` beside it"),
    );
    report.fact(
        "to keep it",
        format!(
            "cargo xtask worker rename {to} {to} --script {old}   (only the short name changes: addresses, secrets and data stay)"
        ),
    );
    report.fact("to delete it", delete_command(&now.pipeline, old));
    if !worker.secrets.is_empty() {
        report.fact(
            "secrets",
            format!(
                "`{new}` has none yet: the next deploy needs {}",
                worker.secrets.join(", ")
            ),
        );
    }
    let classes = config.live_durable_classes();
    if !classes.is_empty() {
        let classes: Vec<String> = classes.into_iter().map(|(class, _)| class).collect();
        report.warn(format!(
            "what its Durable Objects hold stays with `{old}`: those of `{new}` begin empty ({})",
            classes.join(", ")
        ));
    }
    if !config.routes.is_empty() {
        let patterns: Vec<&str> = config.routes.iter().map(|it| it.pattern.as_str()).collect();
        report.warn(format!(
            "if `{old}` is live, deploy is refused until these addresses are moved (docs/worker.md says how) or it is deleted: {}",
            patterns.join(", ")
        ));
    }
    if config.crons.as_ref().is_some_and(|crons| !crons.is_empty()) {
        report.warn(format!(
            "from the next deploy on its crons fire twice, until `{old}` is deleted"
        ));
    }
}
