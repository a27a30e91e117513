//! The source files a worker is made of: what its `main` imports, as far as that lies in the repo. Read as text, not
//! parsed: a file that cannot be followed is named by nobody, so callers treat what they find as hints.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Files;
use crate::config::WranglerConfig;

/// Endings of source files.
const ENDINGS: [&str; 8] = ["ts", "tsx", "mts", "js", "jsx", "mjs", "rs", "py"];

/// Endings that an import of a module may leave out, in the order bundlers try them.
const IMPORTED: [&str; 6] = ["ts", "tsx", "mts", "js", "jsx", "mjs"];

/// A source file larger than this was generated.
const BYTES_MAX: u64 = 512 * 1024;

/// More files than this are not followed.
const FILES_MAX: usize = 2_000;

/// A worker's source.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Path relative to the root, and text; `main` first.
    pub files: Vec<(PathBuf, String)>,
    /// True when these are the files that `main` imports; false when `main` could not be followed and these are all
    /// source files of the worker's folder.
    pub followed: bool,
}

/// The source of the worker whose config lies in `dir` (relative to the root). `others` are the folders of other workers.
pub fn gather(
    root: &Path,
    files: &Files,
    dir: &Path,
    config: &WranglerConfig,
    others: &[PathBuf],
) -> Source {
    let main = config.main.as_ref().map(|main| normal(&dir.join(main)));
    let script = |path: &Path| ending(path).is_some_and(|ending| IMPORTED.contains(&ending));
    match main {
        Some(main) if script(&main) && files.has(&main) => Source {
            files: follow(root, files, dir, main),
            followed: true,
        },
        _ => Source {
            files: everything(root, files, dir, others),
            followed: false,
        },
    }
}

/// `main` and what it imports, breadth first.
fn follow(root: &Path, files: &Files, dir: &Path, main: PathBuf) -> Vec<(PathBuf, String)> {
    let packages = packages(root, files);
    let mut seen = BTreeSet::from([main.clone()]);
    let mut queue = std::collections::VecDeque::from([main]);
    let mut found = Vec::new();
    while let Some(path) = queue.pop_front() {
        let Some(text) = read(root, &path) else {
            continue;
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        for specifier in imports(&text) {
            let target = resolve(files, &packages, dir, &folder, specifier);
            if let Some(target) = target
                && seen.len() < FILES_MAX
                && seen.insert(target.clone())
            {
                queue.push_back(target);
            }
        }
        found.push((path, text));
    }
    found
}

fn everything(
    root: &Path,
    files: &Files,
    dir: &Path,
    others: &[PathBuf],
) -> Vec<(PathBuf, String)> {
    let foreign = |path: &Path| {
        let mut others = others.iter();
        others.any(|other| other != dir && other.starts_with(dir) && path.starts_with(other))
    };
    let own = files.below(dir).filter(|path| is_source(path));
    own.filter(|path| !foreign(path))
        .take(FILES_MAX)
        .filter_map(|path| Some((path.to_owned(), read(root, path)?)))
        .collect()
}

/// Name and folder of each package of the repo.
fn packages(root: &Path, files: &Files) -> Vec<(String, PathBuf)> {
    let manifests = files
        .paths
        .iter()
        .filter(|path| path.ends_with("package.json"));
    let named = manifests.filter_map(|path| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
        let name = manifest["name"].as_str()?.to_owned();
        Some((name, path.parent()?.to_owned()))
    });
    named.collect()
}

/// What stands in quotes behind `from`, `import`, `import(` and `require(`.
fn imports(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, quote) in text.match_indices(['"', '\'']) {
        let before = text[..at].trim_end();
        let word = ["from", "import", "import(", "require("]
            .iter()
            .any(|word| {
                before.strip_suffix(word).is_some_and(|rest| {
                    let last = rest.chars().next_back();
                    last.is_none_or(|last| !last.is_alphanumeric() && last != '_' && last != '.')
                })
            });
        let rest = &text[at + 1..];
        if word
            && let Some(end) = rest.find([quote.chars().next().unwrap_or('"'), '\n'])
            && rest[end..].starts_with(quote)
        {
            found.push(&rest[..end]);
        }
    }
    found
}

fn resolve(
    files: &Files,
    packages: &[(String, PathBuf)],
    dir: &Path,
    folder: &Path,
    specifier: &str,
) -> Option<PathBuf> {
    let specifier = specifier.split(['?', '#']).next().unwrap_or(specifier);
    if specifier.starts_with("./") || specifier.starts_with("../") || specifier == "." {
        return module(files, &folder.join(specifier));
    }
    // The aliases most projects use for their own source.
    for alias in ["@/", "~/", "src/"] {
        if let Some(rest) = specifier.strip_prefix(alias) {
            let places = [dir.join("src").join(rest), dir.join(rest)];
            return places.iter().find_map(|place| module(files, place));
        }
    }
    let (_, at, below) = packages.iter().find_map(|(name, at)| {
        let below = specifier.strip_prefix(name.as_str())?;
        let fits = below.is_empty() || below.starts_with('/');
        fits.then_some((name, at, below.trim_start_matches('/')))
    })?;
    let places = match below {
        "" => [at.join("src/index"), at.join("index")],
        below => [at.join("src").join(below), at.join(below)],
    };
    places.iter().find_map(|place| module(files, place))
}

