//! The `.env` files of a Worker's folder. wrangler takes what they set for environment variables, so they could decide
//! where a version goes. Only names are read, no values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::variables;

/// The `.env` files of a folder, and the names each sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct EnvFiles {
    files: BTreeMap<String, BTreeSet<String>>,
}

impl EnvFiles {
    /// Reads the files of a folder. One that cannot be read sets nothing: wrangler cannot read it either.
    pub(super) fn read(folder: &Path) -> EnvFiles {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_env_file = name == ".env" || name.starts_with(".env.");
            let text = is_env_file.then(|| std::fs::read(entry.path()).ok())??;
            Some((name, names_of(&String::from_utf8_lossy(&text))))
        });
        EnvFiles {
            files: files.collect(),
        }
    }

    /// The files that wrangler reads for an environment, in its order: a later one wins.
    pub(super) fn of(&self, environment: Option<&str>) -> Vec<&str> {
        let mut names = vec![".env".to_owned(), ".env.local".to_owned()];
        names.extend(environment.map(|env| format!(".env.{env}")));
        names.extend(environment.map(|env| format!(".env.{env}.local")));
        let files = names
            .iter()
            .filter_map(|name| self.files.get_key_value(name));
        files.map(|(name, _)| name.as_str()).collect()
    }

    /// The names among `wanted` that a file sets which wrangler reads for an environment, with the file.
    pub(super) fn setting<'n>(
        &self,
        environment: Option<&str>,
        wanted: impl Iterator<Item = &'n str>,
    ) -> Vec<(&'n str, &str)> {
        let files = self.of(environment);
        let set = wanted.filter_map(|name| {
            let mut files = files.iter().rev();
            let file = files.find(|file| self.files[**file].contains(name))?;
            Some((name, *file))
        });
        set.collect()
    }

    /// True when any of the files sets a name.
    pub(super) fn mention(&self, name: &str) -> bool {
        self.files.values().any(|names| names.contains(name))
    }

    /// The text of a file that takes back what the files set of the variables that are not theirs to set.
    pub(super) fn taken_back(&self, environment: Option<&str>) -> Option<String> {
        let set = self.setting(environment, variables::decided());
        let lines: Vec<String> = set.iter().map(|(name, _)| format!("{name}=\n")).collect();
        (!lines.is_empty()).then(|| lines.concat())
    }
}

/// The names that a text sets. A line inside a quoted value may look like an assignment and then counts as one.
fn names_of(text: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = line.find(|c| !is_part(c)).unwrap_or(line.len());
        let rest = line[end..].trim_start();
        let assigns = end > 0 && rest.starts_with(['=', ':']);
        assigns.then(|| line[..end].to_owned())
    };
    text.split(['\n', '\r']).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_wrangler_reads_them() {
        let text = "A=1\n  export B = 2\r\nC: 3\n# D=4\nE\nF='x\nG=y'\n=5\nH.i-j=6";
        let names: Vec<String> = names_of(text).into_iter().collect();
        assert_eq!(names, ["A", "B", "C", "F", "G", "H.i-j"]);
    }

    #[test]
    fn only_what_an_environment_reads_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            ".env",
            "CLOUDFLARE_ENV=qa\nMINE=1\nWRANGLER_BUILD_PLATFORM=node\n",
        );
        write(".env.qa.local", "CF_API_KEY=k\n");
        write(".environment", "CI=false\n");
        let files = EnvFiles::read(folder.path());
        assert_eq!(files.of(None), [".env"]);
        assert_eq!(files.of(Some("qa")), [".env", ".env.qa.local"]);
        assert_eq!(files.taken_back(None).unwrap(), "CLOUDFLARE_ENV=\n");
        assert_eq!(
            files.taken_back(Some("qa")).unwrap(),
            "CLOUDFLARE_ENV=\nCF_API_KEY=\n"
        );
        assert_eq!(EnvFiles::default().taken_back(None), None);
    }
}
