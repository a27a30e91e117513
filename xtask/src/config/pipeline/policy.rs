//! What `pipeline.toml` says about checks: how bad a vulnerability may be, which failures are tolerated until when, how
//! long a stage may take, how big a bundle may be. Values and the questions asked of them; reading is `read_policy.rs`.

use std::time::Duration;

use crate::config::date::Date;
use crate::config::keys::Word;
use crate::config::source::Place;
use crate::config::suggest;

/// `[audit]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// Advisories of this severity and worse fail the audit; milder ones are warnings.
    pub level: AuditLevel,
    /// What it means when the advisory service did not answer.
    pub offline: Offline,
    /// `[[audit.except]]`.
    pub except: Vec<AuditException>,
}

/// How bad a vulnerability is, in npm's words.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AuditLevel {
    /// Worth a look at some time.
    Low,
    /// Hard to exploit, or of little effect.
    Moderate,
    /// To be repaired soon.
    High,
    /// To be repaired now.
    Critical,
}

impl Word for AuditLevel {
    /// Mildest first.
    const ALL: &'static [AuditLevel] = &[
        AuditLevel::Low,
        AuditLevel::Moderate,
        AuditLevel::High,
        AuditLevel::Critical,
    ];

    fn word(self) -> &'static str {
        match self {
            AuditLevel::Low => "low",
            AuditLevel::Moderate => "moderate",
            AuditLevel::High => "high",
            AuditLevel::Critical => "critical",
        }
    }
}

/// What an advisory service that does not answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// A visible warning.
    Warn,
    /// A failure.
    Fail,
}

impl Word for Offline {
    const ALL: &'static [Offline] = &[Offline::Warn, Offline::Fail];

    fn word(self) -> &'static str {
        match self {
            Offline::Warn => "warn",
            Offline::Fail => "fail",
        }
    }
}

/// One `[[audit.except]]`: an advisory that is known and tolerated for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditException {
    /// The advisory: `GHSA-…`, `CVE-…`, `RUSTSEC-…` or npm's number.
    pub id: String,
    /// Why it is tolerated.
    pub reason: String,
    /// The last day it is.
    pub until: Date,
    /// Where the table stands.
    pub at: Place,
}

/// One `[[allow]]`: a step whose failure is a warning for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    /// The step's id, or its beginning with a `*` at the end.
    pub step: String,
    /// Why.
    pub reason: String,
    /// The last day it holds.
    pub until: Date,
    /// Where the table stands.
    pub at: Place,
}

/// `[budgets]`: how long each stage may take before its report warns.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    /// `ci`.
    pub ci: Duration,
    /// `preview`.
    pub preview: Duration,
    /// `migrate`.
    pub migrate: Duration,
    /// `deploy`.
    pub deploy: Duration,
}

/// `[bundle]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The Workers plan of the account, which sets Cloudflare's own limit.
    pub plan: WorkersPlan,
    /// The project's own budget for a compressed bundle, in bytes.
    pub max_gzip: Option<u64>,
}

/// The Workers plan of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkersPlan {
    /// Bundles up to 3 MiB compressed.
    Free,
    /// Bundles up to 10 MiB compressed.
    Paid,
}

const MIB: u64 = 1024 * 1024;

/// Cloudflare takes no bundle above this before compression, on any plan.
pub const BUNDLE_RAW_BYTES_MAX: u64 = 64 * MIB;

impl WorkersPlan {
    /// The largest compressed bundle Cloudflare takes on this plan, in bytes.
    pub fn gzip_bytes_max(self) -> u64 {
        match self {
            WorkersPlan::Free => 3 * MIB,
            WorkersPlan::Paid => 10 * MIB,
        }
    }
}

impl Word for WorkersPlan {
    const ALL: &'static [WorkersPlan] = &[WorkersPlan::Free, WorkersPlan::Paid];

    fn word(self) -> &'static str {
        match self {
            WorkersPlan::Free => "free",
            WorkersPlan::Paid => "paid",
        }
    }
}

impl Bundle {
    /// The largest compressed bundle a worker may have: its own budget, else the project's, else Cloudflare's limit.
    pub fn gzip_bytes_max(&self, worker_max: Option<u64>) -> u64 {
        let limit = self.plan.gzip_bytes_max();
        worker_max.or(self.max_gzip).unwrap_or(limit).min(limit)
    }
}

impl Budgets {
    /// The budget of a stage; `None` for stages that have none.
    pub fn of(&self, stage: &str) -> Option<Duration> {
        match stage {
            "ci" => Some(self.ci),
            "preview" => Some(self.preview),
            "migrate" => Some(self.migrate),
            "deploy" => Some(self.deploy),
            _ => None,
        }
    }
}

impl Allow {
    /// True when this is about the step: the same id, or the same beginning before a final `*`.
    pub fn covers(&self, step_id: &str) -> bool {
        match self.step.strip_suffix('*') {
            Some(beginning) => step_id.starts_with(beginning),
            None => self.step == step_id,
        }
    }

    /// True when its last day is over.
    pub fn expired(&self, today: Date) -> bool {
        self.until < today
    }

    /// What a reader is told where the failure was tolerated.
    pub fn text(&self) -> String {
        format!("allowed until {}: {}", self.until, self.reason)
    }

