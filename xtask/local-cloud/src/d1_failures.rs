//! The ways D1 fails besides SQL errors, with the texts of the real one. Pure; `faults` says when.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::envelope::ApiError;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum D1Failure {
    /// More requests wait than the database can serve.
    Overloaded,
    /// Another connection writes.
    Locked,
    /// A statement took too long, and the database was started anew.
    Timeout,
    /// The API gave up waiting, whatever the database did meanwhile: a page of HTML, not an envelope.
    GatewayTimeout,
    /// The database was moved or updated.
    Reset,
    /// The API lost the database.
    NetworkLost,
    /// Nothing more is told.
    Internal,
    /// A statement computed too much.
    CpuLimit,
    /// The database has no room left.
    Full,
    /// An export is going on.
    Exporting,
}

impl D1Failure {
    /// D1's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Overloaded => "D1 DB is overloaded. Requests queued for too long.",
            Self::Locked => "database is locked: SQLITE_BUSY",
            Self::Timeout => {
                "D1 DB storage operation exceeded timeout which caused object to be reset."
            }
            Self::GatewayTimeout => "504 Gateway Time-out",
            Self::Reset => "D1 DB reset because its code was updated.",
            Self::NetworkLost => "Network connection lost.",
            Self::Internal => "internal error; reference = local-cloud",
            Self::CpuLimit => "D1 DB exceeded its CPU time limit and was reset.",
            Self::Full => "Exceeded maximum DB size.",
            Self::Exporting => "Currently processing a long-running export.",
        }
    }

    /// The answer of the API. That the status is 500 is a choice: the code and the texts are the real ones.
    pub fn response(self) -> Response {
        match self {
            Self::GatewayTimeout => {
                let page = "<!DOCTYPE html>\n<html><head><title>504 Gateway Time-out</title></head>\
                            <body><h1>504 Gateway Time-out</h1></body></html>\n";
                let html = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
                (StatusCode::GATEWAY_TIMEOUT, html, page).into_response()
            }
            other => ApiError::new(500, 7500, other.text()).into_response(),
        }
    }
}
