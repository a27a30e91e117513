//! `/_local`: what the real service does not have: journal, faults, the whole state, adopted resources, stop and reset.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse as _, Json as Answer, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::access;
use crate::app::App;
use crate::envelope::ApiError;
use crate::extract::Json;
use crate::faults::Fault;
use crate::mask::Mask;
use crate::resource_id::ResourceId;
use crate::state::{D1Database, KvNamespace, R2Bucket, State};
use crate::{crons, ids, queues};

type ControlResult = Result<Response, ApiError>;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/_local/health", get(health))
        .route("/_local/state", get(state))
        .route("/_local/journal", get(journal).delete(clear_journal))
        .route("/_local/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_local/resources", post(adopt))
        .route("/_local/crons/run", post(run_cron))
        .route("/_local/reset", post(reset))
        .route("/_local/shutdown", post(shut_down))
        .merge(access::control())
        .merge(queues::control::router())
        .fallback(async || {
            ApiError::not_found(7000, "nothing here: the API is under /client/v4, the control of the local cloud under /_local")
        })
}

fn answer(body: Value) -> ControlResult {
    Ok(Answer(body).into_response())
}

async fn health(app: App) -> ControlResult {
    let runtime = app.runtime_if_started();
    answer(json!({
        "ok": true,
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "runtime": { "started": runtime.is_some(), "entry_port": runtime.and_then(crate::runtime::Runtime::entry_port) },
    }))
}

async fn state(app: App) -> ControlResult {
    let state = app.snapshot();
    let dump = serde_json::to_value(&*state).map_err(ApiError::internal)?;
    answer(Mask::of(&state).json(&dump))
}

#[derive(Deserialize)]
struct Since {
    since: Option<u64>,
}

async fn journal(app: App, Query(query): Query<Since>) -> ControlResult {
    answer(json!({ "entries": app.journal().since(query.since.unwrap_or(0)) }))
}

async fn clear_journal(app: App) -> ControlResult {
    app.journal().clear().map_err(ApiError::internal)?;
    answer(json!({ "ok": true }))
}

async fn faults(app: App) -> ControlResult {
    answer(app.faults().list())
}

async fn add_fault(app: App, Json(fault): Json<Fault>) -> ControlResult {
    answer(json!({ "id": app.faults().add(fault)? }))
}

async fn clear_faults(app: App) -> ControlResult {
    app.faults().clear();
    answer(json!({ "ok": true }))
}

/// Resources to adopt, by id, with the names of databases and the titles of namespaces.
#[derive(Debug, Default)]
struct Adoption {
    d1: Vec<(ResourceId, String)>,
    kv: Vec<(ResourceId, String)>,
    r2: Vec<ResourceId>,
    queues: BTreeSet<String>,
}

