//! The process: bind, announce, serve until asked to stop, clean up. Routes requests to the API, the control page or the edge.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::Response;
use clap::Args;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tower::ServiceExt as _;

use crate::app::{App, Config};
use crate::disk::{StateDir, write_atomic};
use crate::fail::Fail;
use crate::faults::{Scope, suffer};
use crate::runtime::RuntimeOptions;
use crate::{api, control, edge, github, guard, ids, page};

/// How long mutations must have been quiet before the world is applied without a request asking for it.
/// A reload costs a third of a second of CPU and a deploy is a train of mutations: better one reload at its end.
const QUIET: Duration = Duration::from_millis(200);

/// Flags of `local-cloud serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// Folder that keeps everything; made if missing
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Port on 127.0.0.1; 0 picks a free one
    #[arg(long, value_name = "N", default_value_t = 8787)]
    pub port: u16,
    /// Folder whose node_modules holds miniflare
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub repo_root: PathBuf,
    /// Node binary [default: the one in node_modules, else the one on PATH]
    #[arg(long, value_name = "PATH")]
    pub node: Option<PathBuf>,
    /// workers.dev subdomain of the account
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub subdomain: String,
    /// Adopt D1, KV and R2 ids this account does not know when an upload first refers to them
    #[arg(long)]
    pub adopt: bool,
    /// Largest script upload accepted
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub script_bytes_max: usize,
    /// Stop at the end of standard input, so that a dead parent leaves no server behind
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// Serves until stopped; an error means it never started.
pub fn serve(options: ServeOptions) -> Result<(), Fail> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Fail::new(
                "could not start the local cloud",
                error,
                "free some memory or threads and try again",
            )
        })?
        .block_on(run(options))
}

async fn run(options: ServeOptions) -> Result<(), Fail> {
    let dir = StateDir::open(&options.state).map_err(|error| {
        let what = format!(
            "could not open the state directory {}",
            options.state.display()
        );
        Fail::new(
            what,
            error,
            "pass --state with a directory you can write to",
        )
    })?;
    let _lock = sole_server(&dir, &options.state)?;
    let listener = bind(options.port).await?;
    let port = listener
        .local_addr()
        .map(|address| address.port())
        .unwrap_or(options.port);
    let app = App::load(config(&options, &dir, port), dir.clone())?;
    announce(&dir, &app)?;

    let keeper = tokio::spawn(keep_world_applied(app.clone()));
    let acceptor = tokio::spawn(accept(listener, app.clone()));
    stop_requested(&app, options.exit_with_stdin).await;
    acceptor.abort();
    keeper.abort();
    if let Some(runtime) = app.runtime_if_started() {
        runtime.stop().await;
    }
    // Not being there is what is wanted.
    let _ = std::fs::remove_file(dir.path("server.json"));
    Ok(())
}

/// Two servers on one folder would overwrite each other's state.
fn sole_server(dir: &StateDir, shown: &Path) -> Result<std::fs::File, Fail> {
    let what = format!("could not take the state directory {}", shown.display());
    let mut taken = dir.lock();
    // One that was just told to stop needs a moment.
    for _ in 0..30 {
        if !matches!(taken, Ok(None)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        taken = dir.lock();
    }
    match taken {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Fail::new(
            what,
            "another local cloud is using it",
            "stop that one, or pass --state with another directory",
        )),
        Err(error) => Err(Fail::new(
            what,
            error,
            "pass --state with a directory you can write to",
        )),
    }
}

async fn bind(port: u16) -> Result<TcpListener, Fail> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .map_err(|error| {
            Fail::new(
                format!("could not serve the local cloud on 127.0.0.1:{port}"),
                error,
                "stop the program that uses the port, or pass --port 0 to take a free one",
            )
        })
}

fn config(options: &ServeOptions, dir: &StateDir, port: u16) -> Config {
    let repo_root = options
        .repo_root
        .canonicalize()
        .unwrap_or_else(|_| options.repo_root.clone());
    Config {
        port,
        subdomain: options.subdomain.clone(),
        adopt: options.adopt,
        script_bytes_max: options.script_bytes_max,
        runtime: RuntimeOptions {
            node: options
                .node
                .clone()
                .unwrap_or_else(|| find_node(&repo_root)),
            repo_root,
            storage: dir.storage(),
            blobs: dir.blobs(),
        },
    }
}

