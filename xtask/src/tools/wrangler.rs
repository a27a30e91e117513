//! The only module that knows wrangler's flags, its environment and its ND-JSON output.

mod own_build;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Fail;
use crate::plan::Command;
use crate::tools::node;
use crate::tools::node_modules::{self, Installed};
use crate::workspace::{Worker, Workspace};

pub use own_build::{check_environment, own_build};

/// Config names wrangler finds by itself.
const DEFAULT_NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/// The variable that makes wrangler append its results, one JSON object per line, to a file.
pub const OUTPUT_VARIABLE: &str = "WRANGLER_OUTPUT_FILE_PATH";

/// The oldest wrangler that does all the pipeline asks for: it brought `versions upload --secrets-file`.
pub const VERSION_MIN: [u64; 3] = [4, 74, 0];

/// wrangler as the repo has it installed, and how to talk to the cloud with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrangler {
    node: PathBuf,
    /// Its program file for each worker's folder: a repo may have several versions.
    clis: BTreeMap<PathBuf, PathBuf>,
    /// Where it is for any other folder.
    cli: PathBuf,
    /// The API it is told to use. Always set: a repo's `.env` could otherwise redirect the token.
    api: String,
    account: String,
    /// `.xtask`: compile cache and result files live there.
    state: PathBuf,
}

/// What a version upload needs.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    /// The worker's short name, for the result file.
    pub worker: &'a str,
    /// The folder it runs in.
    pub dir: &'a Path,
    /// The derived config.
    pub config: &'a Path,
    /// The release id.
    pub tag: &'a str,
    /// The version's message, which carries the content digest.
    pub message: &'a str,
    /// Names of the secrets that travel with the version.
    pub secrets: Vec<String>,
}

impl Wrangler {
    /// Finds wrangler for every worker of the repo; without it, says how to install it.
    pub fn find(workspace: &Workspace, api: &str, account: &str) -> anyhow::Result<Wrangler> {
        let root = &workspace.root;
        let folders = || workspace.workers.iter().map(|worker| worker.dir.as_path());
        for folder in folders() {
            check(root, folder, installed_for(root, folders(), folder))?;
        }
        let mut wrangler = Wrangler::expected(root, folders(), api, account);
        wrangler.node = node::find(root)?;
        Ok(wrangler)
    }

