//! Accepting a new version of a Worker: check it as the real service does, try it, keep it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::app::App;
use crate::bindings;
use crate::envelope::ApiError;
use crate::form::Upload;
use crate::ids;
use crate::migrations::{Migrated, migrate};
use crate::runtime::Trial;
use crate::state::{AssetFile, Assets, Deployment, Script, Share, State, Version};
use crate::world;

/// What the upload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `PUT script`: a version, live at once at 100 %.
    Deploy,
    /// `POST versions`: a version, live when deployed.
    Stage,
}

/// The circumstances of an upload.
#[derive(Debug, Clone)]
pub struct Request {
    /// Worker.
    pub script: String,
    /// Worker whose upload session brought the assets: the same, or the parent of a preview.
    pub assets_of: String,
    /// What for.
    pub purpose: Purpose,
    /// `bindings_inherit=strict`
    pub strict: bool,
    /// `wrangler` or `api`.
    pub source: String,
}

/// Checks, tries and keeps an upload; the new version.
pub async fn accept(app: &App, request: &Request, upload: &Upload) -> Result<Version, ApiError> {
    if app.config().adopt {
        adopt(app, request, upload)?;
    }
    // First against a snapshot, because the trial takes a while; then again when it is kept, because others write, too.
    let draft = draft(&app.snapshot(), request, upload)?;
    let trial = try_out(app, request, &draft).await?;
    app.mutate(|state| {
        let mut draft = self::draft(state, request, upload)?;
        if let Some(Tried {
            startup_time_ms,
            exports,
            handlers,
        }) = trial
        {
            check_exports(state, request, &draft.migrated, &exports)?;
            draft.version.startup_time_ms = startup_time_ms;
            draft.version.exports = exports;
            draft.version.handlers = handlers;
        }
        Ok(keep(state, request, upload, draft))
    })
}

fn adopt(app: &App, request: &Request, upload: &Upload) -> Result<(), ApiError> {
    let now = ids::now();
    let adopts = !bindings::adopt(
        &mut State::clone(&app.snapshot()),
        &upload.metadata.bindings,
        &now,
    )
    .is_empty();
    if adopts {
        let adopted =
            app.mutate(|state| Ok(bindings::adopt(state, &upload.metadata.bindings, &now)))?;
        for what in adopted {
            app.journal().note(format!(
                "adopted {what}, first named by an upload of {}",
                request.script
            ));
        }
    }
    Ok(())
}

/// A version that passed every check but the trial.
struct Draft {
    version: Version,
    migrated: Migrated,
}

fn draft(state: &State, request: &Request, upload: &Upload) -> Result<Draft, ApiError> {
    let metadata = &upload.metadata;
    let script = state.scripts.get(&request.script);
    if request.purpose == Purpose::Stage {
        state.script(&request.script)?;
        if metadata.migrations.is_some() {
            let message = "Version upload failed. You attempted to upload a version of a Worker that includes a Durable Object migration, but migrations must be fully applied by running `wrangler deploy` first.";
            return Err(ApiError::bad_request(10211, message));
        }
    }
    let migrated = migrate(state, &request.script, metadata.migrations.as_ref())?;
    let latest = script.and_then(Script::latest);
    let resolved = bindings::resolve(
        latest,
        &metadata.bindings,
        &metadata.keep_bindings,
        request.strict,
    )?;
    bindings::check(state, &request.script, &resolved, &migrated.namespaces)?;
    let assets = assets(state, request, upload, latest)?;
    let mut version = Version {
        main_module: upload.main().cloned(),
        modules: upload.modules.clone(),
        compatibility_date: metadata.compatibility_date.clone(),
        compatibility_flags: metadata.compatibility_flags.clone(),
        bindings: resolved,
        assets,
        annotations: metadata.annotations.clone(),
        migration_tag: migrated.tag.clone(),
        extra: metadata.extra.clone(),
        ..Version::default()
    };
    version.etag = etag(&version);
    identify(&mut version, script, &request.source);
    Ok(Draft { version, migrated })
}

/// Gives a version its id, number and time.
fn identify(version: &mut Version, script: Option<&Script>, source: &str) {
    version.id = ids::uuid();
    version.number = script.map_or(1, |script| script.next_number.max(1));
    version.created_on = ids::now();
    source.clone_into(&mut version.source);
    let previews = script.is_some_and(|script| {
        script.subdomain.previews_enabled && script.durable_objects.is_empty()
    });
    version.has_preview = previews;
}

fn etag(version: &Version) -> String {
    let content: Vec<&str> = version
        .modules
        .iter()
        .flat_map(|module| [module.name.as_str(), module.blob.as_str()])
        .collect();
    ids::sha256(content.join("\n").as_bytes())
}

fn assets(
    state: &State,
    request: &Request,
    upload: &Upload,
    latest: Option<&Version>,
) -> Result<Option<Assets>, ApiError> {
    let old = latest.and_then(|version| version.assets.as_ref());
    let Some(uploaded) = &upload.metadata.assets else {
        return Ok(if upload.metadata.keep_assets {
            old.cloned()
        } else {
            None
        });
    };
    let files = match &uploaded.jwt {
        Some(jwt) => crate::api::assets::completed_files(state, &request.assets_of, jwt)?,
        None if upload.metadata.keep_assets => {
            old.map(|assets| assets.files.clone()).unwrap_or_default()
        }
        // [A] 10304: the real code was never seen.
        None => {
            return Err(ApiError::bad_request(
                10304,
                "the assets have no completion token",
            ));
        }
    };
    Ok(Some(Assets {
        files,
        config: uploaded.config.clone(),
    }))
}

/// What a trial load found out.
struct Tried {
    startup_time_ms: u64,
    exports: BTreeMap<String, Option<String>>,
    handlers: Vec<String>,
}

