//! Git: who commits, where HEAD stands, what must not be committed. `gather` reads, `judge` is pure.

use super::check::{Check, Group, Repair};
use crate::context::Ctx;
use crate::tools::git::{Git, Identity, NoRepository, State};
use crate::workspace::Workspace;

/// What git must not see, as a path that is ignored when it is, and as the line that does it.
const IGNORABLE: [(&str, &str); 1] = [(".xtask/state", "/.xtask/")];

/// The repository as it is.
#[derive(Debug, Default)]
pub struct Repository {
    /// Git's side; none without git.
    pub git: Option<Result<State, NoRepository>>,
    /// Who commits, as far as git knows.
    pub identity: Identity,
    /// The branch releases come from.
    pub main: String,
    /// The name of the project.
    pub project: Option<String>,
    /// Who this is, to be suggested as git's `user.name`.
    pub user: String,
    /// True in CI, where nobody commits.
    pub ci: bool,
    /// True when GitHub's Actions say which repository this is.
    pub on_github: bool,
}

impl Repository {
    /// When HEAD was committed, in seconds since 1970.
    pub fn committed_at(&self) -> Option<u64> {
        state(self)?.committed_at
    }

    /// True when git can read it.
    pub fn is_readable(&self) -> bool {
        state(self).is_some()
    }
}

/// Asks git.
pub fn gather(
    ctx: &Ctx,
    with_git: bool,
    workspace: Option<&Workspace>,
) -> anyhow::Result<Repository> {
    let project = workspace.map(|workspace| &workspace.pipeline.project);
    let mut repository = Repository {
        main: project.map_or_else(|| "main".to_owned(), |project| project.main_branch.clone()),
        project: project.map(|project| project.name.clone()),
        user: ctx.env.var("USER").unwrap_or("you").to_owned(),
        ci: ctx.env.ci,
        on_github: ctx.env.var("GITHUB_REPOSITORY").is_some(),
        ..Repository::default()
    };
    if with_git {
        let ignorable = IGNORABLE.map(|(path, _)| path);
        repository.git = Some(Git::state(&ctx.root, &repository.main, &ignorable)?);
        repository.identity = Git::identity(&ctx.root)?;
    }
    Ok(repository)
}

/// What is to be said about it.
pub fn judge(repo: &Repository) -> Vec<Check> {
    vec![
        identity(repo),
        repository(repo),
        branch(repo),
        remote(repo),
        ignored(repo),
    ]
}

fn state(repo: &Repository) -> Option<&State> {
    repo.git.as_ref()?.as_ref().ok()
}

fn identity(repo: &Repository) -> Check {
    const ID: &str = "identity";
    if repo.git.is_none() {
        return Check::skipped(Group::Repo, ID, "there is no git");
    }
    if repo.ci {
        return Check::skipped(Group::Repo, ID, "nobody commits in CI");
    }
    match (&repo.identity.name, &repo.identity.email) {
        (Some(name), Some(email)) => Check::pass(Group::Repo, ID, format!("{name} <{email}>")),
        _ => {
            let check = Check::warn(Group::Repo, ID, "git does not know who you are")
                .why("`git commit` refuses, and what ships has to be committed");
            introductions(repo).into_iter().fold(check, Check::fix)
        }
    }
}

/// The commands that tell git who commits; none when it knows.
fn introductions(repo: &Repository) -> Vec<String> {
    let Repository {
        identity, user, ci, ..
    } = repo;
    let name = format!("git config --global user.name '{user}'");
    let email = format!("git config --global user.email '{user}@example.com'");
    [(&identity.name, name), (&identity.email, email)]
        .into_iter()
        .filter(|(known, _)| known.is_none() && !ci)
        .map(|(_, command)| command)
        .collect()
}

