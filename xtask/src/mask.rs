//! Hides secret values in text that is going to be shown or stored. Knows nothing of where secrets come from.
//!
//! A value is found as it is, in base64 (standard and URL alphabet, padded or not, alone or at any alignment inside
//! something longer), in hex (either case), percent-encoded (any set, either case, `+` for a space) and JSON-escaped (once or twice). Of a
//! value with several lines, each line of 8 or more characters is hidden too, as output arrives line by line. A value
//! of 1 to 3 characters is hidden only where it stands as a whole word: anything else would blank out ordinary text.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in the place of a secret.
const STARS: &str = "***";
/// Shorter values are hidden as whole words only.
const ANYWHERE_MIN: usize = 4;
/// Shorter lines of a value with several lines (`}`, `{`) are ordinary text.
const LINE_MIN: usize = 8;

/// The known secret values, ready to be searched for.
#[derive(Clone)]
pub struct Mask {
    names: Vec<String>,
    patterns: Vec<Pattern>,
    /// Pattern numbers by their first two bytes.
    by_start: HashMap<[u8; 2], Vec<usize>>,
    /// One flag per possible first two bytes: most positions of a text are dismissed with this alone.
    starts: Vec<bool>,
    /// Patterns of one byte.
    single: Vec<usize>,
    /// All patterns, to add none twice.
    seen: HashSet<Pattern>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Pattern {
    bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Anywhere,
    WholeWord,
    /// The characters of a base64 text that depend on the secret alone; the neighbours hold its remaining bits.
    Base64,
}

/// A text as it reads once decoded: `bytes[i]` stands at `offsets[i]..offsets[i + 1]` of the original.
struct View {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

impl Mask {
    /// A mask for the given (name, value) pairs; empty values are ignored.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Mask {
        let mut mask = Mask {
            names: Vec::new(),
            patterns: Vec::new(),
            by_start: HashMap::new(),
            starts: vec![false; 1 << 16],
            single: Vec::new(),
            seen: HashSet::new(),
        };
        for (name, value) in secrets {
            mask.names.push(name.to_owned());
            for text in forms(value) {
                patterns_of(text).into_iter().for_each(|it| mask.add(it));
            }
        }
        mask
    }

    /// Hides what another mask hides, too.
    pub fn extend(&mut self, other: &Mask) {
        self.names.extend(other.names.iter().cloned());
        other.patterns.iter().cloned().for_each(|it| self.add(it));
    }

    /// The names of the secrets, for keeping their variables away from programs that do not need them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The text with every known secret replaced by `***`. Time grows linearly with the text.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.patterns.is_empty() || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut spans = Vec::new();
        self.search(text.as_bytes(), None, &mut spans);
        for view in views(text.as_bytes()) {
            self.search(&view.bytes, Some(&view.offsets), &mut spans);
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(replace(text, spans))
    }

