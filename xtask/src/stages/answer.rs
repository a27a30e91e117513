//! What a healthy answer of a worker is: its status, and the ids in it. Pure; knows ids by their form alone, and asks the
//! caller whether one is a version.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::{Compare, Health, IdField};
use crate::plan::{Expected, Probe, Wrong};
use crate::tools::http::Response;

/// The fields by which an answer of `script` is recognised as one of a version and of a release.
pub fn expected(
    health: &Health,
    script: &str,
    version: Option<String>,
    release: Option<String>,
) -> BTreeMap<String, Expected> {
    let field = |field: &IdField, id: Option<String>, other: Wrong| {
        let wrong = match field.compare {
            Compare::Ids => other,
            Compare::Texts => Wrong::AnyText,
            Compare::Nothing => return None,
        };
        Some((field.name.clone(), Expected { id: id?, wrong }))
    };
    let of_script = Wrong::VersionOf(script.to_owned());
    let version = field(&health.version_field, version, of_script);
    let release = field(&health.release_field, release, Wrong::Release);
    version.into_iter().chain(release).collect()
}

/// The fields of a healthy answer, or what is wrong with it. `is_version` tells whether a script has a version of this id:
/// an id of that form may as well be one of the app's own.
pub fn judge(
    probe: &Probe,
    answer: &Response,
    is_version: &dyn Fn(&str, &str) -> bool,
) -> Result<Value, String> {
    let short: String = answer
        .body
        .chars()
        .take(200)
        .collect::<String>()
        .replace('\n', " ");
    if answer.status != probe.status {
        return Err(format!(
            "answered {} instead of {}: {short}",
            answer.status, probe.status
        ));
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    for (field, Expected { id, wrong }) in &probe.fields {
        let Some(found) = body[field].as_str().filter(|found| found != id) else {
            continue;
        };
        let is_wrong = match wrong {
            Wrong::AnyText => true,
            Wrong::VersionOf(script) => looks_like_a_version(found) && is_version(script, found),
            Wrong::Release => looks_like_a_release(found),
        };
        if is_wrong {
            return Err(format!("its `{field}` is `{found}` instead of `{id}`"));
        }
    }
    Ok(json!({ "status": answer.status, "fields": probe.fields }))
}

/// A UUID, as every version id is.
pub fn looks_like_a_version(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// `r20261124-040506-abc1234` of a deploy, or `pr7-abc1234` of a preview.
pub fn looks_like_a_release(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [day, time, _] => day.strip_prefix('r').is_some_and(is_digits) && is_digits(time),
        [name, _] => name.strip_prefix("pr").is_some_and(is_digits) || *name == "preview",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const OLD: &str = "bbbbbbbb-0000-4000-8000-000000000002";
    const INSTANCE: &str = "cccccccc-0000-4000-8000-000000000003";
    const RELEASE: &str = "r20261124-040506-abc1234";

    /// What is wrong with an answer of a worker whose only other version is `OLD`.
    fn wrong(health: &Health, status: u16, body: &str) -> String {
        let fields = expected(health, "app", Some(NEW.into()), Some(RELEASE.into()));
        let probe = Probe {
            url: "https://a.test/health".into(),
            overrides: BTreeMap::new(),
            status: 200,
            fields,
            within_secs: 1,
        };
        let answer = Response {
            status,
            headers: Vec::new(),
            body: body.to_owned(),
        };
        let is_version = |script: &str, id: &str| script == "app" && id == OLD;
        let judged = judge(&probe, &answer, &is_version);
        judged.err().unwrap_or_default()
    }

    #[test]
    fn another_version_is_wrong_and_a_version_of_the_apps_own_is_not() {
        let health = Health::default();
        let told = |body: Value| wrong(&health, 200, &body.to_string());
        assert_eq!(told(json!({"version": NEW, "release": RELEASE})), "");
        assert_eq!(
            told(json!({"version": OLD})),
            format!("its `version` is `{OLD}` instead of `{NEW}`")
        );
        assert_eq!(
            told(json!({"release": "r20261124-030201-0123456"})),
            format!("its `release` is `r20261124-030201-0123456` instead of `{RELEASE}`")
        );
        // What apps answer of their own accord.
        for version in [
            json!("1.0.0"),
            json!("v2"),
            json!("abc1234"),
            json!("0123456789abcdef0123456789abcdef01234567"),
            json!("2026-11-24"),
            json!(INSTANCE),
            json!(""),
            json!(3),
            json!(null),
            json!({"id": OLD}),
            json!([OLD]),
        ] {
            assert_eq!(told(json!({"status": "ok", "version": version})), "");
            assert_eq!(told(json!({"status": "ok", "release": version})), "");
        }
        assert_eq!(told(json!([{"version": OLD}])), "");
        assert_eq!(told(json!(OLD)), "");
        assert_eq!(wrong(&health, 200, "<html>version 1.0.0</html>"), "");
        let down = wrong(&health, 503, "down\nnow");
        assert_eq!(down, "answered 503 instead of 200: down now");
    }

    #[test]
    fn a_named_field_is_compared_as_it_is_and_false_compares_nothing() {
        let with = |compare| Health {
            version_field: IdField {
                name: "build".to_owned(),
                compare,
            },
            ..Health::default()
        };
        let told =
            |compare, id: &str| wrong(&with(compare), 200, &json!({"build": id}).to_string());
        for other in ["1.0.0", INSTANCE, OLD] {
            let strict = told(Compare::Texts, other);
            assert_eq!(
                strict,
                format!("its `build` is `{other}` instead of `{NEW}`")
            );
            assert_eq!(told(Compare::Nothing, other), "");
        }
        assert_eq!(told(Compare::Texts, NEW), "");
    }
}
