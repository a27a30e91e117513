//! Where values come from: the environment, a file only its owner can read, standard input, or chance. Nothing here ever shows
//! one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::error::Fail;

/// What a generated value is made of: 256 bits.
const RANDOM_BYTES: usize = 32;

/// Secret values by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, String>);

impl fmt::Debug for Values {
    /// Shows names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Values {
    /// One value.
    pub fn one(name: &str, value: String) -> Values {
        Values(BTreeMap::from([(name.to_owned(), value)]))
    }

    /// Several.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Values {
        Values(values.into_iter().collect())
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and values, for the mask.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Reads a JSON object of names and texts. A file that others can read is refused before a byte of it is used.
pub fn from_file(path: &Path) -> anyhow::Result<Values> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        Fail::setup(format!("{shown} cannot be read"))
            .why(error.to_string())
            .fix("name a file such as {\"ADMIN_KEY\": \"…\"} that only you can read (mode 0600)")
    };
    let mut file = File::open(path).map_err(unreadable)?;
    // Of what was opened, not of the path: somebody may put another file there meanwhile.
    let about = file.metadata().map_err(unreadable)?;
    let mode = about.mode() & 0o7777;
    if about.is_file() && mode & 0o077 != 0 {
        return Err(Fail::setup(format!("{shown} can be read by others"))
            .why(format!(
                "its mode is {mode:04o}; a file with secrets is for its owner alone"
            ))
            .why("whoever could read it so far may know them: consider new values")
            .fix(format!("chmod 600 {shown}"))
            .into());
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    read_object(&text).map_err(|why| {
        Fail::setup(format!("{shown} is no list of secrets"))
            .why(why)
            .fix("write it as JSON, one text for each name: {\"ADMIN_KEY\": \"…\"}")
            .into()
    })
}

/// The error never quotes the text.
fn read_object(text: &str) -> Result<Values, String> {
    let value: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            format!(
                "it is no JSON: line {}, column {}",
                error.line(),
                error.column()
            )
        })?;
    let Value::Object(fields) = value else {
        return Err("it is no JSON object".to_owned());
    };
    let mut values = BTreeMap::new();
    for (name, value) in fields {
        match value {
            Value::String(value) if !value.is_empty() => drop(values.insert(name, value)),
            Value::String(_) => return Err(format!("the value of `{name}` is empty")),
            _ => return Err(format!("the value of `{name}` is no text")),
        }
    }
    Ok(Values(values))
}

/// Reads one value from standard input, without the line end at its end.
pub fn from_stdin(name: &str) -> anyhow::Result<Values> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(
            Fail::setup("standard input is a terminal, which would show the value")
                .fix(format!(
                    "read -rs {name} && export {name} && cargo xtask secrets rotate {name}"
                ))
                .into(),
        );
    }
    let mut text = String::new();
    stdin
        .read_to_string(&mut text)
        .context("failed to read standard input")?;
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() {
        return Err(empty("standard input", name).into());
    }
    Ok(Values::one(name, value.to_owned()))
}

/// A value that nobody chose.
pub fn generated(name: &str) -> anyhow::Result<Values> {
    let mut bytes = [0; RANDOM_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("failed to read /dev/urandom")?;
    Ok(Values::one(name, URL_SAFE_NO_PAD.encode(bytes)))
}

/// Keeps a value in a new file that only its owner can read.
pub fn keep(path: &Path, values: &Values) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&json!(values.0))?;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(|error| {
        Fail::setup(format!("{} cannot be written", path.display()))
            .why(error.to_string())
            .fix("name a file that does not exist yet, in a folder of yours")
            .into()
    })
}

/// There is a source, and nothing in it.
pub fn empty(source: &str, name: &str) -> Fail {
    Fail::setup(format!("{source} holds no value for {name}"))
        .why("an empty secret is refused by whoever checks it, and accepted by whoever does not")
        .fix(format!(
            "read -rs {name} && export {name}   (then run it again), or let one be made: --generate"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_wrong_is_told_without_its_text() {
        let why = |text: &str| read_object(text).unwrap_err();
        assert_eq!(
            why("{\"A\": \"hunter2\""),
            "it is no JSON: line 1, column 15"
        );
        assert_eq!(why("hunter2"), "it is no JSON: line 1, column 1");
        assert_eq!(why("[\"hunter2\"]"), "it is no JSON object");
        assert_eq!(why("{\"A\": 42}"), "the value of `A` is no text");
        assert_eq!(why("{\"A\": \"\"}"), "the value of `A` is empty");
        let values = read_object("\u{feff}{\"B\": \"x\", \"A\": \"hunter2\"}").unwrap();
        assert_eq!(format!("{values:?}"), "{\"A\", \"B\"}");
    }

    #[test]
    fn what_is_generated_is_long_and_never_the_same() {
        let one = generated("A").unwrap();
        assert_eq!(one.get("A").map(str::len), Some(43));
        assert_ne!(one, generated("A").unwrap());
    }

    #[test]
    fn what_is_kept_is_for_its_owner_and_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new.json");
        let values = Values::one("A", "hunter2".to_owned());
        keep(&path, &values).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(from_file(&path).unwrap(), values);
        assert!(
            keep(&path, &values).is_err(),
            "a file that is there is never replaced"
        );
    }
}