/// The file an import without or with another ending leads to.
fn module(files: &Files, path: &Path) -> Option<PathBuf> {
    let path = normal(path);
    let with = |base: &Path, ending: &str| {
        let mut name = base.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    };
    let mut places = vec![path.clone()];
    places.extend(IMPORTED.iter().map(|ending| with(&path, ending)));
    if ending(&path).is_some_and(|ending| ["js", "mjs", "jsx"].contains(&ending)) {
        // TypeScript writes the ending of what is compiled.
        let bare = path.with_extension("");
        places.extend(IMPORTED.iter().map(|ending| with(&bare, ending)));
    }
    places.extend(
        IMPORTED
            .iter()
            .map(|ending| path.join(format!("index.{ending}"))),
    );
    let is_script = |path: &&PathBuf| ending(path).is_some_and(|e| IMPORTED.contains(&e));
    places
        .iter()
        .filter(is_script)
        .find(|place| files.has(place))
        .cloned()
}

/// Without `.` and `..`, as far as the path itself allows.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn ending(path: &Path) -> Option<&str> {
    path.extension().and_then(|ending| ending.to_str())
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_test = name.contains(".test.")
        || name.contains(".spec.")
        || path.components().any(|part| {
            ["test", "tests", "__tests__", "e2e"]
                .iter()
                .any(|word| part.as_os_str() == *word)
        });
    ending(path).is_some_and(|ending| ENDINGS.contains(&ending))
        && !is_test
        && !name.ends_with(".d.ts")
}

fn read(root: &Path, path: &Path) -> Option<String> {
    let path = root.join(path);
    if path.metadata().ok()?.len() > BYTES_MAX {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// Names the source reads from its environment: `env.NAME`, `env["NAME"]` and `const { NAME } = env`, where a name has the
/// form that variables and secrets have (`API_KEY`).
pub fn names_read(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in &source.files {
        if ending(path).is_some_and(|ending| IMPORTED.contains(&ending)) {
            names_in(text, &mut found);
        }
    }
    found
}

fn names_in(text: &str, found: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices("env") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = text[at + 3..].trim_start_matches(['?', '!']);
        let name = match rest.chars().next() {
            Some('.') => identifier(rest[1..].trim_start()),
            Some('[') => rest[1..]
                .trim_start()
                .strip_prefix(['"', '\''])
                .and_then(identifier),
            _ => {
                if rest.starts_with([';', '\n', ')', ',']) || rest.starts_with(" as ") {
                    destructured(&text[..at], found);
                }
                None
            }
        };
        found.extend(name.map(str::to_owned));
    }
}

/// `const { A, B: b, C = 1 } =` at the end of what stands before `env` (or `c.env`, `this.env`).
fn destructured(before: &str, found: &mut BTreeSet<String>) {
    let before = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '.' || c == '_');
    let Some(inside) = before.trim_end().strip_suffix('=') else {
        return;
    };
    let Some(inside) = inside.trim_end().strip_suffix('}') else {
        return;
    };
    let Some((_, inside)) = inside.rsplit_once('{') else {
        return;
    };
    let names = inside.split(',').filter_map(|part| identifier(part.trim()));
    found.extend(names.map(str::to_owned));
}

/// The name at the start of a text, when it has the form of a variable's.
fn identifier(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let name = &text[..end.unwrap_or(text.len())];
    let upper = name.chars().next().is_some_and(|c| c.is_ascii_uppercase())
        && !name.chars().any(|c| c.is_ascii_lowercase());
    (upper && name.len() > 1).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        names_in(text, &mut found);
        found.into_iter().collect()
    }

    #[test]
    fn names_are_read_off_the_environment_only() {
        assert_eq!(
            names(
                "a(env.API_KEY, c.env.STRIPE_KEY!, this.env?.MAIL, process.env.NODE_ENV, env['QUOTED'])"
            ),
            ["API_KEY", "MAIL", "NODE_ENV", "QUOTED", "STRIPE_KEY"]
        );
        assert_eq!(
            names("const { ONE, TWO: two, THREE = 3, lower } = c.env;"),
            ["ONE", "THREE", "TWO"]
        );
        assert_eq!(
            names("environment.KEY; my_env.KEY; env.fetch(x); env.DB2x"),
            [""; 0]
        );
    }

    #[test]
    fn imports_are_followed_through_aliases_and_packages() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "app/src/index.ts",
            "import a from './a.js';\nexport * from \"../lib\";\nconst x = await import('@/deep/b');\n\
             import { c } from '@shop/core';\nimport '@shop/core/mail';\nimport x from 'hono';\nimport data from './demo.json';",
        );
        write("app/src/a.ts", "// './never'");
        write("app/lib/index.ts", "require('./leaf')");
        write("app/lib/leaf.js", "");
        write("app/src/deep/b.tsx", "import '../index'");
        write("app/src/unused.ts", "");
        write("app/src/demo.json", "{}");
        write("packages/core/package.json", "{\"name\": \"@shop/core\"}");
        write("packages/core/src/index.ts", "");
        write("packages/core/src/mail.ts", "");
        let files = Files::list(root);
        let config = WranglerConfig {
            main: Some("src/index.ts".into()),
            ..WranglerConfig::default()
        };
        let source = gather(root, &files, Path::new("app"), &config, &[]);
        let paths: Vec<String> = source
            .files
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect();
        assert!(source.followed);
        assert_eq!(
            paths,
            [
                "app/src/index.ts",
                "app/src/a.ts",
                "app/lib/index.ts",
                "app/src/deep/b.tsx",
                "packages/core/src/index.ts",
                "packages/core/src/mail.ts",
                "app/lib/leaf.js"
            ]
        );
    }
}
