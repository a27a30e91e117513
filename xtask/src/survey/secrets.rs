//! The secrets a worker seems to need: those its config requires, and the names in the files that hold them for
//! `wrangler dev`. Values are skipped over, never kept.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::config::{WranglerConfig, names};

/// The name of a secret, and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// The file's name.
    pub seen_in: String,
}

/// What the files and the source of a worker say of its secrets.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Those it seems to need.
    pub needed: Vec<Secret>,
    /// Names that only an example file has, and that the source does not read.
    pub unread: Vec<Secret>,
    /// Names the source reads that are neither variables nor bindings nor named in a file.
    pub undeclared: Vec<String>,
}

/// Variables of wrangler's own that people keep beside their secrets.
const NOT_SECRETS: [&str; 5] = [
    "CLOUDFLARE_ACCOUNT_ID",
    "CLOUDFLARE_API_TOKEN",
    "CLOUDFLARE_API_KEY",
    "CLOUDFLARE_EMAIL",
    "NODE_ENV",
];

/// The secrets of a worker in `dir`, whose config binds other names. `read` holds the names its source reads; none when the
/// source could not be followed.
pub(super) fn find(
    dir: &Path,
    config_file: &str,
    config: &WranglerConfig,
    env: Option<&str>,
    read: Option<&BTreeSet<String>>,
) -> Secrets {
    let mut found = Secrets::default();
    let bound = bound(config);
    // A variable that the config sets is only overridden for development.
    let is_secret = |name: &str| {
        !bound.contains(name) && names::is_variable_name(name) && !NOT_SECRETS.contains(&name)
    };
    for name in &config.secrets_required {
        add(&mut found.needed, name, config_file);
    }
    for file in files(dir, env) {
        let text = std::fs::read_to_string(dir.join(&file)).unwrap_or_default();
        for name in names_in(&text) {
            if !is_secret(&name) {
                continue;
            }
            let unread = is_example(&file) && read.is_some_and(|read| !read.contains(&name));
            let known = found.needed.iter().any(|secret| secret.name == name);
            match unread && !known {
                true => add(&mut found.unread, &name, &file),
                false => add(&mut found.needed, &name, &file),
            }
        }
    }
    let known = |name: &String| {
        let mut all = found.needed.iter().chain(&found.unread);
        all.any(|secret| secret.name == *name)
    };
    found.undeclared = read
        .into_iter()
        .flatten()
        .filter(|name| is_secret(name) && !known(name))
        .cloned()
        .collect();
    found
}

fn add(list: &mut Vec<Secret>, name: &str, seen_in: &str) {
    if !list.iter().any(|secret| secret.name == name) {
        list.push(Secret {
            name: name.to_owned(),
            seen_in: seen_in.to_owned(),
        });
    }
}

/// Names that the config gives a value or a binding: whatever a table calls `binding`, and what `vars` and `bindings` name.
fn bound(config: &WranglerConfig) -> BTreeSet<String> {
    let vars = config.bindings.vars.iter().map(|(name, _)| name.clone());
    let mut found: BTreeSet<String> = vars.collect();
    collect_bindings(&config.raw, &mut found);
    found
}

fn collect_bindings(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                if let ("binding" | "name", serde_json::Value::String(name)) = (key.as_str(), value)
                {
                    found.insert(name.clone());
                }
                // The other environments bind for themselves.
                if key != "env" {
                    collect_bindings(value, found);
                }
            }
        }
        serde_json::Value::Array(entries) => {
            for value in entries {
                collect_bindings(value, found);
            }
        }
        _ => {}
    }
}

/// The files wrangler reads secrets from, and the examples people commit. wrangler takes `.dev.vars` (the environment's own
/// instead of the general one) or else every `.env` file; an example counts only when there is nothing else.
fn files(dir: &Path, env: Option<&str>) -> Vec<String> {
    let there = |names: Vec<String>| -> Vec<String> {
        names
            .into_iter()
            .filter(|name| dir.join(name).is_file())
            .collect()
    };
    let own = |stem: &str, end: &str| env.map(|env| format!("{stem}.{env}{end}"));
    let mut vars = there(
        own(".dev.vars", "")
            .into_iter()
            .chain([".dev.vars".into()])
            .collect(),
    );
    vars.truncate(1);
    let env_files = [".env".into(), ".env.local".into()].into_iter();
    let env_files = env_files
        .chain(own(".env", ""))
        .chain(own(".env", ".local"))
        .collect();
    let examples = [".dev.vars", ".env"]
        .iter()
        .flat_map(|stem| ["example", "sample", "template"].map(|end| format!("{stem}.{end}")))
        .collect();
    let mut all = vec![vars, there(env_files), there(examples)].into_iter();
    all.find(|names| !names.is_empty()).unwrap_or_default()
}

