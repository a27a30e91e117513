//! Crons, fired on request only: a rehearsal must not depend on the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::app::App;
use crate::envelope::ApiError;
use crate::{ids, routing};

/// Runs one Worker's scheduled handler, in the version the split picks, as Cloudflare does:
/// `{"worker","version","cron","scheduled_time","outcome":"ok"|"exception","message"?}`. Only a cron the Worker has can be run.
pub async fn run(app: &App, worker: &str, cron: &str) -> Result<Value, ApiError> {
    let (version, name) = app.read(|state| {
        let script = state.script(worker)?;
        if !script
            .schedules
            .iter()
            .any(|schedule| schedule.cron == cron)
        {
            return Err(unknown_cron(script, cron));
        }
        let point = routing::fraction(&ids::hex32());
        routing::choose(script, &axum::http::HeaderMap::new(), point)
            .map(|version| (version.to_owned(), routing::runtime_name(script, version)))
            .ok_or_else(|| ApiError::bad_request(10007, format!("{worker} has no deployment")))
    })?;
    let _settled = app.settle().await?;
    let runtime = app.runtime().await?;
    if let Some(fault) = runtime.world_fault()
        && fault.keeps_out(&name, &version)
    {
        return Err(ApiError::internal(fault.message));
    }
    let scheduled_time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let scheduled_time = u64::try_from(scheduled_time).unwrap_or(u64::MAX);
    let body = json!({ "script": worker, "version": version, "cron": cron, "scheduled_time": scheduled_time });
    let answer = runtime.post("/scheduled", &body).await?;
    let mut outcome = json!({
        "worker": worker, "version": version, "cron": cron, "scheduled_time": scheduled_time, "outcome": answer["outcome"],
    });
    if answer["message"].is_string() {
        outcome["message"] = answer["message"].clone();
    }
    Ok(outcome)
}

fn unknown_cron(script: &crate::state::Script, cron: &str) -> ApiError {
    let known: Vec<_> = script
        .schedules
        .iter()
        .map(|schedule| schedule.cron.as_str())
        .collect();
    let known = match known.is_empty() {
        true => "it has none".to_owned(),
        false => format!("it has {}", known.join(", ")),
    };
    ApiError::bad_request(
        10001,
        format!("{} has no cron `{cron}`: {known}", script.name),
    )
}
