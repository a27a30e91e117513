//! The cloud a stage talks to, found once per run: API, account, token, and how its workers are reached.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::Local;
use crate::context::{CloudKind, Ctx};
use crate::env::Env;
use crate::error::Fail;
use crate::mask::Mask;
use crate::tools::cloudflare::{Call, Cloudflare, PRODUCTION_API};
use crate::tools::http;
use crate::tools::local_cloud::{self, LocalCloud};
use crate::workspace::Workspace;

/// The token the local cloud is given. A real one is never sent to it.
pub const LOCAL_TOKEN: &str = "local-cloud-token";

/// An opened cloud.
pub struct Target {
    /// The REST API.
    pub cloudflare: Cloudflare,
    /// The environment child processes get: the token and API address of this cloud.
    pub env: Env,
    /// `127.0.0.1:PORT` where every host name is served, on the local cloud.
    pub edge: Option<String>,
    /// `.<subdomain>.workers.dev`, or its local counterpart with port: what follows a worker's name in its URL.
    pub workers_dev_suffix: String,
    /// False when who only looks (a dry run, `status`) found no local cloud that knows this repo.
    pub reachable: bool,
}

impl Target {
    /// Opens the cloud that `--cloud` names. The local one is started when it is not running, except in a dry run.
    pub fn open(ctx: &Ctx, workspace: &Workspace) -> anyhow::Result<Target> {
        match ctx.cloud {
            CloudKind::Local => open_local(ctx, workspace, !ctx.dry_run),
            CloudKind::Cloudflare => open_cloudflare(ctx, workspace),
        }
    }

    /// As [`Target::open`], for a stage that only looks: it starts no local cloud.
    pub fn look(ctx: &Ctx, workspace: &Workspace) -> anyhow::Result<Target> {
        match ctx.cloud {
            CloudKind::Local => open_local(ctx, workspace, false),
            CloudKind::Cloudflare => open_cloudflare(ctx, workspace),
        }
    }

    /// The URL of a worker that answers on workers.dev.
    pub fn workers_dev_url(&self, script: &str) -> String {
        let scheme = if self.edge.is_some() { "http" } else { "https" };
        format!("{scheme}://{script}{}", self.workers_dev_suffix)
    }

    /// The address a person can open for a URL: the local cloud answers for a production host below `.localhost`.
    pub fn shown_url(&self, url: &str) -> String {
        let Some((edge, rest)) = self.edge.as_ref().zip(url.strip_prefix("https://")) else {
            return url.to_owned();
        };
        let port = edge.rsplit(':').next().unwrap_or_default();
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        format!("http://{host}.localhost:{port}{path}")
    }
}

fn open_local(ctx: &Ctx, workspace: &Workspace, start: bool) -> anyhow::Result<Target> {
    let settings: &Local = &workspace.pipeline.local;
    let running = if start {
        let cloud = local_cloud::ensure(ctx, settings)?;
        local_cloud::adopt(&cloud, workspace)?;
        Some(cloud)
    } else {
        http::installed()?;
        // One that has never seen this repo's databases is as good as none: who only looks must not make them.
        local_cloud::running(&ctx.state().join("local-cloud"))
            .filter(|cloud| local_cloud::has_databases(cloud, workspace))
    };
    let account = account_of(workspace).unwrap_or_else(|| "local".to_owned());
    let LocalCloud {
        api,
        edge,
        subdomain,
    } = running.clone().unwrap_or_else(|| LocalCloud {
        // What a dry run shows: where it would be, were it started.
        api: format!("http://127.0.0.1:{}/client/v4", settings.port),
        edge: format!("http://127.0.0.1:{}", settings.port),
        subdomain: settings.subdomain.clone(),
    });
    let env = ctx
        .env
        .clone()
        .with("CLOUDFLARE_API_TOKEN", LOCAL_TOKEN)
        .with("CLOUDFLARE_ACCOUNT_ID", &account)
        .with("CLOUDFLARE_API_BASE_URL", &api);
    let host = edge.trim_start_matches("http://").to_owned();
    let port = host.rsplit(':').next().unwrap_or_default().to_owned();
    // A real token in the environment is none of this cloud's, and still no output's.
    let own = [("CLOUDFLARE_API_TOKEN", LOCAL_TOKEN)];
    ctx.ui
        .hide(&mask_with(&ctx.env, Some(workspace), own.into_iter()));
    Ok(Target {
        cloudflare: Cloudflare::new(&api, &account, LOCAL_TOKEN),
        env,
        workers_dev_suffix: format!(".{subdomain}.localhost:{port}"),
        edge: Some(host),
        reachable: running.is_some(),
    })
}

