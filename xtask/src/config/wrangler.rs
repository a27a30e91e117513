//! One worker's wrangler config (TOML, JSON or JSONC) as wrangler would see it for the environment that ships. Reads
//! what the pipeline needs and keeps the rest as JSON; keys it does not know are wrangler's business.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bindings::{self, Bindings};
use super::durable::{self, DoMigration};
use super::names;
use super::routes::{self, Route};
use super::section::{Notes, Section};
use super::shipping::{self, Unshipped};
use super::source::{Place, Problems, Source};
use super::suggest;
use super::tree::{self, Table};

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
    /// Where the account is named.
    pub account_id_at: Place,
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
    /// What a release would leave out.
    pub unshipped: Vec<Unshipped>,
    /// Top-level keys that no wrangler knows: key, place and the nearest known one.
    pub unknown: Vec<(String, Place, Option<&'static str>)>,
    /// The named environments of the file, whether they ship or not.
    pub environments: Vec<String>,
    /// The effective config as JSON, with the effective name and without `env`. Values may be secret: never show it.
    pub raw: Value,
}

/// Static assets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assets {
    /// The folder, relative to the config's folder; none when a build plugin supplies it.
    pub directory: Option<String>,
    /// The name in the worker's code.
    pub binding: Option<String>,
}

/// Keys a named environment does not take over from the top level.
const NOT_INHERITED: [&str; 43] = [
    "agent_memory",
    "ai",
    "ai_search",
    "ai_search_namespaces",
    "analytics",
    "analytics_engine_datasets",
    "artifacts",
    "browser",
    "cloudchamber",
    "connect",
    "containers",
    "d1_databases",
    "define",
    "dispatch_namespaces",
    "durable_objects",
    "env",
    "flagship",
    "hyperdrive",
    "images",
    "k2",
    "kv_namespaces",
    "media",
    "mtls_certificates",
    "pipelines",
    "queues",
    "r2_buckets",
    "ratelimits",
    "secrets",
    "secrets_store_secrets",
    "send_email",
    "services",
    "stream",
    "streaming_tail_consumers",
    "tail_consumers",
    "unsafe",
    "unsafe_hello_world",
    "vars",
    "vectorize",
    "version_metadata",
    "vpc_networks",
    "vpc_services",
    "worker_loaders",
    "workflows",
];

impl WranglerConfig {
    /// Reads a config for one environment; `None` is the top level. Mistakes go to `problems`; the answer is `None`
    /// when there is nothing to go on with.
    pub fn load(path: &Path, env: Option<&str>, problems: &mut Problems) -> Option<WranglerConfig> {
        let source = Source::read(path, problems)?;
        let table = tree::parse(&source, problems)?;
        let notes = Notes::new(&source);
        let config = read(&notes, &table, env);
        notes.hand_over(problems);
        config
    }

    /// The Durable Object classes this script owns after all its migrations (or by its newer `exports` table), and
    /// whether each is backed by SQLite.
    pub fn live_durable_classes(&self) -> Vec<(String, bool)> {
        let mut live = durable::live_classes(&self.migrations);
        for (class, sqlite) in durable::exported_classes(&self.raw) {
            if !live.iter().any(|(known, _)| *known == class) {
                live.push((class, sqlite));
            }
        }
        live
    }

    /// The tag of the newest migration.
    pub fn last_migration_tag(&self) -> Option<&str> {
        self.migrations
            .last()
            .map(|migration| migration.tag.as_str())
    }

    /// The script names of `tail_consumers`.
    pub fn tail_services(&self) -> Vec<&str> {
        let list = self.tail_consumers.as_ref().and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|consumer| consumer.get("service")?.as_str())
            .collect()
    }
}

