//! One worker's wrangler config (TOML, JSON or JSONC) as wrangler would see it for the environment that ships. Reads
//! what the pipeline needs and keeps the rest as JSON; keys it does not know are wrangler's business.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bindings::Bindings;
use super::source::{Place, Problems};

/// A worker's effective config: the named environment, when there is one, is applied as wrangler applies it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WranglerConfig {
    /// The file it was read from.
    pub path: PathBuf,
    /// The script's name on Cloudflare: `<name>-<env>` for a named environment, unless it has its own.
    pub name: String,
    /// Where the name is declared.
    pub name_at: Place,
    /// The entry point, relative to the config's folder; none for assets only.
    pub main: Option<String>,
    /// The account the file names.
    pub account_id: Option<String>,
    /// `YYYY-MM-DD`.
    pub compatibility_date: Option<String>,
    /// The compatibility flags.
    pub compatibility_flags: Vec<String>,
    /// Whether the worker is reachable on workers.dev; none: wrangler decides by its routes.
    pub workers_dev: Option<bool>,
    /// Whether versions get preview URLs; none: as `workers_dev`.
    pub preview_urls: Option<bool>,
    /// Routes and custom domains.
    pub routes: Vec<Route>,
    /// Cron triggers; none leaves the live ones alone, an empty list removes them.
    pub crons: Option<Vec<String>>,
    /// The command that builds the worker before wrangler bundles it.
    pub build_command: Option<String>,
    /// Where it runs, relative to the config's folder.
    pub build_cwd: Option<String>,
    /// Static assets.
    pub assets: Option<Assets>,
    /// Durable Object migrations, oldest first.
    pub migrations: Vec<DoMigration>,
    /// What the worker is given by name.
    pub bindings: Bindings,
    /// `secrets.required`.
    pub secrets_required: Vec<String>,
    /// `observability`, as written.
    pub observability: Option<Value>,
    /// `logpush`.
    pub logpush: Option<bool>,
    /// `tail_consumers`, as written.
    pub tail_consumers: Option<Value>,
    /// The named environments of the file, whether they ship or not.
    pub environments: Vec<String>,
    /// The effective config as JSON, with the effective name and without `env`. Values may be secret: never show it.
    pub raw: Value,
}

/// A route or a custom domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// `example.com/*`, or a host name for a custom domain.
    pub pattern: String,
    /// True when Cloudflare is to manage the host's DNS record and certificate.
    pub custom_domain: bool,
    /// The zone's name.
    pub zone_name: Option<String>,
    /// The zone's id.
    pub zone_id: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// Static assets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assets {
    /// The folder, relative to the config's folder; none when a build plugin supplies it.
    pub directory: Option<String>,
    /// The name in the worker's code.
    pub binding: Option<String>,
}

/// One Durable Object migration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DoMigration {
    /// Its tag.
    pub tag: String,
    /// Classes that get key-value storage.
    pub new_classes: Vec<String>,
    /// Classes that get SQLite storage.
    pub new_sqlite_classes: Vec<String>,
    /// Classes that keep their objects under another name.
    pub renamed_classes: Vec<RenamedClass>,
    /// Classes whose objects are deleted.
    pub deleted_classes: Vec<String>,
    /// Classes taken over from another script.
    pub transferred_classes: Vec<TransferredClass>,
}

/// A Durable Object class that changed its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenamedClass {
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
}

/// A Durable Object class that came from another script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransferredClass {
    /// Its name there.
    pub from: String,
    /// The script it came from.
    pub from_script: String,
    /// Its name here.
    pub to: String,
}

impl WranglerConfig {
    /// Reads a config for one environment; `None` is the top level. Mistakes go to `problems`; the answer is `None`
    /// when there is nothing to go on with.
    pub fn load(path: &Path, env: Option<&str>, problems: &mut Problems) -> Option<WranglerConfig> {
        let _ = (path, env, problems);
        None
    }

    /// The Durable Object classes this script owns after all its migrations, and whether each is backed by SQLite.
    pub fn live_durable_classes(&self) -> Vec<(String, bool)> {
        let mut live: Vec<(String, bool)> = Vec::new();
        for migration in &self.migrations {
            let plain = migration.new_classes.iter().map(|class| (class, false));
            let sqlite = migration
                .new_sqlite_classes
                .iter()
                .map(|class| (class, true));
            live.extend(
                plain
                    .chain(sqlite)
                    .map(|(class, kind)| (class.clone(), kind)),
            );
            for renamed in &migration.renamed_classes {
                for (class, _) in live.iter_mut().filter(|(class, _)| *class == renamed.from) {
                    class.clone_from(&renamed.to);
                }
            }
            // The storage of a transferred class is decided by the script it came from; new ones are SQLite.
            let transferred = migration.transferred_classes.iter();
            live.extend(transferred.map(|class| (class.to.clone(), true)));
            live.retain(|(class, _)| !migration.deleted_classes.contains(class));
        }
        live
    }

    /// The tag of the newest migration.
    pub fn last_migration_tag(&self) -> Option<&str> {
        self.migrations
            .last()
            .map(|migration| migration.tag.as_str())
    }
}
