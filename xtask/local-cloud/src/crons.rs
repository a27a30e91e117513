//! Crons, fired on request only: a rehearsal must not depend on the time of day.

use serde_json::Value;

use crate::app::App;
use crate::envelope::ApiError;

/// Runs one Worker's scheduled handler: `{"outcome":"ok"}` or the exception.
pub async fn run(_app: &App, _worker: &str, _cron: &str) -> Result<Value, ApiError> {
    Err(ApiError::internal("crons are not built yet"))
}
