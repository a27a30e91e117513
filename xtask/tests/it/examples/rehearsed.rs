//! A rehearsed repo that looks like this one, and the examples run in it.

#![expect(
    clippy::disallowed_methods,
    reason = "this module is the boundary to the programs in the examples"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::examples::blocks::{Example, repo};
use crate::support::World;

/// The declared secrets of this repo.
const SECRETS: [&str; 5] = [
    "ADMIN_KEY",
    "GOOGLE_SECRET",
    "FB_SECRET",
    "FB_EMAIL",
    "FB_PASSWORD",
];

/// The port the documents name.
const PORT: &str = ":8787";

/// The repo, its rehearsal and the local cloud that goes on.
pub struct Rehearsed {
    world: World,
    /// `.xtask/rehearsal`.
    root: PathBuf,
    /// What stands in the documents, and what is there instead.
    stand_ins: Vec<(&'static str, String)>,
    /// What the rehearsal itself said.
    pub said: String,
}

/// What a command said and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    fn of(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            code: output.status.code(),
            text: format!("{}\n{}", text(&output.stderr), text(&output.stdout)),
        }
    }
}

impl Rehearsed {
    /// Rehearses: the first example there is.
    pub fn new() -> Rehearsed {
        let mut world = World::kiamichi();
        world.stop_cloud();
        // What `doctor` looks at, too.
        for name in ["package-lock.json", ".github", "scripts", "xtask/src"] {
            copy(&repo().join(name), &world.root().join(name));
        }
        world.commit("lock file and workflows");
        for (name, folder) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
            let home = std::env::var("HOME").unwrap_or_default();
            let kept = std::env::var(name).unwrap_or_else(|_| format!("{home}/{folder}"));
            world.set(name, &kept);
        }
        let run = world.run(["rehearse"]).exits(0);
        let root = world.root().join(".xtask/rehearsal");
        let mut rehearsed = Rehearsed {
            said: format!("{}\n{}", run.stderr, run.stdout),
            stand_ins: Vec::new(),
            world,
            root,
        };
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(arguments)
                .current_dir(&rehearsed.root)
                .output();
            let output = output.expect("git runs");
            assert!(output.status.success(), "git {arguments:?}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let origin = rehearsed
            .world
            .base()
            .join("origin.git")
            .display()
            .to_string();
        git(&["clone", "--quiet", "--bare", ".", &origin]);
        git(&["remote", "add", "origin", &origin]);
        git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
        git(&["config", "user.name", "Ana"]);
        git(&["config", "user.email", "ana@example.com"]);
        let head = git(&["rev-parse", "--short", "HEAD"]);
        // Older than what is installed, as where it was installed from.
        let lock = fs::File::options()
            .write(true)
            .open(rehearsed.root.join("package-lock.json"));
        let lock = lock.expect("it was copied");
        lock.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .expect("it is ours");
        let home = rehearsed.world.variable("HOME");
        rehearsed.stand_ins = vec![
            ("41", "1".to_owned()),
            ("1a2b3c4", head),
            (
                "0007_tags.sql",
                "0001_reviews_and_enrichments.sql".to_owned(),
            ),
            ("12", "2".to_owned()),
            ("10m", "1s".to_owned()),
            (
                "~/kiamichi-secrets.json",
                format!("{home}/kiamichi-secrets.json"),
            ),
        ];
        rehearsed.play_github();
        rehearsed
    }

    /// Pull request 7 of the documents, on the local cloud's GitHub.
    fn play_github(&mut self) {
        let port = self.port();
        let github = format!("http://127.0.0.1:{port}/github");
        self.world.set("GITHUB_REPOSITORY", "acme/site");
        self.world.set("GITHUB_API_URL", &github);
        self.world.set("GITHUB_TOKEN", "ghp_of-a-person");
        let pull = json!({"repo": "acme/site", "number": 7, "branch": "topic"}).to_string();
        let url = format!("http://127.0.0.1:{port}/_local/github/pulls");
        let said = self.curl(&["--json".to_owned(), pull, url]);
        assert_eq!(said.code, Some(0), "{}", said.text);
    }

    /// The port of the rehearsal's local cloud.
    pub fn port(&self) -> String {
        let text = fs::read_to_string(self.root.join(".xtask/local-cloud/server.json"));
        let server: Value = serde_json::from_str(&text.expect("it runs")).expect("JSON");
        let port = server["port"].as_u64();
        port.unwrap_or_else(|| panic!("{server}")).to_string()
    }

    /// Runs a verb in the rehearsed repo.
    pub fn xtask(&self, arguments: &[String], more: &[&str]) -> Said {
        let mut arguments: Vec<String> = arguments.iter().map(|word| self.stand_in(word)).collect();
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        // The one example with a root of its own is typed in the repo itself.
        let folder = match arguments.iter().any(|word| word == "--root") {
            true => self.world.root(),
            false => {
                arguments.extend(["--root".to_owned(), self.root.display().to_string()]);
                &self.root
            }
        };
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.world.program(folder, &words);
        if matches!(words[0], "crons" | "doctor") && !words.contains(&"local") {
            self.without_anything(&mut command);
        }
        Said::of(&command.output().expect("the binary runs"))
    }

