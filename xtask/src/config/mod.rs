//! What the repo says about itself: `pipeline.toml` and the workers' wrangler configs, read with positions so that every
//! mistake can be shown as `path:line:col`. Knows nothing of what is done with it; only [`crate::workspace`] joins the files.

mod bindings;
mod date;
mod durable;
pub mod edit;
mod generated;
pub mod keys;
pub mod layout;
pub(crate) mod names;
mod pipeline;
mod routes;
mod section;
pub mod shipping;
pub(crate) mod source;
pub mod suggest;
pub(crate) mod tree;
mod wrangler;

pub use bindings::{Bindings, D1, DurableObject, Kv, QueueConsumer, QueueProducer, R2, Service};
pub use date::Date;
pub use durable::{DoMigration, RenamedClass, TransferredClass};
pub use generated::generated_config;
pub use keys::Word;
pub use pipeline::{
    Allow, Audit, AuditException, AuditLevel, BUNDLE_RAW_BYTES_MAX, Budgets, Bundle, Cloudflare,
    Compare, DataReset, Database, Deploy, Health, IdField, Local, MissingSecrets, Offline,
    PIPELINE, Pipeline, Preview, PreviewData, PreviewSmoke, Project, Rollback, Watch, WorkerEntry,
    WorkersPlan, allowed, allowed_before, unknown_allows,
};
pub use routes::Route;
pub use source::{Place, Problem, Problems};
pub use wrangler::{Assets, WranglerConfig};
