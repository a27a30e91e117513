//! How a worker is reached from outside: routes, custom domains and cron triggers. Checks their form; whether two workers
//! want the same route is judged in [`crate::workspace`].

use super::section::Section;
use super::source::Place;
use super::tree::{Kind, Node};
use crate::cron::Cron;

/// A route or a custom domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// `example.com/*`, or a host name for a custom domain.
    pub pattern: String,
    /// True when Cloudflare is to manage the host's DNS record and certificate.
    pub custom_domain: bool,
    /// The zone's name.
    pub zone_name: Option<String>,
    /// The zone's id.
    pub zone_id: Option<String>,
    /// Where it is declared.
    pub at: Place,
}

/// Reads `routes`, or else `route`, which is the order in which wrangler looks at them.
pub(crate) fn read_routes(config: &Section<'_>) -> Vec<Route> {
    let key = if config.value("routes").is_some() {
        "routes"
    } else {
        "route"
    };
    let Some(node) = config.value(key) else {
        return Vec::new();
    };
    match (&node.kind, key) {
        (Kind::Array(items), "routes") => {
            let route = |(index, item)| read_route(config, &format!("routes[{index}]"), item);
            items.iter().enumerate().filter_map(route).collect()
        }
        (_, "route") => read_route(config, "route", node).into_iter().collect(),
        _ => config
            .wrong(key, node, "an array of routes")
            .unwrap_or_default(),
    }
}

fn read_route(config: &Section<'_>, key: &str, node: &Node) -> Option<Route> {
    let route = match &node.kind {
        Kind::String(pattern) => Route {
            pattern: pattern.clone(),
            at: config.notes.source.place_of(&node.span),
            ..Route::default()
        },
        Kind::Table(table) => {
            let section = config.element(key, node, table);
            Route {
                pattern: section.required_text("pattern")?,
                custom_domain: section.boolean("custom_domain").unwrap_or(false),
                zone_name: section.text("zone_name"),
                zone_id: section.text("zone_id"),
                at: section.place(),
            }
        }
        _ => return config.wrong(key, node, "a pattern or a table with `pattern`"),
    };
    if let Some(why) = route_mistake(&route) {
        config
            .notes
            .error(route.at, format!("`{}` {why}", config.path_of(key)));
    }
    Some(route)
}

/// Why Cloudflare would not accept a route; `None` when it would.
fn route_mistake(route: &Route) -> Option<&'static str> {
    let pattern = route.pattern.as_str();
    let bare = pattern.split_once("://").map_or(pattern, |(_, bare)| bare);
    let (host, path) = bare
        .split_once('/')
        .map_or((bare, None), |(host, path)| (host, Some(path)));
    let scheme = pattern.strip_suffix(bare).unwrap_or_default();
    if pattern.chars().any(char::is_whitespace) || host.is_empty() {
        return Some("is not a pattern such as `example.com/*`");
    }
    if !matches!(scheme, "" | "http://" | "https://" | "*://") {
        return Some("must begin with a host name, `http://` or `https://`");
    }
    if route.custom_domain {
        let is_host = host
            .split('.')
            .all(|label| super::names::is_dns_label(&label.to_lowercase()));
        return match path {
            _ if host.contains('*') => Some("is a custom domain, so it must not hold `*`"),
            Some(_) => Some("is a custom domain, so it must not have a path"),
            None if !scheme.is_empty() || !is_host || !host.contains('.') => {
                Some("is a custom domain, so it must be a host name")
            }
            None => None,
        };
    }
    if host.trim_start_matches('*').contains('*') || host.starts_with("**") {
        return Some("may hold `*` in its host name only at the very beginning");
    }
    let path = path.unwrap_or_default();
    if path.contains(['?', '#']) {
        return Some("must not hold `?` or `#`");
    }
    path.trim_end_matches('*')
        .contains('*')
        .then_some("may hold `*` in its path only at the very end")
}

/// Reads `triggers.crons`. `None` leaves the live triggers alone; an empty list removes them.
pub(crate) fn read_crons(config: &Section<'_>) -> Option<Vec<String>> {
    let triggers = config.section("triggers")?;
    let crons = triggers.strings_at("crons")?;
    for (index, (cron, place)) in crons.iter().enumerate() {
        if let Err(why) = Cron::parse(cron) {
            triggers
                .notes
                .error(*place, format!("the cron trigger is not valid: {why}"));
        }
        if crons[..index].iter().any(|(other, _)| other == cron) {
            triggers
                .notes
                .error(*place, "this cron trigger is listed twice");
        }
    }
    Some(crons.into_iter().map(|(cron, _)| cron).collect())
}