    /// The surroundings of somebody who has just cloned the repo: no token, no secret. Cloudflare would be the local cloud.
    fn without_anything(&self, command: &mut Command) {
        for name in ["GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL"] {
            command.env_remove(name);
        }
        for name in SECRETS {
            command.env_remove(name);
        }
        let api = format!("http://127.0.0.1:{}/client/v4", self.port());
        command
            .env("XTASK_CLOUD", "cloudflare")
            .env("CLOUDFLARE_API_BASE_URL", api);
    }

    /// What docs/status.md shows: a secret, crons and an address changed by hand.
    pub fn change_by_hand(&self) {
        let scripts = format!(
            "http://127.0.0.1{PORT}/client/v4/accounts/{}/workers/scripts",
            crate::support::ACCOUNT
        );
        let analyzer = format!("{scripts}/kiamichi-biz-ai-analyzer");
        let facebook = format!("{scripts}/kiamichi-facebook-worker");
        let secret = json!({"name": "EXTRA", "text": "value-of-extra", "type": "secret_text"});
        let crons = [
            "0 3 * * *",
            "0 15 * * *",
            "0 2 * * *",
            "0 14 * * *",
            "0 23 * * *",
        ];
        let crons = crons.map(|cron| json!({ "cron": cron }));
        let address = json!({"enabled": true, "previews_enabled": true});
        for (method, url, body) in [
            ("PUT", format!("{analyzer}/secrets"), secret),
            ("PUT", format!("{facebook}/schedules"), json!(crons)),
            ("POST", format!("{facebook}/subdomain"), address),
        ] {
            let words = [
                "--json",
                &body.to_string(),
                "--request",
                method,
                "--header",
                "authorization: Bearer local",
                "--user-agent",
                "wrangler/4.155.0",
                &url,
            ];
            let said = self.curl(&words.map(str::to_owned));
            assert!(
                said.text.contains("\"success\":true"),
                "{url}: {}",
                said.text
            );
        }
    }

    fn stand_in(&self, word: &str) -> String {
        let found = self.stand_ins.iter().find(|(shown, _)| *shown == word);
        found.map_or_else(|| word.to_owned(), |(_, real)| real.clone())
    }

    /// Sends a request to the rehearsal's cloud, where the documents name the usual port.
    pub fn curl(&self, arguments: &[String]) -> Said {
        let port = format!(":{}", self.port());
        let output = Command::new("curl")
            .args(["--silent", "--show-error"])
            .args(arguments.iter().map(|word| word.replace(PORT, &port)))
            .output();
        Said::of(&output.expect("curl runs"))
    }

    /// Makes an empty database; its id.
    pub fn new_database(&self) -> String {
        let id = crate::support::DATABASE.to_owned();
        let body = json!({"d1": [{"id": id, "name": "examples"}]}).to_string();
        let url = format!("http://127.0.0.1{PORT}/_local/resources");
        let said = self.curl(&["--json".to_owned(), body, url]);
        assert_eq!(said.code, Some(0), "{}", said.text);
        id
    }

    /// Runs SQL in a database.
    pub fn sql(&self, database: &str, sql: &str) -> Value {
        let body = json!({ "sql": sql }).to_string();
        let url = format!(
            "http://127.0.0.1{PORT}/client/v4/accounts/{}/d1/database/{database}/query",
            crate::support::ACCOUNT
        );
        let header = "authorization: Bearer local".to_owned();
        let said = self.curl(&[
            "--json".to_owned(),
            body,
            "--header".to_owned(),
            header,
            url,
        ]);
        serde_json::from_str(said.text.trim())
            .unwrap_or_else(|error| panic!("{error}: {}", said.text))
    }

    /// What the real wrangler's help says of a command.
    pub fn wrangler_help(&self, command: &[String]) -> Said {
        let modules = crate::support::node_modules();
        let output = Command::new(modules.join(".bin/wrangler"))
            .args(command)
            .arg("--help")
            .current_dir(self.world.base())
            .env(
                "PATH",
                format!(
                    "{}:{}",
                    modules.join(".bin").display(),
                    self.world.variable("PATH")
                ),
            )
            .env("WRANGLER_SEND_METRICS", "false")
            .env("HOME", self.world.variable("HOME"))
            .stdin(Stdio::null())
            .output();
        Said::of(&output.expect("wrangler runs"))
    }

    /// Types a line that prepares something into a shell.
    pub fn shell(&self, example: &Example) {
        let output = Command::new("sh")
            .args(["-c", &format!("umask 077; {}", example.line)])
            .env("HOME", self.world.variable("HOME"))
            .current_dir(self.world.base())
            .output()
            .expect("sh runs");
        assert!(output.status.success(), "{}: {output:?}", example.place);
    }
}

impl Drop for Rehearsed {
    fn drop(&mut self) {
        // Nobody else stops what a rehearsal left running.
        let root = self.root.display().to_string();
        let stop = ["local", "--stop", "--root", &root];
        let _ = self.world.program(&self.root, &stop).output();
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder can be made");
        for entry in fs::read_dir(from).expect("it is a folder") {
            let entry = entry.expect("it can be read");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a file can be copied");
    }
}
