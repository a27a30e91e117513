//! What a person reads when something is wrong: what, why and a fix, the right exit code, and nothing changed.
#![cfg(unix)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::{Run, World};
use expect_test::{Expect, expect};
use serde_json::json;

/// A deployed set whose state must survive every refusal.
struct Refusals {
    world: World,
    start: String,
}

impl Refusals {
    fn new() -> Refusals {
        let world = World::deployed();
        let start = world.git(&["rev-parse", "HEAD"]);
        Refusals { world, start }
    }

    /// Runs, expects this code and text, checks that the cloud is as before, and puts the repo back.
    #[track_caller]
    fn check<const N: usize>(&mut self, arguments: [&str; N], code: i32, expected: Expect) -> Run {
        let tables = "SELECT name FROM sqlite_master ORDER BY name";
        let before = (self.world.cloud_state(), self.world.query(tables));
        let run = self.world.run(arguments).exits(code);
        expected.assert_eq(&self.world.redact(run.error()));
        assert!(!run.stderr.contains("panicked"), "{run}");
        assert_eq!((self.world.cloud_state(), self.world.query(tables)), before);
        let leases = self.world.query("SELECT * FROM xtask_lease");
        assert!(leases.is_empty(), "a lease is left: {leases:?}");
        self.world.git(&["checkout", "--quiet", "--force", "main"]);
        self.world.git(&["reset", "--quiet", "--hard", &self.start]);
        self.world.git(&["clean", "--quiet", "-d", "--force"]);
        run
    }

    /// Commits what was edited, then checks.
    #[track_caller]
    fn committed(&mut self, code: i32, expected: Expect) -> Run {
        self.world.commit("a mistake");
        self.check(["deploy"], code, expected)
    }
}

