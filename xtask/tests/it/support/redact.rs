//! Replaces what differs from run to run (ids, times, ports) by the name of what it is, so that texts can be compared.

/// Redacts a text; `port` is the local cloud's.
pub fn redact(text: &str, port: Option<u16>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_') {
            word.push(c);
            continue;
        }
        flush(&mut out, &mut word, port);
        out.push(c);
    }
    flush(&mut out, &mut word, port);
    durations(&out)
}

fn flush(out: &mut String, word: &mut String, port: Option<u16>) {
    // Punctuation that ends a word is not part of it.
    let bare = word.trim_end_matches([':', '.', '-']);
    let tail = word[bare.len()..].to_owned();
    out.push_str(&named(bare, port));
    out.push_str(&tail);
    word.clear();
}

fn named(word: &str, port: Option<u16>) -> String {
    if let Some(port) = port {
        let suffix = format!(":{port}");
        if let Some(host) = word.strip_suffix(&suffix) {
            return format!("{host}:[port]");
        }
    }
    if is_uuid(word) {
        return "[version]".to_owned();
    }
    if is_release(word) {
        return "[release]".to_owned();
    }
    if is_time(word) {
        return "[time]".to_owned();
    }
    if is_duration(word) {
        return "[duration]".to_owned();
    }
    if is_hex(word, 8) {
        return "[version]".to_owned();
    }
    if is_hex(word, 7) || is_hex(word, 40) {
        return "[commit]".to_owned();
    }
    word.to_owned()
}

fn is_hex(word: &str, length: usize) -> bool {
    word.len() == length
        && word.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        // A plain word such as `defaced` is not an id.
        && word.chars().any(|c| c.is_ascii_digit())
}

fn is_uuid(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.chars().all(|c| c.is_ascii_hexdigit()))
}

/// `r20261123-125959-0a1b2c3`, perhaps with the `x` of uncommitted changes.
fn is_release(word: &str) -> bool {
    let Some(rest) = word.strip_prefix('r') else {
        return false;
    };
    let parts: Vec<&str> = rest.split('-').collect();
    parts.len() == 3
        && parts[0].len() == 8
        && parts[1].len() == 6
        && parts[..2]
            .iter()
            .all(|part| part.chars().all(|c| c.is_ascii_digit()))
}

/// `2026-11-23T12:59:59Z`.
fn is_time(word: &str) -> bool {
    word.len() >= 20
        && word.ends_with('Z')
        && word.as_bytes()[10] == b'T'
        && word.as_bytes()[0].is_ascii_digit()
}

/// `1.2s`, `340ms`, `2m03s`.
fn is_duration(word: &str) -> bool {
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &word[number.len()..];
    // Minutes and hours: a warm world is up to an hour old.
    matches!(unit, "s" | "ms" | "µs" | "m" | "h")
        && number.starts_with(|c: char| c.is_ascii_digit())
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == 'm')
}

/// `200 in 12 ms`: a number in front of a unit of its own.
fn durations(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(" ms") {
        let (before, after) = rest.split_at(at);
        let digits = before.trim_end_matches(|c: char| c.is_ascii_digit());
        if digits.len() < before.len() {
            out.push_str(digits);
            out.push_str("[duration]");
        } else {
            out.push_str(before);
            out.push_str(" ms");
        }
        rest = &after[3..];
    }
    out.push_str(rest);
    out
}
