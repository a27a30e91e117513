//! Reads `pipeline.toml`: what its keys mean. Which there are, and what each may hold, is `keys.rs`.

use std::path::{Component, Path, PathBuf};

use super::keys::{HEALTH_PATH, PIPELINE};
use super::preview::read_preview;
use super::read_policy::{bundle_max, read_allow, read_audit, read_budgets, read_bundle};
use super::{Bundle, Cloudflare, Database, Deploy, Local, Pipeline, WorkerEntry};
use crate::config::layout::Layout;
use crate::config::names;
use crate::config::section::{Notes, Section};
use crate::config::source::{Place, Problems, Source};
use crate::config::tree;
use crate::config::{shipping, suggest};

impl Pipeline {
    /// Reads `<root>/pipeline.toml`; `root` is absolute. Mistakes go to `problems`; the answer is `None` when the file
    /// cannot be read as TOML.
    pub fn load(root: &Path, problems: &mut Problems) -> Option<Pipeline> {
        let source = Source::read(&root.join("pipeline.toml"), problems)?;
        Pipeline::of(root, &source, problems)
    }

    /// Reads a text that is going to be `<root>/pipeline.toml`.
    pub fn parse(root: &Path, text: &str, problems: &mut Problems) -> Option<Pipeline> {
        let source = Source::new(&root.join("pipeline.toml"), text);
        Pipeline::of(root, &source, problems)
    }

    fn of(root: &Path, source: &Source, problems: &mut Problems) -> Option<Pipeline> {
        let table = tree::parse(source, problems)?;
        let notes = Notes::new(source);
        let pipeline = read(root, &Section::declared(&notes, &table, &PIPELINE));
        notes.hand_over(problems);
        Some(pipeline)
    }
}

fn read(root: &Path, file: &Section<'_>) -> Pipeline {
    let external = file.strings_at("external_services").unwrap_or_default();
    for (name, place) in &external {
        if let Some(why) = names::script_name_mistake(name) {
            file.notes
                .error(*place, format!("the script name `{name}` {why}"));
        }
    }
    let bundle = file.section("bundle");
    let bundle = bundle.map_or_else(Bundle::default, |bundle| read_bundle(&bundle));
    let workers = file.named_sections("workers");
    let ships_nothing = workers.is_empty();
    let workers = workers.into_iter().filter_map(|(name, section)| {
        if !names::is_short_name(&name) {
            let message =
                format!("the short name `{name}` may hold only letters, digits, `-`, `_` and `.`");
            section.notes.error(section.place(), message);
        }
        Some((name, read_worker(root, &section, bundle)?))
    });
    let workers: Vec<(String, WorkerEntry)> = workers.collect();
    let names: Vec<&str> = workers.iter().map(|(name, _)| name.as_str()).collect();
    let preview = file.section("preview");
    let preview = preview.map(|preview| read_preview(&preview, &names));
    let databases = file.named_sections("databases").into_iter();
    let databases = databases.filter_map(|(name, section)| read_database(root, name, &section));
    let pipeline = Pipeline {
        project: super::project::read(root, file),
        cloudflare: read_cloudflare(file),
        workers,
        preview: preview.unwrap_or_default(),
        databases: databases.collect(),
        health: table(file, "health", super::health::read),
        rollback: table(file, "rollback", super::rollback::read),
        watch: table(file, "watch", super::watch::read),
        deploy: table(file, "deploy", read_deploy),
        local: table(file, "local", read_local),
        audit: file
            .section("audit")
            .map(|audit| read_audit(&audit))
            .unwrap_or_default(),
        allow: file
            .sections("allow")
            .iter()
            .filter_map(read_allow)
            .collect(),
        budgets: file
            .section("budgets")
            .map(|budgets| read_budgets(&budgets))
            .unwrap_or_default(),
        bundle,
        external_services: external.into_iter().map(|(name, _)| name).collect(),
        separate_bindings: file.strings("separate_bindings").unwrap_or_default(),
        ignored_workers: read_ignored(file),
    };
    file.reject_unknown();
    if ships_nothing {
        let fix = "add a table such as `[workers.main]` with the `path` of its folder";
        file.notes.error_with_fix(
            file.at("workers"),
            "no worker is named, so nothing ships",
            fix,
        );
    }
    pipeline
}

