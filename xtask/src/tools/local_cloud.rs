//! Starts, finds and stops the local cloud. Knows its command line and its control endpoints, not what it emulates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Local;
use crate::context::Ctx;
use crate::error::Fail;
use crate::plan::Command;
use crate::tools::http::{self, Request, Response};
use crate::tools::{node, node_modules, process};
use crate::workspace::Workspace;

/// How long a starting cloud may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

/// A running local cloud.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct LocalCloud {
    /// `http://127.0.0.1:PORT/client/v4`.
    pub api: String,
    /// `http://127.0.0.1:PORT`.
    pub edge: String,
    /// The workers.dev subdomain it plays.
    pub subdomain: String,
}

/// The cloud whose state is in `state`, if it runs and answers.
pub fn running(state: &Path) -> Option<LocalCloud> {
    let text = std::fs::read_to_string(state.join("server.json")).ok()?;
    let cloud: LocalCloud = serde_json::from_str(&text).ok()?;
    let mut request = Request::get(format!("{}/_local/health", cloud.edge));
    request.timeout_secs = 5;
    let answer = http::send(&request).ok()?.ok()?;
    // Another program may have taken the port since: only the cloud with this very state folder will do.
    let health: Value = serde_json::from_str(&answer.body).ok()?;
    (answer.status == 200 && health["ok"] == true).then_some(cloud)
}

/// The repo's own local cloud, started if need be.
pub fn ensure(ctx: &Ctx, settings: &Local) -> anyhow::Result<LocalCloud> {
    start(ctx, settings, &ctx.state().join("local-cloud"))
}

