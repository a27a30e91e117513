//! What the account holds: the control plane's whole memory, as plain data. No I/O, no HTTP, no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::access::Token;
use crate::dropped::Dropped;
use crate::envelope::ApiError;
use crate::github::model::Github;
use crate::queues::Queue;
use crate::resource_id::{ResourceId, usable_keys};

/// Everything the local cloud remembers. Cloned for every mutation, so that a failed one leaves no trace.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Workers by name.
    pub scripts: BTreeMap<String, Script>,
    /// Custom domains by host name.
    pub domains: BTreeMap<String, Domain>,
    /// D1 databases by UUID.
    #[serde(deserialize_with = "usable_keys")]
    pub d1: BTreeMap<ResourceId, D1Database>,
    /// KV namespaces by id.
    #[serde(deserialize_with = "usable_keys")]
    pub kv: BTreeMap<ResourceId, KvNamespace>,
    /// R2 buckets by name.
    #[serde(deserialize_with = "usable_keys")]
    pub r2: BTreeMap<ResourceId, R2Bucket>,
    /// Queues by id.
    pub queues: BTreeMap<String, Queue>,
    /// Storage that was deleted and whose files are still there.
    pub dropped: Dropped,
    /// Uploaded asset files by the client's 32 hex digit hash.
    pub asset_files: BTreeMap<String, AssetBlob>,
    /// Asset uploads in progress and finished, by session id.
    pub asset_sessions: BTreeMap<String, AssetSession>,
    /// API tokens that were described, by the hash of their text.
    pub tokens: BTreeMap<String, Token>,
    /// Repositories and pull requests.
    pub github: Github,
    /// Open tails by id; not kept over a restart in practice, since their sockets are gone.
    #[serde(skip)]
    pub tails: BTreeMap<String, Tail>,
}

/// One Worker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// Name, unique in the account.
    pub name: String,
    /// Immutable id of this Worker; deleting and creating it again gives another one. wrangler calls it `tag`.
    pub tag: String,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339.
    pub modified_on: String,
    /// Oldest first; numbers ascend.
    pub versions: Vec<Version>,
    /// Oldest first: the last one is live.
    pub deployments: Vec<Deployment>,
    /// Number the next version gets.
    pub next_number: u64,
    /// workers.dev flags.
    pub subdomain: Subdomain,
    /// Zone routes that point here.
    pub routes: Vec<Route>,
    /// Crons.
    pub schedules: Vec<Schedule>,
    /// `cf:service=…` and the like.
    pub tags: Vec<String>,
    /// Script-level settings as sent.
    pub observability: Option<Value>,
    /// Script-level settings as sent.
    pub logpush: Option<Value>,
    /// Script-level settings as sent.
    pub tail_consumers: Option<Value>,
    /// `wrangler`, `api` or `dash`.
    pub last_deployed_from: String,
    /// The last Durable Object migration applied.
    pub migration_tag: Option<String>,
    /// Durable Object namespaces this Worker owns, by class name.
    pub durable_objects: BTreeMap<String, DurableObjectNamespace>,
    /// Set when this is a `wrangler preview` of another Worker: hidden from lists, gone with its parent.
    pub preview: Option<Preview>,
}

impl Script {
    /// The live deployment; `None` for a Worker whose first version was never deployed.
    pub fn live(&self) -> Option<&Deployment> {
        self.deployments.last()
    }

    /// The newest version.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// A version by id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }
}

/// What a preview Worker is a preview of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The parent Worker.
    pub of: String,
    /// As asked for; may hold slashes.
    pub name: String,
    /// As part of a host name.
    pub slug: String,
}

/// One immutable version of a Worker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// UUID.
    pub id: String,
    /// 1, 2, 3 … per Worker.
    pub number: u64,
    /// RFC 3339.
    pub created_on: String,
    /// `wrangler` or `api`, from the User-Agent.
    pub source: String,
    /// `workers/tag`, `workers/message`, `workers/alias`, `workers/triggered_by`.
    pub annotations: BTreeMap<String, String>,
    /// Name of the entry module; `None` for an assets-only Worker.
    pub main_module: Option<String>,
    /// Modules, without source maps.
    pub modules: Vec<Module>,
    /// As uploaded.
    pub compatibility_date: Option<String>,
    /// As uploaded.
    pub compatibility_flags: Vec<String>,
    /// Exactly as uploaded, with `inherit` and `keep_bindings` resolved; secret texts included.
    pub bindings: Vec<Value>,
    /// Static assets.
    pub assets: Option<Assets>,
    /// Names the main module exports and, where known, their kind.
    pub exports: BTreeMap<String, Option<String>>,
    /// Kinds of event the main module has a handler for; empty when that is not known.
    pub handlers: Vec<String>,
    /// Milliseconds the trial load took.
    pub startup_time_ms: u64,
    /// Hash of the content.
    pub etag: String,
    /// The Worker's Durable Object migration tag when this version was made: no deployment may cross a migration.
    pub migration_tag: Option<String>,
    /// Whether a preview URL exists (previews enabled, no Durable Objects).
    pub has_preview: bool,
    /// Uploaded settings nothing here acts on (placement, limits, …), kept to be read back.
    pub extra: BTreeMap<String, Value>,
}

