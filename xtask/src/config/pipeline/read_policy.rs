//! Reads the tables of `pipeline.toml` that are about checks: `[audit]`, `[[allow]]`, `[budgets]`, `[bundle]`.

use super::policy::{Allow, Audit, AuditException, Budgets, Bundle, WorkersPlan};
use crate::config::date::Date;
use crate::config::keys::Word as _;
use crate::config::section::Section;

pub(super) fn read_audit(section: &Section<'_>) -> Audit {
    let default = Audit::default();
    let except = section.sections("except");
    let audit = Audit {
        level: section.word("level").unwrap_or(default.level),
        offline: section.word("offline").unwrap_or(default.offline),
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
        section.required_day("until"),
    )
}

pub(super) fn read_budgets(section: &Section<'_>) -> Budgets {
    let default = Budgets::default();
    let budgets = Budgets {
        ci: section.duration("ci").unwrap_or(default.ci),
        preview: section.duration("preview").unwrap_or(default.preview),
        migrate: section.duration("migrate").unwrap_or(default.migrate),
        deploy: section.duration("deploy").unwrap_or(default.deploy),
    };
    section.reject_unknown();
    budgets
}

pub(super) fn read_bundle(section: &Section<'_>) -> Bundle {
    let plan = section.word("plan").unwrap_or(Bundle::default().plan);
    let bundle = Bundle {
        plan,
        max_gzip: bundle_max(section, "max_gzip", plan),
    };
    section.reject_unknown();
    bundle
}

/// A budget for a compressed bundle. One that is above what Cloudflare takes would never be the limit that counts.
pub(super) fn bundle_max(section: &Section<'_>, key: &str, plan: WorkersPlan) -> Option<u64> {
    let bytes = section.size(key)?;
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
