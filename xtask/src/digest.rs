//! The content digest of a version: bundle, assets, effective config and secrets. Two versions with one digest behave
//! alike, so the second need not be uploaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Hex characters of a digest that are kept: 128 bits.
const LENGTH: usize = 32;

/// Everything a version consists of.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The folder wrangler bundled into.
    pub bundle: &'a Path,
    /// The folder of static assets.
    pub assets: Option<&'a Path>,
    /// [`crate::derive::content`].
    pub config: &'a Value,
    /// Names and values of the secrets that travel with the version. Only their hash is used.
    pub secrets: &'a [(&'a str, &'a str)],
}

/// The digest, as lower-case hex.
pub fn content(content: &Content<'_>) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update("xtask content v1\n");
    for (path, bytes) in files(content.bundle)? {
        // Source maps and the note wrangler leaves beside a bundle are never executed.
        if path.ends_with(".map") || path == "README.md" {
            continue;
        }
        field(&mut hash, "module", path.as_bytes());
        field(&mut hash, "bytes", &without_temp_names(&bytes));
    }
    if let Some(assets) = content.assets {
        for (path, bytes) in files(assets)? {
            field(&mut hash, "asset", path.as_bytes());
            field(&mut hash, "bytes", &bytes);
        }
    }
    field(
        &mut hash,
        "config",
        canonical(content.config).to_string().as_bytes(),
    );
    for (name, value) in content.secrets {
        field(&mut hash, "secret", name.as_bytes());
        field(&mut hash, "bytes", &Sha256::digest(value.as_bytes()));
    }
    Ok(hex(&hash.finalize())[..LENGTH].to_owned())
}

/// SHA-256 of a text with LF line ends, as hex: a CRLF checkout has the same hash.
pub fn text(text: &str) -> String {
    hex(&Sha256::digest(
        text.trim_start_matches('\u{feff}')
            .replace("\r\n", "\n")
            .as_bytes(),
    ))
}

/// The same value with all tables sorted by key: moving a line in a config changes nothing.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(table) => {
            let sorted: BTreeMap<&String, Value> = table
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            Value::Object(
                sorted
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect(),
            )
        }
        Value::Array(list) => Value::Array(list.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

fn field(hash: &mut Sha256, kind: &str, bytes: &[u8]) {
    hash.update(format!("{kind} {}\n", bytes.len()));
    hash.update(bytes);
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All files below a folder with their paths (`/` between parts), sorted.
fn files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        let entries =
            std::fs::read_dir(&dir).with_context(|| format!("failed to read {}", dir.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("failed to read {}", dir.display()))?
                .path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            let parts: Vec<_> = relative
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            found.push((parts.join("/"), bytes));
        }
    }
    found.sort();
    Ok(found)
}

/// wrangler names its temporary folders at random, and esbuild writes module paths into comments.
fn without_temp_names(bytes: &[u8]) -> Vec<u8> {
    const MARK: &str = ".wrangler/tmp/";
    let Ok(text) = std::str::from_utf8(bytes) else {
        return bytes.to_vec();
    };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        clean.push_str(before);
        clean.push_str(MARK);
        rest =
            after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    }
    clean.push_str(rest);
    clean.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(files: &[(&str, &str)], secrets: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let config = serde_json::json!({"name": "w"});
        content(&Content {
            bundle: dir.path(),
            assets: None,
            config: &config,
            secrets,
        })
        .unwrap()
    }

    #[test]
    fn the_same_content_has_the_same_digest_wherever_it_was_built() {
        let one = digest(
            &[
                ("index.js", "// .wrangler/tmp/deploy-aB1/x.js\n1"),
                ("index.js.map", "1"),
            ],
            &[],
        );
        let two = digest(
            &[
                ("index.js", "// .wrangler/tmp/deploy-Zz9/x.js\n1"),
                ("index.js.map", "2"),
            ],
            &[],
        );
        assert_eq!(one, two);
        assert_eq!(one.len(), LENGTH);
    }

    #[test]
    fn code_names_and_secrets_all_count() {
        let base = digest(&[("index.js", "1"), ("a/b.txt", "x")], &[("KEY", "one")]);
        assert_ne!(
            base,
            digest(&[("index.js", "2"), ("a/b.txt", "x")], &[("KEY", "one")])
        );
        assert_ne!(
            base,
            digest(&[("index.js", "1"), ("a/c.txt", "x")], &[("KEY", "one")])
        );
        assert_ne!(
            base,
            digest(&[("index.js", "1"), ("a/b.txt", "x")], &[("KEY", "two")])
        );
        assert_ne!(base, digest(&[("index.js", "1"), ("a/b.txt", "x")], &[]));
    }

    #[test]
    fn the_order_of_keys_does_not_count() {
        let one = serde_json::json!({"a": {"x": 1, "y": [2]}, "b": 3});
        let two = serde_json::json!({"b": 3, "a": {"y": [2], "x": 1}});
        assert_eq!(canonical(&one).to_string(), canonical(&two).to_string());
    }

    #[test]
    fn line_ends_do_not_change_a_text_hash() {
        assert_eq!(text("a\r\nb\r\n"), text("a\nb\n"));
        assert_ne!(text("a"), text("b"));
    }
}
