//! `doctor` as a user meets it: nothing set up, all in order, one thing wrong after the other. Beside it: programs that are
//! missing, tokens that are no good, and what is wrong with what is live.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests paste what doctor says into a shell"
)]

mod live;
mod machine;
mod token;
mod world;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use expect_test::expect;
use serde_json::json;

use crate::doctor::world::{TOKEN, first, fix_of, healthy, paste, shown, toolchain};
use crate::support::World;

#[test]
fn with_all_in_order_it_is_one_quiet_screen_that_programs_can_read() {
    let world = healthy();
    let before = world.files();
    world.clear_journal();
    let run = world.run(["doctor", "--dry-run"]).exits(0);
    let others: Vec<String> = world
        .requests()
        .into_iter()
        .filter(|line| !line.starts_with("GET "))
        .collect();
    assert_eq!(
        others,
        ["POST /d1/database/5d1c3a52-7c84-4f0e-9b6d-2f8e1a90c7b3/query"],
        "it only reads"
    );
    assert_eq!(before, world.files(), "a dry run writes nothing");
    expect![[r#"
        machine   ✓ rust …
                  ✓ node …
                  ✓ git …
                  ✓ curl …
                  ✓ clock              as Cloudflare's
        packages  ✓ lock files         package-lock.json
                  ✓ manager            npm
                  ✓ installed          as the lock files say
                  ✓ wrangler …
        repo      ✓ identity           Ana <ana@example.com>
                  ✓ repository         [commit] on main
                  ✓ main branch        HEAD is on main
                  ✓ remote             origin
                  ✓ ignored files      .xtask
                  ✓ pipeline.toml      3 workers, 1 database
                  ✓ wrangler configs   3 configs
                  ✓ binding ids        the same in every worker
                  ✓ migrations         numbered as they have to be
                  - workflows          there are none in .github/workflows
                  ✓ crons              1, none at the same minute as another worker's
        cloud     ✓ token              active
                  ✓ account            0123456789abcdef0123456789abcdef, named by pipeline.toml or a wrangler config
                  ✓ permissions        Workers Scripts, D1, Workers KV Storage, Workers Routes, Zone, Workers Tail
                  ✓ resources          all that the configs name
                  ✓ secrets            2 declared: 2 set here, the others live
                  - secrets on GitHub  they cannot be listed: GITHUB_TOKEN is not set
                  ✓ lease              free
                  ✓ versions           0 live, 3 never deployed
                  ✓ previews           0, none left over

        doctor: success, 29 checks (27 passed, 2 skipped)"#]].assert_eq(&shown(&world, &run.stdout));

    programs_can_read_it(&world);
}

#[track_caller]
fn programs_can_read_it(world: &World) {
    let report = world.run(["doctor", "--format", "json"]).exits(0).json();
    assert_eq!(
        (&report["outcome"], &report["exit_code"]),
        (&json!("success"), &json!(0))
    );
    let steps = report["steps"].as_array().expect("a list");
    let mut ids: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["id"].as_str())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "each has a name of its own: {ids:?}");
    assert_eq!(
        world.run(["doctor"]).exits(0).report("doctor")["outcome"],
        "success"
    );
}

