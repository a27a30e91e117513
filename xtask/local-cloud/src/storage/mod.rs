//! D1, KV and R2: the API over the registries in `State` and the data in the runtime.
//!
//! The registries (what exists) change through `App::mutate`; the data (what is inside) belongs to the sidecar and is
//! reached only through [`Context::sidecar`].

mod context;

mod bookmarks;
mod d1;
mod d1_files;
mod d1_jobs;
mod d1_query;
mod d1_transfer;
mod job_faults;
mod sqlite_file;
mod time_travel;

mod kv;
mod kv_values;

mod r2;
mod r2_objects;

mod graphql;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::routing::{get, post, put};

use crate::app::App;
use crate::envelope::ApiError;
use crate::resource_id::ResourceId;
use context::Shared;

/// API routes (under `/client/v4`), upload and download URLs included.
pub fn router() -> Router<App> {
    Router::new()
        .merge(d1_routes())
        .merge(kv_routes())
        .merge(r2_routes())
        .route("/graphql", post(graphql::answer))
        // Imports, objects and bulk writes are as large as they are; each handler has its own limits.
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(Arc::new(Shared::default())))
}

/// An id this code made or checked itself: one that cannot be used is a fault of the local cloud.
fn resource_id(id: impl Into<String>) -> Result<ResourceId, ApiError> {
    ResourceId::new(id).map_err(|why| ApiError::internal(format!("the id {why}")))
}

fn d1_routes() -> Router<App> {
    const DATABASE: &str = "/accounts/{account}/d1/database/{database}";
    let below = |path: &str| format!("{DATABASE}/{path}");
    Router::new()
        .route(
            "/accounts/{account}/d1/database",
            get(d1::list).post(d1::create),
        )
        .route(DATABASE, get(d1::get).delete(d1::delete))
        .route(&below("query"), post(d1_query::query))
        .route(&below("raw"), post(d1_query::raw))
        .route(&below("import"), post(d1_transfer::import))
        .route(&below("export"), post(d1_transfer::export))
        .route(&below("time_travel/bookmark"), get(time_travel::bookmark))
        .route(&below("time_travel/restore"), post(time_travel::restore))
        .route(
            &format!("{}/{{token}}", d1_transfer::UPLOAD_PATH),
            put(d1_transfer::upload),
        )
        .route(
            &format!("{}/{{token}}", d1_transfer::DOWNLOAD_PATH),
            get(d1_transfer::download),
        )
}

fn kv_routes() -> Router<App> {
    const NAMESPACE: &str = "/accounts/{account}/storage/kv/namespaces/{namespace}";
    let below = |path: &str| format!("{NAMESPACE}/{path}");
    Router::new()
        .route(
            "/accounts/{account}/storage/kv/namespaces",
            get(kv::list).post(kv::create),
        )
        .route(NAMESPACE, get(kv::get).put(kv::rename).delete(kv::delete))
        .route(&below("keys"), get(kv_values::keys))
        .route(
            &below("values/{key}"),
            get(kv_values::get)
                .put(kv_values::put)
                .delete(kv_values::delete),
        )
        .route(&below("metadata/{key}"), get(kv_values::metadata))
        .route(
            &below("bulk"),
            put(kv_values::bulk_put).delete(kv_values::bulk_delete),
        )
        .route(&below("bulk/delete"), post(kv_values::bulk_delete))
        .route(&below("bulk/get"), post(kv_values::bulk_get))
}

fn r2_routes() -> Router<App> {
    const BUCKET: &str = "/accounts/{account}/r2/buckets/{bucket}";
    let below = |path: &str| format!("{BUCKET}/{path}");
    Router::new()
        .route(
            "/accounts/{account}/r2/buckets",
            get(r2::list).post(r2::create),
        )
        .route(BUCKET, get(r2::get).delete(r2::delete))
        .route(
            &below("lifecycle"),
            get(r2::lifecycle).put(r2::set_lifecycle),
        )
        .route(
            &below("objects"),
            get(r2_objects::list).delete(r2_objects::bulk_delete),
        )
        .route(
            &below("objects/{*key}"),
            get(r2_objects::get)
                .put(r2_objects::put)
                .delete(r2_objects::delete),
        )
}