impl Resources {
    /// Every id, checked; the error names all that cannot be used.
    fn checked(self) -> Result<Adoption, ApiError> {
        let mut wrong = Vec::new();
        let mut usable = |kind: &str, name: &str, id: &str| {
            let shown = if id.is_empty() {
                String::new()
            } else {
                format!(" `{id}`")
            };
            let unusable = |why| wrong.push(format!("{kind} `{name}`: the id{shown} {why}"));
            ResourceId::new(id).map_err(unusable).ok()
        };
        let mut adoption = Adoption {
            queues: self.queues,
            ..Adoption::default()
        };
        for NamedDatabase { id, name } in self.d1 {
            let id = usable("D1 database", &name, &id);
            adoption.d1.extend(id.map(|id| (id, name)));
        }
        for TitledNamespace { id, title } in self.kv {
            let id = usable("KV namespace", &title, &id);
            adoption.kv.extend(id.map(|id| (id, title)));
        }
        for name in self.r2 {
            adoption.r2.extend(usable("R2 bucket", &name, &name));
        }
        if wrong.is_empty() {
            return Ok(adoption);
        }
        Err(ApiError::bad_request(10001, wrong.join("; ")))
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Resources {
    d1: Vec<NamedDatabase>,
    kv: Vec<TitledNamespace>,
    r2: BTreeSet<String>,
    queues: BTreeSet<String>,
}

#[derive(Deserialize)]
struct NamedDatabase {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct TitledNamespace {
    id: String,
    title: String,
}

/// Makes resources with the ids a wrangler configuration already names. Asking again changes nothing.
async fn adopt(app: App, Json(wanted): Json<Resources>) -> ControlResult {
    let wanted = wanted.checked()?;
    let adopted = app.mutate(|state| adopt_into(state, wanted, &ids::now()))?;
    for what in &adopted {
        app.journal().note(format!("adopted {what}"));
    }
    answer(json!({ "ok": true, "adopted": adopted }))
}

fn adopt_into(state: &mut State, wanted: Adoption, now: &str) -> Result<Vec<String>, ApiError> {
    let mut adopted = Vec::new();
    for (id, name) in wanted.d1 {
        if state
            .d1
            .iter()
            .any(|(other, database)| *other != id && database.name == name)
        {
            return Err(ApiError::new(
                409,
                7502,
                format!("another D1 database is already named '{name}'"),
            ));
        }
        if !state.d1.contains_key(&id) {
            adopted.push(format!("D1 database {name} {id}"));
        }
        let new = || D1Database {
            name: name.clone(),
            created_at: now.to_owned(),
            version: "production".to_owned(),
        };
        // A database that an upload adopted without a name gets its name here.
        state
            .d1
            .entry(id)
            .or_insert_with(new)
            .name
            .clone_from(&name);
    }
    for (id, title) in wanted.kv {
        if state
            .kv
            .iter()
            .any(|(other, namespace)| *other != id && namespace.title == title)
        {
            return Err(ApiError::new(
                409,
                10014,
                format!("another KV namespace already has the title '{title}'"),
            ));
        }
        if !state.kv.contains_key(&id) {
            adopted.push(format!("KV namespace {title} {id}"));
        }
        state.kv.insert(id, KvNamespace { title });
    }
    for name in wanted.r2 {
        if let Entry::Vacant(vacant) = state.r2.entry(name) {
            adopted.push(format!("R2 bucket {}", vacant.key()));
            let creation_date = now.to_owned();
            vacant.insert(R2Bucket::created(creation_date));
        }
    }
    adopted.extend(state.adopt_queues(wanted.queues.iter().map(String::as_str), now)?);
    Ok(adopted)
}

#[derive(Deserialize)]
struct CronRun {
    worker: String,
    cron: String,
}

async fn run_cron(app: App, Json(run): Json<CronRun>) -> ControlResult {
    answer(crons::run(&app, &run.worker, &run.cron).await?)
}

async fn reset(app: App) -> ControlResult {
    app.reset().await?;
    answer(json!({ "ok": true }))
}

async fn shut_down(app: App) -> ControlResult {
    app.shut_down();
    answer(json!({ "ok": true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adopting_twice_changes_nothing_and_names_stay_unique() {
        let wanted = |text: &str| {
            let wanted = serde_json::from_str::<Resources>(text).expect("resources");
            wanted.checked().expect("usable ids")
        };
        let mut state = State::default();
        let all =
            r#"{"d1":[{"id":"1","name":"db"}],"kv":[{"id":"2","title":"kv"}],"r2":["bucket"]}"#;
        assert_eq!(
            adopt_into(&mut state, wanted(all), "now").map(|adopted| adopted.len()),
            Ok(3)
        );
        assert_eq!(adopt_into(&mut state, wanted(all), "later"), Ok(Vec::new()));
        assert_eq!(state.d1["1"].created_at, "now");
        let clash = adopt_into(
            &mut state,
            wanted(r#"{"d1":[{"id":"9","name":"db"}]}"#),
            "now",
        );
        assert_eq!(clash.map_err(|error| error.code), Err(7502));
    }

    #[test]
    fn every_id_that_is_no_file_name_is_named() {
        let wanted = r#"{"d1":[{"id":"../../victim","name":"db"},{"id":"local-db","name":"ok"}],
            "kv":[{"id":"","title":"cache"}],"r2":["a/b"]}"#;
        let wanted = serde_json::from_str::<Resources>(wanted).expect("resources");
        let error = wanted.checked().expect_err("three of them are refused");
        expect_test::expect!["D1 database `db`: the id `../../victim` contains a path separator; KV namespace `cache`: the id is empty; R2 bucket `a/b`: the id `a/b` contains a path separator [code: 10001]"].assert_eq(&error.to_string());
    }
}