impl Version {
    /// Whether the main module has a handler for a kind of event.
    pub fn handles(&self, event: &str) -> bool {
        self.handlers.iter().any(|handler| handler == event)
    }
}

/// One module of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Name as imported.
    pub name: String,
    /// `esm`, `cjs`, `text`, `data`, `wasm` or `python`.
    #[serde(rename = "type")]
    pub kind: String,
    /// SHA-256, the file name in `blobs/`.
    pub blob: String,
}

/// Static assets of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assets {
    /// Files in path order.
    pub files: Vec<AssetFile>,
    /// As uploaded (`html_handling`, `not_found_handling`, `run_worker_first`, `_headers`, `_redirects`).
    pub config: Value,
}

/// One static file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetFile {
    /// URL path, with leading slash.
    pub path: String,
    /// SHA-256, the file name in `blobs/`.
    pub blob: String,
    /// MIME type, when the client knew one.
    pub content_type: Option<String>,
}

/// An asset's stored content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetBlob {
    /// SHA-256, the file name in `blobs/`.
    pub blob: String,
    /// MIME type, when the client knew one.
    pub content_type: Option<String>,
}

/// One asset upload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetSession {
    /// Worker the session belongs to.
    pub script: String,
    /// RFC 3339.
    pub created_on: String,
    /// Client hash by URL path.
    pub manifest: BTreeMap<String, String>,
}

/// One deployment: which versions get which share.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// UUID.
    pub id: String,
    /// RFC 3339.
    pub created_on: String,
    /// `wrangler` or `api`.
    pub source: String,
    /// `workers/message`, `workers/triggered_by`.
    pub annotations: BTreeMap<String, String>,
    /// One or two; percentages sum to 100.
    pub versions: Vec<Share>,
}

/// One version's share of traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Version id.
    pub version_id: String,
    /// 0 to 100.
    pub percentage: f64,
}

/// workers.dev flags of a Worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subdomain {
    /// Reachable as `<name>.<subdomain>`.
    pub enabled: bool,
    /// Versions reachable as `<version8>-<name>.<subdomain>`.
    pub previews_enabled: bool,
}

/// A zone route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Id.
    pub id: String,
    /// `example.com/api/*`
    pub pattern: String,
    /// Zone, the last two labels of the host.
    pub zone_name: String,
}

/// A cron trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Five-field expression, UTC.
    pub cron: String,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339.
    pub modified_on: String,
}

/// A custom domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Id.
    pub id: String,
    /// Host name.
    pub hostname: String,
    /// Worker.
    pub service: String,
    /// Zone, the last two labels of the host.
    pub zone_name: String,
}

/// A Durable Object namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurableObjectNamespace {
    /// Id.
    pub id: String,
    /// SQLite-backed.
    pub sqlite: bool,
}

/// A D1 database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct D1Database {
    /// Name, unique in the account.
    pub name: String,
    /// RFC 3339.
    pub created_at: String,
    /// `production`: the version with time travel.
    pub version: String,
}

/// A KV namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvNamespace {
    /// Title, unique in the account.
    pub title: String,
}

/// An R2 bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct R2Bucket {
    /// RFC 3339.
    pub creation_date: String,
    /// The rules for old objects, when somebody has set some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Vec<Value>>,
}

impl R2Bucket {
    /// A new one.
    pub fn created(creation_date: String) -> R2Bucket {
        R2Bucket {
            creation_date,
            lifecycle: None,
        }
    }
}

/// An open tail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Worker.
    pub script: String,
    /// As sent by wrangler.
    pub filters: Value,
    /// RFC 3339.
    pub expires_at: String,
}

impl State {
    /// A Worker, or the API's "not found" (10007).
    pub fn script(&self, name: &str) -> Result<&Script, ApiError> {
        self.scripts.get(name).ok_or_else(|| missing_script(name))
    }

    /// A Worker to change, or the API's "not found" (10007).
    pub fn script_mut(&mut self, name: &str) -> Result<&mut Script, ApiError> {
        self.scripts
            .get_mut(name)
            .ok_or_else(|| missing_script(name))
    }
}

/// The error for a Worker that is not there.
pub fn missing_script(name: &str) -> ApiError {
    ApiError::not_found(
        10007,
        format!("This Worker does not exist on your account. [{name}]"),
    )
}
