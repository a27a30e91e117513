//! `rollback --revert`: a commit is taken back with a commit, and pushed. Production changes when that is deployed. Knows no
//! cloud; the person's checkout is not touched.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::context::Ctx;
use crate::error::{Exit, Fail};
use crate::plan::{Action, Plan, Step};
use crate::report::Report;
use crate::run::{Io, Outcome, Runner};
use crate::stages::rollback::Revert;
use crate::stages::rollback::plans::STAGE;
use crate::tools::git::{Commit, Git, Reverted};
use crate::workspace::Workspace;

/// What a revert needs to know.
struct Facts {
    git: Git,
    commit: Commit,
    /// Where the revert commit goes on top of.
    base: String,
    main: String,
    /// The branch that is pushed to.
    branch: String,
    parent: Option<u8>,
    /// A commit at the branch that takes the commit back already.
    there: Option<String>,
    /// Where the work tree of the revert is made.
    folder: PathBuf,
}

/// Takes a commit back. An `Err` means nothing was changed.
pub fn revert(ctx: &Ctx, workspace: &Workspace, wish: &Revert) -> anyhow::Result<Report> {
    let facts = gather(ctx, workspace, wish)?;
    if ctx.dry_run {
        let mut plan = plan_revert(&facts);
        plan.then(plan_push(&facts, "(the new commit)"));
        ctx.show(&plan);
        return Ok(Report::empty(STAGE));
    }
    let mut outcome = ctx.run(&plan_revert(&facts), &facts);
    let made = outcome
        .output("revert")
        .and_then(|output| output["commit"].as_str())
        .map(str::to_owned)
        .or_else(|| facts.there.clone());
    if let Some(made) = made.as_ref().filter(|_| outcome.ok()) {
        outcome.merge(ctx.run(&plan_push(&facts, made), &facts));
    }
    Ok(report(&facts, &outcome, made.as_deref()))
}

fn gather(ctx: &Ctx, workspace: &Workspace, wish: &Revert) -> anyhow::Result<Facts> {
    let git = Git::open(&ctx.root)?;
    let dirty = git.dirty_files()?;
    if !dirty.is_empty() {
        let shown: Vec<&str> = dirty.iter().take(5).map(|line| line.trim()).collect();
        return Err(Fail::setup("refusing to revert beside uncommitted changes")
            .why(shown.join("\n"))
            .fix("git commit, or git stash")
            .into());
    }
    if git.remote("origin").is_none() {
        return Err(Fail::setup("there is no remote `origin`")
            .why("a revert is pushed, so that it is reviewed and deployed like any change")
            .fix("git remote add origin <address>")
            .into());
    }
    let main = workspace.pipeline.project.main_branch.clone();
    if !ctx.dry_run {
        git.fetch_branch(&main)?;
    }
    let base = format!("refs/remotes/origin/{main}");
    let Some(tip) = git.commit(&base)? else {
        return Err(
            Fail::setup(format!("there is no branch `{main}` at origin"))
                .why("a revert goes on top of the main branch")
                .fix("set `main_branch` under [project] in pipeline.toml")
                .into(),
        );
    };
    let commit = commit(&git, wish, &main, &tip.sha)?;
    let short = commit.sha.get(..7).unwrap_or(&commit.sha);
    let branch = match (&wish.branch, wish.main) {
        (_, true) => main.clone(),
        (Some(name), _) => name.clone(),
        (None, _) => format!("revert-{short}"),
    };
    if !git.is_branch_name(&branch) {
        return Err(
            Fail::setup(format!("`{branch}` cannot be the name of a branch"))
                .why("git does not take it")
                .fix("give --branch letters, digits, `-` and `/`")
                .into(),
        );
    }
    if branch == main && !wish.main {
        return Err(Fail::setup(format!("`--branch {main}` is the main branch"))
            .why("what is pushed there is deployed without a review")
            .fix("say `--main` when that is meant")
            .into());
    }
    let there = match wish.main {
        true => None,
        false => there(ctx, &git, &branch, &commit)?,
    };
    Ok(Facts {
        folder: ctx.state().join(format!("revert/{short}")),
        git,
        base: tip.sha,
        commit,
        main,
        branch,
        parent: wish.parent,
        there,
    })
}

