//! The config a build leaves behind (the Vite plugin does): `.wrangler/deploy/config.json` beside the source config points
//! at it, and wrangler then ships that one. Only follows the pointer; the file itself is read like any other config.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::error::Fail;

/// The config a build generated for the worker in `dir`; `None` when none did. Fails (exit 2) when the pointer is
/// broken, because wrangler would then fail too, or ship a config from an older build.
pub fn generated_config(dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let pointer = dir.join(".wrangler/deploy/config.json");
    let text = match fs::read_to_string(&pointer) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(&pointer, &format!("it cannot be read: {error}")).into()),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        broken(
            &pointer,
            &format!("it is not valid JSON (line {line}, column {column})"),
        )
    })?;
    let Some(target) = value
        .get("configPath")
        .and_then(Value::as_str)
        .filter(|path| !path.is_empty())
    else {
        return Err(broken(&pointer, "it has no `configPath`").into());
    };
    let folder = pointer.parent().unwrap_or(dir);
    let target = without_dots(&folder.join(target));
    if !target.is_file() {
        let why = format!("it points to `{}`, which does not exist", target.display());
        return Err(broken(&pointer, &why).into());
    }
    Ok(Some(target))
}

fn broken(pointer: &Path, why: &str) -> Fail {
    Fail::setup(format!("the build's pointer to its config is broken: `{}`", pointer.display()))
        .why(why)
        .fix("build the worker again, or delete the `.wrangler` folder when it no longer generates a config")
}

/// Resolves `..` by name, so that messages and plans show short paths.
fn without_dots(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                short.pop();
            }
            other => short.push(other),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Exit, exit_of, render};

    fn worker(pointer: Option<&str>, generated: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        if let Some(text) = pointer {
            fs::create_dir_all(dir.path().join(".wrangler/deploy")).unwrap();
            fs::write(dir.path().join(".wrangler/deploy/config.json"), text).unwrap();
        }
        if let Some(path) = generated {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{\"name\":\"x\"}").unwrap();
        }
        dir
    }

    #[test]
    fn no_pointer_means_no_generated_config() {
        let dir = worker(None, Some("dist/x/wrangler.json"));
        assert_eq!(generated_config(dir.path()).unwrap(), None);
    }

    #[test]
    fn the_pointer_is_followed_from_its_own_folder() {
        let pointer = r#"{"configPath":"../../dist/x/wrangler.json","auxiliaryWorkers":[]}"#;
        let dir = worker(Some(pointer), Some("dist/x/wrangler.json"));
        let found = generated_config(dir.path()).unwrap();
        assert_eq!(found, Some(dir.path().join("dist/x/wrangler.json")));
    }

    #[test]
    fn a_broken_pointer_is_a_set_up_mistake() {
        for (pointer, why) in [
            ("{", "it is not valid JSON (line 1, column 1)"),
            ("{}", "it has no `configPath`"),
            (r#"{"configPath":7}"#, "it has no `configPath`"),
            (
                r#"{"configPath":"../../gone.json"}"#,
                "gone.json`, which does not exist",
            ),
        ] {
            let dir = worker(Some(pointer), None);
            let error = generated_config(dir.path()).unwrap_err();
            assert_eq!(exit_of(&error), Exit::Setup);
            assert!(render(&error).contains(why), "{}", render(&error));
        }
    }
}
