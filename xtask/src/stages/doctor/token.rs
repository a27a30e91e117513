//! What is to be said about the account, the token and what it may do. Pure.

use std::time::{Duration, SystemTime};

use super::check::{Check, Group};
use super::permissions::{Permission, Right};
use super::rights::{Account, Rights};
use crate::tools::cloudflare::Standing;

/// A token that dies sooner deserves a thought now.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);
/// Where tokens are made and changed.
const TOKENS_PAGE: &str = "https://dash.cloudflare.com/profile/api-tokens";
/// Nothing of what is typed shows, or gets into the shell's history.
const SET_TOKEN: &str = "read -rs CLOUDFLARE_API_TOKEN && export CLOUDFLARE_API_TOKEN";

/// There is none.
pub fn no_token(ci: bool, form: Option<&str>) -> Check {
    let check = Check::fail(Group::Cloud, "token", "CLOUDFLARE_API_TOKEN is not set")
        .why("deploy, preview, migrate and rollback sign in with it (`--cloud local` needs none)");
    match ci {
        true => check
            .why("in a workflow: `CLOUDFLARE_API_TOKEN: ${{ secrets.CLOUDFLARE_API_TOKEN }}` under `env` of the step")
            .fix("gh secret set CLOUDFLARE_API_TOKEN --env production"),
        false => renew(check, form),
    }
}

/// How it stands, as Cloudflare says.
pub fn standing(standing: &Standing, now: SystemTime, form: Option<&str>) -> Check {
    const ID: &str = "token";
    let fail = |text: String| {
        Check::fail(Group::Cloud, ID, text)
            .why("Cloudflare refuses everything, so every stage but `ci` fails")
    };
    match standing {
        Standing::Active(Some(until)) => {
            let date = humantime::format_rfc3339_seconds(*until).to_string();
            let date = &date[..10];
            match until.duration_since(now) {
                Ok(left) if left > EXPIRES_SOON => {
                    Check::pass(Group::Cloud, ID, format!("active until {date}"))
                }
                left => {
                    let days = left.unwrap_or_default().as_secs() / 86_400;
                    let check = Check::warn(
                        Group::Cloud,
                        ID,
                        format!("expires on {date}, in {days} days"),
                    )
                    .why("from then on every stage but `ci` fails");
                    renew(check, form)
                }
            }
        }
        Standing::Active(None) => Check::pass(Group::Cloud, ID, "active"),
        Standing::Dead(word) if word == "expired" => renew(
            fail("the token in CLOUDFLARE_API_TOKEN has expired".to_owned()),
            form,
        ),
        Standing::Dead(word) => renew(
            fail(format!("the token in CLOUDFLARE_API_TOKEN is {word}")),
            form,
        ),
        Standing::Refused(said) => {
            let check =
                fail("Cloudflare does not accept the token in CLOUDFLARE_API_TOKEN".to_owned())
                    .why(said.clone());
            renew(check, form)
        }
        Standing::NoAnswer(said) => Check::skipped(
            Group::Cloud,
            ID,
            format!("Cloudflare does not answer: {said}"),
        ),
    }
}

fn renew(check: Check, form: Option<&str>) -> Check {
    let place = form.unwrap_or(TOKENS_PAGE);
    check
        .why(format!(
            "make one here, and give it to the command below: {place}"
        ))
        .fix(SET_TOKEN)
}

/// Whether the account is known.
pub fn which_account(account: &Account) -> Check {
    const ID: &str = "account";
    match (&account.id, account.visible) {
        (Some(id), _) => Check::pass(
            Group::Cloud,
            ID,
            format!("{id}, named by {}", account.source),
        ),
        (None, Some(0)) => Check::fail(
            Group::Cloud,
            ID,
            "nothing names the account, and the token sees none",
        )
        .why(format!(
            "a token finds it with {}; a file that names it is surer",
            Right::Settings.name()
        ))
        .fix("\"${EDITOR:-vi}\" pipeline.toml"),
        (None, count) => Check::fail(
            Group::Cloud,
            ID,
            format!(
                "nothing names the account, and the token sees {}",
                count.unwrap_or(0)
            ),
        )
        .why("set `account_id` under [cloudflare] in pipeline.toml")
        .fix("\"${EDITOR:-vi}\" pipeline.toml"),
    }
}

/// What is missing, in Cloudflare's words.
pub fn permissions(rights: &Rights, needed: &[Permission], account: &str, form: &str) -> Check {
    const ID: &str = "permissions";
    let lacks = |required: bool| {
        let chosen = needed
            .iter()
            .filter(move |permission| permission.required == required);
        chosen
            .filter(|permission| rights.denied.contains_key(&permission.right))
            .collect::<Vec<&Permission>>()
    };
    let (required, others) = (lacks(true), lacks(false));
    let names = |list: &[&Permission]| {
        list.iter()
            .map(|permission| permission.right.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (mut check, lacking) = match (required.is_empty(), others.is_empty()) {
        (false, _) => (
            Check::fail(
                Group::Cloud,
                ID,
                format!("the token lacks {}", names(&required)),
            ),
            required,
        ),
        (true, false) => (
            Check::warn(
                Group::Cloud,
                ID,
                format!("the token lacks {}", names(&others)),
            ),
            others,
        ),
        (true, true) => return granted(rights, needed),
    };
    for permission in &lacking {
        let right = permission.right;
        check = check.why(format!(
            "{}, {}: {}",
            right.scope(),
            right.name(),
            permission.reasons.join("; ")
        ));
        check = check.why(format!("Cloudflare said: {}", rights.denied[&right]));
    }
    if rights.granted.is_empty() {
        check = check.why(format!(
            "it may do nothing at all in account {account}: is it another account's?"
        ));
    }
    check
        .why(format!("add it to the token at {TOKENS_PAGE} (the token itself stays the same), or make one with all it needs: {form}"))
        .fix(SET_TOKEN)
}

fn granted(rights: &Rights, needed: &[Permission]) -> Check {
    const ID: &str = "permissions";
    let names: Vec<&str> = needed
        .iter()
        .filter(|permission| rights.granted.contains(&permission.right))
        .map(|permission| {
            permission
                .right
                .name()
                .split(':')
                .next()
                .unwrap_or_default()
        })
        .collect();
    match rights.unknown.iter().next() {
        None => Check::pass(Group::Cloud, ID, names.join(", ")),
        Some((right, why)) => Check::skipped(
            Group::Cloud,
            ID,
            format!("{} could not be asked about: {why}", right.name()),
        ),
    }
}

/// Whether the account has what the configs name.
pub fn resources(rights: &Rights, account: &str) -> Check {
    const ID: &str = "resources";
    let Some(first) = rights.missing.first() else {
        return Check::pass(Group::Cloud, ID, "all that the configs name");
    };
    let more = match rights.missing.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let mut check = Check::fail(
        Group::Cloud,
        ID,
        format!("account {account} has no {}{more}", first.what),
    )
    .why("Cloudflare refuses a worker that is bound to what does not exist");
    for missing in rights.missing.iter().skip(1) {
        check = check.why(format!("nor a {}", missing.what));
    }
    if rights.missing.iter().any(|missing| missing.id_to_config) {
        check = check.why("the ids these commands print belong into the wrangler configs");
    }
    rights
        .missing
        .iter()
        .fold(check, |check, missing| check.fix(missing.make.clone()))
}