/// Starts a local cloud with its state in `state`, unless it runs already; it goes on after xtask ends.
pub fn start(ctx: &Ctx, settings: &Local, state: &Path) -> anyhow::Result<LocalCloud> {
    http::installed()?;
    if let Some(cloud) = running(state) {
        return Ok(cloud);
    }
    let command = serve_command(ctx, settings, state)?;
    std::fs::create_dir_all(state)
        .with_context(|| format!("failed to make {}", state.display()))?;
    let log = state.join("server.log");
    let _ = std::fs::remove_file(&log);
    let child = process::start_detached(&command, &ctx.env, &ctx.ui.mask(), &log)?;
    let deadline = Instant::now() + START_MAX;
    loop {
        if let Some(cloud) = running(state) {
            ctx.ui
                .info(&format!("local cloud is running at {}/", cloud.edge));
            return Ok(cloud);
        }
        if child.ended().is_some() || Instant::now() > deadline {
            return Err(not_started(&log));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The command line of the server, after building it if that has not been done.
pub fn serve_command(ctx: &Ctx, settings: &Local, state: &Path) -> anyhow::Result<Command> {
    let program = binary(ctx)?;
    let (modules, node) = runtime(ctx)?;
    let argv = [
        "serve",
        "--state",
        &state.display().to_string(),
        "--port",
        &settings.port.to_string(),
        "--repo-root",
        &modules.display().to_string(),
        "--node",
        &node.display().to_string(),
        "--subdomain",
        &settings.subdomain,
    ]
    .map(str::to_owned)
    .to_vec();
    let secret = ctx
        .env
        .names()
        .filter(|name| looks_secret(name))
        .map(str::to_owned)
        .collect();
    Ok(Command {
        display: format!("local-cloud {}", argv.join(" ")),
        program: program.display().to_string(),
        argv,
        cwd: ctx.root.clone(),
        env: BTreeMap::new(),
        secret_env: Vec::new(),
        keep_env: Vec::new(),
        // It lives on: no secret of this run belongs into its environment.
        env_remove: secret,
        secrets_on_stdin: Vec::new(),
        files: BTreeMap::new(),
    })
}

fn looks_secret(name: &str) -> bool {
    ["TOKEN", "SECRET", "PASSWORD", "KEY"]
        .iter()
        .any(|part| name.contains(part))
}

/// Tells the cloud the ids of databases, namespaces and buckets the configs name, as an account in use would have them.
pub fn adopt(cloud: &LocalCloud, workspace: &Workspace) -> anyhow::Result<()> {
    let mut d1 = BTreeMap::new();
    let mut kv = BTreeMap::new();
    let mut r2 = BTreeSet::new();
    for worker in &workspace.workers {
        let bindings = &worker.config.bindings;
        for entry in &bindings.d1 {
            if let Some(id) = &entry.database_id {
                d1.insert(
                    id.clone(),
                    entry
                        .database_name
                        .clone()
                        .unwrap_or_else(|| entry.binding.clone()),
                );
            }
        }
        for entry in &bindings.kv {
            if let Some(id) = &entry.id {
                kv.entry(id.clone())
                    .or_insert_with(|| entry.binding.clone());
            }
        }
        r2.extend(
            bindings
                .r2
                .iter()
                .filter_map(|entry| entry.bucket_name.clone()),
        );
    }
    let body = json!({
        "d1": d1.iter().map(|(id, name)| json!({"id": id, "name": name})).collect::<Vec<_>>(),
        "kv": kv.iter().map(|(id, title)| json!({"id": id, "title": title})).collect::<Vec<_>>(),
        "r2": r2,
    });
    match send(cloud, "/_local/resources", &body)? {
        answer if answer.status == 400 => Err(refused_ids(&answer.body).into()),
        answer => succeeded("/_local/resources", answer).map(drop),
    }
}

/// An id that cannot be a file name: the cloud names each.
fn refused_ids(body: &str) -> Fail {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let why = body["errors"][0]["message"].as_str();
    Fail::setup("the local cloud cannot store data under an id of the wrangler configs")
        .why(why.unwrap_or("no reason given"))
        .fix("correct `database_id`, `id` or `bucket_name` in the wrangler config that names it")
}

/// Whether the cloud has every database of the repo, so whether [`adopt`] was ever called for it.
pub fn has_databases(cloud: &LocalCloud, workspace: &Workspace) -> bool {
    let request = Request::get(format!("{}/_local/state", cloud.edge));
    let Ok(Ok(answer)) = http::send(&request) else {
        return false;
    };
    let state: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let databases = &workspace.pipeline.databases;
    let ids = databases.iter().filter_map(|database| database.id.as_ref());
    ids.into_iter().all(|id| state["d1"].get(id).is_some())
}

/// Fires a cron of a worker (script name), as Cloudflare does; what became of it, or why the cloud refused.
pub fn run_cron(
    cloud: &LocalCloud,
    script: &str,
    cron: &str,
) -> anyhow::Result<Result<Value, String>> {
    let mut request = Request::get(format!("{}/_local/crons/run", cloud.edge));
    request.method = "POST".to_owned();
    request.body = Some(json!({"worker": script, "cron": cron}).to_string());
    request
        .headers
        .push(("Content-Type".to_owned(), "application/json".to_owned()));
    // A cron may run as long as Cloudflare lets it.
    request.timeout_secs = 900;
    let answer = match http::send(&request)? {
        Ok(answer) => answer,
        Err(lost) => return Ok(Err(lost.message)),
    };
    let mut body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.status < 300 {
        return Ok(Ok(body));
    }
    let said = body["errors"][0]["message"].take();
    Ok(Err(said.as_str().unwrap_or("no reason given").to_owned()))
}

/// Stops the cloud whose state is in `state`; false when none runs.
pub fn stop(state: &Path) -> anyhow::Result<bool> {
    http::installed()?;
    let Some(cloud) = running(state) else {
        return Ok(false);
    };
    post(&cloud, "/_local/shutdown", &json!({}))?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while running(state).is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}

fn post(cloud: &LocalCloud, path: &str, body: &Value) -> anyhow::Result<String> {
    succeeded(path, send(cloud, path, body)?)
}

fn succeeded(path: &str, answer: Response) -> anyhow::Result<String> {
    if answer.status < 300 {
        return Ok(answer.body);
    }
    anyhow::bail!(
        "the local cloud answered {} to {path}: {}",
        answer.status,
        answer.body.trim()
    )
}

fn send(cloud: &LocalCloud, path: &str, body: &Value) -> anyhow::Result<Response> {
    let mut request = Request::get(format!("{}{path}", cloud.edge));
    request.method = "POST".to_owned();
    request.body = Some(body.to_string());
    request
        .headers
        .push(("Content-Type".to_owned(), "application/json".to_owned()));
    request.timeout_secs = 60;
    match http::send(&request)? {
        Ok(answer) => Ok(answer),
        Err(lost) => anyhow::bail!("the local cloud did not answer {path}: {}", lost.message),
    }
}

/// The folder from which wrangler, and through it miniflare, is found: the repo that ships, one of its workers' folders,
/// else the repo this crate stands in.
pub fn modules_root<'a>(
    root: &'a Path,
    folders: impl Iterator<Item = &'a Path>,
) -> Option<PathBuf> {
    let has = |root: &Path, folder: &Path| {
        let found = |name| node_modules::installed(root, folder, name).is_some();
        found("wrangler") || found("miniflare")
    };
    let own = own_repo();
    std::iter::once(root)
        .chain(folders)
        .find(|folder| has(root, folder))
        .map(Path::to_owned)
        .or_else(|| Some(own).filter(|own| has(own, own)))
}

/// Where this repo's miniflare is found from, and the Node that runs it; without one, says how to install it.
pub fn runtime(ctx: &Ctx) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (workspace, _) = Workspace::read(&ctx.root);
    let workers = workspace.iter().flat_map(|workspace| &workspace.workers);
    let folders = workers.map(|worker| worker.dir.as_path());
    let Some(modules) = modules_root(&ctx.root, folders) else {
        return Err(no_miniflare(&ctx.root).into());
    };
    let node = node::find(&ctx.root).or_else(|_| node::find(&modules))?;
    Ok((modules, node))
}

fn no_miniflare(root: &Path) -> Fail {
    Fail::setup("the local cloud needs miniflare, which is not installed")
        .why(format!(
            "there is no wrangler, with which it comes, in {}",
            root.join("node_modules").display()
        ))
        .fix("cargo xtask install")
}

/// The repo this crate stands in.
pub fn own_repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// The server's binary beside this one, built now if it is missing or out of date: cargo is asked, and knows.
fn binary(ctx: &Ctx) -> anyhow::Result<PathBuf> {
    if let Some(path) = ctx.env.var("XTASK_LOCAL_CLOUD_BIN") {
        return Ok(PathBuf::from(path));
    }
    let own = std::env::current_exe().context("failed to find this program's own file")?;
    let folder = own.parent().unwrap_or(Path::new(".")).to_owned();
    let program = folder.join(format!("local-cloud{}", std::env::consts::EXE_SUFFIX));
    let mut argv = vec![
        "build".to_owned(),
        "--quiet".to_owned(),
        "--package".to_owned(),
        "local-cloud".to_owned(),
    ];
    if folder.ends_with("release") {
        argv.push("--release".to_owned());
    }
    if !program.is_file() {
        ctx.ui
            .info("building the local cloud (once; it takes a minute or two)");
    }
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let cargo = ctx.env.var("CARGO").unwrap_or("cargo");
    let mut command = Command::new(cargo, &argv, &own_repo());
    command.env.extend(
        folder
            .parent()
            .map(|target| ("CARGO_TARGET_DIR".to_owned(), target.display().to_string())),
    );
    let status = process::run_foreground(&command, &ctx.env, &ctx.ui.mask())?;
    if status != 0 {
        return Err(Fail::setup("the local cloud could not be built")
            .why(format!("cargo exited with {status}"))
            .fix("cargo build --package local-cloud")
            .into());
    }
    Ok(program)
}

/// The server's own words, which have a what, a why and a fix.
fn not_started(log: &Path) -> anyhow::Error {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let tail = lines[lines.len().saturating_sub(12)..].join("\n");
    Fail::setup("the local cloud did not start")
        .why(if tail.is_empty() { format!("it said nothing; see {}", log.display()) } else { tail })
        .fix("set another `port` under [local] in pipeline.toml, or 0 for any free one, if the port is taken")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_cannot_be_stored_are_a_mistake_in_the_configs() {
        let body = r#"{"success":false,"errors":[{"code":10001,"message":"D1 database `main`: the id `../main` contains a path separator"}]}"#;
        expect_test::expect![[r#"
            the local cloud cannot store data under an id of the wrangler configs
              why: D1 database `main`: the id `../main` contains a path separator
              fix: correct `database_id`, `id` or `bucket_name` in the wrangler config that names it"#]].assert_eq(&refused_ids(body).to_string());
    }
}