/// Places inside the repo, without `.` in front of them.
fn read_ignored(file: &Section<'_>) -> Vec<PathBuf> {
    let mut ignored = Vec::new();
    for (text, place) in file.strings_at("ignored_workers").unwrap_or_default() {
        let path: PathBuf = Path::new(&text)
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect();
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if inside && path != Path::new("") {
            ignored.push(path);
        } else {
            let message = "`ignored_workers` holds folders and files inside the repo, and not the whole of it";
            let fix = "write them relative to the repo's root, as in `workers/old`";
            file.notes.error_with_fix(place, message, fix);
        }
    }
    ignored
}

fn read_cloudflare(file: &Section<'_>) -> Cloudflare {
    let Some(section) = file.section("cloudflare") else {
        return Cloudflare::default();
    };
    let account_id = section.string("account_id");
    if let Some(why) = account_id.as_deref().and_then(names::hex_id_mistake) {
        let message = format!("`cloudflare.account_id` {why}");
        let fix =
            "remove it to use CLOUDFLARE_ACCOUNT_ID, or copy it from the Cloudflare dashboard";
        section
            .notes
            .error_with_fix(section.at("account_id"), message, fix);
    }
    section.reject_unknown();
    Cloudflare { account_id }
}

fn read_worker(root: &Path, section: &Section<'_>, bundle: Bundle) -> Option<WorkerEntry> {
    let path = section.required_text("path");
    let secrets = read_secrets(section);
    let inputs = section.strings_at("inputs").unwrap_or_default();
    let inputs = inputs
        .iter()
        .filter_map(|(text, place)| existing(root, section, "inputs", text, *place));
    let entry = WorkerEntry {
        path: PathBuf::new(),
        config: section.text("config"),
        env: section.text("env"),
        health: read_health_path(section),
        url: read_url(section),
        build: section.text("build"),
        smoke: read_smoke(section),
        inputs: inputs.collect(),
        bundle_max_gzip: bundle_max(section, "bundle_max_gzip", bundle.plan),
        at: section.place(),
        path_at: section.at("path"),
        config_at: section.at("config"),
        secrets_at: secrets.iter().map(|(_, place)| *place).collect(),
        secrets: secrets.into_iter().map(|(name, _)| name).collect(),
    };
    section.reject_unknown();
    let path = folder(root, section, "path", &path?)?;
    Some(WorkerEntry { path, ..entry })
}

fn read_smoke(section: &Section<'_>) -> Vec<String> {
    let paths = section.strings_at("smoke").unwrap_or_default();
    for (index, (path, place)) in paths.iter().enumerate() {
        if !path.starts_with('/') {
            let key = section.path_of(&format!("smoke[{index}]"));
            let message =
                format!("`{key}` must be a path that starts with `/`, such as /api/search?q=a");
            section.notes.error(*place, message);
        }
    }
    paths.into_iter().map(|(path, _)| path).collect()
}

fn read_secrets(section: &Section<'_>) -> Vec<(String, Place)> {
    let mut secrets: Vec<(String, Place)> = Vec::new();
    for (index, (name, place)) in section
        .strings_at("secrets")
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        // The text is not shown: a person may have put the secret itself here.
        if !names::is_variable_name(&name) {
            let path = section.path_of(&format!("secrets[{index}]"));
            let message =
                format!("`{path}` must be the name of an environment variable, such as ADMIN_KEY");
            section.notes.error(place, message);
        } else if secrets.iter().any(|(other, _)| *other == name) {
            section
                .notes
                .error(place, format!("the secret `{name}` is listed twice"));
        } else {
            secrets.push((name, place));
        }
    }
    secrets
}

/// `health`: a path, or `false` for a worker that answers no requests.
fn read_health_path(section: &Section<'_>) -> Option<String> {
    let default = Some(HEALTH_PATH.to_owned());
    let node = match section.value("health") {
        None => return default,
        Some(node) => node,
    };
    match &node.kind {
        tree::Kind::Bool(false) => None,
        tree::Kind::String(path) if path.starts_with('/') => Some(path.clone()),
        tree::Kind::String(_) => {
            let message = format!("`{}` must begin with `/`", section.path_of("health"));
            section.notes.error(section.at("health"), message);
            default
        }
        _ => section
            .wrong("health", node, "a path such as \"/health\", or false")
            .or(default),
    }
}