async fn try_out(app: &App, request: &Request, draft: &Draft) -> Result<Option<Tried>, ApiError> {
    if draft.version.main_module.is_none() {
        return Ok(None);
    }
    let owner = Script {
        durable_objects: draft.migrated.namespaces.clone(),
        ..Script::default()
    };
    let version = world::version(&owner, &draft.version, Some(100.0));
    match app
        .runtime()
        .await?
        .trial(&request.script, &version)
        .await?
    {
        Trial::Loaded {
            startup_time_ms,
            exports,
            handlers,
        } => Ok(Some(Tried {
            startup_time_ms,
            exports,
            handlers,
        })),
        Trial::Failed(message) => Err(ApiError::bad_request(10021, message)),
    }
}

/// Every Durable Object class in use must be exported. A runtime that cannot tell the exports reports none at all.
fn check_exports(
    state: &State,
    request: &Request,
    migrated: &Migrated,
    exports: &BTreeMap<String, Option<String>>,
) -> Result<(), ApiError> {
    if exports.is_empty() {
        return Ok(());
    }
    let Some(class) = migrated
        .namespaces
        .keys()
        .find(|class| !exports.contains_key(*class))
    else {
        return Ok(());
    };
    let script = state.scripts.get(&request.script);
    if script.is_some_and(|script| script.durable_objects.contains_key(class)) {
        let message = format!(
            "New version of script does not export class '{class}' which is depended on by existing Durable Objects. If you want to delete the class's Durable Objects, use a deleted_classes migration."
        );
        return Err(ApiError::bad_request(10064, message));
    }
    let message = format!(
        "Cannot apply new-class migration to class '{class}' that is not exported by script."
    );
    Err(ApiError::bad_request(10070, message))
}

fn keep(state: &mut State, request: &Request, upload: &Upload, draft: Draft) -> Version {
    let now = draft.version.created_on.clone();
    for (from_script, class) in &draft.migrated.taken {
        if let Some(script) = state.scripts.get_mut(from_script) {
            script.durable_objects.remove(class);
        }
    }
    let script = state
        .scripts
        .entry(request.script.clone())
        .or_insert_with(|| new_script(&request.script, &now));
    let metadata = &upload.metadata;
    script.migration_tag = draft.migrated.tag;
    script.durable_objects = draft.migrated.namespaces;
    script.last_deployed_from.clone_from(&request.source);
    for (setting, sent) in [
        (&mut script.observability, &metadata.observability),
        (&mut script.logpush, &metadata.logpush),
        (&mut script.tail_consumers, &metadata.tail_consumers),
    ] {
        if sent.is_some() {
            setting.clone_from(sent);
        }
    }
    if let Some(tags) = &metadata.tags {
        script.tags.clone_from(tags);
    }
    let mut version = draft.version;
    let trigger = if request.purpose == Purpose::Deploy {
        "upload"
    } else {
        "version_upload"
    };
    version
        .annotations
        .entry("workers/triggered_by".to_owned())
        .or_insert_with(|| trigger.to_owned());
    push(script, version.clone());
    if request.purpose == Purpose::Deploy {
        let message = version.annotations.get("workers/message").cloned();
        deploy_all(script, &version.id, &request.source, trigger, message);
    }
    version
}

/// An empty Worker.
pub fn new_script(name: &str, now: &str) -> Script {
    Script {
        name: name.to_owned(),
        tag: ids::hex32(),
        created_on: now.to_owned(),
        modified_on: now.to_owned(),
        next_number: 1,
        ..Script::default()
    }
}

/// A new version made from the latest one by changing its bindings (a secret).
pub fn derive(
    script: &mut Script,
    source: &str,
    annotations: BTreeMap<String, String>,
    bindings: Vec<Value>,
) -> Result<Version, ApiError> {
    let latest = script.latest().ok_or_else(|| {
        ApiError::bad_request(
            10222,
            format!("The Worker '{}' has no version yet.", script.name),
        )
    })?;
    let mut version = Version {
        bindings,
        annotations,
        ..latest.clone()
    };
    identify(&mut version, Some(script), source);
    push(script, version.clone());
    Ok(version)
}

fn push(script: &mut Script, version: Version) {
    script.next_number = version.number + 1;
    script.modified_on.clone_from(&version.created_on);
    script.versions.push(version);
}

/// A deployment of one version to all traffic.
pub fn deploy_all(
    script: &mut Script,
    version_id: &str,
    source: &str,
    trigger: &str,
    message: Option<String>,
) -> Deployment {
    let mut annotations = BTreeMap::from([("workers/triggered_by".to_owned(), trigger.to_owned())]);
    annotations.extend(message.map(|message| ("workers/message".to_owned(), message)));
    let deployment = Deployment {
        id: ids::uuid(),
        created_on: ids::now(),
        source: source.to_owned(),
        annotations,
        versions: vec![Share {
            version_id: version_id.to_owned(),
            percentage: 100.0,
        }],
    };
    script.deployments.push(deployment.clone());
    deployment
}

/// The asset files of a manifest, from what was uploaded.
pub fn asset_files(
    state: &State,
    manifest: &BTreeMap<String, String>,
) -> Result<Vec<AssetFile>, ApiError> {
    let file = |(path, hash): (&String, &String)| {
        let blob = state.asset_files.get(hash).ok_or_else(|| {
            // [A] 10304: the real code was never seen.
            ApiError::bad_request(10304, format!("the asset {path} was never uploaded"))
        })?;
        Ok(AssetFile {
            path: path.clone(),
            blob: blob.blob.clone(),
            content_type: blob.content_type.clone(),
        })
    };
    manifest.iter().map(file).collect()
}