    /// wrangler where it is going to be once the packages are installed: for a plan that installs them first.
    pub fn expected<'a>(
        root: &Path,
        folders: impl Iterator<Item = &'a Path> + Clone,
        api: &str,
        account: &str,
    ) -> Wrangler {
        let cli = |folder: &Path| match installed_for(root, folders.clone(), folder) {
            Some(installed) => installed.dir.join(CLI),
            None => node_modules::expected(root, folder, NAME).join(CLI),
        };
        Wrangler {
            node: node::expected(root),
            clis: folders
                .clone()
                .map(|folder| (folder.to_owned(), cli(folder)))
                .collect(),
            cli: cli(root),
            api: api.to_owned(),
            account: account.to_owned(),
            state: root.join(".xtask"),
        }
    }

    /// Bundles a worker without talking to the cloud. The worker's own config is used, so that its build command runs
    /// and a config its build generates is honoured.
    pub fn bundle(&self, worker: &Worker, outdir: &Path) -> Command {
        let mut argv = words(&["deploy", "--dry-run", "--outdir"]);
        argv.push(outdir.display().to_string());
        // `--config` switches the redirect to a generated config off: only name a config that needs naming.
        let name = worker
            .config_path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        if !DEFAULT_NAMES.contains(&&*name) {
            argv.extend([
                "--config".to_owned(),
                worker.config_path.display().to_string(),
            ]);
        }
        if let Some(env) = &worker.env_name {
            argv.extend(["--env".to_owned(), env.clone()]);
        } else if !worker.config.environments.is_empty() {
            // Named environments and no choice: wrangler warns unless told that the top level is meant.
            argv.push("--env=".to_owned());
        }
        let mut command = self.command(&worker.name, "bundle", &worker.dir, argv);
        // A dry run asks no cloud, and the worker's own build command must not see the token.
        command.secret_env.clear();
        command
    }

    /// Compares a committed types file with what the config says. Its flags stand in the file's own header.
    pub fn types_check(&self, worker: &Worker, file: &Path) -> Command {
        let mut argv = words(&["types", "--check"]);
        if file != Path::new("worker-configuration.d.ts") {
            argv.insert(1, file.display().to_string());
        }
        let mut command = self.command(&worker.name, "types", &worker.dir, argv);
        command.secret_env.clear();
        // It writes no results.
        command.env.remove(OUTPUT_VARIABLE);
        command
    }

    /// Uploads a version that gets no traffic. Secrets are read from stdin, so that none touches a disk.
    pub fn upload_version(&self, upload: &Upload<'_>) -> Command {
        self.upload(&["versions", "upload"], "upload", upload)
    }

    /// Uploads and goes live at once: for a pending Durable Object migration, which cannot be staged.
    pub fn deploy(&self, upload: &Upload<'_>) -> Command {
        self.upload(&["deploy"], "deploy", upload)
    }

    fn upload(&self, verb: &[&str], step: &str, upload: &Upload<'_>) -> Command {
        let mut argv = words(verb);
        for (flag, value) in [
            ("--config", upload.config.display().to_string()),
            ("--tag", upload.tag.to_owned()),
            ("--message", upload.message.to_owned()),
        ] {
            argv.extend([flag.to_owned(), value]);
        }
        // A typo in a binding must be an error, not a new database.
        argv.push("--no-experimental-provision".to_owned());
        if !upload.secrets.is_empty() {
            argv.extend(words(&["--secrets-file", "/dev/stdin"]));
        }
        let mut command = self.command(upload.worker, step, upload.dir, argv);
        command.secrets_on_stdin.clone_from(&upload.secrets);
        command
    }

    fn command(&self, worker: &str, step: &str, dir: &Path, argv: Vec<String>) -> Command {
        let results = self
            .state
            .join("wrangler")
            .join(format!("{worker}-{step}.ndjson"));
        let display = format!("wrangler {}", argv.join(" "));
        let env = BTreeMap::from(
            [
                ("CI", "true".to_owned()),
                ("CLOUDFLARE_API_BASE_URL", self.api.clone()),
                ("CLOUDFLARE_ACCOUNT_ID", self.account.clone()),
                (node::CODE_CACHE, node::code_cache(&self.state)),
                ("NO_COLOR", "1".to_owned()),
                ("WRANGLER_HIDE_BANNER", "true".to_owned()),
                ("WRANGLER_SEND_ERROR_REPORTS", "false".to_owned()),
                ("WRANGLER_SEND_METRICS", "false".to_owned()),
                ("WRANGLER_WRITE_LOGS", "false".to_owned()),
                (OUTPUT_VARIABLE, results.display().to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let cli = self.clis.get(dir).unwrap_or(&self.cli);
        Command {
            display,
            program: self.node.display().to_string(),
            argv: std::iter::once(cli.display().to_string())
                .chain(argv)
                .collect(),
            cwd: dir.to_owned(),
            env,
            secret_env: vec!["CLOUDFLARE_API_TOKEN".to_owned()],
            env_remove: words(&[
                "WRANGLER_LOG_SANITIZE",
                "WRANGLER_LOG",
                "CLOUDFLARE_API_KEY",
                "CLOUDFLARE_EMAIL",
            ]),
            secrets_on_stdin: Vec::new(),
        }
    }
}

/// Its name on npm.
const NAME: &str = "wrangler";
/// Its program file, in its package.
const CLI: &str = "wrangler-dist/cli.js";

/// The installed wrangler that `folder` gets: the nearest one between it and the root, else the newest that any of the
/// other folders has.
pub fn installed_for<'a>(
    root: &Path,
    folders: impl Iterator<Item = &'a Path>,
    folder: &Path,
) -> Option<Installed> {
    node_modules::installed(root, folder, NAME).or_else(|| {
        folders
            .filter_map(|other| node_modules::installed(root, other, NAME))
            .max_by_key(Installed::numbers)
    })
}

/// A command that was planned before the packages were installed: package managers differ in where they put wrangler.
pub fn settled<'a>(root: &Path, command: &'a Command) -> Cow<'a, Command> {
    let planned = command.argv.first().map(Path::new);
    let missing = planned.is_some_and(|cli| {
        cli.ends_with(Path::new("node_modules").join(NAME).join(CLI)) && !cli.is_file()
    });
    match node_modules::installed(root, &command.cwd, NAME).filter(|_| missing) {
        None => Cow::Borrowed(command),
        Some(installed) => {
            let mut command = command.clone();
            command.argv[0] = installed.dir.join(CLI).display().to_string();
            Cow::Owned(command)
        }
    }
}

