//! D1 import (`d1 execute --file`) and export: whole SQL files in and out, as jobs a client polls.
//!
//! ```text
//! import: init {etag} ─► upload_url ─► PUT file ─► ingest ─► poll … ─► complete     (etag = MD5 of the file)
//!                 └─ the file is already there: as if ingest had been sent
//! export: {dump_options} ─► poll … ─► complete with signed_url ─► GET file
//! ```

use std::fs;
use std::path::Path as FilePath;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, lock};
use super::d1_files::{check_etag, file_name, keep_upload, upload_file};
use super::d1_jobs::{Job, Upload};
use super::d1_query::{self, Failure, Statement};
use super::{d1, job_faults, time_travel};
use crate::envelope::{ApiError, ApiResult, ok};
use crate::extract::Json;
use crate::resource_id::ResourceId;
use crate::{disk, ids};

/// Under `/client/v4`; the token in the link is the right to use it, no `Authorization` is sent.
pub(super) const UPLOAD_PATH: &str = "/local-cloud/d1/uploads";
/// Under `/client/v4`, as above.
pub(super) const DOWNLOAD_PATH: &str = "/local-cloud/d1/downloads";

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub(super) enum Import {
    Init { etag: String },
    Ingest { etag: String, filename: String },
    Poll {},
}

/// `POST …/import`
pub(super) async fn import(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Json(import): Json<Import>,
) -> ApiResult {
    let (uuid, _) = d1::find(&context, &database)?;
    match import {
        Import::Init { etag } => {
            check_etag(&etag)?;
            if upload_file(&context, &uuid, &etag).is_file() {
                ingest(&context, &uuid, &etag).await
            } else {
                init(&context, &uuid, etag)
            }
        }
        Import::Ingest { etag, filename } => {
            check_etag(&etag)?;
            if filename != file_name(&uuid, &etag) || !upload_file(&context, &uuid, &etag).is_file()
            {
                return Err(ApiError::bad_request(
                    7400,
                    format!("the file {filename} was not uploaded"),
                ));
            }
            ingest(&context, &uuid, &etag).await
        }
        Import::Poll {} => {
            let job = lock(&context.database(&uuid).jobs)
                .import
                .as_ref()
                .map(|(_, job)| job.clone());
            match job {
                Some(job) => answer(&context, &uuid, &job, "import").await,
                None => ok(
                    json!({ "success": false, "error": "Not currently importing anything.", "messages": [] }),
                ),
            }
        }
    }
}

fn init(context: &Context, uuid: &ResourceId, etag: String) -> ApiResult {
    let token = ids::hex32();
    let url = url(context, UPLOAD_PATH, &token);
    let filename = file_name(uuid, &etag);
    lock(context.links()).add_upload(
        token,
        Upload {
            database: uuid.clone(),
            etag,
        },
    );
    ok(
        json!({ "success": true, "type": "import", "messages": [], "upload_url": url, "filename": filename }),
    )
}

