//! Which commit a deploy ships: refuses what was never reviewed, and says what a cut-off history hides.

use crate::context::Ctx;
use crate::error::Fail;
use crate::stages::deploy::Options;
use crate::tools::git::{Git, Head};
use crate::workspace::Workspace;

/// What is known of the clone that HEAD is in.
#[derive(Clone, Copy)]
struct Clone {
    /// Its history is cut off.
    shallow: bool,
    /// GitHub Actions made it.
    in_actions: bool,
}

/// Why HEAD does not count as being on the main branch. `found`: the branch is here, but HEAD was not seen on it.
fn not_on_main(head: &Head, main: &str, found: bool, clone: Clone) -> Fail {
    let rule = format!("production only ever runs commits that are on {main}");
    let fetch = match clone.in_actions {
        true => "set `fetch-depth: 0` at the `actions/checkout` step".to_owned(),
        false => Git::fetch_command(main, clone.shallow),
    };
    let at = head.branch.as_deref().map_or_else(
        || "a detached HEAD".to_owned(),
        |branch| format!("branch `{branch}`"),
    );
    if clone.shallow {
        return Fail::setup(format!("cannot check that {at} is on {main}"))
            .why("the clone is shallow: its history is cut off")
            .why(rule)
            .fix(fetch);
    }
    if found {
        return Fail::setup(format!("refusing to deploy from {at}"))
            .why(rule)
            .fix("merge the pull request, or add `--allow-dirty`");
    }
    Fail::setup(format!("branch `{main}` not found, here or at origin"))
        .why(rule)
        .fix(format!(
            "{fetch}, or set `main_branch` under [project] in pipeline.toml"
        ))
}

/// Where HEAD stands, and its short form for the release id. Refuses what was never reviewed.
pub(super) fn commit(
    ctx: &Ctx,
    workspace: &Workspace,
    options: &Options,
) -> anyhow::Result<(Head, String)> {
    let git = Git::open(&ctx.root)?;
    let head = git.head()?;
    let dirty = git.dirty_files()?;
    let short = head.sha.get(..7).unwrap_or(&head.sha).to_owned();
    if options.allow_dirty {
        // `x` is no hex digit: a release of uncommitted changes never looks like its commit.
        return Ok((
            head,
            if dirty.is_empty() {
                short
            } else {
                format!("{short}x")
            },
        ));
    }
    if !dirty.is_empty() {
        let shown: Vec<&str> = dirty.iter().take(5).map(|line| line.trim()).collect();
        let more = dirty.len().saturating_sub(shown.len());
        let mut fail = Fail::setup("refusing to deploy uncommitted changes").why(shown.join("\n"));
        if more > 0 {
            fail = fail.why(format!("and {more} more"));
        }
        return Err(fail.fix("git commit, or add `--allow-dirty`").into());
    }
    on_main(
        &git,
        &head,
        &workspace.pipeline.project.main_branch,
        ctx.env.ci,
    )?;
    Ok((head, short))
}

/// Refuses a commit that is not on the main branch, or that cannot be seen to be.
fn on_main(git: &Git, head: &Head, main: &str, in_actions: bool) -> Result<(), Fail> {
    match git.head_is_on(main) {
        Some(true) => Ok(()),
        found => {
            let clone = Clone {
                shallow: git.is_shallow(),
                in_actions,
            };
            Err(not_on_main(head, main, found.is_some(), clone))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use tempfile::TempDir;

    #[expect(clippy::disallowed_methods, reason = "the test makes the clones")]
    fn sh(folder: &Path, script: &str) {
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// A repo whose main has three commits, the second tagged, and a clone of it made with `flags`.
    fn clone(flags: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let commit = "git -c user.name=T -c user.email=t@localhost commit --quiet --allow-empty";
        let script = format!(
            "git init --quiet --initial-branch main origin; cd origin
             {commit} -m one; {commit} -m two; git tag v2; {commit} -m three
             git checkout --quiet -b side v2; {commit} -m four; git checkout --quiet main; cd ..
             git clone --quiet {flags} \"file://$PWD/origin\" clone"
        );
        sh(folder.path(), &script);
        let root = folder.path().join("clone");
        (folder, root)
    }

    fn refusal(root: &Path, in_actions: bool) -> Option<Fail> {
        let git = Git::open(root).unwrap();
        let head = git.head().unwrap();
        on_main(&git, &head, "main", in_actions).err()
    }

    #[test]
    fn the_fix_of_a_cut_off_history_ends_the_refusal() {
        for flags in [
            "--depth 1 --branch v2",
            "--single-branch --branch v2",
            "--depth 1 --branch v2 --no-tags",
        ] {
            let (_folder, root) = clone(flags);
            let fail = refusal(&root, false).expect(flags);
            let text = fail.to_string();
            let fix = text.split("fix: ").nth(1).unwrap();
            let fix = fix.split(", or set").next().unwrap();
            sh(&root, fix);
            assert!(refusal(&root, false).is_none(), "{flags}: {text}");
        }
        for flags in ["--filter=blob:none --branch v2", "--branch v2", ""] {
            let (_folder, root) = clone(flags);
            assert!(refusal(&root, false).is_none(), "{flags}");
        }
    }

    #[test]
    fn a_commit_off_main_is_refused_however_it_was_cloned() {
        let (_folder, root) = clone("--branch side");
        expect_test::expect![[r#"
            refusing to deploy from branch `side`
              why: production only ever runs commits that are on main
              fix: merge the pull request, or add `--allow-dirty`"#]]
        .assert_eq(&refusal(&root, false).unwrap().to_string());
        let (_folder, root) = clone("--depth 1 --branch side");
        sh(&root, &Git::fetch_command("main", true));
        let text = refusal(&root, false).unwrap().to_string();
        assert!(text.starts_with("refusing to deploy"), "{text}");
    }

    #[test]
    fn a_shallow_clone_is_named_and_cured() {
        let (_folder, root) = clone("--depth 1 --branch v2");
        expect_test::expect![[r#"
            cannot check that a detached HEAD is on main
              why: the clone is shallow: its history is cut off
                   production only ever runs commits that are on main
              fix: git fetch --unshallow origin +refs/heads/main:refs/remotes/origin/main"#]]
        .assert_eq(&refusal(&root, false).unwrap().to_string());
        expect_test::expect![[r#"
            cannot check that a detached HEAD is on main
              why: the clone is shallow: its history is cut off
                   production only ever runs commits that are on main
              fix: set `fetch-depth: 0` at the `actions/checkout` step"#]]
        .assert_eq(&refusal(&root, true).unwrap().to_string());
        let (_folder, root) = clone("--single-branch --branch side");
        expect_test::expect![[r#"
            branch `main` not found, here or at origin
              why: production only ever runs commits that are on main
              fix: git fetch origin +refs/heads/main:refs/remotes/origin/main, or set `main_branch` under [project] in pipeline.toml"#]]
        .assert_eq(&refusal(&root, false).unwrap().to_string());
    }
}
