//! The path that tells whether a worker is well, by what its source answers to. A wrong guess would stop every deploy, so
//! what is not plainly there is not assumed.

use std::path::Path;

use serde::Serialize;

use super::source::Source;
use crate::config::WranglerConfig;

/// What to ask a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The path; none when it cannot be asked anything.
    pub path: Option<String>,
    /// Why, as a sentence without a final full stop.
    pub why: String,
}

/// Paths by which workers say that they are well, the likeliest first.
const PATHS: [&str; 9] = [
    "/health",
    "/healthz",
    "/_health",
    "/api/health",
    "/api/healthz",
    "/health-check",
    "/healthcheck",
    "/livez",
    "/ping",
];

/// Finds the path of the worker in `dir` (relative) in its source.
pub(super) fn find(root: &Path, dir: &Path, config: &WranglerConfig, source: &Source) -> Health {
    let none = |why: &str| Health {
        path: None,
        why: why.to_owned(),
    };
    if config.workers_dev == Some(false) && config.routes.is_empty() {
        return none("it has no address: neither a route nor workers.dev");
    }
    let mounted = source.files.iter().any(|(_, text)| mounts(text));
    let mut best: Option<(usize, &Path)> = None;
    for (index, (path, text)) in source.files.iter().enumerate() {
        let answered = PATHS
            .iter()
            .position(|health| answers(text, health, index > 0 && mounted));
        if let Some(rank) = answered
            && best.is_none_or(|(other, _)| rank < other)
        {
            best = Some((rank, path));
        }
    }
    if let Some((rank, path)) = best {
        let within = path.strip_prefix(dir).unwrap_or(path);
        return Health {
            path: Some(PATHS[rank].to_owned()),
            why: format!("{} has the route", within.display()),
        };
    }
    front_page(root, dir, config).unwrap_or_else(|| {
        none("no route of its source is a health path; add one that answers 200, to have every release checked")
    })
}

/// Whether routers are put below a path of their own: what a file calls `/health` may be `/api/health` then.
fn mounts(text: &str) -> bool {
    let calls = [".basePath(", ".mount(", ".route("];
    calls.iter().any(|call| {
        text.match_indices(call).any(|(at, _)| {
            let argument = text[at + call.len()..].trim_start();
            let quoted = argument.strip_prefix(['"', '\'', '`']);
            let path = quoted.and_then(|rest| rest.split(['"', '\'', '`']).next());
            path.is_some_and(|path| !matches!(path, "" | "/" | "*" | "/*"))
        })
    })
}

/// Whether a text routes requests for a path: a mention in data or in a page is no route.
fn answers(text: &str, path: &str, mounted: bool) -> bool {
    ['"', '\'', '`'].iter().any(|quote| {
        let literal = format!("{quote}{path}{quote}");
        text.match_indices(&literal).any(|(at, _)| {
            let before = text[..at].trim_end();
            let after = text[at + literal.len()..].trim_start();
            compared(before, after) || (!mounted && routed(before))
        })
    })
}

/// `pathname === "/health"`, `case "/health":`, `"/health" => …`, `["/health", "/up"].includes(pathname)` and their like.
fn compared(before: &str, after: &str) -> bool {
    let listed = || {
        let end = after.find(']').filter(|end| *end < 200);
        end.is_some_and(|end| after[end + 1..].trim_start().starts_with(".includes("))
    };
    let handler = || {
        let value = after.strip_prefix(':').map(str::trim_start);
        value.is_some_and(|value| {
            ["(", "async", "function"]
                .iter()
                .any(|word| value.starts_with(word))
        })
    };
    let ahead = [
        "==",
        "case",
        "pathname:",
        "startsWith(",
        "starts_with(",
        "startswith(",
    ];
    ahead.iter().any(|word| before.ends_with(word))
        || after.starts_with("==")
        || after.starts_with("=>")
        || handler()
        || listed()
}

/// `app.get("/health", …)` and the like of the routers in use.
fn routed(before: &str) -> bool {
    let calls = [".get(", ".all(", ".use(", ".get_async(", ".route("];
    let line = before.rsplit('\n').next().unwrap_or_default();
    calls.iter().any(|call| before.ends_with(call))
        || (before.ends_with(',') && line.contains(".on(") && line.contains("GET"))
}

/// Static assets answer at the root, when there is a page to answer with and no code in front of it.
fn front_page(root: &Path, dir: &Path, config: &WranglerConfig) -> Option<Health> {
    let assets = config.assets.as_ref()?;
    let folder = root.join(dir).join(assets.directory.as_ref()?);
    let code_first = config.main.is_some()
        && config.raw["assets"]
            .get("run_worker_first")
            .is_some_and(|first| *first != false);
    // Not built yet: a site without a front page is rare.
    let has_page =
        folder.join("index.html").is_file() || (!folder.exists() && config.main.is_none());
    (has_page && !code_first).then(|| Health {
        path: Some("/".to_owned()),
        why: "its assets have a front page".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<String> {
        let source = Source {
            files: files
                .iter()
                .map(|(path, text)| ((*path).into(), (*text).to_owned()))
                .collect(),
            followed: true,
        };
        let config = WranglerConfig {
            main: Some("index.ts".into()),
            ..WranglerConfig::default()
        };
        find(Path::new("/nowhere"), Path::new(""), &config, &source).path
    }

    #[test]
    fn a_route_is_a_health_path() {
        for route in [
            "if (url.pathname === '/health') ok()",
            "if ('/health' == path) ok()",
            "switch (path) { case \"/health\": ok() }",
            "app.get('/health', ok)",
            "app.on('GET', '/health', ok)",
            "router.all(`/health`, ok)",
            "if (['/ready', '/health'].includes(path)) ok()",
            "const routes = { '/health': () => ok() }",
            "match path { \"/health\" => ok(), _ => no() }",
            "new URLPattern({ pathname: '/health' })",
        ] {
            assert_eq!(
                found(&[("index.ts", route)]).as_deref(),
                Some("/health"),
                "{route}"
            );
        }
    }

    #[test]
    fn a_mention_is_no_route() {
        for mention in [
            "const demo = [{ title: 'Health', link: '/health' }]",
            "fetch('/health')",
            "new Response('/health')",
            "app.post('/health', ok)",
            "const names = { '/health': 'Health and beauty' }",
            "href = \"/health\"",
        ] {
            assert_eq!(found(&[("index.ts", mention)]), None, "{mention}");
        }
    }

    #[test]
    fn a_router_below_another_path_is_not_trusted() {
        let main = ("index.ts", "app.route('/api', api)");
        assert_eq!(found(&[main, ("api.ts", "api.get('/health', ok)")]), None);
        let main = ("index.ts", "app.route('/', api)");
        let path = found(&[main, ("api.ts", "api.get('/health', ok)")]);
        assert_eq!(path.as_deref(), Some("/health"));
    }
}
