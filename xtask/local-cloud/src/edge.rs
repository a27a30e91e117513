//! The data plane: finds the version a request is for and proxies it to the runtime, bodies streamed, WebSockets included.
//! Knows no API route; what belongs to whom is `routing`'s business.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use crate::app::{App, Settled};
use crate::ids;
use crate::routing::{self, Target};
use crate::runtime::Runtime;

/// Tells the runtime which version to run. A client cannot set it: it is overwritten.
const TARGET_HEADER: HeaderName = HeaderName::from_static("local-cloud-target");

/// Tells the client which version answered.
const VERSION_HEADER: HeaderName = HeaderName::from_static("local-cloud-version");

/// A reload waits for the requests in flight, but not for ever: a stream older than this may be cut by one.
const SETTLED_MAX: Duration = Duration::from_secs(10);

/// How often a request without a body is tried again while the runtime comes back from a crash.
const ATTEMPTS: usize = 20;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(150);

/// Headers between two neighbours, not end to end.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
];

/// Serves one request that is not for a control host.
pub async fn handle(app: App, request: Request) -> Response {
    let asked = host_of(&request);
    let host = public_host(&asked, &app.config().subdomain);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let state = app.snapshot();
    let Some(target) = routing::route(&state, &app.config().subdomain, name_of(&host), &path)
    else {
        // A page of any name can make that name lead here, and read the answer: what exists is for `.localhost` names.
        let listed = name_of(&asked).to_ascii_lowercase().ends_with(".localhost");
        return nothing_here(&app, &host, listed);
    };
    drop(state);
    match serve(&app, &target, &host, request).await {
        Ok(response) => response,
        Err(response) => *response,
    }
}

/// The error is an answer, too; boxed, because it is the rare case.
type Refusal = Box<Response>;

async fn serve(
    app: &App,
    target: &Target,
    host: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let unavailable = |error: &dyn std::fmt::Display| {
        refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("local cloud: {error}"),
        )
    };
    let runtime = app.runtime().await.map_err(|error| unavailable(&error))?;
    if let Some(version) = &target.version
        && runtime.want_preview(&target.script, version)
    {
        app.mark_dirty();
    }
    let settled = app.settle().await.map_err(|error| unavailable(&error))?;
    // workerd goes on serving when the sidecar dies, but without D1, logs and tails.
    runtime
        .revive()
        .await
        .map_err(|error| unavailable(&error))?;
    // Only now is it certain which versions are loaded.
    let (version, name) = chosen(app, target, request.headers())
        .ok_or_else(|| unavailable(&"this Worker has no deployment"))?;
    if let Some(fault) = runtime.world_fault()
        && fault.keeps_out(&name, &version)
    {
        return Err(unavailable(&fault.message));
    }
    let mut response = forward(runtime, host, &name, request, settled).await?;
    if let Ok(version) = HeaderValue::from_str(&version) {
        response.headers_mut().insert(VERSION_HEADER, version);
    }
    Ok(response)
}

fn chosen(app: &App, target: &Target, headers: &HeaderMap) -> Option<(String, String)> {
    app.read(|state| {
        let script = state.scripts.get(&target.script)?;
        let version = match &target.version {
            Some(version) => version,
            None => routing::choose(script, headers, routing::fraction(&ids::hex32()))?,
        };
        Some((version.to_owned(), routing::runtime_name(script, version)))
    })
}

async fn forward(
    runtime: &Runtime,
    host: &str,
    name: &str,
    mut request: Request,
    settled: Settled,
) -> Result<Response, Refusal> {
    let is_upgrade = request.headers().contains_key(UPGRADE);
    let client_side = is_upgrade.then(|| hyper::upgrade::on(&mut request));
    prepare(&mut request, host, name, is_upgrade);
    let (finished, done) = oneshot::channel();
    tokio::spawn(async move {
        // Sent or dropped: either way the request is over.
        let _ = tokio::time::timeout(SETTLED_MAX, done).await;
        drop(settled);
    });
    let mut response = send(runtime, request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client_side) = client_side
    {
        let worker_side = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(client), Ok(worker)) = tokio::join!(client_side, worker_side) {
                let (mut client, mut worker) = (TokioIo::new(client), TokioIo::new(worker));
                // Either end may go away at any time; that is how WebSockets end.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut worker).await;
            }
        });
        // Not held for the life of a WebSocket.
        drop(finished);
        return Ok(response.map(|_| Body::empty()));
    }
    strip_hop_by_hop(response.headers_mut());
    Ok(response.map(|body| held(body, finished)))
}