    /// What a reader is told where it is tolerated no more.
    pub fn expired_text(&self) -> String {
        let Allow {
            step,
            reason,
            until,
            at,
        } = self;
        let line = at.line;
        format!(
            "pipeline.toml:{line} allowed `{step}` to fail until {until} ({reason}), which has passed"
        )
    }
}

/// The `[[allow]]` that turns the step's failure into a warning today. Of several the one that holds longest.
pub fn allowed<'a>(allows: &'a [Allow], step_id: &str, today: Date) -> Option<&'a Allow> {
    let covering = allows.iter().filter(|allow| allow.covers(step_id));
    covering
        .filter(|allow| !allow.expired(today))
        .max_by_key(|allow| allow.until)
}

/// The `[[allow]]` that would have, had it not expired. `None` when another one still holds.
pub fn allowed_before<'a>(allows: &'a [Allow], step_id: &str, today: Date) -> Option<&'a Allow> {
    if allowed(allows, step_id, today).is_some() {
        return None;
    }
    let covering = allows.iter().filter(|allow| allow.covers(step_id));
    covering.max_by_key(|allow| allow.until)
}

/// One line for each `[[allow]]` that is about none of these steps: `pipeline.toml:3:1: …`.
pub fn unknown_allows(allows: &[Allow], step_ids: &[&str]) -> Vec<String> {
    let strangers = allows
        .iter()
        .filter(|allow| !step_ids.iter().any(|id| allow.covers(id)));
    let line = |allow: &Allow| {
        let Place { line, col } = allow.at;
        let step = &allow.step;
        let fix = match suggest::nearest(step, step_ids.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "remove the table, or name a step of the plan".to_owned(),
        };
        format!(
            "pipeline.toml:{line}:{col}: no step is named `{step}`, so nothing is allowed to fail; {fix}"
        )
    };
    strangers.map(line).collect()
}

impl Default for Audit {
    fn default() -> Audit {
        Audit {
            level: AuditLevel::High,
            offline: Offline::Warn,
            except: Vec::new(),
        }
    }
}

impl Default for Budgets {
    fn default() -> Budgets {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Budgets {
            ci: minutes(12),
            preview: minutes(5),
            migrate: minutes(2),
            deploy: minutes(8),
        }
    }
}

impl Default for Bundle {
    fn default() -> Bundle {
        Bundle {
            plan: WorkersPlan::Free,
            max_gzip: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(step: &str, until: &str) -> Allow {
        Allow {
            step: step.to_owned(),
            reason: "flaky upstream".to_owned(),
            until: Date::parse(until).expect("a date"),
            at: Place { line: 3, col: 1 },
        }
    }

    #[test]
    fn an_allow_holds_through_its_last_day() {
        let allows = [
            allow("test main", "2027-01-31"),
            allow("audit *", "2027-01-31"),
        ];
        let on = |step, day| allowed(&allows, step, Date::parse(day).expect("a date")).is_some();
        assert!(on("test main", "2027-01-31"));
        assert!(!on("test main", "2027-02-01"));
        assert!(!on("test main2", "2027-01-01"));
        assert!(on("audit npm", "2027-01-01"));
        assert!(!on("audit", "2027-01-01"));
    }

    #[test]
    fn an_expired_allow_says_so_unless_another_still_holds() {
        let today = Date::parse("2027-02-10").expect("a date");
        let old = allow("test main", "2027-01-31");
        let text =
            allowed_before(std::slice::from_ref(&old), "test main", today).map(Allow::expired_text);
        assert_eq!(
            text.as_deref(),
            Some(
                "pipeline.toml:3 allowed `test main` to fail until 2027-01-31 (flaky upstream), which has passed"
            )
        );
        let both = [old, allow("test *", "2027-03-01")];
        assert_eq!(allowed_before(&both, "test main", today), None);
        assert_eq!(
            allowed(&both, "test main", today)
                .map(Allow::text)
                .as_deref(),
            Some("allowed until 2027-03-01: flaky upstream")
        );
    }

    #[test]
    fn an_allow_for_no_step_is_reported_with_the_nearest_name() {
        let allows = [
            allow("test mian", "2027-01-31"),
            allow("lint*", "2027-01-31"),
            allow("test *", "2027-01-31"),
        ];
        assert_eq!(
            unknown_allows(&allows, &["test main", "build main"]),
            [
                "pipeline.toml:3:1: no step is named `test mian`, so nothing is allowed to fail; did you mean `test main`?",
                "pipeline.toml:3:1: no step is named `lint*`, so nothing is allowed to fail; remove the table, or name a step of the plan",
            ]
        );
    }

    #[test]
    fn the_smallest_bundle_limit_counts() {
        let bundle = Bundle {
            plan: WorkersPlan::Paid,
            max_gzip: Some(2 * MIB),
        };
        assert_eq!(bundle.gzip_bytes_max(None), 2 * MIB);
        assert_eq!(bundle.gzip_bytes_max(Some(5 * MIB)), 5 * MIB);
        assert_eq!(Bundle::default().gzip_bytes_max(Some(5 * MIB)), 3 * MIB);
        assert_eq!(
            Bundle {
                max_gzip: None,
                ..bundle
            }
            .gzip_bytes_max(None),
            10 * MIB
        );
    }
}