#[test]
fn mistakes_in_the_repo_are_refused_with_a_place_and_a_fix() {
    let mut refusals = Refusals::new();

    refusals.world.edit("new.txt", "1");
    refusals.check(
        ["deploy"],
        2,
        expect![[r#"
        error: refusing to deploy uncommitted changes
          why: ?? new.txt
          fix: git commit, or add `--allow-dirty`"#]],
    );

    refusals
        .world
        .git(&["checkout", "--quiet", "-b", "fix-typo"]);
    refusals.world.change("workers/api/index.js");
    refusals.check(
        ["deploy"],
        2,
        expect![[r#"
        error: refusing to deploy from branch `fix-typo`
          why: production only ever runs commits that are on main
          fix: merge the pull request, or add `--allow-dirty`"#]],
    );

    refusals.check(
        ["deploy", "--only", "agnet"],
        2,
        expect![[r#"
        error: there is no worker `agnet`
          why: pipeline.toml names these: site, agent, api
          fix: did you mean `agent`?"#]],
    );

    broken_files_are_refused_with_their_place(&mut refusals);
    every_mistake_is_told_at_once(&mut refusals);
}

#[track_caller]
fn broken_files_are_refused_with_their_place(refusals: &mut Refusals) {
    refusals
        .world
        .edit("pipeline.toml", "[workers.site\npath = 1\n");
    refusals.committed(
        2,
        expect![[r#"
            error: the configuration has a mistake
              why: pipeline.toml:1:14: error: invalid TOML: unclosed table, expected `]`
              fix: correct the place above, then see whether all is well:
                   cargo xtask deploy --cloud local --dry-run"#]],
    );

    refusals.world.replace(
        "pipeline.toml",
        "secrets = [\"API_KEY\"]",
        "secret = [\"API_KEY\"]",
    );
    refusals.committed(
        2,
        expect![[r#"
        error: the configuration has a mistake
          why: pipeline.toml:17:1: error: unknown key `workers.api.secret`; did you mean `secrets`?
          fix: correct the place above, then see whether all is well:
               cargo xtask deploy --cloud local --dry-run"#]],
    );

    refusals.world.replace(
        "workers/agent/wrangler.jsonc",
        "\"main\": \"index.js\",",
        "\"main\": \"index.js\"",
    );
    refusals.committed(
        2,
        expect![[r#"
        error: the configuration has a mistake
          why: workers/agent/wrangler.jsonc:5:3: error: invalid JSON: expected a comma before this
          fix: correct the place above, then see whether all is well:
               cargo xtask deploy --cloud local --dry-run"#]],
    );

    refusals.world.replace(
        "workers/site/wrangler.toml",
        "\"small-api\"",
        "\"smal-api\"",
    );
    refusals.committed(2, expect![[r#"
        error: the configuration has a mistake
          why: workers/site/wrangler.toml:19:1: error: `services`: `API` is bound to `smal-api`, a worker this repo does not ship; did you mean `small-api`?
          fix: correct the place above, then see whether all is well:
               cargo xtask deploy --cloud local --dry-run"#]]);
}

#[track_caller]
fn every_mistake_is_told_at_once(refusals: &mut Refusals) {
    refusals
        .world
        .replace("workers/site/wrangler.toml", "0 6 * * *", "0 26 * * *");
    refusals.world.replace(
        "workers/api/wrangler.toml",
        "name = \"small-api\"",
        "name = \"Small API\"",
    );
    refusals
        .world
        .replace("pipeline.toml", "port = 0", "port = \"zero\"");
    refusals.committed(2, expect![[r#"
        error: the configuration has 3 mistakes
          why: pipeline.toml:29:8: error: `local.port` must be a whole number from 0 to 65535, found a string
               workers/api/wrangler.toml:2:8: error: the script's name `Small API` may hold only lowercase letters, digits and dashes
               workers/site/wrangler.toml:8:10: error: the cron trigger is not valid: its hour is not within 0 to 23
          fix: correct the places above, then see whether all is well:
               cargo xtask deploy --cloud local --dry-run"#]]);
}

#[test]
fn code_and_secrets_that_are_not_right_stop_the_release_before_it_is_public() {
    let mut refusals = Refusals::new();

    refusals.world.replace(
        "pipeline.toml",
        "\"SITE_KEY\", \"API_KEY\"",
        "\"SITE_KEY\", \"API_KEY\", \"NEW_KEY\"",
    );
    refusals.committed(2, expect![[r#"
        error: site needs secrets that are set nowhere: NEW_KEY
          why: neither the environment of this run nor the live worker has them
          fix: export NEW_KEY=…   (in CI: add it to the repository's secrets and to the workflow's env)"#]]);

    refusals
        .world
        .edit("workers/api/index.js", "export default {{{");
    refusals.committed(
        1,
        expect![[r#"
            error: failed to build api: wrangler exited with 1
              why: ✘ [ERROR] Build failed with 1 error:
                     ✘ [ERROR] Expected identifier but found "{"
                         index.js:1:16:
                           1 │ export default {{{
                             ╵                 ^
              fix: correct the code or the config, then run the command again: nothing of it is public"#]],
    );

    // The upload is refused, so no version is added either.
    refusals.world.edit(
        "workers/api/index.js",
        "throw new Error(\"boom\");\nexport default {};\n",
    );
    refusals.committed(1, expect![[r#"
        error: failed to upload a version of api: wrangler exited with 1
          why: ✘ [ERROR] A request to the Cloudflare API (/accounts/0123456789abcdef0123456789abcdef/workers/scripts/small-api/versions) failed.
                 Uncaught Error: boom
                   at null.<anonymous> (file://[repo]/workers/api/index.js:1:7) [code: 10021]
          fix: correct the code or the config, then run the command again: nothing of it is public"#]]);
}

/// A PATH that holds only these programs.
fn path_with(world: &World, name: &str, programs: &[&str]) -> String {
    let folder = world.aside(name);
    fs::create_dir_all(&folder).expect("a folder can be made");
    for program in programs {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
            .unwrap_or_else(|| panic!("this machine has no {program}"));
        symlink(found, folder.join(program)).expect("a link can be made");
    }
    folder.display().to_string()
}

/// The packages of the repo, some left out.
fn packages(world: &World, kept: &[&str]) {
    let link = world.root().join("node_modules");
    let all = fs::read_link(&link).unwrap_or_else(|_| link.clone());
    fs::remove_file(&link).expect("it is a link");
    fs::create_dir(&link).expect("a folder can be made");
    for name in kept {
        symlink(all.join(name), link.join(name)).expect("a link can be made");
    }
}

#[test]
fn programs_that_are_missing_are_named() {
    let mut refusals = Refusals::new();
    let whole = refusals.world.variable("PATH");
    let modules: PathBuf =
        fs::read_link(refusals.world.root().join("node_modules")).expect("a link");

    let path = path_with(&refusals.world, "no-git", &["curl", "sh"]);
    refusals.world.set("PATH", &path);
    refusals.check(
        ["deploy"],
        2,
        expect![[r#"
        error: `git` is not installed
          why: releases are named after commits
          fix: install git (apt-get install git, brew install git)"#]],
    );

    let path = path_with(&refusals.world, "no-curl", &["git", "sh"]);
    refusals.world.set("PATH", &path);
    refusals.check(
        ["deploy"],
        2,
        expect![[r#"
        error: `curl` cannot be run
          why: cannot find binary path
          fix: install curl (apt-get install curl, brew install curl) and run the command again"#]],
    );

    let path = path_with(&refusals.world, "no-node", &["git", "curl", "sh"]);
    refusals.world.set("PATH", &path);
    packages(&refusals.world, &["wrangler", "miniflare"]);
    refusals.check(["deploy"], 2, expect![[r#"
        error: no Node was found
          why: neither in [repo]/node_modules nor on PATH
          fix: npm ci --ignore-scripts   (brings the repo's own Node along on Linux, Windows and Intel macOS)
               or install Node 22 or newer from https://nodejs.org"#]]);
    refusals.world.set("PATH", &whole);
    fs::remove_dir_all(refusals.world.root().join("node_modules")).expect("it is there");
    symlink(&modules, refusals.world.root().join("node_modules")).expect("a link can be made");

    packages(&refusals.world, &["miniflare"]);
    refusals.check(
        ["deploy"],
        2,
        expect![[r#"
            error: wrangler is not installed
              why: no `node_modules/wrangler` from workers/site up to the root of the repo
              fix: cargo xtask install   (installs what the lock files say)
                   or add it first, where no package.json names it: npm install --save-dev wrangler"#]],
    );
}

#[test]
fn a_token_that_is_missing_or_refused_is_a_matter_of_set_up() {
    let mut refusals = Refusals::new();
    let cloudflare = ["deploy", "--cloud", "cloudflare"];
    refusals.check(
        cloudflare,
        2,
        expect![[r#"
        error: CLOUDFLARE_API_TOKEN is not set
          why: the pipeline signs in to Cloudflare with an API token
          fix: export CLOUDFLARE_API_TOKEN=…   (https://dash.cloudflare.com/profile/api-tokens)
               or try it without an account: add `--cloud local`"#]],
    );

    let api = refusals.world.cloud().api();
    refusals.world.set("CLOUDFLARE_API_BASE_URL", &api);
    refusals.world.set("CLOUDFLARE_API_TOKEN", "revoked");
    let error = json!({"code": 10000, "message": "Authentication error"});
    let body = json!({"success": false, "errors": [error], "messages": [], "result": null});
    refusals.world.fault(
        json!({"path": "/accounts/", "count": 1000, "action": {"status": 403, "body": body}}),
    );
    let world = &refusals.world;
    let run = world.run(cloudflare).exits(2);
    let said = world.redact(run.error());
    world.clear_faults();
    expect![[r#"
        error: Cloudflare does not accept the API token for this
          why: GET /accounts/0123456789abcdef0123456789abcdef/workers/subdomain: Authentication error (code 10000)
          fix: cargo xtask doctor   (names the permission that is missing)"#]].assert_eq(&said);

    refusals.world.set("XTASK_CLOUD", "locale");
    refusals.check(
        ["deploy"],
        2,
        expect![[r#"
        error: XTASK_CLOUD is `locale`
          why: it names a cloud there is none of
          fix: export XTASK_CLOUD=local   (or cloudflare)"#]],
    );
}

#[test]
fn a_port_in_use_is_said_and_a_wrong_flag_too() {
    let mut world = World::new();
    // The one that runs is stopped: a new one is to be started.
    world.stop_cloud();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has one").port().to_string();
    let run = world.run(["local", "--detach", "--port", &port]).exits(2);
    let said = world.redact(run.error()).replace(&port, "[port]");
    expect![[r#"
        error: the local cloud did not start
          why: error: could not serve the local cloud on 127.0.0.1:[port]
                 why: Address already in use (os error 98)
                 fix: stop the program that uses the port, or pass --port 0 to take a free one
          fix: set another `port` under [local] in pipeline.toml, or 0 for any free one, if the port is taken"#]].assert_eq(&said);

    let run = world.run(["deploy", "--canary", "100"]).exits(2);
    expect![[r#"
        error: invalid value '100' for '--canary <PERCENT>': 100 is not in 0..=99

        For more information, try '--help'."#]]
    .assert_eq(run.error());
    let run = world.run(["deploy", "--root", "nowhere"]).exits(2);
    assert!(
        run.stderr.contains("cannot be used multiple times"),
        "{run}"
    );
}
