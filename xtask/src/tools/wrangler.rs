//! The only module that knows wrangler's flags, its environment and its ND-JSON output.

mod env_files;
mod installed;
mod own_build;
mod results;
pub mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::plan::Command;
use crate::tools::node;
use crate::tools::node_modules;
use crate::workspace::{Worker, Workspace};

use env_files::EnvFiles;
use installed::{CLI, NAME, check};
pub use installed::{installed_for, settled};
use own_build::ENVIRONMENT_VARIABLE;
pub use own_build::check_environment;
pub use results::{bundle_size, can_pass, failure_code, last_words, version_id};
use variables::{Rule, VARIABLES, Value};

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
    /// The `.env` files in each worker's folder.
    env_files: BTreeMap<PathBuf, EnvFiles>,
    /// The API it is told to use. Always set: a repo's `.env` could otherwise redirect the token.
    api: String,
    account: String,
    /// `.xtask`: compile cache and result files live there.
    state: PathBuf,
}

/// What a version upload needs.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// What the files of this call are named after.
    pub label: &'a str,
    /// The derived config.
    pub config: &'a Path,
    /// Its `tsconfig`, absolute, where it names one.
    pub tsconfig: Option<PathBuf>,
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
            env_files: folders
                .map(|folder| (folder.to_owned(), EnvFiles::read(folder)))
                .collect(),
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
        // Said even when there is no choice: else `CLOUDFLARE_ENV` decides.
        argv.push(format!(
            "--env={}",
            worker.env_name.as_deref().unwrap_or_default()
        ));
        let mut command = self.command(&Call::new(worker, "bundle", argv));
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
        let mut command = self.command(&Call {
            // They decide over the types, too, and are the same for whoever made the file.
            reads_env_files: false,
            ..Call::new(worker, "types", argv)
        });
        command.secret_env.clear();
        // What a person's own call does not see, either.
        command.env.remove(ENVIRONMENT_VARIABLE);
        command.env_remove.push(ENVIRONMENT_VARIABLE.to_owned());
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
        if let Some(tsconfig) = &upload.tsconfig {
            argv.extend(["--tsconfig".to_owned(), tsconfig.display().to_string()]);
        }
        // The derived config holds the environment that ships, and no others.
        argv.push("--env=".to_owned());
        // A typo in a binding must be an error, not a new database.
        argv.push("--no-experimental-provision".to_owned());
        if !upload.secrets.is_empty() {
            argv.extend(words(&["--secrets-file", "/dev/stdin"]));
        }
        let mut command = self.command(&Call {
            label: upload.label,
            ..Call::new(upload.worker, step, argv)
        });
        command.secrets_on_stdin.clone_from(&upload.secrets);
        command
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let worker = call.worker;
        let file = |end: &str| {
            let name = format!("{}-{}.{end}", call.label, call.step);
            self.state.join("wrangler").join(name)
        };
        let cli = self.clis.get(&worker.dir).unwrap_or(&self.cli);
        let mut command = Command {
            display: format!("wrangler {}", display(&call.argv)),
            program: self.node.display().to_string(),
            argv: std::iter::once(cli.display().to_string())
                .chain(call.argv.iter().cloned())
                .collect(),
            ..Command::new("", &[], &worker.dir)
        };
        for (name, value) in [
            (node::CODE_CACHE, node::code_cache(&self.state)),
            ("NO_COLOR", "1".to_owned()),
        ] {
            command.env.insert(name.to_owned(), value);
        }
        self.decide_variables(worker, &file("ndjson"), &mut command);
        if call.reads_env_files {
            self.read_env_files(worker, file("env"), &mut command);
        }
        command
    }

    /// Sets and clears what could change where a version goes.
    fn decide_variables(&self, worker: &Worker, results: &Path, command: &mut Command) {
        for variable in VARIABLES {
            let name = variable.name.to_owned();
            let value = match variable.rule {
                Rule::Keep | Rule::Unused => continue,
                Rule::Clear => {
                    command
                        .env_remove
                        .extend(variable.names().map(str::to_owned));
                    continue;
                }
                Rule::Set(Value::Token) => {
                    command.secret_env.push(name);
                    continue;
                }
                Rule::Set(Value::Api) => self.api.clone(),
                Rule::Set(Value::Account) => self.account.clone(),
                Rule::Set(Value::Environment) => worker.env_name.clone().unwrap_or_default(),
                Rule::Set(Value::Script) => worker.config.name.clone(),
                Rule::Set(Value::Region) => {
                    let region = worker.config.raw["compliance_region"].as_str();
                    region.unwrap_or("public").to_owned()
                }
                Rule::Set(Value::Results) => results.display().to_string(),
                Rule::Set(Value::Text(text)) => text.to_owned(),
            };
            command.env.insert(name, value);
        }
    }

    /// Has wrangler read the `.env` files of the environment that ships: its code may be built with what they set. What
    /// they set of the variables above is taken back by one more file.
    fn read_env_files(&self, worker: &Worker, own: PathBuf, command: &mut Command) {
        let Some(files) = self.env_files.get(&worker.dir) else {
            return;
        };
        let environment = worker.env_name.as_deref();
        let taken_back = files.taken_back(environment);
        if taken_back.is_none() && environment.is_none() {
            return;
        }
        let mut paths: Vec<String> = files
            .of(environment)
            .into_iter()
            .map(str::to_owned)
            .collect();
        if let Some(text) = taken_back {
            paths.push(own.display().to_string());
            command.files.insert(own, text);
        }
        let flags = paths.iter().map(|path| format!("--env-file={path}"));
        command.argv.extend(flags);
    }

    /// The worker's own build, when it has one, for the environment that ships.
    pub fn own_build(&self, worker: &Worker) -> Option<Command> {
        let files = self.env_files.get(&worker.dir);
        let set_by_file = files.is_some_and(|files| files.mention(ENVIRONMENT_VARIABLE));
        own_build::own_build(worker, set_by_file)
    }

    /// What the environment and `.env` files say about where versions go, other than pipeline.toml and the configs.
    pub fn ignored<'w>(
        &self,
        env: &Env,
        workers: impl Iterator<Item = &'w Worker> + Clone,
    ) -> Vec<String> {
        let root = self.state.parent().unwrap_or(&self.state);
        let mut notes = Vec::new();
        for (name, who) in variables::told() {
            let decided = |worker: &Worker| match name {
                ENVIRONMENT_VARIABLE => worker.env_name.clone().unwrap_or_default(),
                _ => worker.config.name.clone(),
            };
            let value = env.var(name);
            if let Some(value) = value
                && workers.clone().any(|worker| decided(worker) != value)
            {
                notes.push(format!("`{name}={value}` is ignored: {who}"));
            }
            for worker in workers.clone() {
                let Some(files) = self.env_files.get(&worker.dir) else {
                    continue;
                };
                let environment = worker.env_name.as_deref();
                for (_, file) in files.setting(environment, std::iter::once(name)) {
                    let path = worker.dir.join(file);
                    let shown = path.strip_prefix(root).unwrap_or(&path).display();
                    notes.push(format!("`{name}` in {shown} is ignored: {who}"));
                }
            }
        }
        notes
    }
}

/// One call of wrangler.
struct Call<'a> {
    worker: &'a Worker,
    /// What its files are named after.
    label: &'a str,
    step: &'a str,
    argv: Vec<String>,
    /// False for a command that treats them as values of its own.
    reads_env_files: bool,
}

impl<'a> Call<'a> {
    fn new(worker: &'a Worker, step: &'a str, argv: Vec<String>) -> Call<'a> {
        Call {
            worker,
            label: &worker.name,
            step,
            argv,
            reads_env_files: true,
        }
    }
}

/// The arguments as a person would type them: no environment is named where the top level ships.
fn display(argv: &[String]) -> String {
    let shown = argv.iter().filter(|word| *word != "--env=");
    shown.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
