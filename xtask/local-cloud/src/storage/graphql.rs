//! The three analytics queries wrangler asks. Not GraphQL: the dataset is found by name in the query's text.

use axum::response::{IntoResponse as _, Json as JsonAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, lock};
use super::r2_objects;
use crate::envelope::ApiResult;
use crate::extract::Json;
use crate::ids;
use crate::resource_id::ResourceId;

#[derive(Deserialize)]
pub(super) struct Query {
    query: String,
    #[serde(default)]
    variables: Value,
}

/// `POST /graphql`. Its answers have no v4 envelope.
pub(super) async fn answer(context: Context, Json(query): Json<Query>) -> ApiResult {
    let filter = &query.variables["filter"];
    let account = if query.query.contains("d1AnalyticsAdaptiveGroups") {
        json!({ "d1AnalyticsAdaptiveGroups": d1_analytics(&context, filter) })
    } else if query.query.contains("d1QueriesAdaptiveGroups") {
        // Single queries are not recorded here: `d1 insights` has nothing to show.
        json!({ "d1QueriesAdaptiveGroups": [] })
    } else if query.query.contains("r2StorageAdaptiveGroups") {
        json!({ "r2StorageAdaptiveGroups": r2_storage(&context, filter).await? })
    } else {
        let message = "the local cloud knows only d1AnalyticsAdaptiveGroups, d1QueriesAdaptiveGroups and \
                       r2StorageAdaptiveGroups";
        let body = json!({ "data": null, "errors": [{ "message": message }] });
        return Ok(JsonAnswer(body).into_response());
    };
    let body = json!({ "data": { "viewer": { "accounts": [account] } }, "errors": null });
    Ok(JsonAnswer(body).into_response())
}

/// Counted since the server started, which stands for the last 24 hours.
fn d1_analytics(context: &Context, filter: &Value) -> Value {
    let database = filter["AND"][0]["databaseId"].as_str();
    let Some(Ok(database)) = database.map(ResourceId::new) else {
        return json!([]);
    };
    let usage = *lock(&context.database(&database).usage);
    json!([{
        "sum": {
            "readQueries": usage.queries_read,
            "writeQueries": usage.queries_written,
            "rowsRead": usage.rows_read,
            "rowsWritten": usage.rows_written,
        },
        "dimensions": { "datetimeHour": ids::now() },
    }])
}

async fn r2_storage(context: &Context, filter: &Value) -> Result<Value, crate::envelope::ApiError> {
    let bucket = filter["bucketName"].as_str().unwrap_or_default();
    if !context.app.read(|state| state.r2.contains_key(bucket)) {
        return Ok(json!([]));
    }
    let (objects, bytes) = r2_objects::size(context, bucket).await?;
    Ok(json!([{
        "max": { "objectCount": objects, "payloadSize": bytes, "metadataSize": 0 },
        "dimensions": { "datetime": ids::now() },
    }]))
}
