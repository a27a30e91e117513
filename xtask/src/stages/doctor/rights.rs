//! The account, and what a token may do there: one read for each permission, of the very things the configs name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::permissions::{self, Permission, Right};
use crate::tools::cloudflare::{ApiError, Call, Cloudflare, R2_IS_OFF, STORE_NOT_FOUND, encode};
use crate::workspace::Workspace;

/// The account and how it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its id; none when it is not known.
    pub id: Option<String>,
    /// Who names it: `pipeline.toml`, `CLOUDFLARE_ACCOUNT_ID`, or the token, which sees only one.
    pub source: &'static str,
    /// How many the token can see, when that was asked.
    pub visible: Option<usize>,
}

/// What the token may and may not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// What it was asked about, and answered.
    pub granted: Vec<Right>,
    /// What it may not do, in Cloudflare's words.
    pub denied: BTreeMap<Right, String>,
    /// What could not be asked, and why.
    pub unknown: BTreeMap<Right, String>,
    /// Databases, namespaces and buckets of the configs that the account does not have.
    pub missing: Vec<Missing>,
}

/// Something the configs name and the account does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `D1 database small-db (5d1c3a52-…)`.
    pub what: String,
    /// The command that makes it.
    pub make: String,
    /// True when the id of what is made has to go into the configs.
    pub id_to_config: bool,
}

/// One question: a path, what it is about, and what is missing when it is not found.
struct Probe {
    right: Right,
    path: String,
    missing: Option<Missing>,
}

/// The account of this run. Only a token that is alive is asked which accounts it sees.
pub fn account(
    cloud: &Cloudflare,
    named: Option<String>,
    from_env: Option<&str>,
) -> anyhow::Result<Account> {
    if let Some(id) = named {
        return Ok(Account {
            id: Some(id),
            source: "pipeline.toml or a wrangler config",
            visible: None,
        });
    }
    if let Some(id) = from_env {
        return Ok(Account {
            id: Some(id.to_owned()),
            source: "CLOUDFLARE_ACCOUNT_ID",
            visible: None,
        });
    }
    let seen = cloud
        .call(&Call::get("/accounts?page=1"))?
        .unwrap_or_default();
    let ids: Vec<&str> = seen
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|account| account["id"].as_str())
        .collect();
    Ok(Account {
        id: match ids.as_slice() {
            [only] => Some((*only).to_owned()),
            _ => None,
        },
        source: "the token, which sees one account",
        visible: Some(ids.len()),
    })
}

/// Asks about every permission: one read each, of the very things the configs name.
pub fn rights(
    cloud: &Cloudflare,
    workspace: &Workspace,
    needed: &[Permission],
) -> anyhow::Result<Rights> {
    let mut found = Rights::default();
    let wanted = |right: Right| needed.iter().any(|permission| permission.right == right);
    let mut probes: Vec<Probe> = Vec::new();
    let mut ask = |right, path: String, missing| {
        probes.push(Probe {
            right,
            path,
            missing,
        })
    };
    ask(Right::Scripts, cloud.path("/workers/scripts"), None);
    if wanted(Right::Settings) {
        ask(Right::Settings, cloud.path(""), None);
    }
    if wanted(Right::Queues) {
        ask(Right::Queues, cloud.path("/queues?page=1"), None);
    }
    if let Some(worker) = workspace.workers.first() {
        ask(
            Right::Tail,
            cloud.script(&worker.config.name, "/tails"),
            None,
        );
    }
    for (right, path, missing) in stored(cloud, workspace) {
        ask(right, path, Some(missing));
    }
    let paths: Vec<String> = probes.iter().map(|probe| probe.path.clone()).collect();
    for (probe, answer) in probes.into_iter().zip(cloud.read_all(&paths)?) {
        found.take(probe, answer);
    }
    if wanted(Right::Routes) {
        zones(cloud, workspace, &mut found)?;
    }
    found.granted.sort_unstable();
    found.granted.dedup();
    Ok(found)
}

impl Rights {
    fn take(&mut self, probe: Probe, answer: Result<Value, ApiError>) {
        match answer {
            Ok(_) => self.granted.push(probe.right),
            Err(error) if error.is_refusal() => {
                self.denied.insert(probe.right, error.to_string());
            }
            // Whoever may not look is told so before whether there is anything to see.
            Err(error)
                if error.is_not_found()
                    || error.says(&STORE_NOT_FOUND)
                    || error.says(&R2_IS_OFF) =>
            {
                self.granted.push(probe.right);
                self.missing.extend(probe.missing);
            }
            Err(error) => {
                self.unknown.insert(probe.right, error.to_string());
            }
        }
    }
}

