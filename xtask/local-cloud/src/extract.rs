//! Request extractors of the API: bodies are read by what they contain, not by what `content-type` claims.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::envelope::ApiError;

/// A JSON body, whatever its content type says: wrangler sends JSON as text/plain and as merge-patch, too.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let body = Bytes::from_request(request, app).await.map_err(|error| {
            ApiError::bad_request(10001, format!("could not read the request body: {error}"))
        })?;
        // An empty body is `null`, so that `Json<Option<T>>` and `Json<Value>` accept it.
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map(Json).map_err(|error| {
            ApiError::bad_request(
                10001,
                format!("the request body is not the expected JSON: {error}"),
            )
        })
    }
}

/// One part of a multipart form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The part's name.
    pub name: String,
    /// The part's file name, when it has one.
    pub file_name: Option<String>,
    /// The part's own content type, without parameters.
    pub content_type: Option<String>,
    /// The content.
    pub bytes: Bytes,
}

/// A whole multipart/form-data body, in order.
pub struct Form(pub Vec<Part>);

impl FromRequest<App> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _app: &App) -> Result<Self, Self::Rejection> {
        let malformed = |error: multer::Error| {
            ApiError::bad_request(10001, format!("malformed multipart form: {error}"))
        };
        let content_type = request
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
        let mut multipart =
            multer::Multipart::new(request.into_body().into_data_stream(), boundary);
        let mut parts = Vec::new();
        while let Some(field) = multipart.next_field().await.map_err(malformed)? {
            parts.push(Part {
                name: field.name().unwrap_or_default().to_owned(),
                file_name: field.file_name().map(str::to_owned),
                // `application/javascript+module` is not a registered type: keep the raw header text.
                content_type: field
                    .headers()
                    .get("content-type")
                    .and_then(|value| value.to_str().ok())
                    .map(|text| text.split(';').next().unwrap_or_default().trim().to_owned()),
                bytes: field.bytes().await.map_err(malformed)?,
            });
        }
        Ok(Self(parts))
    }
}
