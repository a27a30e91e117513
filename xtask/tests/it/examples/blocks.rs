//! Fenced blocks of the documents, and the commands in them.

use std::fs;
use std::path::{Path, PathBuf};

/// The repo's root.
pub fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in a repo")
}

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// `docs/crons.md`.
    pub file: String,
    /// The line of its first line.
    pub line: usize,
    /// What stands behind the fence.
    pub language: String,
    /// Its text, without the indentation of the fence.
    pub lines: Vec<String>,
}

/// A command a person is told to type, and what the document says is answered.
#[derive(Clone, Debug)]
pub struct Example {
    /// `docs/crons.md:9`.
    pub place: String,
    /// The words, the remark behind `#` left out.
    pub words: Vec<String>,
    /// The line as it stands.
    pub line: String,
    /// The answer shown below it, possibly shortened.
    pub answer: String,
}

/// All blocks of README.md and docs/.
pub fn blocks() -> Vec<Block> {
    let mut paths = vec![PathBuf::from("README.md")];
    for entry in fs::read_dir(repo().join("docs")).expect("docs/ exists") {
        let name = entry.expect("it can be listed").file_name();
        let path = Path::new("docs").join(name);
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(repo().join(path)).expect("a document is text");
            blocks_of(&path.display().to_string(), &text)
        })
        .collect()
}

/// The blocks of one text.
pub fn blocks_of(file: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let block = Block {
                    file: file.to_owned(),
                    line: number + 2,
                    language: language.trim().to_owned(),
                    lines: Vec::new(),
                };
                open = Some((indent, block));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block
                    .lines
                    .push(line.get(*indent..).unwrap_or("").to_owned());
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{file}: a block has no end");
    blocks
}

impl Block {
    /// The commands: every line of `sh`, the lines with a prompt of `console`.
    pub fn examples(&self) -> Vec<Example> {
        let mut examples: Vec<Example> = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let command = match self.language.as_str() {
                "sh" => Some(line.as_str()).filter(|line| !line.is_empty()),
                "console" => line.strip_prefix("$ "),
                _ => None,
            };
            match (command, examples.last_mut()) {
                (Some(command), _) => examples.push(Example {
                    place: format!("{}:{}", self.file, self.line + number),
                    words: words(command),
                    line: command.to_owned(),
                    answer: String::new(),
                }),
                (None, Some(last)) if self.language == "console" => {
                    last.answer.push_str(line);
                    last.answer.push('\n');
                }
                _ => {}
            }
        }
        examples
    }
}

/// A line's words as a shell tells them apart, up to a remark.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