fn check(root: &Path, folder: &Path, installed: Option<Installed>) -> Result<(), Fail> {
    let shown = |path: &Path| match path.strip_prefix(root) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.display().to_string(),
        _ => "the repo's root".to_owned(),
    };
    let Some(installed) = installed else {
        return Err(Fail::setup("wrangler is not installed")
            .why(format!(
                "no `node_modules/{NAME}` from {} up to the root of the repo",
                shown(folder)
            ))
            .fix("cargo xtask install   (installs what the lock files say)")
            .fix(
                "or add it first, where no package.json names it: npm install --save-dev wrangler",
            ));
    };
    if installed.numbers() < VERSION_MIN {
        let [major, minor, patch] = VERSION_MIN;
        return Err(Fail::setup(format!("wrangler {} is too old", installed.version))
            .why(format!("{} has it; the pipeline needs {major}.{minor}.{patch} or newer, which uploads secrets together with the code", shown(folder)))
            .fix("npm install --save-dev wrangler@latest   (or the same with pnpm, yarn or bun)"));
    }
    Ok(())
}

/// The version id an upload made, from the result file's text: present only when the upload really happened
/// (a dry run and a `--strict` stop write the same entry without one).
pub fn version_id(results: &str) -> Option<String> {
    entries(results)
        .filter(|entry| matches!(entry["type"].as_str(), Some("version-upload" | "deploy")))
        .find_map(|entry| entry["version_id"].as_str().map(str::to_owned))
}

/// Bundle sizes in bytes, raw and gzipped, when the result file tells them.
pub fn bundle_size(results: &str) -> Option<(u64, u64)> {
    entries(results).find_map(|entry| {
        let size = &entry["bundle_size"];
        Some((size["raw_bytes"].as_u64()?, size["gzip_bytes"].as_u64()?))
    })
}

/// The last lines of what wrangler said, without what it says whatever happened: that uploads over the API are
/// overwritten (the placeholder was one), where to report bugs, where its log is.
pub fn last_words(said: &str, lines: usize) -> String {
    const NOISE: [&str; 4] = [
        "You are about to upload a Worker that was last updated via the script API",
        "Edits that have been made via the script API",
        "If you think this is a bug",
        "Logs were written to",
    ];
    let kept: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty() && !NOISE.iter().any(|noise| line.contains(noise)))
        .collect();
    kept[kept.len().saturating_sub(lines)..].join("\n")
}

/// Cloudflare's error code of a failed command, when it names one.
pub fn failure_code(results: &str) -> Option<i64> {
    entries(results)
        .filter(|entry| entry["type"] == "command-failed")
        .find_map(|entry| entry["code"].as_i64())
}

fn entries(results: &str) -> impl Iterator<Item = Value> + '_ {
    results
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_counts_only_with_a_version_id() {
        let dry = r#"{"type":"wrangler-session","version":1}
{"type":"version-upload","version":1,"version_id":null,"bundle_size":{"raw_bytes":138,"gzip_bytes":136}}"#;
        assert_eq!(version_id(dry), None);
        assert_eq!(bundle_size(dry), Some((138, 136)));
        assert_eq!(
            version_id(&dry.replace("null", "\"v1\"")),
            Some("v1".to_owned())
        );
        assert_eq!(version_id("half a li"), None);
    }
}