fn read(notes: &Notes<'_>, table: &Table, env: Option<&str>) -> Option<WranglerConfig> {
    let top = Section::root(notes, table);
    let environments = top.named_sections("env");
    let env_table = match env {
        Some(env) => Some(find_environment(&top, &environments, env)?),
        None => None,
    };
    let (name, name_at) = effective_name(&top, env_table, env)?;
    let effective = effective_table(table, env_table);
    let config = Section::root(notes, &effective);

    let mut raw = effective.to_json();
    raw["name"] = Value::String(name.clone());
    let build = config.section("build");
    let of_build = |key: &str| build.as_ref().and_then(|build| build.text(key));
    let assets = config.section("assets").map(|assets| Assets {
        directory: assets.text("directory"),
        binding: assets.text("binding"),
    });
    let secrets = config
        .section("secrets")
        .and_then(|secrets| secrets.strings("required"));
    Some(WranglerConfig {
        path: notes.source.path.clone(),
        name_at,
        main: config.text("main"),
        account_id: config.text("account_id"),
        account_id_at: config.at("account_id"),
        compatibility_date: read_compatibility_date(&config),
        compatibility_flags: config.strings("compatibility_flags").unwrap_or_default(),
        workers_dev: config.boolean("workers_dev"),
        preview_urls: config.boolean("preview_urls"),
        routes: routes::read_routes(&config),
        crons: routes::read_crons(&config),
        build_command: of_build("command"),
        build_cwd: of_build("cwd"),
        assets,
        migrations: durable::read_migrations(&config),
        bindings: bindings::read(&config),
        secrets_required: secrets.unwrap_or_default(),
        observability: config.json("observability"),
        logpush: config.boolean("logpush"),
        tail_consumers: config.json("tail_consumers"),
        unshipped: shipping::unshipped(&config, &name),
        unknown: shipping::unknown(&config),
        environments: environments.into_iter().map(|(name, _)| name).collect(),
        raw,
        name,
    })
}

fn find_environment<'n>(
    top: &Section<'n>,
    environments: &[(String, Section<'n>)],
    env: &str,
) -> Option<&'n Table> {
    if let Some((_, section)) = environments.iter().find(|(name, _)| name == env) {
        return Some(section.table);
    }
    // wrangler would go on with the top level under another name: production's bindings and crons.
    let names: Vec<&str> = environments.iter().map(|(name, _)| name.as_str()).collect();
    let message = format!("there is no environment `{env}` in this file");
    let fix = match suggest::nearest(env, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => {
            "it has no named environments; remove `env` from pipeline.toml".to_owned()
        }
        None => format!("it has: {}", names.join(", ")),
    };
    top.notes.error_with_fix(top.at("env"), message, fix);
    None
}

/// The script's name as wrangler derives it, and where it comes from.
fn effective_name(
    top: &Section<'_>,
    env_table: Option<&Table>,
    env: Option<&str>,
) -> Option<(String, Place)> {
    let own = env_table.map(|table| Section::root(top.notes, table));
    let own_name = own
        .as_ref()
        .and_then(|own| Some((own.text("name")?, own.at("name"))));
    let (name, place) = match (own_name, env) {
        (Some(named), _) => named,
        (None, _) if top.value("name").is_none() => {
            let fix = if top.value("env").is_some() {
                "name one of its environments in pipeline.toml (`env`), or add a `name`"
            } else {
                "add the name the worker has on Cloudflare"
            };
            top.notes
                .error_with_fix(top.place(), "`name` is missing", fix);
            return None;
        }
        (None, None) => (top.text("name")?, top.at("name")),
        (None, Some(env)) => (format!("{}-{env}", top.text("name")?), top.at("name")),
    };
    if let Some(why) = names::script_name_mistake(&name) {
        top.notes
            .error(place, format!("the script's name `{name}` {why}"));
    }
    Some((name, place))
}

/// The top level with a named environment laid over it, as wrangler does: what describes the worker is inherited, what
/// it is bound to is not.
fn effective_table(top: &Table, env: Option<&Table>) -> Table {
    let Some(env) = env else {
        let entries = top.entries.iter().filter(|entry| entry.key != "env");
        return Table {
            entries: entries.cloned().collect(),
        };
    };
    let inherited = top.entries.iter().filter(|entry| {
        !NOT_INHERITED.contains(&entry.key.as_str()) && env.get(&entry.key).is_none()
    });
    Table {
        entries: inherited.chain(&env.entries).cloned().collect(),
    }
}

fn read_compatibility_date(config: &Section<'_>) -> Option<String> {
    let date = config.text("compatibility_date")?;
    if !names::is_date(&date) {
        let message = "`compatibility_date` must be a date such as \"2025-06-01\"";
        config.notes.error(config.at("compatibility_date"), message);
    }
    Some(date)
}
