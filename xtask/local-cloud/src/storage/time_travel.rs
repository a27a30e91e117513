//! D1 time travel: when a point in time is recorded, and how a database goes back to one.
//!
//! A point is recorded after every write through the API, whenever a bookmark is asked for, and before a restore. Writes
//! by Workers themselves therefore become restorable at the next of these moments, not one by one as in the real D1.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use axum::extract::{Path, Query};
use serde::Deserialize;
use serde_json::json;

use super::bookmarks::{Entry, Retention, Timeline};
use super::context::Context;
use super::d1;
use crate::envelope::{ApiError, ApiResult, ok};
use crate::resource_id::ResourceId;

/// A choice: the real code for a bad bookmark is not known.
const BAD_REQUEST: u32 = 7400;

#[derive(Deserialize)]
pub(super) struct BookmarkQuery {
    timestamp: Option<String>,
}

/// `GET …/time_travel/bookmark[?timestamp]`: now, or the newest point that is not younger than the timestamp.
pub(super) async fn bookmark(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Query(query): Query<BookmarkQuery>,
) -> ApiResult {
    let (uuid, _) = d1::find(&context, &database)?;
    let shared = context.database(&uuid);
    let _turn = shared.turn.lock().await;
    let now = record(&context, &uuid).await?;
    let entry = match query.timestamp.filter(|text| !text.is_empty()) {
        None => now,
        Some(timestamp) => at(&timeline(&context, &uuid)?, &timestamp)?,
    };
    ok(json!({ "bookmark": entry.bookmark }))
}

#[derive(Deserialize)]
pub(super) struct RestoreQuery {
    bookmark: Option<String>,
    timestamp: Option<String>,
}

/// `POST …/time_travel/restore?bookmark=|timestamp=`. `previous_bookmark` undoes it.
pub(super) async fn restore(
    context: Context,
    Path((_, database)): Path<(String, String)>,
    Query(query): Query<RestoreQuery>,
) -> ApiResult {
    let (uuid, _) = d1::find(&context, &database)?;
    let shared = context.database(&uuid);
    let _turn = shared.turn.lock().await;
    // The present first, so that this can be undone; if that pushes the wanted point out, it is refused, not half done.
    let previous = record(&context, &uuid).await?;
    let mut timeline = timeline(&context, &uuid)?;
    let target = match (query.bookmark, query.timestamp) {
        (Some(bookmark), _) => by_bookmark(&timeline, &bookmark)?,
        (None, Some(timestamp)) => at(&timeline, &timestamp)?,
        (None, None) => {
            return Err(ApiError::bad_request(
                BAD_REQUEST,
                "a restore needs `bookmark` or `timestamp`",
            ));
        }
    };
    let from = timeline.file(&target);
    context
        .sidecar_alone("/d1/restore", &json!({ "database_id": uuid, "from": from }))
        .await?;
    timeline
        .record_again(&target, now_ms())
        .map_err(ApiError::internal)?;
    ok(json!({
        "bookmark": target.bookmark,
        "previous_bookmark": previous.bookmark,
        "message": format!("Successfully restored database to bookmark {}", target.bookmark),
    }))
}

/// Records the present, unless it is what was recorded last. The caller has the database's turn.
pub(super) async fn record(context: &Context, uuid: &ResourceId) -> Result<Entry, ApiError> {
    let mut timeline = timeline(context, uuid)?;
    let to = timeline.incoming();
    context
        .sidecar("/d1/snapshot", &json!({ "database_id": uuid, "to": to }))
        .await?;
    // Hashing a large file must not hold up other requests.
    let recorded = tokio::task::spawn_blocking(move || timeline.record(now_ms())).await;
    recorded
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)
}

/// Makes sure there is a point before the first write, so that even that can be undone.
pub(super) async fn ensure_first(context: &Context, uuid: &ResourceId) -> Result<(), ApiError> {
    if timeline(context, uuid)?.latest().is_none() {
        record(context, uuid).await?;
    }
    Ok(())
}

/// The bookmark recorded last, without looking whether the database has moved on; empty if there is none.
pub(super) fn last(context: &Context, uuid: &ResourceId) -> Result<String, ApiError> {
    let timeline = timeline(context, uuid)?;
    Ok(timeline
        .latest()
        .map(|entry| entry.bookmark.clone())
        .unwrap_or_default())
}

/// Removes the points of a deleted database.
pub(super) fn forget(context: &Context, uuid: &ResourceId) -> io::Result<()> {
    match std::fs::remove_dir_all(dir(context, uuid)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn timeline(context: &Context, uuid: &ResourceId) -> Result<Timeline, ApiError> {
    Timeline::open(&dir(context, uuid), Retention::default()).map_err(ApiError::internal)
}

fn dir(context: &Context, uuid: &ResourceId) -> PathBuf {
    context.app.dir().path("time-travel").join(uuid)
}

fn by_bookmark(timeline: &Timeline, bookmark: &str) -> Result<Entry, ApiError> {
    let unknown = || {
        let why =
            "it is not one of this database's, or it is older than what the local cloud keeps";
        ApiError::bad_request(BAD_REQUEST, format!("invalid bookmark '{bookmark}': {why}"))
    };
    timeline.find(bookmark).cloned().ok_or_else(unknown)
}

fn at(timeline: &Timeline, timestamp: &str) -> Result<Entry, ApiError> {
    let at_ms = parse_timestamp(timestamp)?;
    let too_early = || {
        let oldest = timeline
            .oldest()
            .map(|entry| text_of(entry.at_ms))
            .unwrap_or_default();
        ApiError::bad_request(
            BAD_REQUEST,
            format!("no bookmark is as old as {timestamp}: the oldest is of {oldest}"),
        )
    };
    timeline.at(at_ms).cloned().ok_or_else(too_early)
}

/// RFC 3339 in UTC, as wrangler sends, or seconds since 1970.
fn parse_timestamp(text: &str) -> Result<u64, ApiError> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds.saturating_mul(1000));
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|error| {
        ApiError::bad_request(BAD_REQUEST, format!("invalid timestamp '{text}': {error}"))
    })?;
    Ok(ms_since_epoch(time))
}

fn text_of(ms: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

fn now_ms() -> u64 {
    ms_since_epoch(SystemTime::now())
}

fn ms_since_epoch(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