#[test]
fn the_least_token_is_told_and_github_gets_its_own_words() {
    let mut world = healthy();
    expect![[r#"
        scope    permission                for
        Account  Workers Scripts: Edit     uploads, deployments, secrets, crons and addresses of every worker
        Account  D1: Edit                  migrations, lease and release records in small-db; the bindings of site, api; the databases of previews
        Account  Workers KV Storage: Edit  the bindings of site, api; the namespaces of previews
        Zone     Workers Routes: Edit      routes and custom domains of site
        Zone     Zone: Read                (optional) `doctor`, to find the zones of these routes
        Account  Workers Tail: Read        (optional) `logs`, and watching the error rate after a rollback

        limit it to account 0123456789abcdef0123456789abcdef
        and to the zones of small.example

        the form, filled in: https://dash.cloudflare.com/profile/api-tokens?permissionGroupKeys=%5B%7B%22key%22%3A%22workers_scripts%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22d1%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22workers_kv_storage%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22workers_routes%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22zone%22%2C%22type%22%3A%22read%22%7D%2C%7B%22key%22%3A%22workers_tail%22%2C%22type%22%3A%22read%22%7D%5D&accountId=*&zoneId=all&name=small%20pipeline
    "#]].assert_eq(&world.run(["doctor", "--token-scopes"]).exits(0).stdout);
    let scopes = world
        .run(["doctor", "--token-scopes", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(scopes["permissions"][1]["permission"], "D1: Edit");

    // On GitHub the summary has it as a table, and what to do is to be done there.
    let summary = world.aside("summary.md");
    world.set("GITHUB_ACTIONS", "true");
    world.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
    world.unset("CLOUDFLARE_API_TOKEN");
    let run = world.run(["doctor"]).exits(2);
    assert_eq!(
        first(&run.stdout),
        "✗ token: CLOUDFLARE_API_TOKEN is not set"
    );
    assert_eq!(
        fix_of(&run.stdout),
        "gh secret set CLOUDFLARE_API_TOKEN --env production"
    );
    let text = fs::read_to_string(summary).expect("it is written");
    assert!(
        text.contains("CLOUDFLARE\\_API\\_TOKEN is not set"),
        "{text}"
    );
}

#[test]
fn it_works_without_a_network() {
    let mut world = healthy();
    // A port nobody listens at.
    world.set("CLOUDFLARE_API_BASE_URL", "http://127.0.0.1:9/client/v4");
    let run = world.run(["doctor"]).exits(0);
    assert!(run.stdout.contains("Cloudflare does not answer"), "{run}");
    let run = world.run(["doctor", "--offline"]).exits(0);
    assert!(run.stdout.contains("--offline"), "{run}");
}

/// A folder with nothing in it, on a machine with all programs.
fn bare() -> World {
    let bare = World::without_cloud(&[]);
    fs::remove_dir_all(bare.root().join(".git")).expect("it is there");
    fs::remove_dir_all(bare.root().join(".xtask")).expect("it is there");
    fs::remove_file(bare.root().join("node_modules")).expect("it is there");
    let mut bare = bare;
    for name in ["RUSTUP_HOME", "CARGO_HOME"] {
        if let Some(folder) = toolchain(name) {
            bare.set(name, &folder);
        }
    }
    bare.set("XTASK_CLOUD", "cloudflare");
    bare.set(
        "GIT_CEILING_DIRECTORIES",
        &bare.root().with_file_name("").display().to_string(),
    );
    bare.set(
        "PATH",
        &machine::path_with(&bare, &["rustc", "git", "curl", "node", "npm"]),
    );
    bare
}

#[test]
fn it_works_with_nothing_set_up() {
    let bare = bare();
    let run = bare.run(["doctor"]).exits(2);
    expect![[r#"
        ✗ wrangler: it is not installed for the repo's root
          why: wrangler builds and uploads every worker
               there is no package.json that asks for it
          fix: npm init --yes && npm install --save-dev --save-exact --ignore-scripts wrangler@4
        ✗ repository: this is not a git repository
          why: a release records the commit it was made from
          fix: git config --global user.name 'tester'
               git config --global user.email 'tester@example.com'
               git init --initial-branch main && git add --all && git commit --message 'first commit'
        ✗ pipeline.toml: there is none
          why: it says which workers ship; no stage does anything without it
          fix: cargo xtask init
        ✗ token: CLOUDFLARE_API_TOKEN is not set
          why: deploy, preview, migrate and rollback sign in with it (`--cloud local` needs none)
               make one here, and give it to the command below: https://dash.cloudflare.com/profile/api-tokens
          fix: read -rs CLOUDFLARE_API_TOKEN && export CLOUDFLARE_API_TOKEN
        ! identity: git does not know who you are
          why: `git commit` refuses, and what ships has to be committed
          fix: git config --global user.name 'tester'
               git config --global user.email 'tester@example.com'

        machine   ✓ rust …
                  ✓ node …
                  ✓ git …
                  ✓ curl …
                  - clock              there is nothing to compare it with
        packages  - lock files         no package.json asks for packages
                  - manager, installed  there is no lock file
                  ✗ wrangler           it is not installed for the repo's root
        repo      ! identity           git does not know who you are
                  ✗ repository         this is not a git repository
                  - main branch        there is no commit to look at
                  - remote, ignored files  there is no repository
                  ✗ pipeline.toml      there is none
                  - wrangler configs   pipeline.toml names none that can be read
                  - binding ids        there are no configs to compare
                  - migrations         pipeline.toml names no database
                  - workflows          there are none in .github/workflows
        cloud     ✗ token              CLOUDFLARE_API_TOKEN is not set
                  - account, permissions, resources, secrets, secrets on GitHub, lease, versions, previews  there is no token t…

        doctor: failure, 28 checks (4 passed, 1 warning, 4 failed, 19 skipped)"#]].assert_eq(&shown(&bare, &run.stdout));
    let left: Vec<PathBuf> = fs::read_dir(bare.root())
        .expect("it is there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "nothing is left behind");
}

/// Looks, without a cloud.
#[track_caller]
fn looked(world: &World, code: i32) -> String {
    world.run(["doctor", "--offline"]).exits(code).stdout
}

#[test]
fn mistakes_in_the_repo_stand_with_their_places() {
    let world = healthy();
    world.replace("pipeline.toml", "[health]", "[healthy]");
    world.replace(
        "workers/api/wrangler.toml",
        "b6b44e270e4b4f6c8d19c7e2b0f35d62",
        "c6b44e270e4b4f6c8d19c7e2b0f35d62",
    );
    world.edit("migrations/0001_again.sql", "SELECT 1;\n");
    let said = looked(&world, 2);
    let problems = said.trim().split("\n\n").next().unwrap_or_default();
    expect![[r#"
        ✗ pipeline.toml: 1 mistake
          why: pipeline.toml:24:2: error: unknown key `healthy`; did you mean `health`?
          fix: "${EDITOR:-vi}" pipeline.toml
        ✗ binding ids: 1 mistake
          why: workers/api/wrangler.toml:12:1: error: the KV binding `CACHE` is another one than in workers/site/wrangler.toml:15:1; use the same one, or say `separate_bindings = ["CACHE"]` in pipeline.toml
          fix: "${EDITOR:-vi}" workers/api/wrangler.toml"#]].assert_eq(&world.redact(problems));
}

#[test]
fn what_is_safe_is_repaired_and_the_rest_is_left() {
    let world = healthy();
    // Secrets in the history, a folder of ours in it, a main branch nobody has here.
    world.edit(".dev.vars", "API_KEY=x\n");
    world.replace(".gitignore", "/.xtask/\n", "");
    world.git(&["add", ".dev.vars", ".gitignore"]);
    world.git(&["commit", "--quiet", "--message", "mistakes"]);
    let upstream = world.aside("upstream.git").display().to_string();
    world.git(&["clone", "--quiet", "--bare", ".", &upstream]);
    world.git(&["remote", "set-url", "origin", &upstream]);
    world.git(&["branch", "--move", "topic"]);
    let said = looked(&world, 2);
    assert_eq!(
        first(&said),
        "✗ main branch: there is no branch `main`, here or at origin"
    );
    assert!(
        said.contains("! ignored files: git tracks .dev.vars"),
        "{said}"
    );
    world.git(&["rm", "--quiet", "--cached", ".dev.vars"]);
    world.edit(".gitignore", "node_modules");
    let mended = world.run(["doctor", "--offline", "--fix"]).exits(0);
    let mended = mended.says("✓ fix main branch").says("✓ fix ignored files");
    assert!(mended.stdout.contains("✓ ignored files"), "{mended}");
    assert_eq!(world.read(".gitignore"), "node_modules\n/.xtask/\n");
    assert_eq!(world.git(&["rev-parse", "origin/main"]).len(), 40);

    // A clock that is years behind.
    let commit = ["commit", "--quiet", "--allow-empty", "--message", "later"];
    let dated = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@localhost"])
        .args(commit)
        .current_dir(world.root())
        .env("GIT_COMMITTER_DATE", "2099-01-01T00:00:00Z")
        .status();
    assert!(dated.expect("git is there").success());
    let said = looked(&world, 0);
    assert!(
        said.contains("! clock: ") && said.contains("behind the newest commit"),
        "{said}"
    );
}
