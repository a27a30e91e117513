//! Whether and how this run may talk to GitHub.

use crate::context::{CloudKind, Ctx};
use crate::env::Env;
use crate::error::Fail;
use crate::github::Repository;
use crate::target::{LOCAL_TOKEN, Target};
use crate::tools::git::Git;
use crate::tools::github::{Github, PRODUCTION_API};

/// The way to GitHub.
pub enum Access {
    /// It is open.
    Open(Github),
    /// There is none; why, for a note: `GITHUB_TOKEN is not set`.
    None(String),
}

/// Finds the repository, the API and the token. With `--cloud local` it is the local cloud's GitHub, whatever the
/// environment says of the real one: a rehearsal writes no comment a person is notified of.
pub fn open(ctx: &Ctx, target: &Target) -> anyhow::Result<Access> {
    let origin = Git::at(&ctx.root).remote("origin");
    let Some(repository) = Repository::find(&ctx.env, origin.as_deref()) else {
        return Ok(Access::None(
            "the repository on GitHub is not known: GITHUB_REPOSITORY is not set, and there is no remote `origin` there"
                .to_owned(),
        ));
    };
    let named = ctx.env.var("GITHUB_API_URL");
    let local = match ctx.cloud {
        CloudKind::Local => target.edge.as_ref().map(|edge| {
            let named = named.filter(|url| is_loopback(url)).map(str::to_owned);
            named.unwrap_or_else(|| format!("http://{edge}/github"))
        }),
        CloudKind::Cloudflare => None,
    };
    if let Some(base) = local {
        if !target.reachable {
            return Ok(Access::None("the local cloud does not run".to_owned()));
        }
        return Ok(Access::Open(Github::new(&base, LOCAL_TOKEN, repository)));
    }
    let base = named.unwrap_or(PRODUCTION_API);
    check_address(base)?;
    Ok(match token(&ctx.env) {
        Some(token) => Access::Open(Github::new(base, token, repository)),
        None => Access::None("GITHUB_TOKEN is not set".to_owned()),
    })
}

fn token(env: &Env) -> Option<&str> {
    env.var("GITHUB_TOKEN").or_else(|| env.var("GH_TOKEN"))
}

/// A token is sent over TLS, or not off this machine.
fn check_address(base: &str) -> Result<(), Fail> {
    if base.starts_with("https://") || is_loopback(base) {
        return Ok(());
    }
    Err(Fail::setup("GITHUB_API_URL is no https address")
        .why("the token would be sent where others can read it")
        .fix(format!("export GITHUB_API_URL={PRODUCTION_API}")))
}

fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_nowhere_in_clear() {
        for fine in [
            "https://api.github.com",
            "http://127.0.0.1:8787/github",
            "http://localhost:1",
            "http://[::1]:1/x",
        ] {
            assert!(check_address(fine).is_ok(), "{fine}");
        }
        for odd in [
            "http://github.test",
            "http://127.0.0.1.evil.test/x",
            "http://user@evil.test:80",
            "http://127.0.0.1@evil.test/",
            "http://127.0.0.1:80@evil.test/",
            "ftp://127.0.0.1",
        ] {
            assert!(check_address(odd).is_err(), "{odd}");
        }
    }
}
