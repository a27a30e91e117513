//! The v4 envelope: every API answer, good or bad, has this shape. Knows nothing of what is answered.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// What an API handler returns.
pub type ApiResult = Result<Response, ApiError>;

/// An error as the real API tells it: an HTTP status (drives wrangler's retry) and a code (drives its behaviour).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status of the answer.
    pub status: StatusCode,
    /// Cloudflare's error code.
    pub code: u32,
    /// Text for people; wrangler prints it as is.
    pub message: String,
}

impl ApiError {
    /// Any error; `status` outside the HTTP range becomes 500.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400 with a code.
    pub fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// 404 with a code.
    pub fn not_found(code: u32, message: impl Into<String>) -> Self {
        Self::new(404, code, message)
    }

    /// A fault of the local cloud itself (disk, sidecar): 500, code 10013 as the real API's "unknown error".
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, 10013, format!("local cloud: {message}"))
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [code: {}]", self.message, self.code)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "success": false,
            "errors": [{ "code": self.code, "message": self.message }],
            "messages": [],
            "result": null,
        });
        (self.status, Json(body)).into_response()
    }
}

/// A good answer: 200 and the result in its envelope.
pub fn ok(result: impl Serialize) -> ApiResult {
    answer(StatusCode::OK, result)
}

/// A good answer with another status (201 for the last asset upload).
pub fn answer(status: StatusCode, result: impl Serialize) -> ApiResult {
    let result = serde_json::to_value(result).map_err(ApiError::internal)?;
    let body = json!({ "success": true, "errors": [], "messages": [], "result": result });
    Ok((status, Json(body)).into_response())
}

/// Page numbers as the query string gives them; 1-based.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct Page {
    page: Option<String>,
    per_page: Option<String>,
}

impl Page {
    /// From the two fields of a query string that has more of them.
    pub fn new(page: Option<String>, per_page: Option<String>) -> Self {
        Self { page, per_page }
    }
}

/// One page of a list, with `result_info`. A page past the end is empty: wrangler's SDK lists loop for ever otherwise.
pub fn list<T: Serialize>(items: &[T], page: &Page) -> ApiResult {
    // `page=0` is sent for domain records, and means the first page.
    let number = |text: &Option<String>| {
        text.as_deref()
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|n| *n > 0)
    };
    let (current, per_page) = (
        number(&page.page).unwrap_or(1),
        number(&page.per_page).unwrap_or(100),
    );
    let shown: Vec<&T> = items
        .iter()
        .skip((current - 1).saturating_mul(per_page))
        .take(per_page)
        .collect();
    let body = json!({
        "success": true, "errors": [], "messages": [], "result": shown,
        "result_info": { "page": current, "per_page": per_page, "count": shown.len(), "total_count": items.len() },
    });
    Ok(Json::<Value>(body).into_response())
}
