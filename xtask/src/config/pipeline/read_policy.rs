//! Reads the tables of `pipeline.toml` that are about checks: `[audit]`, `[[allow]]`, `[budgets]`, `[bundle]`.

use super::policy::{
    Allow, Audit, AuditException, AuditLevel, Budgets, Bundle, Offline, WorkersPlan,
};
use super::read::positive;
use crate::config::date::Date;
use crate::config::section::Section;
use crate::config::tree::Kind;

pub(super) fn read_audit(section: &Section<'_>) -> Audit {
    let default = Audit::default();
    let levels = AuditLevel::ALL.map(|level| (level.word(), level));
    let offline = [Offline::Warn, Offline::Fail].map(|offline| (offline.word(), offline));
    let except = section.sections("except");
    let audit = Audit {
        level: word(section, "level", &levels).unwrap_or(default.level),
        offline: word(section, "offline", &offline).unwrap_or(default.offline),
        except: except.iter().filter_map(read_exception).collect(),
    };
    section.reject_unknown();
    audit
}

fn read_exception(section: &Section<'_>) -> Option<AuditException> {
    let id = section.required_text("id");
    let (reason, until) = justification(section);
    section.reject_unknown();
    Some(AuditException {
        id: id?.trim().to_owned(),
        reason: reason?,
        until: until?,
        at: section.place(),
    })
}

pub(super) fn read_allow(section: &Section<'_>) -> Option<Allow> {
    let step = section.required_text("step");
    let (reason, until) = justification(section);
    section.reject_unknown();
    let step = step?;
    let before_the_end = step.strip_suffix('*').unwrap_or(&step);
    if before_the_end.contains('*') || before_the_end.trim().is_empty() {
        let message = format!(
            "`{}` must be the id of a step, such as \"test main\"; a `*` may stand only at its end, as in \"test *\"",
            section.path_of("step")
        );
        section.notes.error(section.at("step"), message);
        return None;
    }
    Some(Allow {
        step,
        reason: reason?,
        until: until?,
        at: section.place(),
    })
}

/// Why something is tolerated and until when: both are required, or it would stay forever and nobody would know why.
fn justification(section: &Section<'_>) -> (Option<String>, Option<Date>) {
    (
        section.required_text("reason"),
        required_date(section, "until"),
    )
}

fn required_date(section: &Section<'_>, key: &str) -> Option<Date> {
    let expected = "a day such as 2027-01-31";
    let Some(node) = section.value(key) else {
        let message = format!("`{}` is missing: {expected}", section.path_of(key));
        section.notes.error(section.place(), message);
        return None;
    };
    let (Kind::Date(text) | Kind::String(text)) = &node.kind else {
        return section.wrong(key, node, expected);
    };
    let date = Date::parse(text);
    if date.is_none() {
        let message = format!("`{}` must be {expected}", section.path_of(key));
        section.notes.error(section.at(key), message);
    }
    date
}

pub(super) fn read_budgets(section: &Section<'_>) -> Budgets {
    let default = Budgets::default();
    let budgets = Budgets {
        ci: positive(section, "ci").unwrap_or(default.ci),
        preview: positive(section, "preview").unwrap_or(default.preview),
        migrate: positive(section, "migrate").unwrap_or(default.migrate),
        deploy: positive(section, "deploy").unwrap_or(default.deploy),
    };
    section.reject_unknown();
    budgets
}

pub(super) fn read_bundle(section: &Section<'_>) -> Bundle {
    let plans = [WorkersPlan::Free, WorkersPlan::Paid].map(|plan| (plan.word(), plan));
    let plan = word(section, "plan", &plans).unwrap_or(Bundle::default().plan);
    let bundle = Bundle {
        plan,
        max_gzip: bundle_max(section, "max_gzip", plan),
    };
    section.reject_unknown();
    bundle
}

/// A budget for a compressed bundle. One that is above what Cloudflare takes would never be the limit that counts.
pub(super) fn bundle_max(section: &Section<'_>, key: &str, plan: WorkersPlan) -> Option<u64> {
    let bytes = bytes(section, key)?;
    let limit = plan.gzip_bytes_max();
    if bytes > limit {
        let message = format!(
            "`{}` is more than the {} MiB that Cloudflare takes on the {} plan",
            section.path_of(key),
            limit / (1024 * 1024),
            plan.word()
        );
        match plan {
            WorkersPlan::Free => {
                let fix = "say `plan = \"paid\"` under `[bundle]` if the account is on it";
                section.notes.error_with_fix(section.at(key), message, fix);
            }
            WorkersPlan::Paid => section.notes.error(section.at(key), message),
        }
        return None;
    }
    Some(bytes)
}

/// A size such as "3 MB" or "900 KiB".
fn bytes(section: &Section<'_>, key: &str) -> Option<u64> {
    let node = section.value(key)?;
    let expected = "a size such as \"900 KB\" or \"2.5 MiB\"";
    let Kind::String(text) = &node.kind else {
        return section.wrong(key, node, expected);
    };
    let bytes = parse_bytes(text);
    if bytes.is_none() {
        let message = format!("`{}` must be {expected}", section.path_of(key));
        section.notes.error(section.at(key), message);
    }
    bytes
}

/// KB and MB are powers of 1000, KiB and MiB of 1024.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "B" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "KIB" => 1024.0,
        "MIB" => 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = (number.parse::<f64>().ok()? * factor).round();
    // Exact up to here, and far above any bundle.
    (1.0..=1e12).contains(&bytes).then_some(bytes as u64)
}

/// One of some words.
pub(super) fn word<T: Copy>(section: &Section<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
    let text = section.string(key)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let words: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let message = format!(
            "`{}` must be one of {}",
            section.path_of(key),
            words.join(", ")
        );
        section.notes.error(section.at(key), message);
    }
    found.map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("3 MB", Some(3_000_000)),
            ("3MiB", Some(3_145_728)),
            ("2.5 mib", Some(2_621_440)),
            ("900 KB", Some(900_000)),
            ("1 KiB", Some(1024)),
            ("12 B", Some(12)),
            ("3", None),
            ("MB", None),
            ("-3 MB", None),
            ("1.2.3 MB", None),
            ("0 MB", None),
            ("3 GB", None),
            ("", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
