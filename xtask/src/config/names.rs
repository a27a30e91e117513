//! Which names and ids Cloudflare accepts. Answers with the rest of a sentence ("… is longer than 63 characters"), never
//! with the value itself.

/// Why a script name is not possible; `None` when it is.
pub(crate) fn script_name_mistake(name: &str) -> Option<&'static str> {
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > 63 {
        Some("is longer than 63 characters")
    } else if !name.bytes().all(valid) {
        Some("may hold only lowercase letters, digits and dashes")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("must not begin or end with a dash")
    } else {
        None
    }
}

/// Why a D1 database id is not possible; `None` when it is.
pub(crate) fn database_id_mistake(id: &str) -> Option<&'static str> {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_uuid = lengths == [8, 4, 4, 4, 12] && groups.iter().copied().all(is_hex);
    placeholder(id).or((!is_uuid).then_some("is not a UUID"))
}

/// Why a KV namespace or account id is not possible; `None` when it is.
pub(crate) fn hex_id_mistake(id: &str) -> Option<&'static str> {
    let valid = id.len() == 32 && is_hex(id);
    placeholder(id).or((!valid).then_some("is not an id of 32 hexadecimal digits"))
}

/// Why an R2 bucket name is not possible; `None` when it is.
pub(crate) fn bucket_name_mistake(name: &str) -> Option<&'static str> {
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !(3..=63).contains(&name.len()) {
        Some("must have 3 to 63 characters")
    } else if !name.bytes().all(valid) {
        Some("may hold only lowercase letters, digits and dashes")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("must not begin or end with a dash")
    } else {
        None
    }
}

/// True for one part of a host name.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=63).contains(&text.len())
        && text.bytes().all(valid)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// True for a name that can be an environment variable, as a secret must be.
pub(crate) fn is_variable_name(text: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let rest = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.as_bytes().first().is_some_and(first) && text.as_bytes().iter().all(rest)
}

/// True for a short name a person can type after `--only`.
pub(crate) fn is_short_name(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(valid)
}

/// True for `YYYY-MM-DD` with a possible month and day.
pub(crate) fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2]
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
        && (1..=12).contains(&number(parts[1]))
        && (1..=31).contains(&number(parts[2]))
}

fn placeholder(id: &str) -> Option<&'static str> {
    let lower = id.to_lowercase();
    let words = [
        "replace",
        "your",
        "todo",
        "xxx",
        "changeme",
        "placeholder",
        "<",
        "{{",
    ];
    let only_zeros = lower.bytes().all(|byte| matches!(byte, b'0' | b'-'));
    (only_zeros || words.iter().any(|word| lower.contains(word))).then_some("is a placeholder")
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_names() {
        for good in [
            "a",
            "kiamichi-biz-connect",
            "my_worker",
            "9lives",
            &"a".repeat(63),
        ] {
            assert_eq!(script_name_mistake(good), None, "{good}");
        }
        for bad in [
            "",
            "Main",
            "a b",
            "a.b",
            "-a",
            "a-",
            "größe",
            &"a".repeat(64),
        ] {
            assert!(script_name_mistake(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn ids() {
        let uuid = "6f1d2c3b-4a59-4e8f-9b7a-0c1d2e3f4a5b";
        assert_eq!(database_id_mistake(uuid), None);
        for (bad, why) in [
            ("", "is a placeholder"),
            ("REPLACE_WITH_ID", "is a placeholder"),
            ("<your-id>", "is a placeholder"),
            ("00000000-0000-0000-0000-000000000000", "is a placeholder"),
            ("kiamichi-db", "is not a UUID"),
            ("6f1d2c3b4a594e8f9b7a0c1d2e3f4a5b", "is not a UUID"),
        ] {
            assert_eq!(database_id_mistake(bad), Some(why), "{bad}");
        }
        assert_eq!(hex_id_mistake("3f1c9a7be2d84c05b6a1d7e94f20c8aa"), None);
        assert!(hex_id_mistake(uuid).is_some());
        assert_eq!(hex_id_mistake("{{ KV_ID }}"), Some("is a placeholder"));
    }

    #[test]
    fn other_names() {
        assert_eq!(bucket_name_mistake("kiamichi-images"), None);
        assert!(bucket_name_mistake("Kiamichi").is_some() && bucket_name_mistake("ab").is_some());
        assert!(is_variable_name("ADMIN_KEY") && is_variable_name("_x1"));
        assert!(!is_variable_name("1A") && !is_variable_name("A-B") && !is_variable_name(""));
        assert!(
            is_short_name("business-agent") && !is_short_name("--all") && !is_short_name("a b")
        );
        assert!(is_dns_label("kiamichi") && !is_dns_label("a.b") && !is_dns_label(""));
        assert!(is_date("2025-11-30") && !is_date("2025-13-01") && !is_date("2025-1-01"));
        assert!(!is_date("+025-01-01"));
    }
}
