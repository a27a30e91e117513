//! The page at `/`: what this local cloud holds, for a person. Read-only.

use std::fmt::Write as _;

use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse as _, Response};

use crate::app::App;
use crate::guard::PAGE_POLICY;
use crate::state::{Script, State};

const STYLE: &str = "
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } code { font-size: .9em; } .quiet { opacity: .65; }
";

/// The page.
pub async fn index(app: App) -> Response {
    let page = render(&app.snapshot(), &app.config().subdomain, app.config().port);
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(page)).into_response()
}

fn render(state: &State, subdomain: &str, port: u16) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Local cloud</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
         <h1>Local cloud</h1><p class=\"quiet\">API <code>http://127.0.0.1:{port}/client/v4</code> · \
         <a href=\"/_local/journal\">journal</a> · <a href=\"/_local/state\">state</a> · <a href=\"/_local/faults\">faults</a> · \
         <a href=\"/_local/github\">pull requests</a></p>"
    );
    let workers: Vec<Vec<String>> = state
        .scripts
        .values()
        .map(|script| worker(state, script, subdomain, port))
        .collect();
    table(
        &mut page,
        "Workers",
        &["Name", "Live", "Addresses", "Crons (UTC)"],
        &workers,
    );
    let databases = state
        .d1
        .iter()
        .map(|(id, database)| vec![escape(&database.name), code(id.as_str())])
        .collect::<Vec<_>>();
    table(&mut page, "D1 databases", &["Name", "Id"], &databases);
    let namespaces = state
        .kv
        .iter()
        .map(|(id, namespace)| vec![escape(&namespace.title), code(id.as_str())])
        .collect::<Vec<_>>();
    table(&mut page, "KV namespaces", &["Title", "Id"], &namespaces);
    let buckets = state
        .r2
        .keys()
        .map(|name| vec![escape(name.as_str())])
        .collect::<Vec<_>>();
    table(&mut page, "R2 buckets", &["Name"], &buckets);
    page.push_str("</body></html>\n");
    page
}

fn worker(state: &State, script: &Script, subdomain: &str, port: u16) -> Vec<String> {
    let live = script
        .live()
        .map(|live| live.versions.as_slice())
        .unwrap_or_default();
    let share = |share: &crate::state::Share| {
        let number = script
            .version(&share.version_id)
            .map_or(0, |version| version.number);
        format!(
            "v{number} <code>{}</code> {} %",
            escape(share.version_id.get(..8).unwrap_or_default()),
            share.percentage
        )
    };
    let mut addresses = Vec::new();
    if script.subdomain.enabled {
        let host = escape(&format!("{}.{subdomain}.localhost:{port}", script.name));
        addresses.push(format!("<a href=\"http://{host}/\">{host}</a>"));
    }
    let domains = state
        .domains
        .values()
        .filter(|domain| domain.service == script.name);
    addresses.extend(domains.map(|domain| {
        format!(
            "{} <span class=\"quiet\">custom domain</span>",
            escape(&domain.hostname)
        )
    }));
    addresses.extend(script.routes.iter().map(|route| {
        format!(
            "{} <span class=\"quiet\">route</span>",
            escape(&route.pattern)
        )
    }));
    let crons: Vec<String> = script
        .schedules
        .iter()
        .map(|schedule| code(&schedule.cron))
        .collect();
    vec![
        escape(&script.name),
        live.iter().map(share).collect::<Vec<_>>().join("<br>"),
        addresses.join("<br>"),
        crons.join("<br>"),
    ]
}

fn table(page: &mut String, title: &str, heads: &[&str], rows: &[Vec<String>]) {
    // Writing to a String cannot fail.
    let _ = write!(page, "<h2>{title}</h2>");
    if rows.is_empty() {
        page.push_str("<p class=\"quiet\">none yet</p>");
        return;
    }
    let heads: String = heads
        .iter()
        .map(|head| format!("<th>{head}</th>"))
        .collect();
    let _ = write!(page, "<table><tr>{heads}</tr>");
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = write!(page, "<tr>{cells}</tr>");
    }
    page.push_str("</table>");
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Subdomain;

    #[test]
    fn names_are_escaped_and_enabled_workers_linked() {
        let mut state = State::default();
        let script = Script {
            name: "a<b".into(),
            subdomain: Subdomain {
                enabled: true,
                previews_enabled: false,
            },
            ..Script::default()
        };
        state.scripts.insert("a<b".into(), script);
        let page = render(&state, "acct", 8787);
        assert!(
            page.contains("<a href=\"http://a&lt;b.acct.localhost:8787/\">"),
            "{page}"
        );
        assert!(!page.contains("a<b"), "{page}");
    }
}
