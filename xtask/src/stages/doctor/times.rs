//! The clock, and what goes by it. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::check::{Check, Group};
use crate::cron::{self, Cron};
use crate::tools::cloudflare::apart;
use crate::ui::human_duration;
use crate::workspace::Workspace;
use crate::zone::{self, Moment};

/// Clocks may differ this much.
const CLOCK_APART_MAX: Duration = Duration::from_secs(60);

/// A wrong clock makes leases, restore points and certificates wrong.
pub fn clock(now: SystemTime, server: Option<SystemTime>, committed: Option<u64>) -> Check {
    const ID: &str = "clock";
    let warn = |text: String| {
        Check::warn(Group::Machine, ID, text)
            .why("tokens and certificates are refused, and restore points by time lead elsewhere")
            .fix("sudo date --utc --set \"$(curl --silent --head https://api.cloudflare.com | sed --quiet 's/^[Dd]ate: //p')\"")
    };
    if let Some(server) = server {
        let (distance, ahead) = apart(now, server);
        let word = if ahead { "ahead of" } else { "behind" };
        return match distance > CLOCK_APART_MAX {
            true => warn(format!("{} {word} Cloudflare's", human_duration(distance))),
            false => Check::pass(Group::Machine, ID, "as Cloudflare's"),
        };
    }
    let Some(committed) = committed else {
        return Check::skipped(Group::Machine, ID, "there is nothing to compare it with");
    };
    let (distance, ahead) = apart(now, UNIX_EPOCH + Duration::from_secs(committed));
    match !ahead && distance > CLOCK_APART_MAX {
        true => warn(format!(
            "{} behind the newest commit",
            human_duration(distance)
        )),
        false => Check::pass(Group::Machine, ID, "later than the newest commit"),
    }
}

/// Triggers of several workers that fire at once.
pub fn crons(workspace: &Workspace, now: SystemTime) -> Check {
    const ID: &str = "crons";
    let mut triggers = Vec::new();
    for worker in &workspace.workers {
        for text in worker.config.crons.iter().flatten() {
            // One that cannot be read is a mistake of the config, and told there.
            if let Ok(cron) = Cron::parse(text) {
                triggers.push((worker.name.clone(), text.clone(), cron));
            }
        }
    }
    if triggers.is_empty() {
        return Check::skipped(Group::Repo, ID, "no worker has one");
    }
    let meetings = cron::meetings(&triggers, Moment::of(now));
    let Some(first) = meetings.first() else {
        return Check::pass(
            Group::Repo,
            ID,
            format!(
                "{}, none at the same minute as another worker's",
                triggers.len()
            ),
        );
    };
    let mut check = Check::warn(
        Group::Repo,
        ID,
        format!(
            "{} of several workers meet",
            if meetings.len() == 1 {
                "triggers".to_owned()
            } else {
                format!("{} groups of triggers", meetings.len())
            }
        ),
    )
    .why("they load the same database and the same limits at the same moment");
    for meeting in meetings.iter().take(3) {
        let who: Vec<String> = meeting
            .who
            .iter()
            .map(|(worker, text)| format!("{worker} `{text}`"))
            .collect();
        let at = zone::clock(meeting.minutes.first().copied().unwrap_or_default());
        check = check.why(format!("{at} UTC: {}", who.join(", ")));
    }
    let config = workspace
        .workers
        .iter()
        .find(|worker| first.who.iter().any(|(name, _)| *name == worker.name));
    let path = config.map_or_else(
        || "pipeline.toml".to_owned(),
        |worker| {
            worker
                .config_path
                .strip_prefix(&workspace.root)
                .unwrap_or(&worker.config_path)
                .display()
                .to_string()
        },
    );
    check.fix(format!("\"${{EDITOR:-vi}}\" {path}"))
}
