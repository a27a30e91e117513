//! `pipeline.toml`: what ships where. The values only; which keys there are is `pipeline/keys.rs`, reading them
//! `pipeline/read.rs`. Knows nothing of
//! wrangler configs.

mod health;
mod keys;
mod keys_policy;
mod policy;
mod preview;
mod project;
mod read;
mod read_policy;
mod rollback;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use self::health::{Compare, Health, IdField};
pub use self::keys::PIPELINE;
pub use self::policy::{
    Allow, Audit, AuditException, AuditLevel, BUNDLE_RAW_BYTES_MAX, Budgets, Bundle, Offline,
    WorkersPlan, allowed, allowed_before, unknown_allows,
};
pub use self::preview::{DataReset, MissingSecrets, Preview, PreviewData, PreviewSmoke};
pub use self::project::Project;
pub use self::rollback::Rollback;
pub use self::watch::Watch;
use super::layout::Layout;
use super::source::Place;

/// The whole of `pipeline.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// `[project]`.
    pub project: Project,
    /// `[cloudflare]`.
    pub cloudflare: Cloudflare,
    /// `[workers.*]` by short name, in file order.
    pub workers: Vec<(String, WorkerEntry)>,
    /// `[databases.*]`, in file order.
    pub databases: Vec<Database>,
    /// `[health]`.
    pub health: Health,
    /// `[deploy]`.
    pub deploy: Deploy,
    /// `[preview]`.
    pub preview: Preview,
    /// `[rollback]`.
    pub rollback: Rollback,
    /// `[watch]`.
    pub watch: Watch,
    /// `[local]`.
    pub local: Local,
    /// `[audit]`.
    pub audit: Audit,
    /// `[[allow]]`, in file order.
    pub allow: Vec<Allow>,
    /// `[budgets]`.
    pub budgets: Budgets,
    /// `[bundle]`.
    pub bundle: Bundle,
    /// Workers that live outside this repo and may be bound to.
    pub external_services: Vec<String>,
    /// KV and R2 binding names that stand for different things in different workers.
    pub separate_bindings: Vec<String>,
    /// Folders and wrangler configs that `init` takes no worker from, relative to the root.
    pub ignored_workers: Vec<PathBuf>,
}

/// `[cloudflare]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cloudflare {
    /// The account every worker ships to.
    pub account_id: Option<String>,
}

/// One `[workers.*]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerEntry {
    /// The folder with the wrangler config, absolute.
    pub path: PathBuf,
    /// The config file's name, when it is not a default one.
    pub config: Option<String>,
    /// The named environment that ships.
    pub env: Option<String>,
    /// The names of the secrets it needs.
    pub secrets: Vec<String>,
    /// The path that is asked after a deploy; none when the worker answers no requests.
    pub health: Option<String>,
    /// Where the worker is reached, when that cannot be told from its routes.
    pub url: Option<String>,
    /// A command that builds it before wrangler bundles it, run by `sh` in its folder.
    pub build: Option<String>,
    /// More paths that must answer 200 before and after a promotion.
    pub smoke: Vec<String>,
    /// More files and folders it is built from, absolute.
    pub inputs: Vec<PathBuf>,
    /// Its own budget for the compressed bundle, in bytes.
    pub bundle_max_gzip: Option<u64>,
    /// Where the table stands.
    pub at: Place,
    /// Where `path` stands.
    pub path_at: Place,
    /// Where `config` stands.
    pub config_at: Place,
    /// Where each secret is named.
    pub secrets_at: Vec<Place>,
}

/// One `[databases.*]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// The database's name on Cloudflare.
    pub name: String,
    /// The folder of numbered SQL files, absolute.
    pub migrations: PathBuf,
    /// The baseline of an empty database, absolute.
    pub schema: Option<PathBuf>,
    /// Repeatable data, absolute.
    pub seed: Option<PathBuf>,
    /// Its id, from the D1 bindings of the workers that name it.
    pub id: Option<String>,
    /// The workers bound to it: short name and binding name.
    pub bound_by: Vec<(String, String)>,
    /// How wrangler finds and records its migrations, from those bindings.
    pub layout: Layout,
    /// Where the table stands.
    pub at: Place,
}

/// `[deploy]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Deploy {
    /// The first share of traffic in percent; 0 promotes all at once.
    pub canary: u8,
    /// How long the canary is watched.
    pub bake: Duration,
    /// The time one build may take.
    pub build_timeout: Duration,
    /// The time one upload may take.
    pub upload_timeout: Duration,
    /// How long the deploy lease lasts without a heartbeat.
    pub lease_expiry: Duration,
    /// Settings of wrangler configs that a release may leave out, by their keys.
    pub allow_missing: Vec<String>,
}

/// `[local]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// The local cloud's port; 0 picks a free one.
    pub port: u16,
    /// The workers.dev subdomain it plays.
    pub subdomain: String,
}

impl Default for Deploy {
    fn default() -> Deploy {
        Deploy {
            canary: 0,
            bake: Duration::from_secs(60),
            build_timeout: Duration::from_secs(600),
            upload_timeout: Duration::from_secs(300),
            lease_expiry: Duration::from_secs(600),
            allow_missing: Vec::new(),
        }
    }
}

impl Default for Local {
    fn default() -> Local {
        Local {
            port: 8787,
            subdomain: "local".to_owned(),
        }
    }
}
