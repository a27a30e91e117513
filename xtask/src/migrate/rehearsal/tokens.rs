//! SQL as words: SQLite's lexical grammar, comments included, and nothing about what statements mean. Pure.

/// A piece of SQL text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A bare word: a keyword or a name.
    Word(String),
    /// A quoted name, without its quotes.
    Name(String),
    /// A string, a number, a parameter: a value.
    Value(String),
    /// Anything else, one character each.
    Mark(char),
    /// A `--` comment, without the dashes.
    Comment(String),
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// What.
    pub(crate) token: Token,
    /// Its line, from 1.
    pub(crate) line: u32,
    /// How many parentheses are open around it.
    pub(crate) depth: u32,
}

impl Placed {
    /// True for this keyword.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// True for this mark.
    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.token == Token::Mark(mark)
    }

    /// The name it can stand for.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.token {
            Token::Word(name) | Token::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The tokens of a text, block comments left out.
pub(crate) fn tokens(sql: &str) -> Vec<Placed> {
    let mut found = Vec::new();
    let mut rest = sql;
    let mut line = 1;
    let mut depth = 0_u32;
    while let Some(first) = rest.chars().next() {
        let length = length_of(rest, first);
        let piece = &rest[..length];
        if let Some(token) = token_of(piece, first) {
            if token == Token::Mark(')') {
                depth = depth.saturating_sub(1);
            }
            let opens = token == Token::Mark('(');
            found.push(Placed { token, line, depth });
            depth += u32::from(opens);
        }
        line += u32::try_from(piece.matches('\n').count()).unwrap_or(u32::MAX);
        rest = &rest[length..];
    }
    found
}

fn length_of(rest: &str, first: char) -> usize {
    let until = |end: &str, from: usize| {
        let found = rest.get(from..).and_then(|text| text.find(end));
        found.map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("--") {
        // The line break is no part of the comment.
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until("*/", 2);
    }
    match first {
        '[' => until("]", 1),
        '\'' | '"' | '`' => quoted_length(rest, first),
        first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        first => first.len_utf8(),
    }
}

/// A doubled quote is a quote inside.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut at = 1;
    loop {
        let Some(next) = rest[at..].find(quote) else {
            return rest.len();
        };
        at += next + 1;
        if !rest[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn token_of(piece: &str, first: char) -> Option<Token> {
    if let Some(text) = piece.strip_prefix("--") {
        return Some(Token::Comment(text.to_owned()));
    }
    if piece.starts_with("/*") || first.is_whitespace() {
        return None;
    }
    let inside = || {
        let inner = piece.get(1..piece.len() - 1).unwrap_or_default();
        inner.replace(&format!("{first}{first}"), &first.to_string())
    };
    Some(match first {
        '\'' => Token::Value(piece.to_owned()),
        '"' | '`' | '[' => Token::Name(inside()),
        first if first.is_ascii_digit() || first == '?' => Token::Value(piece.to_owned()),
        first if is_word(first) => Token::Word(piece.to_owned()),
        other => Token::Mark(other),
    })
}
