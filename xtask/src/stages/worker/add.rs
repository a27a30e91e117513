//! `worker add`: one worker more in `pipeline.toml`, as `init` would have written it.

use std::path::{Path, PathBuf};

use super::{Now, STAGE};
use crate::config::edit::Editor;
use crate::config::names;
use crate::context::Ctx;
use crate::error::Fail;
use crate::report::Report;
use crate::stages::changes;
use crate::stages::init::{self, propose, report};
use crate::survey::{self, Files};

pub(super) fn add(ctx: &Ctx, given: &str, name: Option<&str>) -> anyhow::Result<Report> {
    let now = Now::read(&ctx.root)?;
    let place = located(ctx, given)?;
    let mut facts = init::gather(ctx, |root, files, around, _| {
        let config = the_config(root, files, &place, given)?;
        survey::one(root, files, around, &config).map_err(|why| {
            Fail::setup(format!("`{}` cannot ship", config.display()))
                .why(why)
                .fix("put that right, then run this again; pipeline.toml was not changed")
        })
    })?;
    let worker = &facts.survey.workers[0];
    if let Some(short) = propose::shipped_as(&ctx.root, &now.pipeline, worker) {
        return there_already(ctx, short, name);
    }
    if let Some(name) = name {
        free(&now, name)?;
    }
    let editor = Editor::new(&ctx.root, &now.text)?;
    let (dir, config, script) = (&worker.dir, worker.path(), &worker.config.name);
    let ignored = editor.texts("ignored_workers").into_iter();
    let ignored = ignored.filter(|text| {
        let path: PathBuf = Path::new(text).components().collect();
        path == *dir || path == config
    });
    let ignored = ignored.map(|text| ("ignored_workers", text));
    let external = editor.texts("external_services").into_iter();
    let external = external.filter(|text| text == script);
    let external = external.map(|text| ("external_services", text));
    facts.taken_back = ignored.chain(external).collect();
    facts.called = name.map(str::to_owned);

    let proposal = propose::propose(&facts)?;
    let pipeline = Path::new("pipeline.toml");
    let mut changes = proposal.changes.iter();
    let new = changes.find(|change| change.path == pipeline);
    let wrong = new.map_or_else(Vec::new, |new| now.made_wrong(&ctx.root, &new.new));
    if !wrong.is_empty() {
        let short = proposal.added.join(", ");
        let fail = Fail::setup(format!("`{short}` cannot ship together with the others"));
        let fail = wrong.into_iter().fold(fail, Fail::why);
        return Err(fail
            .fix("put that right, then run this again; nothing was changed")
            .into());
    }
    let report = report::report(STAGE, &proposal, &facts);
    let next = "look at it, commit it, then: cargo xtask deploy --cloud local";
    changes::carry_out(ctx, report, &proposal.changes, next)
}

/// A rerun finds everything done; another name for it is another verb.
fn there_already(ctx: &Ctx, short: &str, name: Option<&str>) -> anyhow::Result<Report> {
    if let Some(name) = name.filter(|name| *name != short) {
        return Err(Fail::setup(format!("it ships already, as `{short}`"))
            .why("a worker has one short name")
            .fix(format!("cargo xtask worker rename {short} {name}"))
            .into());
    }
    let mut report = Report::empty(STAGE);
    report.fact("worker", format!("{short} ships already"));
    changes::carry_out(ctx, report, &[], "")
}

fn free(now: &Now, name: &str) -> Result<(), Fail> {
    if !names::is_short_name(name) {
        return Err(Fail::setup(format!("`{name}` cannot be a short name"))
            .why("it may hold only letters, digits, `-`, `_` and `.`, and not begin with `-`")
            .fix("choose another `--name`"));
    }
    match now.pipeline.workers.iter().find(|(short, _)| short == name) {
        None => Ok(()),
        Some((_, entry)) => Err(Fail::setup(format!("the name `{name}` is taken"))
            .why(format!("it is the worker in `{}`", entry.path.display()))
            .fix("choose another `--name`")),
    }
}

/// The place, relative to the root: seen from where the command runs, else from the root.
fn located(ctx: &Ctx, given: &str) -> Result<PathBuf, Fail> {
    let places = [ctx.env.cwd.join(given), ctx.root.join(given)];
    let Some(found) = places
        .iter()
        .find_map(|place| std::fs::canonicalize(place).ok())
    else {
        return Err(Fail::setup(format!("there is no `{given}`"))
            .why(format!("neither here nor in `{}`", ctx.root.display()))
            .fix("name the folder that holds the worker's wrangler config, or the config itself"));
    };
    match found.strip_prefix(&ctx.root) {
        Ok(relative) => Ok(relative.to_owned()),
        Err(_) => Err(Fail::setup(format!("`{given}` is outside the repo"))
            .why(format!(
                "a release is made from `{}` alone",
                ctx.root.display()
            ))
            .fix("move the worker into the repo, or name another `--root`")),
    }
}

/// The config that is meant, relative to the root.
fn the_config(root: &Path, files: &Files, place: &Path, given: &str) -> Result<PathBuf, Fail> {
    if root.join(place).is_file() {
        return Ok(place.to_owned());
    }
    let in_it: Vec<PathBuf> = files
        .configs()
        .into_iter()
        .filter(|config| config.parent() == Some(place))
        .collect();
    let plain = |config: &&PathBuf| {
        let name = config.file_name().unwrap_or_default();
        survey::DEFAULTS.iter().any(|default| name == *default)
    };
    let plain: Vec<&PathBuf> = in_it.iter().filter(plain).collect();
    match (plain.as_slice(), in_it.as_slice()) {
        ([one], _) => return Ok((*one).clone()),
        ([], [one]) => return Ok(one.clone()),
        ([], []) => {}
        _ => {
            let names: Vec<String> = in_it
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            return Err(
                Fail::setup(format!("`{given}` has several wrangler configs"))
                    .why(format!("which one ships? {}", names.join(", ")))
                    .fix(format!("cargo xtask worker add {}", names[0])),
            );
        }
    }
    let below = files.configs().into_iter();
    let below: Vec<String> = below
        .filter(|config| config.starts_with(place))
        .take(5)
        .map(|config| config.display().to_string())
        .collect();
    let fail = Fail::setup(format!("there is no wrangler config in `{given}`"));
    let fail = match below.is_empty() {
        true => fail.why("no file in it that git does not ignore is called `wrangler*.toml`, `.json` or `.jsonc`"),
        false => fail.why(format!("further down there are: {}", below.join(", "))),
    };
    Err(fail.fix("name the folder that holds the worker's wrangler config, or the config itself"))
}
