//! How GitHub answers: error bodies, request bodies, pages with `Link` headers. Knows nothing of what is answered.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::envelope::ApiError;

/// What a GitHub handler returns.
pub type GithubResult = Result<Response, GithubError>;

const DOCUMENTATION: &str = "https://docs.github.com/rest";
/// Rows on a page when the client does not say.
const PER_PAGE: usize = 30;
/// More are never given, whatever the client says.
const PER_PAGE_MAX: usize = 100;

/// An error as GitHub tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct GithubError {
    status: StatusCode,
    message: String,
    errors: Vec<Value>,
}

impl GithubError {
    /// Any error.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
        }
    }

    /// 404, also for what the token may not see.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 403: a permission the token of a workflow cannot have.
    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Resource not accessible by integration",
        )
    }

    /// 422 without a list of fields.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 422 for a required field that is not there.
    pub fn missing(field: &str) -> Self {
        Self::unprocessable(format!("Invalid request.\n\n\"{field}\" wasn't supplied."))
    }

    /// 422 for a field that is not right.
    pub fn invalid(resource: &str, field: &str, code: &str, message: &str) -> Self {
        Self {
            errors: vec![
                json!({ "resource": resource, "code": code, "field": field, "message": message }),
            ],
            ..Self::unprocessable("Validation Failed")
        }
    }

    /// The body of an error, for a status that a fault answers.
    pub fn body_of(status: u16, message: &str) -> Value {
        json!({ "message": message, "documentation_url": DOCUMENTATION, "status": status.to_string() })
    }
}

impl From<ApiError> for GithubError {
    /// A fault of the local cloud itself.
    fn from(error: ApiError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.message)
    }
}

impl IntoResponse for GithubError {
    fn into_response(self) -> Response {
        let mut body = Self::body_of(self.status.as_u16(), &self.message);
        if !self.errors.is_empty() {
            body["errors"] = Value::from(self.errors);
        }
        (self.status, Json(body)).into_response()
    }
}

/// A good answer.
pub fn ok(body: impl Serialize) -> GithubResult {
    Ok(Json(body).into_response())
}

/// A good answer to a request that made something.
pub fn created(body: impl Serialize) -> GithubResult {
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// A good answer to a request that deleted something.
pub fn deleted() -> GithubResult {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The fields of a request body; an empty body has none.
pub fn fields(body: &[u8]) -> Result<Map<String, Value>, GithubError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(GithubError::new(
            StatusCode::BAD_REQUEST,
            "Body should be a JSON object",
        )),
        Err(_) => Err(GithubError::new(
            StatusCode::BAD_REQUEST,
            "Problems parsing JSON",
        )),
    }
}

/// A text field; `null` is an absent one.
pub fn text_field<'f>(
    fields: &'f Map<String, Value>,
    name: &str,
) -> Result<Option<&'f str>, GithubError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(GithubError::unprocessable(format!(
            "Invalid request.\n\nFor 'properties/{name}', it is not a string."
        ))),
    }
}

/// A yes or no.
pub fn flag_field(
    fields: &Map<String, Value>,
    name: &str,
    default: bool,
) -> Result<bool, GithubError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(GithubError::unprocessable(format!(
            "Invalid request.\n\nFor 'properties/{name}', it is not a boolean."
        ))),
    }
}

/// A number in a path; what is none names nothing.
pub fn number(text: &str) -> Result<u64, GithubError> {
    text.parse().map_err(|_| GithubError::not_found())
}

/// The query string, decoded.
pub fn query(uri: &Uri) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8_lossy()
            .into_owned()
    };
    uri.query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The last value of a query parameter, when it is not empty.
pub fn parameter<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query
        .iter()
        .rev()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// One page of `rows`, with the `Link` header that leads to the others. A page past the end is empty.
pub fn page(port: u16, uri: &Uri, rows: Vec<Value>) -> GithubResult {
    page_of(port, uri, rows, |shown, _| Value::from(shown))
}