fn is_example(file: &str) -> bool {
    ["example", "sample", "template"]
        .iter()
        .any(|end| file.ends_with(end))
}

/// The names in front of the equals signs. A value in quotes may go on over several lines, which hold no names.
fn names_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<char> = None;
    for line in text.trim_start_matches('\u{feff}').lines() {
        if let Some(quote) = open {
            if line.contains(quote) {
                open = None;
            }
            continue;
        }
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        found.push(name.trim().to_owned());
        let value = value.trim_start();
        let quote = value
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\'' | '`'));
        open = quote.filter(|quote| !value[1..].contains(*quote));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_read() {
        let text = "# A=1\nADMIN_KEY=canary\n\nexport TOKEN = \"one\nFAKE=canary\ntwo\"\nB='x=y'\nbroken line\n";
        assert_eq!(names_in(text), ["ADMIN_KEY", "TOKEN", "B"]);
    }

    #[test]
    fn variables_and_wranglers_own_names_are_no_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(".dev.vars.example", "EXAMPLE=\n");
        let config = WranglerConfig {
            secrets_required: vec!["REQUIRED".to_owned()],
            bindings: crate::config::Bindings {
                vars: vec![("SITE".to_owned(), serde_json::Value::Null)],
                ..Default::default()
            },
            ..WranglerConfig::default()
        };
        let of = |env| -> Vec<String> {
            let found = find(dir.path(), "wrangler.toml", &config, env, None);
            let found = found.needed.into_iter();
            found
                .map(|secret| format!("{} {}", secret.name, secret.seen_in))
                .collect()
        };
        assert_eq!(
            of(None),
            ["REQUIRED wrangler.toml", "EXAMPLE .dev.vars.example"]
        );
        write(
            ".dev.vars",
            "SITE=x\nKEY=x\nREQUIRED=x\nCLOUDFLARE_API_TOKEN=x\n",
        );
        write(".dev.vars.production", "LIVE=x\n");
        assert_eq!(of(None), ["REQUIRED wrangler.toml", "KEY .dev.vars"]);
        assert_eq!(
            of(Some("production")),
            ["REQUIRED wrangler.toml", "LIVE .dev.vars.production"]
        );
    }

    #[test]
    fn dotenv_files_count_as_wrangler_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let config = WranglerConfig::default();
        let of = |env| -> Vec<String> {
            let found = find(dir.path(), "wrangler.toml", &config, env, None).needed;
            found.into_iter().map(|secret| secret.name).collect()
        };
        write(".env.example", "SAMPLE=\n");
        assert_eq!(of(None), ["SAMPLE"]);
        write(".env", "KEY=x\nCLOUDFLARE_ACCOUNT_ID=x\n");
        write(".env.local", "LOCAL=x\n");
        write(".env.production", "LIVE=x\n");
        assert_eq!(of(None), ["KEY", "LOCAL"]);
        assert_eq!(of(Some("production")), ["KEY", "LOCAL", "LIVE"]);
        write(".dev.vars", "VARS=x\n");
        assert_eq!(
            of(None),
            ["VARS"],
            "wrangler reads no .env beside .dev.vars"
        );
    }

    #[test]
    fn the_source_tells_which_names_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".dev.vars.example"), "USED=\nOLD=\n").unwrap();
        let config = WranglerConfig {
            raw: serde_json::json!({"kv_namespaces": [{"binding": "CACHE"}], "env": {"x": {"r2": [{"binding": "FILES"}]}}}),
            ..WranglerConfig::default()
        };
        let read = ["USED", "CACHE", "FILES", "STRIPE_KEY"]
            .map(str::to_owned)
            .into();
        let found = find(dir.path(), "wrangler.toml", &config, None, Some(&read));
        let names = |list: &[Secret]| -> Vec<String> {
            list.iter().map(|secret| secret.name.clone()).collect()
        };
        assert_eq!(names(&found.needed), ["USED"]);
        assert_eq!(names(&found.unread), ["OLD"]);
        assert_eq!(found.undeclared, ["FILES", "STRIPE_KEY"]);
    }
}
