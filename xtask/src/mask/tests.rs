//! Canaries in every form in which a secret may show up.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;

/// Values with the characters that encodings treat in their own ways.
const VALUES: [&str; 6] = [
    "canary-3f9c",
    "p@ss w0rd+/=?&%",
    "quote\"back\\slash\ttab",
    "ünïcödé→ключ",
    "{\"type\":\"account\",\"key\":\"a/b\"}",
    "aaaaaaaa",
];

fn mask(value: &str) -> Mask {
    Mask::new([("KEY", value)])
}

#[track_caller]
fn assert_hidden(value: &str, encoded: &str) {
    for text in [encoded.to_owned(), format!("before=\"{encoded}\", after")] {
        let masked = mask(value).apply(&text).into_owned();
        assert!(masked.contains(STARS), "{text} is shown as {masked}");
        // What is left over may hold a few bits at the edges and padding, no more.
        let core = &encoded[encoded.char_indices().nth(2).map_or(0, |(at, _)| at)..];
        let core: String = core.chars().take(6).collect();
        let left = masked.replace("before=", "").replace("after", "");
        assert!(!left.contains(&core), "{text} is shown as {masked}");
        assert!(left.len() < 24, "{text} is shown as {masked}");
    }
}

#[test]
fn a_value_is_hidden_in_every_form() {
    for value in VALUES {
        assert_hidden(value, value);
        assert_hidden(
            value,
            &utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        );
        let lower = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        assert_hidden(value, &lower.replace("%C3", "%c3").replace("%2F", "%2f"));
        assert_hidden(
            value,
            &value
                .replace('%', "%25")
                .replace('+', "%2B")
                .replace(' ', "+"),
        );
        let json = serde_json::to_string(value).expect("a string is JSON");
        assert_hidden(value, json.trim_matches('"'));
        let twice = serde_json::to_string(&json).expect("a string is JSON");
        assert_hidden(value, twice.trim_matches('"').trim_matches(['\\', '"']));
        assert_hidden(value, &json.replace('/', "\\/").replace("ü", "\\u00fc"));
    }
}

#[test]
fn base64_is_hidden_at_every_alignment() {
    for value in VALUES {
        for engine in [&STANDARD, &URL_SAFE] {
            for before in ["", "a", "ab", "abc"] {
                for after in ["", "x", "xy", "xyz"] {
                    let encoded = engine.encode(format!("{before}{value}{after}"));
                    let masked = mask(value).apply(&encoded).into_owned();
                    assert!(masked.contains(STARS), "{encoded}");
                    assert!(masked.len() <= 3 + 12, "{encoded} is shown as {masked}");
                    let unpadded = encoded.trim_end_matches('=');
                    assert!(mask(value).apply(unpadded).contains(STARS));
                }
            }
        }
    }
}

#[test]
fn each_longer_line_of_a_key_file_is_hidden_alone() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\n}\n-----END KEY-----\n";
    let mask = mask(key);
    assert_eq!(mask.apply("reading MIIEvQIBADANBg now"), "reading *** now");
    assert_eq!(mask.apply("kqhkiG9w0BAQEF"), STARS);
    assert_eq!(mask.apply("a } brace"), "a } brace");
    assert_eq!(mask.apply(&key.replace('\n', "\\n")), STARS);
    assert_eq!(mask.apply(key.trim()), STARS);
}

#[test]
fn short_values_are_hidden_as_whole_words_only() {
    let mask = mask("ab1");
    assert_eq!(mask.apply("ab1 xab1 ab12 (ab1)"), "*** xab1 ab12 (***)");
    assert_eq!(self::mask("7").apply("7 of 17"), "*** of 17");
    assert_eq!(self::mask("").apply("text"), "text");
    assert_eq!(self::mask(" \n").apply("a b"), "a b");
}

#[test]
fn overlapping_secrets_leave_no_tail() {
    let mask = Mask::new([("A", "abcdef"), ("B", "defghi"), ("C", "abcdefgh")]);
    assert_eq!(mask.apply("x abcdefghi y"), "x *** y");
    assert_eq!(mask.apply("abcdefabcdef"), STARS);
}

#[test]
fn ordinary_text_is_not_touched_or_copied() {
    let mask = mask("canary-3f9c");
    let text = "100 % done, C:\\temp\\new +1 ünïcödé \\ud83d \\u12";
    assert!(matches!(mask.apply(text), Cow::Borrowed(_)));
}

#[test]
fn json_is_masked_in_keys_and_values() {
    let value = serde_json::json!({"a": ["canary-3f9c", 1], "canary-3f9c": null});
    let masked = mask("canary-3f9c").apply_json(&value);
    assert_eq!(masked, serde_json::json!({"a": ["***", 1], "***": null}));
}

#[test]
fn the_debug_form_shows_names_only() {
    assert_eq!(format!("{:?}", mask("canary")), "Mask { names: [\"KEY\"] }");
}

#[test]
fn time_grows_linearly_with_the_text() {
    let secrets: Vec<String> = (0..50)
        .map(|i| format!("secret-value-number-{i}"))
        .collect();
    let mask = Mask::new(secrets.iter().map(|value| ("KEY", value.as_str())));
    let text =
        "an ordinary line of output, 100% plain \\n and secret-value-number-7;".repeat(15_000);
    let clock = std::time::Instant::now();
    let masked = mask.apply(&text);
    assert_eq!(masked.matches(STARS).count(), 15_000);
    // About 0.3 s unoptimised; a quadratic search would take minutes.
    assert!(clock.elapsed().as_secs() < 10, "{:?}", clock.elapsed());
}