/// The same for a list that stands inside an object: `body` makes it of the rows shown and the number of all.
pub fn page_of(
    port: u16,
    uri: &Uri,
    rows: Vec<Value>,
    body: impl FnOnce(Vec<Value>, usize) -> Value,
) -> GithubResult {
    let asked = query(uri);
    let number = |name: &str| {
        parameter(&asked, name)
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|number| *number > 0)
    };
    let per_page = number("per_page").unwrap_or(PER_PAGE).min(PER_PAGE_MAX);
    let current = number("page").unwrap_or(1);
    let total = rows.len();
    let last = total.div_ceil(per_page).max(1);
    let shown: Vec<Value> = rows
        .into_iter()
        .skip((current - 1).saturating_mul(per_page))
        .take(per_page)
        .collect();
    let mut headers = HeaderMap::new();
    if let Some(link) = links(port, uri, current, last)
        && let Ok(link) = HeaderValue::from_str(&link)
    {
        headers.insert("link", link);
    }
    Ok((headers, Json(body(shown, total))).into_response())
}

/// GitHub's order: back, forth, and only where there is somewhere to go.
fn links(port: u16, uri: &Uri, current: usize, last: usize) -> Option<String> {
    let to = |page: usize, relation: &str| {
        let others = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
        let query: Vec<String> = others
            .map(str::to_owned)
            .chain([format!("page={page}")])
            .collect();
        format!(
            "<{}{}?{}>; rel=\"{relation}\"",
            base(port),
            uri.path(),
            query.join("&")
        )
    };
    let mut links = Vec::new();
    if current > 1 {
        links.push(to(current.min(last + 1) - 1, "prev"));
    }
    if current < last {
        links.push(to(current + 1, "next"));
        links.push(to(last, "last"));
    }
    if current > 1 {
        links.push(to(1, "first"));
    }
    (!links.is_empty()).then(|| links.join(", "))
}

/// `GITHUB_API_URL`.
pub fn base(port: u16) -> String {
    format!("http://127.0.0.1:{port}/github")
}

/// Where a person looks at a pull request.
pub fn pull_page(port: u16, full_name: &str, number: u64) -> String {
    format!("http://127.0.0.1:{port}/_local/github/{full_name}/pull/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str, rows: usize) -> Option<String> {
        let uri: Uri = text.parse().expect("a path");
        let rows = (0..rows).map(Value::from).collect();
        let answer = page(1, &uri, rows).expect("a page");
        let link = answer.headers().get("link")?;
        Some(link.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_page_leads_to_its_neighbours() {
        assert_eq!(link("/x", 30), None);
        assert_eq!(
            link("/x?state=all&per_page=10&page=2", 25).as_deref(),
            Some(
                "<http://127.0.0.1:1/github/x?state=all&per_page=10&page=1>; rel=\"prev\", \
                 <http://127.0.0.1:1/github/x?state=all&per_page=10&page=3>; rel=\"next\", \
                 <http://127.0.0.1:1/github/x?state=all&per_page=10&page=3>; rel=\"last\", \
                 <http://127.0.0.1:1/github/x?state=all&per_page=10&page=1>; rel=\"first\""
            )
        );
        assert_eq!(
            link("/x?per_page=1000", 101).as_deref(),
            Some(
                "<http://127.0.0.1:1/github/x?per_page=1000&page=2>; rel=\"next\", \
                 <http://127.0.0.1:1/github/x?per_page=1000&page=2>; rel=\"last\""
            ),
            "at most 100 on a page"
        );
    }

    #[test]
    fn a_body_must_be_an_object() {
        let message = |body: &[u8]| fields(body).map_err(|error| error.message);
        assert_eq!(message(b" "), Ok(Map::new()));
        assert_eq!(message(b"[]"), Err("Body should be a JSON object".into()));
        assert_eq!(message(b"{"), Err("Problems parsing JSON".into()));
    }
}
