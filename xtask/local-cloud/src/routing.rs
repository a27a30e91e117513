//! Which Worker and which version a request is for, from the account's state alone. Pure: no I/O, no connection, no chance
//! (the caller throws the dice).

use axum::http::HeaderMap;

use crate::ids;
use crate::state::{Deployment, Script, State, Version};

/// Names versions to be used instead of the split, as a structured-header dictionary: `api="<version id>"`.
const OVERRIDES_HEADER: &str = "cloudflare-workers-version-overrides";

/// Requests with the same key get the same version while the split stays.
const KEY_HEADER: &str = "cloudflare-workers-version-key";

/// What a host and path lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Worker.
    pub script: String,
    /// The version its preview URL names; `None` = whatever is deployed.
    pub version: Option<String>,
}

impl Target {
    fn live(script: &Script) -> Self {
        Self {
            script: script.name.clone(),
            version: None,
        }
    }
}

/// Finds the Worker of a request: its workers.dev address, a preview address, a custom domain or a route.
/// `host` is without port, `path` with query.
pub fn route(state: &State, subdomain: &str, host: &str, path: &str) -> Option<Target> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    for suffix in ["localhost", "workers.dev"] {
        if let Some(label) = host.strip_suffix(&format!(".{subdomain}.{suffix}")) {
            return by_label(state, label);
        }
    }
    by_pattern(state, &host, path)
}

fn by_label(state: &State, label: &str) -> Option<Target> {
    if let Some(script) = state.scripts.get(label)
        && script.subdomain.enabled
    {
        return Some(Target::live(script));
    }
    state
        .scripts
        .values()
        .filter(|script| script.subdomain.previews_enabled)
        .find_map(|script| {
            let prefix = label
                .strip_suffix(script.name.as_str())?
                .strip_suffix('-')?;
            let version = previewed(script, prefix)?;
            Some(Target {
                script: script.name.clone(),
                version: Some(version.id.clone()),
            })
        })
}

/// The version a preview address means: the first 8 digits of its id, or its alias.
fn previewed<'a>(script: &'a Script, prefix: &str) -> Option<&'a Version> {
    let by_id = |version: &&Version| prefix.len() == 8 && version.id.starts_with(prefix);
    let by_alias = |version: &&Version| {
        version
            .annotations
            .get("workers/alias")
            .is_some_and(|alias| alias == prefix)
    };
    let newest_first = || script.versions.iter().rev();
    newest_first()
        .find(by_id)
        .or_else(|| newest_first().find(by_alias))
}

/// The most specific pattern wins; a custom domain is the pattern `host/*`, behind a route of the same shape.
fn by_pattern(state: &State, host: &str, path: &str) -> Option<Target> {
    let routes = state.scripts.values().flat_map(|script| {
        script
            .routes
            .iter()
            .map(move |route| (route.pattern.clone(), true, script))
    });
    let domains = state.domains.values().filter_map(|domain| {
        let script = state.scripts.get(&domain.service)?;
        Some((format!("{}/*", domain.hostname), false, script))
    });
    routes
        .chain(domains)
        .filter(|(pattern, ..)| matches(pattern, host, path))
        .max_by_key(|(pattern, is_route, _)| (specificity(pattern), *is_route))
        .map(|(_, _, script)| Target::live(script))
}

/// Whether a route pattern (`*.example.com/api/*`) covers a URL.
pub fn matches(pattern: &str, host: &str, path: &str) -> bool {
    let (pattern_host, pattern_path) = parts(pattern);
    let host_fits = match pattern_host.strip_prefix('*') {
        // `*.example.com` means subdomains only; `*example.com` the domain as well, but not `notexample.com`.
        Some(rest) if rest.starts_with('.') => host.ends_with(rest) && host.len() > rest.len(),
        Some(rest) => host == rest || host.ends_with(&format!(".{rest}")) || rest.is_empty(),
        None => host == pattern_host,
    };
    let path_fits = match pattern_path.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern_path || path.split('?').next() == Some(pattern_path),
    };
    host_fits && path_fits
}

