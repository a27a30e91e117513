//! What Cloudflare says instead of a result, and what its codes mean.

use std::fmt;

use crate::error::Fail;

/// Worker not found, as `scripts` and `services` paths say it.
pub const WORKER_NOT_FOUND: [i64; 2] = [10007, 10090];

/// No such database, namespace, bucket.
pub const STORE_NOT_FOUND: [i64; 3] = [7404, 10013, 10006];

/// R2 has to be switched on for an account; where it is not, there are no buckets.
pub const R2_IS_OFF: [i64; 1] = [10042];

/// The token may not do this, or is none. 7403 is what D1 says.
const REFUSED: [i64; 4] = [10000, 9106, 9109, 7403];

/// What the API said instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// `POST /accounts/…`: what was asked.
    pub call: String,
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// Cloudflare's error code; 0 when there is none.
    pub(super) code: i64,
    /// Cloudflare's text, or curl's when no answer came.
    pub message: String,
    /// True when the request may have been carried out although no result came back.
    pub maybe_done: bool,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.message)?;
        match (self.code, self.status) {
            (0, 0) => Ok(()),
            (0, status) => write!(f, " (HTTP {status})"),
            (code, _) => write!(f, " (code {code})"),
        }
    }
}

impl ApiError {
    /// True when the worker, database or bucket asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.says(&WORKER_NOT_FOUND) || self.status == 404
    }

    /// True when there is no such thing, or its name can be none's.
    pub fn is_absence(&self) -> bool {
        (400..500).contains(&self.status) && self.status != 429 && !self.is_refusal()
    }

    /// True when the token may not do this, or is none.
    pub fn is_refusal(&self) -> bool {
        self.says(&REFUSED) || matches!(self.status, 401 | 403)
    }

    /// True when asking again can help: no answer, an error of the service, or a limit on requests.
    pub fn can_pass(&self) -> bool {
        self.status == 0 || self.status >= 500 || self.status == 429
    }

    /// True when the request was refused for one of these reasons. Behind a 5xx nothing is known to be so: the same number
    /// may stand for an error of the service (10013: no such namespace, and Workers' unknown error).
    pub fn says(&self, codes: &[i64]) -> bool {
        self.status < 500 && codes.contains(&self.code)
    }
}

impl From<ApiError> for Fail {
    fn from(error: ApiError) -> Fail {
        if error.status == 0 {
            return Fail::remote("Cloudflare did not answer")
                .why(error.to_string())
                .fix("check the connection, then run the command again: it is safe to repeat");
        }
        if error.says(&REFUSED) || error.status == 401 {
            return Fail::setup("Cloudflare does not accept the API token for this")
                .why(error.to_string())
                .fix("cargo xtask doctor   (names the permission that is missing)");
        }
        let fail = Fail::remote("Cloudflare refused a request").why(error.to_string());
        match error.can_pass() {
            true => fail.fix("run the command again: it is safe to repeat"),
            false => fail.fix("correct what the answer names, then run the command again: running it unchanged fails again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_token_is_a_setup_error() {
        let error = ApiError {
            call: "GET /user".into(),
            status: 403,
            code: 10000,
            message: "Authentication error".into(),
            maybe_done: false,
        };
        assert_eq!(Fail::from(error).exit, crate::error::Exit::Setup);
    }
}
