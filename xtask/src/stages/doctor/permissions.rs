//! What an API token needs for this pipeline, in Cloudflare's words, derived from what the configs use. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::PreviewData;
use crate::target::account_of;
use crate::tools::cloudflare::encode;
use crate::workspace::{Worker, Workspace};

/// One line of the dashboard's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Which one.
    pub right: Right,
    /// What it is for; each completes "needed for …".
    pub reasons: Vec<String>,
    /// True when a stage fails without it; false when something merely cannot be looked at.
    pub required: bool,
}

/// A permission as Cloudflare names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Account, Workers Scripts: Edit.
    Scripts,
    /// Account, D1: Edit.
    D1,
    /// Account, Workers KV Storage: Edit.
    Kv,
    /// Account, Workers R2 Storage: Edit.
    R2,
    /// Account, Queues: Edit.
    Queues,
    /// Account, Account Settings: Read.
    Settings,
    /// Account, Workers Tail: Read.
    Tail,
    /// Zone, Workers Routes: Edit.
    Routes,
    /// Zone, Zone: Read.
    Zone,
}

impl Right {
    /// `D1: Edit`.
    pub fn name(self) -> &'static str {
        match self {
            Right::Scripts => "Workers Scripts: Edit",
            Right::D1 => "D1: Edit",
            Right::Kv => "Workers KV Storage: Edit",
            Right::R2 => "Workers R2 Storage: Edit",
            Right::Queues => "Queues: Edit",
            Right::Settings => "Account Settings: Read",
            Right::Tail => "Workers Tail: Read",
            Right::Routes => "Workers Routes: Edit",
            Right::Zone => "Zone: Read",
        }
    }

    /// The first column of the dashboard's form.
    pub fn scope(self) -> &'static str {
        match self {
            Right::Routes | Right::Zone => "Zone",
            _ => "Account",
        }
    }

    /// What the dashboard's address calls it.
    fn key(self) -> (&'static str, &'static str) {
        match self {
            Right::Scripts => ("workers_scripts", "edit"),
            Right::D1 => ("d1", "edit"),
            Right::Kv => ("workers_kv_storage", "edit"),
            Right::R2 => ("workers_r2", "edit"),
            Right::Queues => ("queues", "edit"),
            Right::Settings => ("account_settings", "read"),
            Right::Tail => ("workers_tail", "read"),
            Right::Routes => ("workers_routes", "edit"),
            Right::Zone => ("zone", "read"),
        }
    }
}

/// The least a token needs.
pub fn needed(workspace: &Workspace) -> Vec<Permission> {
    let scripts = "uploads, deployments, secrets, crons and addresses of every worker";
    let mut all = vec![Permission::new(Right::Scripts, true, [scripts.to_owned()])];
    all.push(Permission::new(Right::D1, true, databases(workspace)));
    let kv = users(workspace, |worker| !worker.config.bindings.kv.is_empty());
    all.push(Permission::new(
        Right::Kv,
        true,
        stores(workspace, kv, "namespaces"),
    ));
    let r2 = users(workspace, |worker| !worker.config.bindings.r2.is_empty());
    all.push(Permission::new(
        Right::R2,
        true,
        stores(workspace, r2, "buckets"),
    ));
    let queues = users(workspace, |worker| {
        let bindings = &worker.config.bindings;
        !bindings.queue_producers.is_empty() || !bindings.queue_consumers.is_empty()
    });
    let queues = queues.map(|users| format!("the queues of {users}"));
    all.push(Permission::new(Right::Queues, true, queues));
    let unnamed = account_of(workspace).is_none();
    let finding = unnamed.then(|| "finding the account, which no file names".to_owned());
    all.push(Permission::new(Right::Settings, true, finding));
    let routed = users(workspace, |worker| !worker.config.routes.is_empty());
    let routed = routed.map(|users| format!("routes and custom domains of {users}"));
    all.push(Permission::new(Right::Routes, true, routed));
    let zones = !hosts(workspace).is_empty();
    let zones = zones.then(|| "`doctor`, to find the zones of these routes".to_owned());
    all.push(Permission::new(Right::Zone, false, zones));
    let tail = "`logs`, and watching the error rate after a rollback".to_owned();
    all.push(Permission::new(Right::Tail, false, [tail]));
    all.retain(|permission| !permission.reasons.is_empty());
    all
}

impl Permission {
    fn new(right: Right, required: bool, reasons: impl IntoIterator<Item = String>) -> Permission {
        Permission {
            right,
            reasons: reasons.into_iter().collect(),
            required,
        }
    }
}

fn databases(workspace: &Workspace) -> Vec<String> {
    let users = users(workspace, |worker| !worker.config.bindings.d1.is_empty());
    let mut reasons = Vec::new();
    if let Some(database) = workspace.pipeline.databases.first() {
        let name = &database.name;
        reasons.push(format!("migrations, lease and release records in {name}"));
    }
    reasons.extend(stores(workspace, users, "databases"));
    reasons
}

/// The bindings, and what previews get of their own.
fn stores(workspace: &Workspace, users: Option<String>, what: &str) -> Vec<String> {
    let Some(users) = users else {
        return Vec::new();
    };
    let mut reasons = vec![format!("the bindings of {users}")];
    if workspace.pipeline.preview.data == PreviewData::Isolated {
        reasons.push(format!("the {what} of previews"));
    }
    reasons
}

/// The short names of the workers that something is true of; none when it is true of none.
fn users(workspace: &Workspace, is_one: impl Fn(&Worker) -> bool) -> Option<String> {
    let names: Vec<&str> = workspace
        .workers
        .iter()
        .filter(|worker| is_one(worker))
        .map(|worker| worker.name.as_str())
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The hosts of all routes and custom domains, wildcards and paths left out.
pub fn hosts(workspace: &Workspace) -> BTreeSet<String> {
    let routes = workspace
        .workers
        .iter()
        .flat_map(|worker| &worker.config.routes);
    routes
        .map(|route| {
            let plain = route
                .pattern
                .trim_start_matches("https://")
                .trim_start_matches("http://");
            let host = plain.split('/').next().unwrap_or(plain);
            host.trim_start_matches("*.")
                .trim_start_matches('*')
                .to_owned()
        })
        .filter(|host| host.contains('.'))
        .collect()
}

/// The dashboard's form for a new token with these permissions filled in. It takes no narrower scope: the account and the
/// zones are picked there.
pub fn form(project: &str, permissions: &[Permission]) -> String {
    let keys: Vec<Value> = permissions
        .iter()
        .map(|permission| permission.right.key())
        .map(|(key, level)| json!({ "key": key, "type": level }))
        .collect();
    format!(
        "https://dash.cloudflare.com/profile/api-tokens?permissionGroupKeys={}&accountId=*&zoneId=all&name={}",
        encode(&Value::from(keys).to_string()),
        encode(&format!("{project} pipeline"))
    )
}