fn parts(pattern: &str) -> (&str, &str) {
    let pattern = pattern
        .strip_prefix("https://")
        .or_else(|| pattern.strip_prefix("http://"))
        .unwrap_or(pattern);
    match pattern.find('/') {
        Some(slash) => pattern.split_at(slash),
        None => (pattern, "/"),
    }
}

/// Exact host before wildcard, longer host before shorter, then the longer path, and exact before wildcard.
fn specificity(pattern: &str) -> (bool, usize, usize, bool) {
    let (host, path) = parts(pattern);
    (
        !host.starts_with('*'),
        host.len(),
        path.trim_end_matches('*').len(),
        !path.ends_with('*'),
    )
}

/// The version that answers: the one the request asks for if it is deployed, else one by the split. `point` is a random
/// number from 0 to 1, used when the request has no key of its own.
pub fn choose<'a>(script: &'a Script, headers: &HeaderMap, point: f64) -> Option<&'a str> {
    let live = script.live()?;
    if let Some(asked) = asked(&script.name, live, headers) {
        return Some(asked);
    }
    let point = headers
        .get(KEY_HEADER)
        .map_or(point, |key| hashed(&script.name, key.as_bytes()));
    by_share(live, point)
}

fn asked<'a>(script: &str, live: &'a Deployment, headers: &HeaderMap) -> Option<&'a str> {
    headers
        .get_all(OVERRIDES_HEADER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|member| member.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(script))
        .find_map(|(_, value)| {
            let id = value.split(';').next()?.trim().trim_matches('"');
            live.versions
                .iter()
                .find(|share| share.version_id == id)
                .map(|share| share.version_id.as_str())
        })
}

fn by_share(live: &Deployment, point: f64) -> Option<&str> {
    let total: f64 = live.versions.iter().map(|share| share.percentage).sum();
    let mut left = point * total;
    for share in &live.versions {
        left -= share.percentage;
        if left < 0.0 {
            return Some(&share.version_id);
        }
    }
    live.versions
        .iter()
        .find(|share| share.percentage > 0.0)
        .map(|share| share.version_id.as_str())
}

fn hashed(script: &str, key: &[u8]) -> f64 {
    let digits = ids::sha256(&[script.as_bytes(), b"\0", key].concat());
    fraction(&digits)
}