fn open_cloudflare(ctx: &Ctx, workspace: &Workspace) -> anyhow::Result<Target> {
    let Some(token) = ctx.env.var("CLOUDFLARE_API_TOKEN").map(str::to_owned) else {
        return Err(Fail::setup("CLOUDFLARE_API_TOKEN is not set")
            .why("the pipeline signs in to Cloudflare with an API token")
            .fix("export CLOUDFLARE_API_TOKEN=…   (https://dash.cloudflare.com/profile/api-tokens)")
            .fix("or try it without an account: add `--cloud local`")
            .into());
    };
    ctx.ui.hide(&mask(&ctx.env, Some(workspace)));
    let api = ctx
        .env
        .var("CLOUDFLARE_API_BASE_URL")
        .unwrap_or(PRODUCTION_API)
        .to_owned();
    let account = match account_of(workspace)
        .or_else(|| ctx.env.var("CLOUDFLARE_ACCOUNT_ID").map(str::to_owned))
    {
        Some(account) => account,
        None => only_account(&Cloudflare::new(&api, "", &token))?,
    };
    let cloudflare = Cloudflare::new(&api, &account, &token);
    let subdomain = cloudflare.call(&Call::get(cloudflare.path("/workers/subdomain")))?;
    let subdomain = match subdomain {
        Ok(result) => result["subdomain"].as_str().unwrap_or_default().to_owned(),
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let env = ctx
        .env
        .clone()
        .with("CLOUDFLARE_ACCOUNT_ID", &account)
        .with("CLOUDFLARE_API_BASE_URL", &api);
    Ok(Target {
        cloudflare,
        edge: env.var("XTASK_EDGE").map(str::to_owned),
        env,
        workers_dev_suffix: format!(".{subdomain}.workers.dev"),
        reachable: true,
    })
}

/// The account that the files name.
pub(crate) fn account_of(workspace: &Workspace) -> Option<String> {
    let configured = workspace
        .workers
        .iter()
        .find_map(|worker| worker.config.account_id.clone());
    workspace
        .pipeline
        .cloudflare
        .account_id
        .clone()
        .or(configured)
}

fn only_account(cloudflare: &Cloudflare) -> anyhow::Result<String> {
    let accounts = cloudflare.expect(&Call::get("/accounts?page=1"))?;
    let ids: Vec<&str> = accounts
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|account| account["id"].as_str())
        .collect();
    match ids.as_slice() {
        [only] => Ok((*only).to_owned()),
        ids => Err(Fail::setup("the account to ship to is not known")
            .why(format!("the API token can see {} accounts", ids.len()))
            .fix("set `account_id` under [cloudflare] in pipeline.toml, or CLOUDFLARE_ACCOUNT_ID")
            .into()),
    }
}

/// Hides what the environment holds before anything is known of the repo but its folder: the tokens, and each variable that
/// pipeline.toml or a wrangler config names as a secret. A file with a mistake must not make a secret public, so names count
/// wherever pipeline.toml has them in quotes.
pub(crate) fn mask_of(env: &Env, root: &Path) -> Mask {
    let (workspace, _) = Workspace::read(root);
    let text = std::fs::read_to_string(root.join("pipeline.toml")).unwrap_or_default();
    let quoted: BTreeSet<&str> = text.split(['"', '\'']).collect();
    let named = env.names().filter(|name| quoted.contains(name));
    let pairs = named.filter_map(|name| Some((name, env.var(name)?)));
    mask_with(env, workspace.as_ref(), pairs)
}

/// Masks every secret this run can know: the token and the declared secrets that are set.
pub(crate) fn mask(env: &Env, workspace: Option<&Workspace>) -> Mask {
    mask_with(env, workspace, std::iter::empty())
}

/// The same, with values that came from elsewhere.
pub(crate) fn mask_with<'a>(
    env: &'a Env,
    workspace: Option<&'a Workspace>,
    more: impl Iterator<Item = (&'a str, &'a str)>,
) -> Mask {
    let declared = workspace
        .into_iter()
        .flat_map(|workspace| &workspace.workers)
        .flat_map(|worker| worker.secrets.iter().map(String::as_str));
    let names = [
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_API_KEY",
        "GITHUB_TOKEN",
        "GH_TOKEN",
    ]
    .into_iter()
    .chain(declared);
    let known = names.filter_map(|name| Some((name, env.var(name)?)));
    Mask::new(known.chain(more))
}
