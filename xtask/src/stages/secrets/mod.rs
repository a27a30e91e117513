//! `cargo xtask secrets`: where the declared secrets are, and how they get to the workers. Values are never shown, and never in
//! an argument; the protocol is in docs/secrets.md.

mod change;
mod list;
pub(in crate::stages) mod places;
mod plan;
mod setter;
mod tell;
mod values;

use std::path::PathBuf;
use std::time::SystemTime;

use crate::config::suggest;
use crate::context::Ctx;
use crate::error::Fail;
use crate::github::access;
use crate::report::Report;
pub use crate::stages::secrets::change::How;
use crate::stages::secrets::change::{Change, Terms};
use crate::stages::secrets::places::GithubSecrets;
use crate::stages::secrets::values::Values;
use crate::target::{self, Target};
use crate::workspace::Workspace;

/// The verb all plans of this stage belong to.
const STAGE: &str = "secrets";

/// What `secrets` is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// Show where each secret is.
    List,
    /// Fail when one is nowhere.
    Check,
    /// Give the live workers the values known here.
    Sync {
        /// A file with them; else the environment.
        from: Option<PathBuf>,
        /// How they get to the public.
        how: How,
        /// Take the deploy lease, whoever has it.
        steal_lock: bool,
    },
    /// Give every worker that declares a secret a new value.
    Rotate {
        /// Its name.
        name: String,
        /// Where the value comes from.
        source: Source,
        /// Keep a generated value in this new file.
        keep: Option<PathBuf>,
        /// Take the deploy lease, whoever has it.
        steal_lock: bool,
    },
}

/// Where a new value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The variable of the secret's own name.
    Env,
    /// A file only its owner can read.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Chance.
    Generated,
}

/// Does it. An `Err` means nothing was changed; a failure after that is in the report.
pub fn secrets(ctx: &Ctx, options: &Options) -> anyhow::Result<Report> {
    let workspace = Workspace::load(&ctx.root)?;
    match options {
        Options::List | Options::Check => look(ctx, &workspace, *options == Options::Check),
        Options::Sync {
            from,
            how,
            steal_lock,
        } => {
            let values = known(ctx, &workspace, from.as_ref())?;
            let terms = Terms {
                how: *how,
                steal_lock: *steal_lock,
                all: true,
                keep: None,
            };
            change(ctx, &workspace, &values, &terms)
        }
        Options::Rotate {
            name,
            source,
            keep,
            steal_lock,
        } => rotate(ctx, &workspace, name, (source, keep.as_ref()), *steal_lock),
    }
}

fn look(ctx: &Ctx, workspace: &Workspace, check: bool) -> anyhow::Result<Report> {
    let places = list::gather(ctx, workspace)?;
    let now = SystemTime::now();
    let rows = list::rows(&workspace.select(&ctx.only)?, &places, now);
    Ok(match check {
        true => list::check(&rows, &places, now),
        false => list::list(&rows, &places, ctx.ui.columns()),
    })
}

/// The values a sync has: all of a file, or the declared ones that are set here.
fn known(ctx: &Ctx, workspace: &Workspace, from: Option<&PathBuf>) -> anyhow::Result<Values> {
    let declared = places::declared(workspace);
    let Some(file) = from else {
        let set = declared
            .iter()
            .filter_map(|(name, _)| Some((name.clone(), ctx.env.var(name)?.to_owned())));
        let values = Values::of(set);
        if values.names().next().is_none() {
            let names: Vec<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Fail::setup("no declared secret is set in this environment")
                .why(format!("declared: {}", names.join(", ")))
                .fix("export them, or name a JSON file that only you can read: --from FILE")
                .into());
        }
        return Ok(values);
    };
    let values = values::from_file(&ctx.env.cwd.join(file))?;
    for name in values.names() {
        if !declared.iter().any(|(known, _)| known == name) {
            return Err(undeclared(workspace, name).into());
        }
    }
    if values.names().next().is_none() {
        return Err(Fail::setup(format!("{} names no secret", file.display()))
            .fix("write it as JSON, one text for each name: {\"ADMIN_KEY\": \"…\"}")
            .into());
    }
    Ok(values)
}

