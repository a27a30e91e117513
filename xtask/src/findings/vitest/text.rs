//! The text of vitest's default reporter: blocks of failed suites and tests, unhandled errors, and stack frames.

use std::path::Path;

use crate::findings::{Base, Finding};
use crate::ui::clean_line;

/// One `FAIL` block, or one unhandled error.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// What follows `FAIL`: `file > suite > name`, as often as the block has headings.
    headings: Vec<String>,
    pub(super) message: String,
    pub(super) frames: Vec<Frame>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Suite,
    Test,
    Unhandled,
}

/// A place in a stack.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) path: String,
    pub(super) line: u32,
    pub(super) col: u32,
}

impl Block {
    /// True when one of the headings names this file (relative to the root) and this test.
    pub(super) fn is_about(&self, file: &Path, name: &str, base: Base<'_>) -> bool {
        self.headings.iter().any(|heading| {
            // `|project| file > name`
            let heading = match heading.strip_prefix('|') {
                Some(rest) => rest
                    .split_once('|')
                    .map_or(rest, |(_, rest)| rest.trim_start()),
                None => heading,
            };
            if name.is_empty() {
                let printed = heading.split(" [ ").next().unwrap_or(heading);
                return base.relative(printed.trim()) == file;
            }
            match heading.split_once(" > ") {
                Some((printed, rest)) => {
                    rest.trim() == name && base.relative(printed.trim()) == file
                }
                None => false,
            }
        })
    }
}

/// All blocks of the output.
pub(super) fn blocks(output: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // True from a heading to the next rule line.
    let mut open = false;
    for line in output.lines().map(clean_line) {
        let text = line.trim();
        if let Some(heading) = text.strip_prefix("FAIL ") {
            let heading = heading.trim().to_owned();
            // Several headings in a row share one error.
            match blocks
                .last_mut()
                .filter(|block| open && block.message.is_empty() && !block.headings.is_empty())
            {
                Some(block) => block.headings.push(heading),
                None => {
                    let kind = if heading.contains(" > ") {
                        Kind::Test
                    } else {
                        Kind::Suite
                    };
                    blocks.push(Block::new(kind, Some(heading)));
                }
            }
            open = true;
        } else if text.starts_with('⎯') {
            let title = text.trim_matches('⎯').trim();
            open = matches!(
                title,
                "Uncaught Exception"
                    | "Unhandled Rejection"
                    | "Unhandled Error"
                    | "Unhandled Source Error"
            );
            if open {
                blocks.push(Block::new(Kind::Unhandled, None));
            }
        } else if let Some(block) = blocks.last_mut().filter(|_| open) {
            block.take(&line);
        }
    }
    for block in &mut blocks {
        block.message = block.message.trim().to_owned();
    }
    blocks
}

impl Block {
    fn new(kind: Kind, heading: Option<String>) -> Block {
        Block {
            kind,
            headings: heading.into_iter().collect(),
            message: String::new(),
            frames: Vec::new(),
        }
    }

    /// Everything before the first blank line or frame is the message; the diff and the source picture are left out.
    fn take(&mut self, line: &str) {
        let text = line.trim();
        if let Some(frame) = text.strip_prefix("❯ ") {
            self.frames.extend(last_word_frame(frame));
            return;
        }
        let message_over = !self.frames.is_empty() || self.message.ends_with('\n');
        if text.starts_with("Caused by: ") {
            self.message = format!("{}\n{text}", self.message.trim_end());
        } else if message_over {
            self.frames.extend(bracketed(line));
        } else if text.is_empty() {
            if !self.message.is_empty() {
                self.message.push('\n');
            }
        } else {
            if !self.message.is_empty() {
                self.message.push('\n');
            }
            self.message.push_str(line.trim_end());
        }
    }
}

/// `Timeout._onTimeout t/a.test.ts:2:45`: the function's name may be missing, the path may hold spaces only without it.
fn last_word_frame(text: &str) -> Option<Frame> {
    frame(text.rsplit(' ').next()?)
}

/// `    at name (file:///repo/a.ts:4:37)` and `    at /repo/a.ts:4:37`.
pub(super) fn stack_frame(line: &str) -> Option<Frame> {
    let text = line.trim_start().strip_prefix("at ")?;
    match text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once('('))
    {
        Some((_, place)) => frame(place),
        None => frame(text.strip_prefix("async ").unwrap_or(text)),
    }
}

/// `   ╭─[ t/syntax.test.ts:2:29 ]`
pub(super) fn bracketed(line: &str) -> Option<Frame> {
    let (_, rest) = line.split_once("─[")?;
    frame(rest.trim().strip_suffix(']')?.trim())
}

fn frame(text: &str) -> Option<Frame> {
    let mut parts = text.rsplitn(3, ':');
    let (col, line, path) = (parts.next()?, parts.next()?, parts.next()?);
    let path = path.split(['?', '#']).next().unwrap_or(path);
    // `node:internal/timers` is no file.
    if path.is_empty() || path.starts_with("node:") {
        return None;
    }
    Some(Frame {
        path: path.to_owned(),
        line: line.parse().ok()?,
        col: col.parse().ok()?,
    })
}

/// What stopped vitest before it ran anything: a config that does not load, most of the time.
pub(super) fn start_up_error(output: &str, base: Base<'_>) -> Finding {
    let lines: Vec<String> = output.lines().map(clean_line).collect();
    let config = lines
        .iter()
        .find_map(|line| line.trim().strip_prefix("failed to load config from "));
    let title = lines.iter().position(|line| line.contains("Startup Error"));
    let after = title.map_or(&lines[..], |index| &lines[index + 1..]);
    let message: Vec<&str> = after
        .iter()
        .map(|line| line.trim())
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.starts_with("at ") && !line.starts_with('╭'))
        .filter(|line| !line.is_empty())
        .take(5)
        .collect();
    let said = if message.is_empty() {
        "it printed nothing".to_owned()
    } else {
        message.join("\n")
    };
    let finding = Finding::error(format!("vitest did not start: {said}"));
    let place = after.iter().find_map(|line| bracketed(line));
    match (config, place) {
        // The column counts what vite puts in front of the first line.
        (Some(config), Some(frame)) => finding.in_file(base.relative(config)).at(frame.line, 0),
        (Some(config), None) => finding.in_file(base.relative(config)),
        (None, Some(frame)) => finding
            .in_file(base.relative(&frame.path))
            .at(frame.line, frame.col),
        (None, None) => finding,
    }
}