fn repository(repo: &Repository) -> Check {
    const ID: &str = "repository";
    let why = "a release records the commit it was made from";
    let fail = |text: String| Check::fail(Group::Repo, ID, text).why(why);
    let state = match &repo.git {
        None => return Check::skipped(Group::Repo, ID, "there is no git"),
        Some(Ok(state)) => state,
        Some(Err(NoRepository::None)) => {
            let check = fail("this is not a git repository".to_owned());
            return introductions(repo)
                .into_iter()
                .fold(check, Check::fix)
                .fix("git init --initial-branch main && git add --all && git commit --message 'first commit'");
        }
        Some(Err(NoRepository::NotOurs)) => {
            return fail(
                "the repository belongs to another user, and git refuses to read it".to_owned(),
            )
            .fix("git config --global --add safe.directory \"$PWD\"");
        }
        Some(Err(NoRepository::Broken(said))) => {
            return fail(format!("git cannot read the repository: {said}")).fix("git fsck");
        }
    };
    let Some(head) = &state.head else {
        let check = fail("there is no commit yet".to_owned());
        return introductions(repo)
            .into_iter()
            .fold(check, Check::fix)
            .fix("git add --all && git commit --message 'first commit'");
    };
    if let Some(word) = state.under_way {
        return Check::warn(Group::Repo, ID, format!("a {word} was begun and not ended"))
            .why("deploy refuses a tree with changes")
            .fix(format!(
                "git {word} {}",
                if word == "bisect" { "reset" } else { "--abort" }
            ));
    }
    let sha = head.sha.get(..7).unwrap_or(&head.sha);
    let on = head.branch.as_deref().unwrap_or("a detached HEAD");
    let dirt = match state.dirty {
        0 => String::new(),
        1 => ", 1 changed file (deploy ships commits only)".to_owned(),
        count => format!(", {count} changed files (deploy ships commits only)"),
    };
    Check::pass(Group::Repo, ID, format!("{sha} on {on}{dirt}"))
}

fn branch(repo: &Repository) -> Check {
    const ID: &str = "main branch";
    let main = &repo.main;
    let Some(state) = state(repo).filter(|state| state.head.is_some()) else {
        return Check::skipped(Group::Repo, ID, "there is no commit to look at");
    };
    let why = format!("production only ever runs commits that are on {main}");
    match state.on_main {
        None => {
            let check = Check::fail(
                Group::Repo,
                ID,
                format!("there is no branch `{main}`, here or at origin"),
            )
            .why(why);
            match state.origin {
                true => check
                    .fix(Git::fetch_command(main, state.shallow))
                    .repair(Repair::Fetch(main.clone())),
                false => check.fix(format!("git branch {main}")),
            }
        }
        Some(false) if state.shallow => Check::warn(
            Group::Repo,
            ID,
            format!("cannot check that HEAD is on {main}: the clone is shallow"),
        )
        .why(why)
        .fix(Git::fetch_command(main, true)),
        Some(false) => Check::pass(
            Group::Repo,
            ID,
            format!("HEAD is not on {main} yet: preview it, merge it, then it ships"),
        ),
        Some(true) if state.behind > 0 => Check::warn(
            Group::Repo,
            ID,
            format!("HEAD lacks {} commits of origin's {main}", state.behind),
        )
        .why("a deploy from here would take production back to older code")
        .fix("git pull --ff-only"),
        Some(true) => Check::pass(Group::Repo, ID, format!("HEAD is on {main}")),
    }
}

fn remote(repo: &Repository) -> Check {
    const ID: &str = "remote";
    let Some(state) = state(repo) else {
        return Check::skipped(Group::Repo, ID, "there is no repository");
    };
    if state.origin || repo.on_github {
        return Check::pass(Group::Repo, ID, "origin");
    }
    let name = repo.project.as_deref().unwrap_or("my-workers");
    Check::warn(Group::Repo, ID, "there is no remote `origin`")
        .why("GitHub is told nothing, and `rollback --revert` has nowhere to push to")
        .fix(format!(
            "gh repo create {name} --private --source . --remote origin --push"
        ))
}

fn ignored(repo: &Repository) -> Check {
    const ID: &str = "ignored files";
    let Some(state) = state(repo) else {
        return Check::skipped(Group::Repo, ID, "there is no repository");
    };
    if let Some(first) = state.secret_files.first() {
        let more = match state.secret_files.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        return Check::warn(Group::Repo, ID, format!("git tracks {first}{more}"))
            .why("files of that name hold secrets: who has the repository has them, and its history keeps them")
            .why("take it out, change every value in it, and keep the names in a `.dev.vars.example`")
            .fix(format!("git rm --cached {} && echo '{}' >> .gitignore", state.secret_files.join(" "), base(first)));
    }
    let missing: Vec<String> = IGNORABLE
        .iter()
        .filter(|(path, _)| state.not_ignored.iter().any(|found| found == path))
        .map(|(_, line)| (*line).to_owned())
        .collect();
    let Some(first) = missing.first() else {
        return Check::pass(Group::Repo, ID, ".xtask");
    };
    Check::warn(Group::Repo, ID, format!("git does not ignore {first}"))
        .why("caches, reports and the local cloud's data (secrets in it) would be committed, and deploy refuses untracked files")
        .fix(format!("echo '{first}' >> .gitignore"))
        .repair(Repair::Ignore(missing))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