    /// The JSON value with every string in it (keys included) masked.
    pub fn apply_json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.apply(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.apply_json(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (self.apply(key).into_owned(), self.apply_json(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn add(&mut self, pattern: Pattern) {
        if !self.seen.insert(pattern.clone()) {
            return;
        }
        let index = self.patterns.len();
        match pattern.bytes.as_slice() {
            [] => return,
            [_] => self.single.push(index),
            [first, second, ..] => {
                self.starts[usize::from(*first) << 8 | usize::from(*second)] = true;
                self.by_start
                    .entry([*first, *second])
                    .or_default()
                    .push(index);
            }
        }
        self.patterns.push(pattern);
    }

    /// Adds the places of all matches in `bytes`, as positions of the original text.
    fn search(&self, bytes: &[u8], offsets: Option<&[usize]>, spans: &mut Vec<(usize, usize)>) {
        for start in 0..bytes.len() {
            let next = bytes.get(start + 1).copied().unwrap_or(0);
            let here = if self.starts[usize::from(bytes[start]) << 8 | usize::from(next)] {
                self.by_start.get(&[bytes[start], next])
            } else {
                None
            };
            for &index in here.into_iter().flatten().chain(&self.single) {
                if let Some((from, to)) = self.patterns[index].at(bytes, start) {
                    spans.push(offsets.map_or((from, to), |map| (map[from], map[to])));
                }
            }
        }
    }
}

impl fmt::Debug for Mask {
    /// Shows names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("names", &self.names).finish()
    }
}

impl Pattern {
    /// The range to hide when this pattern stands at `start`.
    fn at(&self, bytes: &[u8], start: usize) -> Option<(usize, usize)> {
        if !bytes[start..].starts_with(&self.bytes) {
            return None;
        }
        let end = start + self.bytes.len();
        let before = start.checked_sub(1).map(|i| bytes[i]);
        let after = bytes.get(end).copied();
        match self.kind {
            Kind::Anywhere => Some((start, end)),
            Kind::WholeWord => {
                let is_word = |byte: Option<u8>| {
                    byte.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80)
                };
                (!is_word(before) && !is_word(after)).then_some((start, end))
            }
            Kind::Base64 => {
                let is_base64 = |byte: Option<u8>| {
                    byte.is_some_and(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b))
                };
                let from = start - usize::from(is_base64(before));
                let end = end + usize::from(is_base64(after));
                let padding = bytes[end..].iter().take(2).take_while(|&&b| b == b'=');
                Some((from, end + padding.count()))
            }
        }
    }
}

/// The texts to look for on account of one value: itself, trimmed, and its longer lines.
fn forms(value: &str) -> Vec<&str> {
    let mut forms = vec![value, value.trim()];
    if value.trim().contains('\n') {
        let lines = value.lines().map(str::trim);
        forms.extend(lines.filter(|line| line.len() >= LINE_MIN));
    }
    forms.retain(|form| !form.trim().is_empty());
    forms.dedup();
    forms
}

fn patterns_of(text: &str) -> Vec<Pattern> {
    let bytes = text.as_bytes().to_vec();
    if text.len() < ANYWHERE_MIN {
        return vec![Pattern {
            bytes,
            kind: Kind::WholeWord,
        }];
    }
    let mut patterns = vec![Pattern {
        bytes,
        kind: Kind::Anywhere,
    }];
    for hex in [hex(text.as_bytes()), hex(text.as_bytes()).to_uppercase()] {
        patterns.push(Pattern {
            bytes: hex.into_bytes(),
            kind: Kind::Anywhere,
        });
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let mut shifted = vec![0; shift];
            shifted.extend_from_slice(text.as_bytes());
            // A character holds 6 bits: only those that lie wholly inside the secret's bits are always the same.
            let (first, last) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
            let encoded = engine.encode(&shifted).into_bytes();
            patterns.push(Pattern {
                bytes: encoded[first..last].to_vec(),
                kind: Kind::Base64,
            });
        }
    }
    patterns
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The ways a text may hide a value by escaping some of its characters.
fn views(text: &[u8]) -> Vec<View> {
    let mut views = Vec::new();
    if text.contains(&b'%') {
        views.push(decode_percent(text, false));
    }
    if text.contains(&b'+') {
        views.push(decode_percent(text, true));
    }
    if text.contains(&b'\\') {
        let once = unescape_json(text);
        let twice = unescape_json(&once.bytes);
        let offsets = twice.offsets.iter().map(|&at| once.offsets[at]).collect();
        views.push(once);
        views.push(View {
            bytes: twice.bytes,
            offsets,
        });
    }
    views
}

fn decode_percent(text: &[u8], plus_is_space: bool) -> View {
    let mut view = View::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let hex = |i: usize| text.get(i).and_then(|&b| char::from(b).to_digit(16));
        match (text[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                view.push((high * 16 + low) as u8, at);
                at += 3;
            }
            (b'+', ..) if plus_is_space => {
                view.push(b' ', at);
                at += 1;
            }
            (byte, ..) => {
                view.push(byte, at);
                at += 1;
            }
        }
    }
    view.finish(at)
}

fn unescape_json(text: &[u8]) -> View {
    let mut view = View::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (decoded, length) = match (text[at], text.get(at + 1)) {
            (b'\\', Some(b'u')) => match unicode_escape(&text[at..]) {
                Some((character, length)) => (character, length),
                None => ('\\', 1),
            },
            (b'\\', Some(escape)) => match escape {
                b'n' => ('\n', 2),
                b'r' => ('\r', 2),
                b't' => ('\t', 2),
                b'b' => ('\u{8}', 2),
                b'f' => ('\u{c}', 2),
                b'"' | b'\\' | b'/' | b'\'' => (char::from(*escape), 2),
                _ => ('\\', 1),
            },
            (byte, _) => {
                view.push(byte, at);
                at += 1;
                continue;
            }
        };
        for &byte in decoded.encode_utf8(&mut [0; 4]).as_bytes() {
            view.push(byte, at);
        }
        at += length;
    }
    view.finish(at)
}

/// The character of `\uXXXX` or of a surrogate pair at the start of the text, and the length of the escape.
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(text.get(at + 2..at + 6)?).ok()?;
        (text[at] == b'\\' && text[at + 1] == b'u')
            .then(|| u16::from_str_radix(digits, 16).ok())
            .flatten()
    };
    let first = unit(0)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, 6));
    }
    let character = char::decode_utf16([first, unit(6)?]).next()?.ok()?;
    Some((character, 12))
}

impl View {
    fn with_capacity(length: usize) -> View {
        View {
            bytes: Vec::with_capacity(length),
            offsets: Vec::with_capacity(length + 1),
        }
    }

    fn push(&mut self, byte: u8, offset: usize) {
        self.bytes.push(byte);
        self.offsets.push(offset);
    }

    fn finish(mut self, end: usize) -> View {
        self.offsets.push(end);
        self
    }
}

/// The text with the spans, merged where they touch, replaced. Positions inside a character widen to the whole of it.
fn replace(text: &str, mut spans: Vec<(usize, usize)>) -> String {
    spans.sort_unstable();
    let mut masked = String::with_capacity(text.len());
    let mut shown_to = 0;
    let mut open: Option<(usize, usize)> = None;
    for (mut from, mut to) in spans.into_iter().chain([(usize::MAX, usize::MAX)]) {
        while from < text.len() && !text.is_char_boundary(from) {
            from -= 1;
        }
        while to < text.len() && !text.is_char_boundary(to) {
            to += 1;
        }
        match &mut open {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => {
                if let Some((start, end)) = open {
                    masked.push_str(&text[shown_to..start]);
                    masked.push_str(STARS);
                    shown_to = end;
                }
                open = Some((from, to));
            }
        }
    }
    masked.push_str(&text[shown_to..]);
    masked
}
