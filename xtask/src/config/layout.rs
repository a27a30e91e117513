//! Where wrangler looks for a database's migrations, and the table it records them in: `migrations_dir`,
//! `migrations_pattern` and `migrations_table` of a D1 binding.

use std::path::Path;

use glob::{MatchOptions, Pattern};

use crate::config::D1;
use crate::config::section::Section;
use crate::config::source::Place;

/// The table wrangler records applied migrations in unless the binding names another.
pub const DEFAULT_TABLE: &str = "d1_migrations";
/// The files that are migrations unless the binding has a pattern.
pub const DEFAULT_PATTERN: &str = "*.sql";

/// As wrangler's matcher: `*` matches no `/`, and no dot at the start of a name.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// How the migrations of one database are found and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// A glob relative to the folder of the migrations.
    pub pattern: String,
    /// The table of applied migrations.
    pub table: String,
    /// The config that says so, and where; none for the defaults.
    pub from: Option<(std::path::PathBuf, Place)>,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout {
            pattern: DEFAULT_PATTERN.to_owned(),
            table: DEFAULT_TABLE.to_owned(),
            from: None,
        }
    }
}

impl Layout {
    /// True for a file of this name, relative to the folder of the migrations and with `/` between folders.
    pub fn matches(&self, name: &str) -> bool {
        // Checked when the config was read.
        Pattern::new(&self.pattern).is_ok_and(|pattern| pattern.matches_with(name, MATCHING))
    }

    /// How many folders deep below the folder of the migrations a file can be; none when there is no limit.
    pub fn depth(&self) -> Option<usize> {
        (!self.pattern.contains("**")).then(|| self.pattern.matches('/').count())
    }
}

impl D1 {
    /// How wrangler finds and records its migrations, by the config at `path`.
    pub fn layout(&self, path: &Path) -> Layout {
        let or =
            |value: &Option<String>, default: &str| value.clone().unwrap_or(default.to_owned());
        Layout {
            pattern: or(&self.migrations_pattern, DEFAULT_PATTERN),
            table: or(&self.migrations_table, DEFAULT_TABLE),
            from: Some((path.to_owned(), self.at)),
        }
    }
}

/// `migrations_pattern` of a D1 binding, relative to `migrations_dir`.
pub(super) fn read_pattern(section: &Section<'_>) -> Option<String> {
    let pattern = section.text("migrations_pattern")?;
    let dir = section.text("migrations_dir");
    match relative_pattern(dir.as_deref(), &pattern) {
        Ok(relative) => Some(relative),
        Err((what, fix)) => {
            let at = section.at("migrations_pattern");
            section.notes.error_with_fix(at, what, fix);
            None
        }
    }
}

/// The pattern relative to the folder, or what is wrong with it and what to write instead; wrangler refuses the same.
pub fn relative_pattern(dir: Option<&str>, pattern: &str) -> Result<String, (String, String)> {
    let Some(dir) = dir else {
        let folder = pattern.split(['/', '*']).next().unwrap_or_default();
        return Err((
            "`migrations_pattern` needs `migrations_dir`".to_owned(),
            format!("add `migrations_dir = \"{folder}\"` beside it"),
        ));
    };
    let (dir, whole) = (normal(dir), normal(pattern));
    let relative = match dir.as_str() {
        "." => Some(whole.as_str()),
        dir => whole
            .strip_prefix(dir)
            .and_then(|rest| rest.strip_prefix('/')),
    };
    let Some(relative) = relative else {
        return Err((
            format!(
                "`migrations_pattern` `{pattern}` must start with `{dir}/`, which is `migrations_dir`"
            ),
            format!("such as `{dir}/*.sql`"),
        ));
    };
    let extended = ["{", "}", "(", ")"]
        .iter()
        .find(|sign| relative.contains(**sign));
    if let Some(sign) = extended {
        return Err((
            format!(
                "`migrations_pattern` `{pattern}` has `{sign}`, which the pipeline does not support"
            ),
            "use `*`, `**`, `?` and `[…]` only".to_owned(),
        ));
    }
    match Pattern::new(relative) {
        Ok(_) => Ok(relative.to_owned()),
        Err(error) => Err((
            format!(
                "`migrations_pattern` `{pattern}` is not a valid glob: {}",
                error.msg
            ),
            "such as `migrations/*/migration.sql`".to_owned(),
        )),
    }
}

/// A path of a config without `.`, doubled slashes and a slash at the end; `..` stays where it leads out.
fn normal(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    }
}

/// The name of a file below the folder of the migrations: its relative path with `/`.
pub fn name_below(folder: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of wrangler 4.155.0 for the same values.
    #[test]
    fn patterns_mean_what_they_mean_to_wrangler() {
        let relative = |dir, pattern| relative_pattern(dir, pattern).map_err(|(what, _)| what);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(
            relative(Some("drizzle"), "drizzle/*/migration.sql"),
            ok("*/migration.sql")
        );
        assert_eq!(relative(Some("./drizzle/"), "drizzle//*.sql"), ok("*.sql"));
        assert_eq!(relative(Some("."), "./*.sql"), ok("*.sql"));
        assert_eq!(
            relative(Some("../db/m"), "../db/m/**/*.sql"),
            ok("**/*.sql")
        );
        assert!(
            relative(None, "drizzle/*.sql")
                .unwrap_err()
                .contains("needs `migrations_dir`")
        );
        assert!(
            relative(Some("m"), "drizzle/*.sql")
                .unwrap_err()
                .contains("start with `m/`")
        );
        assert!(
            relative(Some("m"), "m/{a,b}.sql")
                .unwrap_err()
                .contains("`{`")
        );
        assert!(
            relative(Some("m"), "m/[.sql")
                .unwrap_err()
                .contains("not a valid glob")
        );

        let layout = |pattern: &str| Layout {
            pattern: pattern.to_owned(),
            ..Layout::default()
        };
        let nested = layout("*/migration.sql");
        assert!(nested.matches("0001_a/migration.sql"));
        assert!(!nested.matches("migration.sql") && !nested.matches("a/b/migration.sql"));
        assert!(
            !nested.matches(".old/migration.sql"),
            "a dot is matched by no star"
        );
        assert!(!Layout::default().matches("meta/0001.sql"));
        assert!(layout("**/*.sql").matches("a/b/1.sql") && layout("**/*.sql").matches("1.sql"));
        assert_eq!(
            (nested.depth(), layout("**/*.sql").depth()),
            (Some(1), None)
        );
    }
}
