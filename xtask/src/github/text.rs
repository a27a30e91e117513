//! Text of others in a GitHub comment. Whatever a stranger may choose (a branch, a title, a log line, a name in a config
//! of the pull request) becomes text and nothing else: no Markdown, no tag, no link, no mention, no reference. Pure.

use crate::ui::clean_line;

/// The longest single text shown; what is cut ends in `…`.
const CHARACTERS_MAX: usize = 300;

/// A text as code: the parser of Markdown sees letters, digits and numeric entities only, and GitHub looks for no mention,
/// link or reference inside `<code>`.
pub(super) fn code(text: &str) -> String {
    let plain = plain(text, CHARACTERS_MAX);
    let plain = plain.trim();
    if plain.is_empty() {
        return String::new();
    }
    format!("<code>{}</code>", entities(plain))
}

/// A sentence: words stay words, everything that is not a plain word becomes [`code`]. Backticks mark code, as in Markdown.
pub(super) fn prose(text: &str) -> String {
    let plain = plain(text, CHARACTERS_MAX * 4);
    let parts: Vec<&str> = plain.trim().split('`').collect();
    // An odd backtick is one of the text's own.
    let marks = if parts.len() % 2 == 1 {
        parts.len()
    } else {
        parts.len() - 1
    };
    let mut shown = String::new();
    for (index, part) in parts.iter().enumerate() {
        match index % 2 == 1 && index < marks {
            true if part.is_empty() => {}
            true => shown.push_str(&format!("<code>{}</code>", entities(part))),
            false => {
                if index > 0 && index == marks {
                    shown.push_str(&entities("`"));
                }
                shown.push_str(&words(part));
            }
        }
    }
    shown
}

/// Lines of a program for a `<pre>` block: one text per line.
pub(super) fn lines(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| entities(&plain(line, CHARACTERS_MAX)));
    lines.collect()
}

/// A web address as a link, when it is a plain one; else as code.
pub(super) fn link(url: &str) -> String {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:/?=&%".contains(&byte);
    match rest {
        Some(rest)
            if !rest.is_empty() && rest.bytes().all(usual) && url.len() <= CHARACTERS_MAX =>
        {
            format!("<{url}>")
        }
        _ => code(url),
    }
}

fn words(text: &str) -> String {
    let mut shown = String::new();
    for piece in text.split_inclusive(' ') {
        let word = piece.strip_suffix(' ').unwrap_or(piece);
        let inner = word.trim_end_matches([',', '.', ';', ':', ')', '!', '?', '"']);
        let start = inner.len() - inner.trim_start_matches(['(', '"']).len();
        let core = &inner[start..];
        shown.push_str(&entities(&word[..start]));
        match core.is_empty() || is_word(core) {
            true => shown.push_str(&entities(core)),
            false => shown.push_str(&format!("<code>{}</code>", entities(core))),
        }
        shown.push_str(&entities(&word[start + core.len()..]));
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

/// A word GitHub makes nothing of. `GH-12` is a reference, so a word has no dash beside a digit.
fn is_word(text: &str) -> bool {
    let joined = text.contains(['-', '\'', '’']);
    text.starts_with(char::is_alphanumeric)
        && text.chars().all(|character| match character {
            '-' | '\'' | '’' => true,
            digit if digit.is_ascii_digit() => !joined,
            other => other.is_alphabetic(),
        })
}

/// One line without anything that is not seen or changes the order of what is.
fn plain(text: &str, characters_max: usize) -> String {
    let joined = text.lines().map(clean_line).collect::<Vec<_>>().join(" ");
    let mut plain: String = joined
        .chars()
        .map(|character| {
            if is_hidden(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    if let Some((cut, _)) = plain.char_indices().nth(characters_max) {
        plain.truncate(cut);
        plain.push('…');
    }
    plain
}

/// Characters without a shape of their own: marks of direction, joiners, fillers, tags.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    ) || character.is_control()
}

/// Every character of ASCII as a numeric entity, but for letters, digits and what means nothing to Markdown or GitHub where
/// this module puts it: behind a tag, or inside a word.
fn entities(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' ' | ',' | ';' | '-' | '/' => escaped.push(character),
            other if other.is_ascii_alphanumeric() || !other.is_ascii() => escaped.push(other),
            other => escaped.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn code_is_letters_digits_and_entities() {
        expect!["<code>a&#124;b&#96;&#60;/code&#62;&#64;octo &#35;1</code>"]
            .assert_eq(&code("a|b`</code>@octo\n#1"));
        assert_eq!(code(" \u{1b}[31m "), "");
        assert_eq!(code("x\u{202e}y\u{200b}"), "<code>xy\u{fffd}</code>");
        let long = code(&"@".repeat(10_000));
        assert_eq!(long.matches("&#64;").count(), CHARACTERS_MAX);
        assert!(long.ends_with("…</code>"));
    }

    #[test]
    fn prose_keeps_words_and_nothing_else() {
        expect!["Crons do not run&#58; <code>&#42;/5 &#42; &#42;</code> of main&#46;"]
            .assert_eq(&prose("Crons do not run: `*/5 * *` of main."));
        expect!["ask <code>&#64;octo</code> or <code>GH-12</code>, <code>www&#46;evil&#46;test</code>, &#40;see <code>&#35;7</code>&#41; re-run it"]
            .assert_eq(&prose("ask @octo or GH-12, www.evil.test, (see #7) re-run it"));
        expect!["<code>&#60;b&#62;x&#60;/b&#62;</code> <code>&#91;a&#93;&#40;javascript&#58;x</code>&#41;"]
            .assert_eq(&prose("<b>x</b> [a](javascript:x)"));
        assert_eq!(prose("one ` two"), "one &#96; two");
    }

    #[test]
    fn only_a_plain_address_is_a_link() {
        assert_eq!(link("https://a.test/x?b=1"), "<https://a.test/x?b=1>");
        for odd in [
            "javascript:alert(1)",
            "https://a.test/\"><img>",
            "https://",
            "https://a b",
        ] {
            assert!(link(odd).starts_with("<code>"), "{odd}");
        }
    }
}