fn read_url(section: &Section<'_>) -> Option<String> {
    let url = section.text("url")?;
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        let message = format!(
            "`{}` must begin with `https://` and a host name",
            section.path_of("url")
        );
        section.notes.error(section.at("url"), message);
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn read_database(root: &Path, name: String, section: &Section<'_>) -> Option<Database> {
    let migrations = section.required_text("migrations");
    let file = |key: &str| existing(root, section, key, &section.text(key)?, section.at(key));
    let (schema, seed) = (file("schema"), file("seed"));
    section.reject_unknown();
    Some(Database {
        migrations: folder(root, section, "migrations", &migrations?)?,
        schema,
        seed,
        id: None,
        bound_by: Vec::new(),
        layout: Layout::default(),
        at: section.place(),
        name,
    })
}

/// A table that may be left out.
fn table<T: Default>(file: &Section<'_>, key: &str, read: fn(&Section<'_>) -> T) -> T {
    file.section(key)
        .map_or_else(T::default, |section| read(&section))
}

fn read_deploy(section: &Section<'_>) -> Deploy {
    let default = Deploy::default();
    // 100 % at once is no canary, so it is a mistake rather than another way to say 0.
    let canary = section.integer("canary");
    let deploy = Deploy {
        canary: canary
            .and_then(|percent| percent.try_into().ok())
            .unwrap_or(default.canary),
        bake: section.duration("bake").unwrap_or(default.bake),
        build_timeout: section
            .duration("build_timeout")
            .unwrap_or(default.build_timeout),
        upload_timeout: section
            .duration("upload_timeout")
            .unwrap_or(default.upload_timeout),
        lease_expiry: section
            .duration("lease_expiry")
            .unwrap_or(default.lease_expiry),
        allow_missing: read_allow_missing(section),
    };
    section.reject_unknown();
    deploy
}

fn read_allow_missing(section: &Section<'_>) -> Vec<String> {
    let names = || shipping::REFUSED.iter().map(|(key, _)| *key);
    let mut keys = Vec::new();
    for (key, at) in section.strings_at("allow_missing").unwrap_or_default() {
        if !names().any(|name| name == key) {
            let message =
                format!("`deploy.allow_missing`: `{key}` is no setting that a release leaves out");
            let fix = match suggest::nearest(&key, names()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
            };
            section.notes.error_with_fix(at, message, fix);
        }
        keys.push(key);
    }
    keys
}

fn read_local(section: &Section<'_>) -> Local {
    let default = Local::default();
    let port = section.integer("port");
    let subdomain = section.text("subdomain");
    if subdomain
        .as_deref()
        .is_some_and(|name| !names::is_dns_label(name))
    {
        let message = "`local.subdomain` may hold only lowercase letters, digits and dashes";
        section.notes.error(section.at("subdomain"), message);
    }
    section.reject_unknown();
    Local {
        port: port
            .and_then(|port| port.try_into().ok())
            .unwrap_or(default.port),
        subdomain: subdomain.unwrap_or(default.subdomain),
    }
}

/// A folder of the repo that must exist.
fn folder(root: &Path, section: &Section<'_>, key: &str, text: &str) -> Option<PathBuf> {
    let path = existing(root, section, key, text, section.at(key))?;
    if !path.is_dir() {
        let message = format!(
            "`{}`: `{text}` is a file, not a folder",
            section.path_of(key)
        );
        section.notes.error(section.at(key), message);
        return None;
    }
    Some(path)
}

/// A file or folder of the repo that must exist.
fn existing(
    root: &Path,
    section: &Section<'_>,
    key: &str,
    text: &str,
    place: Place,
) -> Option<PathBuf> {
    let path = section.path_of(key);
    let Some(inside) = inside(root, text) else {
        section.notes.error(
            place,
            format!("`{path}`: `{text}` must be a path inside the repo"),
        );
        return None;
    };
    if !inside.exists() {
        section
            .notes
            .error(place, format!("`{path}`: `{text}` does not exist"));
        return None;
    }
    Some(inside)
}

/// A path relative to the root, made absolute; `None` when it leaves the root.
fn inside(root: &Path, text: &str) -> Option<PathBuf> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for component in Path::new(text).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let relative: PathBuf = parts.iter().collect();
    Some(if parts.is_empty() {
        root.to_owned()
    } else {
        root.join(relative)
    })
}