fn undeclared(workspace: &Workspace, name: &str) -> Fail {
    let declared = places::declared(workspace);
    let names = || declared.iter().map(|(name, _)| name.as_str());
    let fail = Fail::setup(format!("no worker declares the secret `{name}`")).why(format!(
        "pipeline.toml and the wrangler configs declare: {}",
        names().collect::<Vec<_>>().join(", ")
    ));
    match suggest::nearest(name, names()) {
        Some(near) => fail.fix(format!("did you mean `{near}`?")),
        None => fail.fix("add it to `secrets` of the workers that need it, in pipeline.toml"),
    }
}

fn rotate(
    ctx: &Ctx,
    workspace: &Workspace,
    name: &str,
    (source, keep): (&Source, Option<&PathBuf>),
    steal_lock: bool,
) -> anyhow::Result<Report> {
    if !ctx.only.is_empty() {
        return Err(Fail::setup("`secrets rotate` takes no `--only`")
            .why("a secret that two workers share has to change in both")
            .fix(format!("cargo xtask secrets rotate {name}"))
            .into());
    }
    if !places::declared(workspace)
        .iter()
        .any(|(known, _)| known == name)
    {
        return Err(undeclared(workspace, name).into());
    }
    let values = match source {
        Source::Env => match ctx.env.var(name) {
            Some(value) => Values::one(name, value.to_owned()),
            None => return Err(values::empty(&format!("the variable {name}"), name).into()),
        },
        Source::File(path) => match values::from_file(&ctx.env.cwd.join(path))?.get(name) {
            Some(value) => Values::one(name, value.to_owned()),
            None => return Err(values::empty(&path.display().to_string(), name).into()),
        },
        Source::Stdin => values::from_stdin(name)?,
        Source::Generated => values::generated(name)?,
    };
    let terms = Terms {
        how: How::Together,
        steal_lock,
        all: false,
        keep: keep.map(|path| ctx.env.cwd.join(path)),
    };
    let mut report = change(ctx, workspace, &values, &terms)?;
    if report.exit == 0 && !ctx.dry_run {
        tell_of_others(ctx, workspace, name, source, &mut report)?;
    }
    Ok(report)
}

/// Who else hands out the old value: the next deploy from there would put it back.
fn tell_of_others(
    ctx: &Ctx,
    workspace: &Workspace,
    name: &str,
    source: &Source,
    report: &mut Report,
) -> anyhow::Result<()> {
    if *source != Source::Env && ctx.env.var(name).is_some() {
        report.warn(format!("{name} of this environment is the old value: a deploy from here would put it back; unset {name}"));
    }
    let target = Target::look(ctx, workspace)?;
    let set = format!("gh secret set {name} --env production");
    match places::on_github(ctx, &access::open(ctx, &target)?)? {
        GithubSecrets::Known(known) => {
            if let Some((kept, _)) = known.get(name) {
                let kept = kept.shown();
                report.warn(format!("GitHub ({kept}) still has the old value, and the next deploy there would put it back: {set}"));
            }
        }
        GithubSecrets::Unknown(_) => report.fact(
            "next",
            format!("if GitHub keeps it, it has the old value: {set}"),
        ),
    }
    Ok(())
}

fn change(
    ctx: &Ctx,
    workspace: &Workspace,
    values: &Values,
    terms: &Terms,
) -> anyhow::Result<Report> {
    let target = Target::open(ctx, workspace)?;
    // Opening it has hidden what the environment knows; these may have come from elsewhere.
    ctx.ui.hide(&target::mask_with(
        &ctx.env,
        Some(workspace),
        values.pairs(),
    ));
    let change = Change::gather(ctx, workspace, &target, values, terms)?;
    change.check()?;
    if ctx.dry_run {
        ctx.show(&change.plan());
        return Ok(Report::empty(STAGE));
    }
    change.run()
}