/// `PUT` to the link of `init`: the file itself.
pub(super) async fn upload(context: Context, Path(token): Path<String>, body: Bytes) -> Response {
    let Some(upload) = lock(context.links()).upload(&token) else {
        return (
            StatusCode::FORBIDDEN,
            "this upload link is not known, or the local cloud was restarted\n",
        )
            .into_response();
    };
    let etag = ids::hex(&Md5::digest(&body));
    if etag != upload.etag {
        let why = format!(
            "the content's MD5 is {etag}, but {} was announced\n",
            upload.etag
        );
        return (StatusCode::BAD_REQUEST, why).into_response();
    }
    match keep_upload(&upload_file(&context, &upload.database, &etag), &body) {
        Ok(()) => (StatusCode::OK, [(header::ETAG, format!("\"{etag}\""))]).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// Starts applying the uploaded file, or joins the import that already does.
async fn ingest(context: &Context, uuid: &ResourceId, etag: &str) -> ApiResult {
    let shared = context.database(uuid);
    let job = {
        let mut jobs = lock(&shared.jobs);
        match &jobs.import {
            Some((running, job)) if job.is_running() => {
                if running != etag {
                    return ok(
                        json!({ "success": false, "error": "Currently processing a long-running import.", "messages": [] }),
                    );
                }
                job.clone()
            }
            _ => {
                let (context, uuid, file) = (
                    context.clone(),
                    uuid.clone(),
                    upload_file(context, uuid, etag),
                );
                let job = Job::start(async move { apply(&context, &uuid, &file).await });
                jobs.import = Some((etag.to_owned(), job.clone()));
                job
            }
        }
    };
    answer(context, uuid, &job, "import").await
}

/// Applies a whole file or nothing of it; the job's answer.
async fn apply(context: &Context, uuid: &ResourceId, file: &FilePath) -> Value {
    let course = job_faults::course(context, uuid, "import").await;
    let shared = context.database(uuid);
    let _turn = shared.turn.lock().await;
    let outcome = if course.is_idle() {
        Ok(Value::Null)
    } else {
        try_apply(context, uuid, file, course.first).await
    };
    match course.end(outcome) {
        Ok(result) => json!({
            "success": true, "type": "import", "status": "complete",
            "messages": [format!("Processed {} queries.", result["num_queries"])],
            "at_bookmark": result["final_bookmark"], "result": result,
        }),
        Err(error) => json!({
            "success": false, "type": "import", "status": "error", "messages": [],
            "error": error.message, "errors": [error.message],
        }),
    }
}

async fn try_apply(
    context: &Context,
    uuid: &ResourceId,
    file: &FilePath,
    first: Option<usize>,
) -> Result<Value, ApiError> {
    let bytes = fs::read(file).map_err(ApiError::internal)?;
    let sql = String::from_utf8(bytes)
        .map_err(|_| ApiError::bad_request(7500, "the file is not UTF-8 text"))?;
    let results = if sql.trim().is_empty() {
        Vec::new()
    } else {
        let params = Vec::new();
        d1_query::run_first(context, uuid, &[Statement { sql, params }], first).await?
    };
    let entry = time_travel::record(context, uuid).await?;
    let sum = |name: &str| {
        results
            .iter()
            .filter_map(|result| result["meta"][name].as_f64())
            .sum::<f64>()
    };
    let size_after = results
        .last()
        .map_or(Value::Null, |result| result["meta"]["size_after"].clone());
    Ok(json!({
        "num_queries": results.len(),
        "final_bookmark": entry.bookmark,
        "meta": {
            "served_by": "local-cloud",
            "duration": sum("duration"),
            "changes": sum("changes") as u64,
            "last_row_id": results.last().map_or(Value::Null, |result| result["meta"]["last_row_id"].clone()),
            "changed_db": true,
            "size_after": size_after.as_u64().unwrap_or_default(),
            "rows_read": sum("rows_read") as u64,
            "rows_written": sum("rows_written") as u64,
        },
    }))
}

#[derive(Deserialize)]
pub(super) struct Export {
    #[serde(default)]
    dump_options: DumpOptions,
    current_bookmark: Option<String>,
}

#[derive(Debug, Default, Deserialize, serde::Serialize)]
#[serde(default)]
struct DumpOptions {
    no_schema: bool,
    no_data: bool,
    tables: Vec<String>,
}

/// `POST …/export`
pub(super) async fn export(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Json(export): Json<Export>,
) -> ApiResult {
    let (uuid, _) = d1::find(&context, &database)?;
    let options = export.dump_options;
    if options.no_schema && options.no_data {
        return Err(ApiError::bad_request(
            7400,
            "an export without schema and without data is empty",
        ));
    }
    let key = json!(options);
    let shared = context.database(&uuid);
    let job = {
        let mut jobs = lock(&shared.jobs);
        match &jobs.export {
            // A poll gets its job, done or not; a new request joins one only while it runs.
            Some((same, job))
                if *same == key && (export.current_bookmark.is_some() || job.is_running()) =>
            {
                job.clone()
            }
            _ => {
                let (context, uuid) = (context.clone(), uuid.clone());
                let job = Job::start(async move { dump(&context, &uuid, &options).await });
                jobs.export = Some((key, job.clone()));
                job
            }
        }
    };
    answer(&context, &uuid, &job, "export").await
}

async fn dump(context: &Context, uuid: &ResourceId, options: &DumpOptions) -> Value {
    let course = job_faults::course(context, uuid, "export").await;
    let shared = context.database(uuid);
    let _turn = shared.turn.lock().await;
    match course.end(try_dump(context, uuid, options).await) {
        Ok((bookmark, result)) => json!({
            "success": true, "type": "export", "status": "complete", "messages": [],
            "at_bookmark": bookmark, "result": result,
        }),
        Err(error) => json!({
            "success": false, "type": "export", "status": "error", "messages": [],
            "error": error.message, "errors": [error.message],
        }),
    }
}

async fn try_dump(
    context: &Context,
    uuid: &ResourceId,
    options: &DumpOptions,
) -> Result<(String, Value), ApiError> {
    let entry = time_travel::record(context, uuid).await?;
    let body = json!({
        "database_id": uuid, "schema": !options.no_schema, "data": !options.no_data, "tables": options.tables,
    });
    let answer = context
        .ask("/d1/dump", &body)
        .await?
        .map_err(|text| ApiError::from(Failure::Sql(text)))?;
    let Some(sql) = answer["sql"].as_str() else {
        return Err(ApiError::internal(
            "the sidecar's answer to a dump has no `sql`",
        ));
    };
    let (token, dir) = (ids::hex32(), context.app.dir().path("d1-exports"));
    fs::create_dir_all(&dir).map_err(ApiError::internal)?;
    let path = dir.join(format!("{token}.sql"));
    disk::write_atomic(&path, sql.as_bytes()).map_err(ApiError::internal)?;
    let expired = lock(context.links()).add_download(token.clone(), path);
    expired
        .iter()
        .try_for_each(fs::remove_file)
        .map_err(ApiError::internal)?;
    let result = json!({
        "filename": format!("{uuid}-{}.sql", entry.bookmark),
        "signed_url": url(context, DOWNLOAD_PATH, &token),
    });
    Ok((entry.bookmark, result))
}

/// `GET` of an export's link.
pub(super) async fn download(context: Context, Path(token): Path<String>) -> Response {
    let Some(download) = lock(context.links()).download(&token) else {
        return (
            StatusCode::FORBIDDEN,
            "this download link is not known, or it has expired\n",
        )
            .into_response();
    };
    match fs::read(&download.path) {
        Ok(sql) => ([(header::CONTENT_TYPE, "application/sql")], sql).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// The job's outcome, or "still at it" after a short wait.
async fn answer(context: &Context, uuid: &ResourceId, job: &Job, kind: &str) -> ApiResult {
    if let Some(outcome) = job.wait().await {
        return ok(outcome);
    }
    let at_bookmark = time_travel::last(context, uuid)?;
    ok(
        json!({ "success": true, "type": kind, "status": "active", "messages": [], "at_bookmark": at_bookmark }),
    )
}

fn url(context: &Context, path: &str, token: &str) -> String {
    format!(
        "http://127.0.0.1:{}/client/v4{path}/{token}",
        context.app.config().port
    )
}
