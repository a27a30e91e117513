//! Who has the addresses a release asks for. A custom domain or a route is one worker's alone: what another one has is refused
//! before anything is changed.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Fail;
use crate::stages::deploy::part::Part;
use crate::target::Target;
use crate::tools::cloudflare::{Call, Cloudflare, encode};

/// An address that another worker has.
struct Taken {
    address: String,
    owner: String,
}

/// Refuses addresses of other workers.
pub fn check(target: &Target, root: &Path, parts: &[Part<'_>]) -> anyhow::Result<()> {
    if !target.reachable {
        return Ok(());
    }
    for part in parts {
        if let Some(taken) = domain(target, part)? {
            let why = "attaching it would silently take it away from there";
            let fail = refusal(part, &taken, "domain").why(why);
            return Err(match part.live.exists {
                true => fail,
                false => renamed(fail, target, root, part, &taken),
            }
            .into());
        }
        if let Some(taken) = route(&target.cloudflare, part)? {
            let why = "Cloudflare gives a route to one worker only";
            return Err(refusal(part, &taken, "route").why(why).into());
        }
    }
    Ok(())
}

fn refusal(part: &Part<'_>, taken: &Taken, what: &str) -> Fail {
    let Taken { address, owner } = taken;
    let script = part.script();
    Fail::setup(format!("{address} belongs to {owner}, not to {script}")).fix(format!(
        "remove the {what} from that worker, or from this worker's wrangler config"
    ))
}

/// A new worker may be an old one under another name: the way over that loses no request.
fn renamed(fail: Fail, target: &Target, root: &Path, part: &Part<'_>, taken: &Taken) -> Fail {
    let worker = part.worker;
    let config = worker.config_path.strip_prefix(root);
    let config = config.unwrap_or(&worker.config_path).display();
    let env = worker.env_name.as_ref();
    let env = env.map_or_else(String::new, |env| format!(" --env {env}"));
    fail.why(format!(
        "{} is new: was {} renamed?",
        part.script(),
        taken.owner
    ))
    .fix(format!(
        "or move it without a gap: deploy with `routes = []` in {config}, put the domain back there, then:\n\
         CLOUDFLARE_ACCOUNT_ID={} npx wrangler triggers deploy --config {config}{env}",
        target.cloudflare.account()
    ))
}

/// A custom domain that another worker has would be taken away from it without a word.
fn domain(target: &Target, part: &Part<'_>) -> anyhow::Result<Option<Taken>> {
    let cloud = &target.cloudflare;
    let (wanted, live) = (&part.wanted.domains, &part.live.triggers.domains);
    if wanted == live {
        return Ok(None);
    }
    if !part.live.exists {
        return domain_of_others(cloud, wanted);
    }
    let hosts: Vec<Value> = wanted.iter().map(|it| json!({"hostname": it})).collect();
    let path = cloud.script(part.script(), "/domains/changeset?replace_state=true");
    let changeset = cloud.expect(&Call::repeatable("POST", path, Value::from(hosts)))?;
    let conflict = changeset["conflicting"]
        .as_array()
        .and_then(|list| list.first());
    Ok(conflict.map(|conflict| Taken {
        address: named(&conflict["hostname"], "a custom domain"),
        owner: named(&conflict["service"], "another worker"),
    }))
}

/// Of a worker that is not there yet, Cloudflare does not say what would change.
fn domain_of_others(
    cloud: &Cloudflare,
    wanted: &BTreeSet<String>,
) -> anyhow::Result<Option<Taken>> {
    let paths: Vec<String> = wanted
        .iter()
        .map(|host| cloud.path(&format!("/workers/domains?hostname={}", encode(host))))
        .collect();
    for (host, answer) in wanted.iter().zip(cloud.read_all(&paths)?) {
        let rows = answer.map_err(Fail::from)?;
        let row = |row: &&Value| row["hostname"] == host.as_str();
        if let Some(row) = rows.as_array().and_then(|rows| rows.iter().find(row)) {
            return Ok(Some(Taken {
                address: host.clone(),
                owner: named(&row["service"], "another worker"),
            }));
        }
    }
    Ok(None)
}

/// Routes belong to a zone. A token that may set them need not be able to look for it: then the release itself meets the
/// refusal, and is put back.
fn route(cloud: &Cloudflare, part: &Part<'_>) -> anyhow::Result<Option<Taken>> {
    let live = &part.live.triggers.routes;
    let wanted = part.wanted.routes.iter();
    for (pattern, zone) in wanted.filter(|(pattern, _)| !live.contains_key(*pattern)) {
        let Some(zone) = zone_id(cloud, pattern, zone.as_deref())? else {
            continue;
        };
        let path = format!("/zones/{}/workers/routes", encode(&zone));
        let Ok(rows) = cloud.read_all(&[path])?.remove(0) else {
            continue;
        };
        let taken =
            |row: &&Value| row["pattern"] == pattern.as_str() && row["script"] != part.script();
        if let Some(row) = rows.as_array().and_then(|rows| rows.iter().find(taken)) {
            return Ok(Some(Taken {
                address: pattern.clone(),
                owner: named(&row["script"], "another worker"),
            }));
        }
    }
    Ok(None)
}

/// The zone is called as the host or as one above it.
fn zone_id(
    cloud: &Cloudflare,
    pattern: &str,
    zone: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let host = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let host = zone.unwrap_or_else(|| host.trim_start_matches('*').trim_start_matches('.'));
    let labels: Vec<&str> = host.split('.').collect();
    let names = (0..labels.len().saturating_sub(1)).map(|from| labels[from..].join("."));
    let paths: Vec<String> = names
        .map(|name| format!("/zones?name={}", encode(&name)))
        .collect();
    let mut found = cloud.read_all(&paths)?.into_iter();
    Ok(found.find_map(|rows| Some(rows.ok()?[0]["id"].as_str()?.to_owned())))
}

fn named(value: &Value, otherwise: &str) -> String {
    value.as_str().unwrap_or(otherwise).to_owned()
}
