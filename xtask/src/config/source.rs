//! Text files with positions, and the list of mistakes found in them. Never shows the text of a file: configs can hold
//! secrets, so a problem names key paths, not values.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::Fail;

/// A position a person can jump to: both count from 1, columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line; 0 when the problem is about a file as a whole that could not be read.
    pub line: usize,
    /// The column, in characters.
    pub col: usize,
}

/// One mistake in a config file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, relative to the repo's root when it is inside.
    pub path: PathBuf,
    /// The line, from 1; 0 when there is none.
    pub line: usize,
    /// The column in characters, from 1; 0 when there is none.
    pub col: usize,
    /// What is wrong.
    pub message: String,
    /// How to repair it, when that can be said.
    pub fix: Option<String>,
    /// True when the pipeline can go on.
    pub warning: bool,
    /// True when two files mean different things by the same name.
    pub parity: bool,
}

impl fmt::Display for Problem {
    /// `path:line:col: error: message (fix)`: the form editors and CI problem matchers know.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.col)?;
        }
        let label = if self.warning { "warning" } else { "error" };
        write!(f, ": {label}: {}", self.message)?;
        if let Some(fix) = &self.fix {
            write!(f, "; {fix}")?;
        }
        Ok(())
    }
}

/// Every mistake found so far, in all files.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    root: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    /// An empty list; paths are shown relative to `root`.
    pub fn new(root: &Path) -> Problems {
        Problems {
            root: root.to_owned(),
            list: Vec::new(),
        }
    }

    /// Adds an error.
    pub fn error(&mut self, path: &Path, place: Place, message: impl Into<String>) {
        self.push(path, place, message.into(), None, false);
    }

    /// Adds an error whose repair is known.
    pub fn error_with_fix(
        &mut self,
        path: &Path,
        place: Place,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(path, place, message.into(), Some(fix.into()), false);
    }

    /// Adds something a person should know but that does not stop the pipeline.
    pub fn warning(&mut self, path: &Path, place: Place, message: impl Into<String>) {
        self.push(path, place, message.into(), None, true);
    }

    /// Adds an error about two files that mean different things by the same name.
    pub fn parity(
        &mut self,
        path: &Path,
        place: Place,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.error_with_fix(path, place, message, fix);
        if let Some(last) = self.list.last_mut() {
            last.parity = true;
        }
    }

    fn push(
        &mut self,
        path: &Path,
        place: Place,
        message: String,
        fix: Option<String>,
        warning: bool,
    ) {
        self.list.push(Problem {
            path: self.relative(path),
            line: place.line,
            col: place.col,
            message,
            fix,
            warning,
            parity: false,
        });
    }

    /// A path as it is shown: relative to the root when it is inside.
    pub fn relative(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(relative) if !relative.as_os_str().is_empty() => relative.to_owned(),
            _ => path.to_owned(),
        }
    }

    /// True when nothing stops the pipeline.
    pub fn ok(&self) -> bool {
        self.list.iter().all(|problem| problem.warning)
    }

    /// The problems, by file and position.
    pub fn sorted(&self) -> Vec<Problem> {
        let mut list = self.list.clone();
        list.sort();
        list.dedup();
        list
    }

    /// The warnings, ready to show.
    pub fn warnings(&self) -> Vec<String> {
        let sorted = self.sorted();
        let warnings = sorted.iter().filter(|problem| problem.warning);
        warnings.map(ToString::to_string).collect()
    }

    /// One failure (exit 2) that lists every error, or nothing when there is none.
    pub fn into_result(self) -> Result<(), Fail> {
        let sorted = self.sorted();
        let errors: Vec<&Problem> = sorted.iter().filter(|problem| !problem.warning).collect();
        let what = match errors.len() {
            0 => return Ok(()),
            1 => "the configuration has a mistake".to_owned(),
            count => format!("the configuration has {count} mistakes"),
        };
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let places = if errors.len() == 1 { "place" } else { "places" };
        Err(Fail::setup(what)
            .why(lines.join("\n"))
            .fix(format!(
                "correct the {places} above, then see whether all is well:"
            ))
            .fix("cargo xtask deploy --cloud local --dry-run"))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.sorted() {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// A config file's text and where its lines start.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// The text without a byte order mark.
    pub(crate) text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Reads a file. One that is missing or no text becomes a problem.
    pub(crate) fn read(path: &Path, problems: &mut Problems) -> Option<Source> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = match error.kind() {
                    ErrorKind::NotFound => "the file does not exist".to_owned(),
                    _ => format!("the file cannot be read: {error}"),
                };
                problems.error(path, Place::default(), why);
                return None;
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Some(Source::new(path, &text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let readable = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                let place = Source::new(path, &readable).place(readable.len());
                problems.error_with_fix(
                    path,
                    place,
                    "this is not UTF-8 text",
                    "save the file as UTF-8",
                );
                None
            }
        }
    }

    /// A text that was read already.
    pub(crate) fn new(path: &Path, text: &str) -> Source {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let newlines = text.match_indices('\n').map(|(index, _)| index + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Source {
            path: path.to_owned(),
            text,
            line_starts,
        }
    }

    /// The position of a byte.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        // Count by bytes that begin a character, so that an offset inside one cannot panic.
        let before = &self.text.as_bytes()[start..offset];
        let col = 1 + before.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Place { line, col }
    }

    /// The position where a range begins.
    pub(crate) fn place_of(&self, span: &Range<usize>) -> Place {
        self.place(span.start)
    }
}
