//! Reads the plain YAML of workflows, line by line: block mappings and lists, block scalars, flow values on one line. A line
//! beyond that is reported as unreadable rather than guessed at, so nothing can hide in it. Knows nothing of workflows.

use std::collections::BTreeMap;

/// A YAML file, flattened.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Every key and list item, in reading order.
    pub(super) entries: Vec<Entry>,
    /// The lines that carry a comment, from 1.
    pub(super) comments: Vec<usize>,
    /// The lines that could not be read, from 1.
    pub(super) unreadable: Vec<usize>,
}

/// `jobs.check.steps[0].uses: actions/checkout@…  # v7.0.1`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it stands, from 1.
    pub(super) line: usize,
    /// `jobs.check.steps[0].uses`
    pub(super) path: String,
    /// The value as written, without quotes around it; the text of a block scalar; empty for a block.
    pub(super) value: String,
    /// The comment behind it.
    pub(super) comment: Option<String>,
}

impl Document {
    /// Reads a file.
    pub(super) fn read(text: &str) -> Document {
        let mut reader = Reader::default();
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            at += reader.take(&lines, at);
        }
        reader.document
    }

    /// The entry at a path.
    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// The entries right below a path, in order: keys or items.
    pub(super) fn below<'d>(&'d self, path: &'d str) -> impl Iterator<Item = &'d Entry> {
        self.entries
            .iter()
            .filter(move |entry| parent(&entry.path) == path)
    }

    /// The entries whose last key is `key`, wherever they stand.
    pub(super) fn all<'d>(&'d self, key: &'d str) -> impl Iterator<Item = &'d Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.key() == Some(key))
    }
}

impl Entry {
    /// The last key; none for a list item.
    pub(super) fn key(&self) -> Option<&str> {
        (!self.path.ends_with(']')).then(|| self.path.rsplit('.').next().unwrap_or_default())
    }
}

/// `jobs.check.steps[0].uses` → `jobs.check.steps[0]` → `jobs.check.steps`
pub(super) fn parent(path: &str) -> &str {
    if path.ends_with(']') {
        return path.rfind('[').map_or("", |at| &path[..at]);
    }
    path.rfind('.').map_or("", |at| &path[..at])
}

#[derive(Default)]
struct Reader {
    document: Document,
    /// Indentation and path of every block that is open.
    open: Vec<(usize, String)>,
    /// How many items each list has so far.
    items: BTreeMap<String, usize>,
}

impl Reader {
    /// Reads the line at `at`, and the block scalar it opens; returns how many lines that was.
    fn take(&mut self, lines: &[&str], at: usize) -> usize {
        let number = at + 1;
        let (content, comment) = split_comment(lines[at]);
        if comment.is_some() {
            self.document.comments.push(number);
        }
        let text = content.trim();
        if text.is_empty() || (text == "---" && self.document.entries.is_empty()) {
            return 1;
        }
        let mut indent = content.len() - content.trim_start().len();
        let mut rest = text;
        self.open.retain(|(open, _)| *open < indent);
        while let Some(item) = rest.strip_prefix("- ") {
            let list = self.path();
            let count = self.items.entry(list.clone()).or_default();
            let path = format!("{list}[{count}]");
            *count += 1;
            self.open.push((indent, path.clone()));
            indent += rest.len() - item.trim_start().len();
            rest = item.trim_start();
            if key_of(rest).is_none() {
                return self.value(number, path, rest, comment, lines, at, indent);
            }
            self.entry(number, &path, "", None);
        }
        let Some((key, value)) = key_of(rest) else {
            self.document.unreadable.push(number);
            return 1;
        };
        let path = match self.path() {
            above if above.is_empty() => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        self.open.push((indent, path.clone()));
        self.value(number, path, value, comment, lines, at, indent)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the whole state of one line, split off for its length"
    )]
    fn value(
        &mut self,
        number: usize,
        path: String,
        value: &str,
        comment: Option<&str>,
        lines: &[&str],
        at: usize,
        indent: usize,
    ) -> usize {
        if value.starts_with(['|', '>']) {
            let block: Vec<&str> = lines[at + 1..]
                .iter()
                .take_while(|line| {
                    line.trim().is_empty() || line.len() - line.trim_start().len() > indent
                })
                .copied()
                .collect();
            self.entry(number, &path, &block.join("\n"), comment);
            return 1 + block.len();
        }
        let closed = match value.chars().next() {
            Some('{') => value.ends_with('}'),
            Some('[') => value.ends_with(']'),
            Some(quote @ ('"' | '\'')) => value.len() > 1 && value.ends_with(quote),
            // Anchors and aliases would let one line stand for another.
            Some('&' | '*' | '!') => false,
            _ => true,
        };
        // A step inside brackets would be seen by no rule.
        let hides = value.starts_with(['{', '['])
            && ["uses:", "run:", "continue-on-error:"]
                .iter()
                .any(|key| value.contains(key));
        if !closed || hides {
            self.document.unreadable.push(number);
        }
        self.entry(number, &path, unquoted(value), comment);
        if let Some(inner) = value.strip_prefix('{').and_then(|v| v.strip_suffix('}')) {
            for part in split_flow(inner) {
                match key_of(part.trim()) {
                    Some((key, value)) => {
                        self.entry(number, &format!("{path}.{key}"), unquoted(value), comment);
                    }
                    None if part.trim().is_empty() => {}
                    None => self.document.unreadable.push(number),
                }
            }
        }
        1
    }

