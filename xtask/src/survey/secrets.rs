//! The secrets a worker seems to need: those its config requires, and the names in the files that hold them for
//! `wrangler dev`. Values are skipped over, never kept.

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

/// Variables of wrangler's own that people keep beside their secrets.
const NOT_SECRETS: [&str; 5] = [
    "CLOUDFLARE_ACCOUNT_ID",
    "CLOUDFLARE_API_TOKEN",
    "CLOUDFLARE_API_KEY",
    "CLOUDFLARE_EMAIL",
    "NODE_ENV",
];

/// The secrets of a worker in `dir`.
pub(super) fn find(
    dir: &Path,
    config_file: &str,
    config: &WranglerConfig,
    env: Option<&str>,
) -> Vec<Secret> {
    let mut found: Vec<Secret> = Vec::new();
    let mut add = |name: String, seen_in: &str| {
        let is_var = config.bindings.vars.iter().any(|(var, _)| *var == name);
        let known = found.iter().any(|secret| secret.name == name);
        // A variable that the config sets is only overridden for development.
        if !is_var
            && !known
            && names::is_variable_name(&name)
            && !NOT_SECRETS.contains(&name.as_str())
        {
            found.push(Secret {
                name,
                seen_in: seen_in.to_owned(),
            });
        }
    };
    for name in &config.secrets_required {
        add(name.clone(), config_file);
    }
    for file in files(env) {
        if let Ok(text) = std::fs::read_to_string(dir.join(&file)) {
            for name in names_in(&text) {
                add(name, &file);
            }
            break;
        }
    }
    found
}

/// As wrangler reads them: the environment's own file instead of the general one. The examples people commit come last.
fn files(env: Option<&str>) -> Vec<String> {
    let own = env.map(|env| format!(".dev.vars.{env}"));
    let general = [
        ".dev.vars",
        ".dev.vars.example",
        ".dev.vars.sample",
        ".dev.vars.template",
    ];
    own.into_iter().chain(general.map(str::to_owned)).collect()
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
            let found = find(dir.path(), "wrangler.toml", &config, env).into_iter();
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
}