/// Every database, namespace and bucket of the configs, each once.
fn stored(cloud: &Cloudflare, workspace: &Workspace) -> Vec<(Right, String, Missing)> {
    let mut all: BTreeMap<String, (Right, Missing)> = BTreeMap::new();
    let mut add = |right, path: String, what: String, make: String, id_to_config| {
        all.entry(path).or_insert((
            right,
            Missing {
                what,
                make,
                id_to_config,
            },
        ));
    };
    for worker in &workspace.workers {
        let bindings = &worker.config.bindings;
        for d1 in &bindings.d1 {
            if let Some(id) = &d1.database_id {
                let name = d1.database_name.as_ref().unwrap_or(&d1.binding);
                let path = cloud.path(&format!("/d1/database/{}", encode(id)));
                add(
                    Right::D1,
                    path,
                    format!("D1 database {name} ({id})"),
                    format!("npx wrangler d1 create {name}"),
                    true,
                );
            }
        }
        for kv in &bindings.kv {
            if let Some(id) = &kv.id {
                let path = cloud.path(&format!("/storage/kv/namespaces/{}", encode(id)));
                let make = format!("npx wrangler kv namespace create {}", kv.binding);
                add(
                    Right::Kv,
                    path,
                    format!("KV namespace {} ({id})", kv.binding),
                    make,
                    true,
                );
            }
        }
        for name in bindings.r2.iter().filter_map(|r2| r2.bucket_name.as_ref()) {
            let path = cloud.path(&format!("/r2/buckets/{}", encode(name)));
            add(
                Right::R2,
                path,
                format!("R2 bucket {name}"),
                format!("npx wrangler r2 bucket create {name}"),
                false,
            );
        }
    }
    all.into_iter()
        .map(|(path, (right, missing))| (right, path, missing))
        .collect()
}

/// The routes of each zone, which has to be found first: by its name, which is that of a host or of one above it.
fn zones(cloud: &Cloudflare, workspace: &Workspace, found: &mut Rights) -> anyhow::Result<()> {
    let mut candidates: Vec<Vec<String>> = Vec::new();
    for host in permissions::hosts(workspace) {
        let labels: Vec<&str> = host.split('.').collect();
        let names = (0..labels.len().saturating_sub(1)).map(|from| labels[from..].join("."));
        candidates.push(names.collect());
    }
    let mut names: Vec<String> = candidates.concat();
    names.sort();
    names.dedup();
    let paths: Vec<String> = names
        .iter()
        .map(|name| format!("/zones?name={}", encode(name)))
        .collect();
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    for (name, answer) in names.iter().zip(cloud.read_all(&paths)?) {
        match answer {
            Ok(rows) => ids.extend(
                rows[0]["id"]
                    .as_str()
                    .map(|id| (name.as_str(), id.to_owned())),
            ),
            Err(error) if error.is_refusal() => {
                drop(found.denied.insert(Right::Zone, error.to_string()))
            }
            Err(error) => drop(found.unknown.insert(Right::Zone, error.to_string())),
        }
    }
    let mut zones: Vec<String> = Vec::new();
    for names in &candidates {
        match names.iter().find_map(|name| ids.get(name.as_str())) {
            Some(id) => zones.push(id.clone()),
            None => {
                let host = &names[0];
                let why = format!("no zone of {host} can be seen with this token");
                found.unknown.insert(Right::Routes, why.clone());
                found.denied.entry(Right::Zone).or_insert(why);
            }
        }
    }
    zones.sort();
    zones.dedup();
    if !zones.is_empty() && !found.denied.contains_key(&Right::Zone) {
        found.granted.push(Right::Zone);
    }
    let paths: Vec<String> = zones
        .iter()
        .map(|id| format!("/zones/{}/workers/routes", encode(id)))
        .collect();
    for (path, answer) in paths.iter().zip(cloud.read_all(&paths)?) {
        found.take(
            Probe {
                right: Right::Routes,
                path: path.clone(),
                missing: None,
            },
            answer,
        );
    }
    Ok(())
}