/// The commit that is meant, refused when it cannot be taken back.
fn commit(git: &Git, wish: &Revert, main: &str, tip: &str) -> anyhow::Result<Commit> {
    let name = &wish.commit;
    let found = match name.starts_with('-') {
        true => None,
        false => git.commit(name)?,
    };
    let Some(commit) = found else {
        return Err(Fail::setup(format!("there is no commit `{name}`"))
            .why("git knows nothing of that name here")
            .fix(format!("git fetch origin && git log origin/{main}"))
            .into());
    };
    if !git.is_ancestor(&commit.sha, tip) {
        return Err(Fail::setup(format!("`{name}` is not on {main}"))
            .why("only what is on the main branch was ever deployed")
            .fix(format!("git log origin/{main}"))
            .into());
    }
    let parents = commit.parents;
    match wish.parent {
        None if parents > 1 => Err(Fail::setup(format!(
            "`{name}` is a merge of {parents} branches"
        ))
        .why("git has to be told which of them stays")
        .fix("add `--parent 1` to take back what was merged into the first one")
        .into()),
        Some(_) if parents < 2 => Err(Fail::setup(format!("`{name}` is no merge"))
            .why("`--parent` says which side of a merge stays")
            .fix("leave `--parent` out")
            .into()),
        Some(parent) if parent == 0 || usize::from(parent) > parents => {
            Err(Fail::setup(format!("`{name}` has no parent {parent}"))
                .why(format!("it has {parents}"))
                .fix("add `--parent 1`")
                .into())
        }
        _ => Ok(commit),
    }
}

/// What a run that was killed after its push left at the branch. A branch with anything else is not touched.
fn there(ctx: &Ctx, git: &Git, branch: &str, commit: &Commit) -> anyhow::Result<Option<String>> {
    let Some(tip) = git.remote_tip(branch)? else {
        return Ok(None);
    };
    if !ctx.dry_run {
        git.fetch_branch(branch)?;
    }
    if git.is_revert_of(&tip, &commit.sha) {
        return Ok(Some(tip));
    }
    Err(
        Fail::setup(format!("the branch `{branch}` exists at origin already"))
            .why("it holds something else than a revert of that commit, and is not overwritten")
            .fix("give another name with `--branch`")
            .into(),
    )
}

fn plan_revert(facts: &Facts) -> Plan {
    let mut plan = Plan::new(STAGE);
    let Facts { commit, main, .. } = facts;
    let short = commit.sha.get(..7).unwrap_or(&commit.sha);
    plan.notes.push(format!(
        "{short} {} is taken back on top of {main}",
        commit.subject
    ));
    let name = "revert".to_owned();
    let goal = format!("take {short} back on top of {main}");
    let step = Step::new("revert", "revert", goal, Action::Task { name });
    plan.push(match &facts.there {
        Some(there) => step.done(format!(
            "origin has it: {}",
            there.get(..7).unwrap_or(there)
        )),
        None => step,
    });
    plan
}

fn plan_push(facts: &Facts, made: &str) -> Plan {
    let mut plan = Plan::new(STAGE);
    let branch = &facts.branch;
    let name = format!("push {made}");
    let goal = format!("push to {branch} at origin");
    let step = Step::new(
        "push",
        format!("push {branch}"),
        goal,
        Action::Task { name },
    );
    plan.push(match &facts.there {
        Some(_) => step.done("it is there"),
        None => step,
    });
    plan
}

impl Runner for Facts {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        let Action::Task { name } = &step.action else {
            anyhow::bail!("a revert has no such step: {}", step.id);
        };
        if let Some(made) = name.strip_prefix("push ") {
            self.git.push(made, &self.branch)?;
            return Ok(Value::Null);
        }
        match self
            .git
            .revert(&self.commit.sha, &self.base, self.parent, &self.folder)?
        {
            Reverted::Commit(made) => {
                io.note(made.get(..7).unwrap_or(&made));
                Ok(json!({ "commit": made }))
            }
            Reverted::Nothing => {
                io.skipped("all of it has been taken back already");
                Ok(Value::Null)
            }
            Reverted::Conflict(files) => Err(Fail::new(
                Exit::Check,
                format!("{} cannot be taken back by itself", step_commit(self)),
            )
            .why("these files have been changed since:")
            .why(files.join("\n"))
            .fix("nothing was changed; revert by hand and solve the conflicts:")
            .fix(format!(
                "git switch --create {} origin/{}",
                self.branch, self.main
            ))
            .fix(format!("git revert {}", self.commit.sha))
            .into()),
        }
    }
}

fn step_commit(facts: &Facts) -> &str {
    facts.commit.sha.get(..7).unwrap_or(&facts.commit.sha)
}

fn report(facts: &Facts, outcome: &Outcome, made: Option<&str>) -> Report {
    let mut report = Report::new(STAGE, outcome);
    report.fact(
        "commit",
        format!("{} {}", step_commit(facts), facts.commit.subject),
    );
    let Facts { branch, main, .. } = facts;
    match (outcome.ok(), made) {
        (true, Some(made)) => {
            report.fact("taken back by", made.to_owned());
            report.fact("pushed to", branch.clone());
            let next = match branch == main {
                true => format!("git pull; production changes when {main} is deployed"),
                false => {
                    format!("merge {branch} into {main}; production changes when that is deployed")
                }
            };
            report.fact("next", next);
        }
        (true, None) => report.fact(
            "result",
            format!("nothing to do: {main} is without it already"),
        ),
        (false, _) => report.fact("result", "nothing was pushed"),
    }
    report
}
