//! Cloudflare and GitHub: how far they can be asked decides what is asked. Reads only.

use std::time::SystemTime;

use super::check::{Check, Group};
use super::permissions::{self, Right};
use super::{Options, live, rights, token};
use crate::context::{CloudKind, Ctx};
use crate::stages::secrets::places::{self, GithubSecrets, LiveSecrets, Places};
use crate::target::{Target, account_of};
use crate::tools::cloudflare::{Cloudflare, PRODUCTION_API, Standing};
use crate::workspace::{Worker, Workspace};

/// What Cloudflare and GitHub say.
#[derive(Default)]
pub struct Cloud {
    /// What is to be said about it.
    pub checks: Vec<Check>,
    /// Cloudflare's clock, when it answered.
    pub server_time: Option<SystemTime>,
}

/// Asks, as far as one may and can.
pub fn look(
    ctx: &Ctx,
    options: &Options,
    curl: bool,
    workspace: Option<&Workspace>,
) -> anyhow::Result<Cloud> {
    let mut cloud = Cloud::default();
    let stopped = match (options.offline, curl, ctx.cloud) {
        (true, ..) => cloud.not_asked("--offline"),
        (_, false, _) => cloud.not_asked("there is no curl to ask with"),
        (.., CloudKind::Local) => cloud.local(ctx, workspace)?,
        (.., CloudKind::Cloudflare) => cloud.cloudflare(ctx, workspace)?,
    };
    if let Some(because) = stopped {
        cloud.skip_the_rest(ctx, because, workspace);
    }
    Ok(cloud)
}

/// Why nothing further was asked; `None` when all was.
type Stopped = Option<&'static str>;

/// What is asked once the token is known to be alive.
const AFTER_TOKEN: [&str; 8] = [
    "account",
    "permissions",
    "resources",
    "secrets",
    "secrets on GitHub",
    "lease",
    "versions",
    "previews",
];

impl Cloud {
    fn not_asked(&mut self, because: &'static str) -> Stopped {
        let check = Check::skipped(Group::Cloud, "token", because);
        self.checks.push(check);
        Some(because)
    }

    fn local(&mut self, ctx: &Ctx, workspace: Option<&Workspace>) -> anyhow::Result<Stopped> {
        let check = Check::pass(Group::Cloud, "token", "the local cloud needs none");
        self.checks.push(check);
        let Some(workspace) = workspace else {
            return Ok(Some("the configs cannot be read"));
        };
        let target = Target::look(ctx, workspace)?;
        if !target.reachable {
            return Ok(Some("the local cloud does not run (deploy starts it)"));
        }
        self.signed_in(ctx, workspace, &target)
    }

    fn cloudflare(&mut self, ctx: &Ctx, workspace: Option<&Workspace>) -> anyhow::Result<Stopped> {
        let needed = workspace.map(permissions::needed).unwrap_or_default();
        let project = workspace.map_or("workers", |workspace| &workspace.pipeline.project.name);
        let form = (!needed.is_empty()).then(|| permissions::form(project, &needed));
        let Some(secret) = ctx.env.var("CLOUDFLARE_API_TOKEN") else {
            let check = token::no_token(ctx.env.ci, form.as_deref());
            self.checks.push(check);
            return Ok(Some("there is no token to ask with"));
        };
        let api = ctx
            .env
            .var("CLOUDFLARE_API_BASE_URL")
            .unwrap_or(PRODUCTION_API);
        let named = workspace.and_then(account_of);
        let from_env = ctx.env.var("CLOUDFLARE_ACCOUNT_ID");
        let known = named.as_deref().or(from_env).unwrap_or_default();
        let verified = Cloudflare::new(api, known, secret).verify()?;
        self.server_time = verified.server_time;
        let check = token::standing(&verified.standing, SystemTime::now(), form.as_deref());
        self.checks.push(check);
        match verified.standing {
            Standing::Active(_) => {}
            Standing::NoAnswer(_) => return Ok(Some("Cloudflare does not answer")),
            _ => return Ok(Some("the token is not accepted")),
        }
        let account = rights::account(&Cloudflare::new(api, "", secret), named, from_env)?;
        self.checks.push(token::which_account(&account));
        let (Some(workspace), Some(id)) = (workspace, &account.id) else {
            return Ok(Some("the account or the configs are not known"));
        };
        let rights = rights::rights(&Cloudflare::new(api, id, secret), workspace, &needed)?;
        let form = form.unwrap_or_default();
        self.checks
            .push(token::permissions(&rights, &needed, id, &form));
        self.checks.push(token::resources(&rights, id));
        if rights.denied.contains_key(&Right::Scripts) {
            return Ok(Some("the token may not read workers"));
        }
        let target = Target::look(ctx, workspace)?;
        self.signed_in(ctx, workspace, &target)
    }

    fn signed_in(
        &mut self,
        ctx: &Ctx,
        workspace: &Workspace,
        target: &Target,
    ) -> anyhow::Result<Stopped> {
        let seen = live::gather(ctx, workspace, target)?;
        self.checks.extend(live::judge(workspace, &seen));
        Ok(None)
    }

    /// Everything that was not looked at, and why. Secrets can be looked for here, whatever the cloud says.
    fn skip_the_rest(&mut self, ctx: &Ctx, because: &str, workspace: Option<&Workspace>) {
        for id in AFTER_TOKEN {
            if self.checks.iter().any(|check| check.id == id) {
                continue;
            }
            let check = match (id, workspace) {
                ("secrets", Some(workspace)) => {
                    let unknown = |worker: &Worker| {
                        (
                            worker.name.clone(),
                            LiveSecrets::Unknown(because.to_owned()),
                        )
                    };
                    let places = Places {
                        env: places::in_env(ctx, workspace),
                        github: GithubSecrets::Unknown(because.to_owned()),
                        live: workspace.workers.iter().map(unknown).collect(),
                    };
                    live::secrets(workspace, &places)
                }
                _ => Check::skipped(Group::Cloud, id, because),
            };
            self.checks.push(check);
        }
    }
}