/// The Node pinned in the repo wins over the machine's.
fn find_node(repo_root: &Path) -> PathBuf {
    let modules = repo_root.join("node_modules");
    let platform = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    [
        modules.join(format!("node-{platform}-{arch}/bin/node")),
        modules.join("node/bin/node"),
    ]
    .into_iter()
    .find(|path| path.is_file())
    .unwrap_or_else(|| PathBuf::from("node"))
}

fn announce(dir: &StateDir, app: &App) -> Result<(), Fail> {
    let port = app.config().port;
    let server = json!({
        "pid": std::process::id(),
        "port": port,
        "api": format!("http://127.0.0.1:{port}/client/v4"),
        "edge": format!("http://127.0.0.1:{port}"),
        "subdomain": app.config().subdomain,
        "started_at": ids::now(),
    })
    .to_string();
    write_atomic(&dir.path("server.json"), server.as_bytes()).map_err(|error| {
        Fail::new(
            "could not write server.json",
            error,
            "pass --state with a directory you can write to",
        )
    })?;
    #[expect(
        clippy::print_stdout,
        reason = "the parent process waits for this line"
    )]
    {
        println!("{server}");
    }
    Ok(())
}

async fn stop_requested(app: &App, exit_with_stdin: bool) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without signal handlers the default action ends the process, which is right, if less tidy.
        return app.shutdown_requested().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = app.shutdown_requested() => {}
        () = stdin_ended(), if exit_with_stdin => {}
    }
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while !matches!(stdin.read(&mut ignored).await, Ok(0) | Err(_)) {}
}

/// Applies the world in quiet moments, so that the first request after a deploy does not wait for the reload.
async fn keep_world_applied(app: App) {
    // What was loaded at start is applied first: it also warms the sidecar up.
    let _ = app.settle().await;
    loop {
        app.changed().await;
        while tokio::time::timeout(QUIET, app.changed()).await.is_ok() {}
        // The request that needs the world gets the error; there is nobody to tell here.
        let _ = app.settle().await;
    }
}

async fn accept(listener: TcpListener, app: App) {
    let control = control_router(app.clone());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(stream, app.clone(), control.clone()));
            }
            // Out of file descriptors, most likely: give connections time to close.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve_connection(stream: TcpStream, app: App, control: Router) {
    // Answers are small and latency is what is felt.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        respond(
            app.clone(),
            control.clone(),
            request.map(axum::body::Body::new),
        )
    });
    // A connection error concerns that client only.
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// A response that must never be sent: the connection is closed instead. Put into response extensions by fault injection.
#[derive(Debug, Clone)]
pub struct DropConnection;

impl std::fmt::Display for DropConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped by an injected fault")
    }
}

impl std::error::Error for DropConnection {}

async fn respond(app: App, control: Router, request: Request) -> Result<Response, DropConnection> {
    let response = if is_control_host(&request) {
        let mut response = match guard::refuse(&request) {
            Some(refusal) => refusal,
            None => control
                .oneshot(request)
                .await
                .unwrap_or_else(|never| match never {}),
        };
        guard::seal(&mut response);
        response
    } else {
        let met = app
            .faults()
            .meet(Scope::Edge, request.method().as_str(), request.uri().path());
        suffer(met, || edge::handle(app, request)).await
    };
    match response.extensions().get::<DropConnection>() {
        Some(_) => Err(DropConnection),
        None => Ok(response),
    }
}

/// 127.0.0.1, localhost and [::1] are the control plane; any other host is the edge. A browser always names a host, so
/// that a request without one comes from a program.
pub fn is_control_host(request: &Request) -> bool {
    let host = request
        .headers()
        .get("host")
        .and_then(|host| host.to_str().ok())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
        })
        .unwrap_or_default();
    let name = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]", ""]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

fn control_router(app: App) -> Router {
    Router::new()
        .merge(control::router())
        .route("/", axum::routing::get(page::index))
        .nest("/client/v4", api::router(app.clone()))
        .nest("/github", github::router(app.clone()))
        .merge(github::control::router())
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}
