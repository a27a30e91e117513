//! The gzipped size of every worker's bundle, run after run, so that a change shows. Kept in `.xtask/cache/`, which CI
//! carries from run to run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

/// Sizes in bytes: of the last run, and of this one.
pub struct Sizes {
    file: PathBuf,
    before: BTreeMap<String, u64>,
    now: BTreeMap<String, u64>,
}

impl Sizes {
    /// The sizes the last run left; none when there was none, or its file cannot be read.
    pub fn open(state: &Path) -> Sizes {
        let file = state.join("cache/sizes.json");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Sizes {
            file,
            before: serde_json::from_str(&text).unwrap_or_default(),
            now: BTreeMap::new(),
        }
    }

    /// Notes a worker's size.
    pub fn set(&mut self, worker: &str, gzip: u64) {
        self.now.insert(worker.to_owned(), gzip);
    }

    /// `8 kB gzip (+0.4 kB)`.
    pub fn note(&self, worker: &str, gzip: u64) -> String {
        let shown = kilobytes(gzip as f64);
        match self.before.get(worker) {
            Some(&before) if before == gzip => format!("{shown} gzip (unchanged)"),
            Some(&before) => {
                let change = gzip as f64 - before as f64;
                let sign = if change < 0.0 { '-' } else { '+' };
                format!("{shown} gzip ({sign}{})", kilobytes(change.abs()))
            }
            None => format!("{shown} gzip"),
        }
    }

    /// Writes the sizes for the next run; a full disk is told, not fatal.
    pub fn save(&self) -> Result<(), String> {
        if self.now.is_empty() {
            return Ok(());
        }
        let mut all = self.before.clone();
        all.extend(self.now.clone());
        let write = || {
            std::fs::create_dir_all(self.file.parent().unwrap_or(Path::new(".")))?;
            // Renamed into place: a killed run leaves the old sizes.
            let new = self
                .file
                .with_extension(format!("{}.tmp", std::process::id()));
            std::fs::write(&new, json!(all).to_string())?;
            std::fs::rename(&new, &self.file)
        };
        write().map_err(|error: std::io::Error| format!("bundle sizes could not be kept: {error}"))
    }
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.1} kB", bytes / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_with_its_change() {
        let dir = tempfile::tempdir().unwrap();
        let mut sizes = Sizes::open(dir.path());
        assert_eq!(sizes.note("main", 8123), "8.1 kB gzip");
        sizes.set("main", 8123);
        sizes.save().unwrap();
        let sizes = Sizes::open(dir.path());
        assert_eq!(sizes.note("main", 8123), "8.1 kB gzip (unchanged)");
        assert_eq!(sizes.note("main", 7000), "7.0 kB gzip (-1.1 kB)");
        assert_eq!(sizes.note("main", 9999), "10.0 kB gzip (+1.9 kB)");
    }
}