/// A body that reports its end, so that a reload can wait for it.
fn held(body: Body, finished: oneshot::Sender<()>) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let mut stream = body.into_data_stream();
    let mut finished = Some(finished);
    Body::from_stream(futures_util::stream::poll_fn(move |context| {
        let next: std::task::Poll<Option<Result<Bytes, axum::Error>>> =
            futures_util::Stream::poll_next(std::pin::Pin::new(&mut stream), context);
        if matches!(next, std::task::Poll::Ready(None)) {
            finished.take();
        }
        next
    }))
}

fn prepare(request: &mut Request, host: &str, name: &str, is_upgrade: bool) {
    let ray = format!("{}-LOC", &ids::hex32()[..16]);
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    if is_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    let set = [
        (HOST, host),
        (TARGET_HEADER, name),
        (HeaderName::from_static("cf-connecting-ip"), "127.0.0.1"),
        (HeaderName::from_static("x-real-ip"), "127.0.0.1"),
        (HeaderName::from_static("x-forwarded-for"), "127.0.0.1"),
        (
            HeaderName::from_static("cf-visitor"),
            r#"{"scheme":"http"}"#,
        ),
        (HeaderName::from_static("cf-ipcountry"), "US"),
        (HeaderName::from_static("cf-ray"), &ray),
    ];
    for (header, value) in set {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    }
    *request.version_mut() = Version::HTTP_11;
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Sends a request to the runtime; again, when it can be sent again and the runtime is coming back from a crash.
async fn send(runtime: &Runtime, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let repeatable = body.is_end_stream() || matches!(parts.method, Method::GET | Method::HEAD);
    let mut body = Some(body);
    let mut last_error = String::from("no world is applied yet");
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(ATTEMPT_PAUSE).await;
            // A dead sidecar is started again; its error is told when the attempts are used up.
            if let Err(error) = runtime.revive().await {
                last_error = error.to_string();
            }
        }
        let Some((port, client)) = runtime.entry() else {
            continue;
        };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri = format!("http://127.0.0.1:{port}{path}")
            .parse()
            .map_err(|error| refusal(StatusCode::BAD_REQUEST, format!("local cloud: {error}")))?;
        let mut request = Request::from_parts(parts.clone(), body.take().unwrap_or_default());
        *request.uri_mut() = uri;
        match client.request(request).await {
            Ok(response) => return Ok(response.map(Body::new)),
            Err(error) => last_error = error.to_string(),
        }
        if !repeatable {
            break;
        }
    }
    Err(refusal(
        StatusCode::BAD_GATEWAY,
        format!("local cloud: the runtime did not answer: {last_error}"),
    ))
}

fn refusal(status: StatusCode, text: String) -> Refusal {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Box::new((status, [(CONTENT_TYPE, plain)], format!("{text}\n")).into_response())
}

fn host_of(request: &Request) -> String {
    let from_header = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    from_header
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
        })
        .unwrap_or_default()
        .to_owned()
}

/// A browser reaches a production host as `kiamichibizconnect.com.localhost:PORT`, since every name below `.localhost` is
/// loopback. The Worker sees the production host.
fn public_host(host: &str, subdomain: &str) -> String {
    let inner = name_of(host).strip_suffix(".localhost");
    let own = format!(".{subdomain}");
    inner
        .filter(|inner| inner.contains('.') && !inner.ends_with(&own))
        .unwrap_or(host)
        .to_owned()
}

fn name_of(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn nothing_here(app: &App, host: &str, listed: bool) -> Response {
    let config = app.config();
    if !listed {
        let text = format!(
            "local cloud: no Worker answers at {host}\n\nWhat exists: http://127.0.0.1:{}/",
            config.port
        );
        return *refusal(StatusCode::NOT_FOUND, text);
    }
    let mut text = format!("local cloud: no Worker answers at {host}\n\nWhat exists:\n");
    app.read(|state| {
        for script in state.scripts.values() {
            if script.subdomain.enabled {
                let address = format!(
                    "http://{}.{}.localhost:{}/",
                    script.name, config.subdomain, config.port
                );
                text.push_str(&format!("  {} -> {address}\n", script.name));
            }
            for route in &script.routes {
                text.push_str(&format!("  {} -> route {}\n", script.name, route.pattern));
            }
        }
        for domain in state.domains.values() {
            text.push_str(&format!("  {} -> {}\n", domain.service, domain.hostname));
        }
        if state.scripts.is_empty() {
            text.push_str("  nothing is deployed yet\n");
        }
    });
    *refusal(StatusCode::NOT_FOUND, text.trim_end().to_owned())
}