    fn path(&self) -> String {
        self.open
            .last()
            .map(|(_, path)| path.clone())
            .unwrap_or_default()
    }

    fn entry(&mut self, line: usize, path: &str, value: &str, comment: Option<&str>) {
        self.document.entries.push(Entry {
            line,
            path: path.to_owned(),
            value: value.to_owned(),
            comment: comment.map(str::to_owned),
        });
    }
}

/// The items of `[a, "b"]`, or the value itself when it is no list.
pub(super) fn list(value: &str) -> Vec<&str> {
    let inner = value.strip_prefix('[').and_then(|v| v.strip_suffix(']'));
    let parts = inner.map_or_else(|| vec![value], split_flow);
    let parts = parts.into_iter().map(|part| unquoted(part.trim()));
    parts.filter(|part| !part.is_empty()).collect()
}

/// `key: value` or `key:`
fn key_of(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let key = unquoted(key);
    let ends = value.is_empty() || value.starts_with(' ');
    (ends && !key.is_empty() && key.chars().all(plain)).then(|| (key, value.trim()))
}

/// The parts between the commas that stand outside quotes and brackets.
fn split_flow(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// A line's content and its comment: a `#` at the start or after a blank, outside quotes.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            // A quote inside a word is an apostrophe.
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '#') if before.is_whitespace() => {
                return (line[..at].trim_end(), Some(line[at + 1..].trim()));
            }
            _ => {}
        }
        before = c;
    }
    (line.trim_end(), None)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_becomes_paths_and_values() {
        let text = "# head\non:\n  push: { branches: [main, 'a, b'] } # both\njobs:\n  a:\n    steps:\n      - uses: x/y@1 # v1\n        with: { k: \"{ # }\" }\n      - run: |\n          one # no comment\n\n          two\n      - if: always()\n    needs: [b, c]\n";
        let document = Document::read(text);
        let shown: Vec<String> = document
            .entries
            .iter()
            .map(|e| {
                format!(
                    "{} {} = {:?} {:?}",
                    e.line,
                    e.path,
                    e.value,
                    e.comment.as_deref().unwrap_or("")
                )
            })
            .collect();
        expect_test::expect![[r##"
            2 on = "" ""
            3 on.push = "{ branches: [main, 'a, b'] }" "both"
            3 on.push.branches = "[main, 'a, b']" "both"
            4 jobs = "" ""
            5 jobs.a = "" ""
            6 jobs.a.steps = "" ""
            7 jobs.a.steps[0] = "" ""
            7 jobs.a.steps[0].uses = "x/y@1" "v1"
            8 jobs.a.steps[0].with = "{ k: \"{ # }\" }" ""
            8 jobs.a.steps[0].with.k = "{ # }" ""
            9 jobs.a.steps[1] = "" ""
            9 jobs.a.steps[1].run = "          one # no comment\n\n          two" ""
            13 jobs.a.steps[2] = "" ""
            13 jobs.a.steps[2].if = "always()" ""
            14 jobs.a.needs = "[b, c]" """##]]
        .assert_eq(&shown.join("\n"));
        assert_eq!(document.unreadable, Vec::<usize>::new());
        assert_eq!(list("[main, 'a, b']"), ["main", "a, b"]);
    }

    #[test]
    fn what_it_cannot_read_it_says() {
        let document = Document::read(
            "a: &anchor 1\nb: *anchor\nc: {\n  d: 1 }\nplain words\n? e\nsteps: [{ run: x }]\n",
        );
        assert_eq!(document.unreadable, [1, 2, 3, 5, 6, 7]);
    }
}
