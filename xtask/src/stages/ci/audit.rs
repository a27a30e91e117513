//! Judges what an audit said by the policy of pipeline.toml: what it means for a step.

use std::path::Path;

use crate::config::{Audit, Date, Word as _};
use crate::findings::Finding;
use crate::findings::audit::{self, Answer};
use crate::stages::ci::packages::{Install, Manager};
use crate::tools::process::Finished;

/// What an audit amounts to.
pub struct Verdict {
    /// Everything found, by the policy's measure.
    pub findings: Vec<Finding>,
    /// For the report's table.
    pub note: String,
    /// True when the service answered; otherwise it has to be asked again the next time.
    pub answered: bool,
    /// The exceptions that applied.
    pub used: Vec<String>,
}

/// Judges the audit of a lock file.
pub fn packages(
    install: &Install,
    finished: &Finished,
    policy: &Audit,
    today: Date,
    root: &Path,
) -> Verdict {
    let lockfile = install.dir.join(&install.lockfile);
    let text = std::fs::read_to_string(root.join(&lockfile)).unwrap_or_default();
    let (stdout, stderr) = (finished.stdout.as_str(), finished.stderr.as_str());
    let answer = match install.manager {
        Manager::Npm => audit::npm(stdout, stderr, Some(&text)),
        Manager::Pnpm => audit::pnpm(stdout, stderr),
        Manager::Yarn => audit::yarn_classic(stdout, stderr),
        Manager::Berry => audit::yarn_berry(stdout, stderr, finished.success()),
        Manager::Bun => audit::bun(stdout, stderr),
    };
    verdict(&answer, policy, today, (&lockfile, &text))
}

/// Judges `cargo audit`.
pub fn crates(finished: &Finished, policy: &Audit, today: Date, root: &Path) -> Verdict {
    let text = std::fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let answer = audit::cargo(&finished.stdout, &finished.stderr);
    verdict(&answer, policy, today, (Path::new("Cargo.lock"), &text))
}

fn verdict(answer: &Answer, policy: &Audit, today: Date, lockfile: (&Path, &str)) -> Verdict {
    let judgement = audit::judge(policy, answer, today, lockfile);
    let note = match answer {
        Answer::Advisories(known) if known.is_empty() => "nothing known".to_owned(),
        Answer::Advisories(known) => {
            let worst = audit::worst(known).map_or("notes only", |level| level.word());
            format!("{} known, worst: {worst}", known.len())
        }
        Answer::NoAnswer(_) => "the service did not answer".to_owned(),
        Answer::Refused(_) => "could not be audited".to_owned(),
    };
    Verdict {
        findings: judgement.findings,
        note,
        answered: matches!(answer, Answer::Advisories(_)),
        used: judgement.used,
    }
}