/// The first 8 hex digits as a number from 0 to 1.
pub fn fraction(digits: &str) -> f64 {
    let number = digits
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or_default();
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

/// What the sidecar calls a version: the script's name for the one that owns the Durable Objects (the highest share,
/// the newest on a tie), `script@id` for every other.
pub fn runtime_name(script: &Script, version: &str) -> String {
    match primary(script) == Some(version) {
        true => script.name.clone(),
        false => format!("{}@{version}", script.name),
    }
}

fn primary(script: &Script) -> Option<&str> {
    let number = |id: &str| script.version(id).map(|version| version.number);
    let shares = script.live()?.versions.iter();
    shares
        .max_by(|a, b| {
            let newer = number(&a.version_id).cmp(&number(&b.version_id));
            a.percentage.total_cmp(&b.percentage).then(newer)
        })
        .map(|share| share.version_id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Domain, Route, Share, Subdomain};

    fn script(name: &str, versions: &[(&str, f64)], routes: &[&str]) -> Script {
        let version = |(index, (id, _)): (usize, &(&str, f64))| Version {
            id: (*id).to_owned(),
            number: index as u64 + 1,
            ..Version::default()
        };
        let share = |(id, percentage): &(&str, f64)| Share {
            version_id: (*id).to_owned(),
            percentage: *percentage,
        };
        let route = |pattern: &&str| Route {
            id: String::new(),
            pattern: (*pattern).to_owned(),
            zone_name: String::new(),
        };
        Script {
            name: name.to_owned(),
            versions: versions.iter().enumerate().map(version).collect(),
            deployments: vec![Deployment {
                versions: versions.iter().map(share).collect(),
                ..Deployment::default()
            }],
            subdomain: Subdomain {
                enabled: true,
                previews_enabled: true,
            },
            routes: routes.iter().map(route).collect(),
            ..Script::default()
        }
    }

    fn state(scripts: Vec<Script>) -> State {
        State {
            scripts: scripts
                .into_iter()
                .map(|script| (script.name.clone(), script))
                .collect(),
            ..State::default()
        }
    }

    #[track_caller]
    fn check(state: &State, host: &str, path: &str, expected: Option<(&str, Option<&str>)>) {
        let found = route(state, "acct", host, path);
        let found = found
            .as_ref()
            .map(|target| (target.script.as_str(), target.version.as_deref()));
        assert_eq!(found, expected, "{host}{path}");
    }

    #[test]
    fn own_addresses_and_previews() {
        let mut state = state(vec![
            script("api", &[("12345678-aaaa", 100.0)], &[]),
            script("my-api", &[("12345678-bbbb", 100.0)], &[]),
        ]);
        check(&state, "api.acct.localhost", "/", Some(("api", None)));
        check(
            &state,
            "MY-API.acct.workers.dev",
            "/",
            Some(("my-api", None)),
        );
        check(
            &state,
            "12345678-my-api.acct.localhost",
            "/",
            Some(("my-api", Some("12345678-bbbb"))),
        );
        check(&state, "87654321-api.acct.localhost", "/", None);
        check(&state, "api.other.localhost", "/", None);
        if let Some(script) = state.scripts.get_mut("api") {
            script.subdomain = Subdomain::default();
        }
        check(&state, "api.acct.localhost", "/", None);
        check(&state, "12345678-api.acct.localhost", "/", None);
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let mut state = state(vec![
            script("a", &[], &["*.example.com/*", "https://example.com/exact"]),
            script("b", &[], &["example.com/api/*", "www.example.com/*"]),
            script("c", &[], &[]),
            script("d", &[], &["*example.org/*"]),
        ]);
        let domain = Domain {
            id: String::new(),
            hostname: "example.com".into(),
            service: "c".into(),
            zone_name: String::new(),
        };
        state.domains.insert(domain.hostname.clone(), domain);
        check(&state, "example.com", "/", Some(("c", None)));
        check(&state, "example.com", "/api/x?q=1", Some(("b", None)));
        check(&state, "example.com", "/exact?q=1", Some(("a", None)));
        check(&state, "example.com", "/exactly", Some(("c", None)));
        check(&state, "www.example.com", "/", Some(("b", None)));
        check(&state, "x.example.com", "/", Some(("a", None)));
        check(&state, "notexample.org", "/", None);
        check(&state, "example.org", "/", Some(("d", None)));
    }

    #[test]
    fn shares_overrides_and_keys() {
        let script = script("api", &[("old", 90.0), ("new", 10.0), ("zero", 0.0)], &[]);
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header value"));
            headers
        };
        let none = HeaderMap::new();
        assert_eq!(choose(&script, &none, 0.0), Some("old"));
        assert_eq!(choose(&script, &none, 0.899), Some("old"));
        assert_eq!(choose(&script, &none, 0.95), Some("new"));
        let asks = |value: &str| choose(&script, &with(OVERRIDES_HEADER, value), 0.0);
        assert_eq!(asks("other=\"x\", api=\"zero\""), Some("zero"));
        assert_eq!(asks("api=\"not-deployed\""), Some("old"));
        let keyed = |key: &str, point: f64| choose(&script, &with(KEY_HEADER, key), point);
        assert_eq!(keyed("user-1", 0.0), keyed("user-1", 0.99));
        assert_eq!(runtime_name(&script, "old"), "api");
        assert_eq!(runtime_name(&script, "new"), "api@new");
    }
}
