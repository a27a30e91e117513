//! `cargo audit --json`: RustSec's view of Cargo.lock.

use serde_json::Value;

use super::{Advisory, Answer, silence, text_of};
use crate::config::AuditLevel;

/// Reads the report of `cargo audit --json`.
pub fn cargo(stdout: &str, stderr: &str) -> Answer {
    let Ok(report) = serde_json::from_str::<Value>(stdout.trim()) else {
        return silence(stdout, stderr);
    };
    let Some(list) = report
        .pointer("/vulnerabilities/list")
        .and_then(Value::as_array)
    else {
        return silence(stdout, stderr);
    };
    let mut advisories: Vec<Advisory> = list.iter().map(|item| advisory(item, None)).collect();
    let kinds = report.get("warnings").and_then(Value::as_object);
    for (kind, items) in kinds.into_iter().flatten() {
        let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
        advisories.extend(items.iter().map(|item| advisory(item, Some(kind))));
    }
    Answer::Advisories(advisories)
}

/// `kind` is set for news that are no vulnerability: `unmaintained`, `unsound`, `yanked`.
fn advisory(item: &Value, kind: Option<&str>) -> Advisory {
    let none = Value::Null;
    let advisory = item.get("advisory").unwrap_or(&none);
    let package = item.get("package").unwrap_or(&none);
    let (name, version) = (text_of(package, "name"), text_of(package, "version"));
    let id = text_of(advisory, "id");
    let aliases = advisory.get("aliases").and_then(Value::as_array);
    let aliases = aliases.into_iter().flatten().filter_map(Value::as_str);
    let patched = item.pointer("/versions/patched").and_then(Value::as_array);
    let patched: Vec<&str> = patched
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let title = match text_of(advisory, "title") {
        "" => format!("this version is {}", kind.unwrap_or("vulnerable")),
        title => title.to_owned(),
    };
    let url = match text_of(advisory, "url") {
        "" if !id.is_empty() => format!("https://rustsec.org/advisories/{id}.html"),
        url => url.to_owned(),
    };
    Advisory {
        // A yanked version has no advisory.
        id: if id.is_empty() {
            format!("{}:{name}", kind.unwrap_or("unknown"))
        } else {
            id.to_owned()
        },
        aliases: aliases.map(str::to_owned).collect(),
        severity: severity(text_of(advisory, "cvss")),
        informational: kind.is_some(),
        package: name.to_owned(),
        title,
        range: version.to_owned(),
        path: String::new(),
        url,
        fixed_in: (!patched.is_empty()).then(|| patched.join(", ")),
    }
}

/// The severity of a CVSS vector. RustSec gives many advisories none, and newer ones in CVSS 4: those count as high.
fn severity(vector: &str) -> AuditLevel {
    match base_score(vector) {
        Some(score) if score >= 9.0 => AuditLevel::Critical,
        Some(score) if score >= 7.0 => AuditLevel::High,
        Some(score) if score >= 4.0 => AuditLevel::Moderate,
        Some(_) => AuditLevel::Low,
        None => AuditLevel::High,
    }
}

/// The base score of a CVSS 3 vector: the formula of its specification, section 7.1.
fn base_score(vector: &str) -> Option<f64> {
    let metrics = vector.strip_prefix("CVSS:3.")?.split_once('/')?.1;
    let metric = |name: &str| {
        let mut pairs = metrics.split('/').filter_map(|pair| pair.split_once(':'));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let changed = metric("S")? == "C";
    let pick = |name: &str, values: &[(&str, f64)]| {
        let value = metric(name)?;
        values
            .iter()
            .find(|(word, _)| *word == value)
            .map(|(_, weight)| *weight)
    };
    let low = if changed { 0.68 } else { 0.62 };
    let high = if changed { 0.5 } else { 0.27 };
    let vector = pick("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?;
    let complexity = pick("AC", &[("L", 0.77), ("H", 0.44)])?;
    let privileges = pick("PR", &[("N", 0.85), ("L", low), ("H", high)])?;
    let interaction = pick("UI", &[("N", 0.85), ("R", 0.62)])?;
    let loss = |name| pick(name, &[("H", 0.56), ("L", 0.22), ("N", 0.0)]);
    let kept = (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    let base = 1.0 - kept;
    let impact = if changed {
        7.52 * (base - 0.029) - 3.25 * (base - 0.02).powi(15)
    } else {
        6.42 * base
    };
    if impact <= 0.0 {
        return Some(0.0);
    }
    let exploitability = 8.22 * vector * complexity * privileges * interaction;
    let factor = if changed { 1.08 } else { 1.0 };
    // Rounded up to one decimal; the small term keeps 4.000000001 from becoming 4.1.
    let score = (factor * (impact + exploitability)).min(10.0);
    Some(((score * 10.0) - 1e-6).ceil() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_known_vectors() {
        for (vector, score) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(9.8)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(6.1)),
            ("CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Some(7.8)),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:L", Some(3.7)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Some(10.0)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Some(0.0)),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N", None),
            ("CVSS:3.1/AV:N", None),
            ("", None),
        ] {
            assert_eq!(base_score(vector), score, "{vector}");
        }
    }
}
