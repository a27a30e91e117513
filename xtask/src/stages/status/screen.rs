//! What people and programs see of the status. Pure.

use serde_json::{Value, json};

use crate::drift::{Difference, Origin, is_ours};
use crate::error::Exit;
use crate::report::{Report, Table};
use crate::stages::deploy::release::short;
use crate::stages::rollback::history::shown;
use crate::stages::rollback::list::age;
use crate::stages::status::STAGE;
use crate::stages::status::facts::{Repo, Status};
use crate::standing::Standpoint;

impl Status<'_> {
    /// The report: exit 1 when a person has to see to something.
    pub(super) fn report(&self, columns: usize) -> Report {
        let mut report = Report::empty(STAGE);
        report.release = self.release.as_ref().map(|release| release.id.clone());
        let by_hand = self.of(Origin::ByHand);
        let waiting = self.of(Origin::NotDeployed);
        let tables = [
            self.workers(),
            self.databases(),
            differences("changed by hand", by_hand),
            differences("not deployed yet", waiting),
            self.preview_table(),
        ];
        report.tables = tables
            .into_iter()
            .filter(|table| !table.rows.is_empty())
            .collect();
        report.fact("release", self.release_line());
        report.fact("repo", self.repo_line());
        report.fact("lease", self.lease_line());
        report.fact("previews", self.previews_line());
        for warning in self.warnings() {
            report.warn(warning);
        }
        let problems = self.problems();
        if !problems.is_empty() {
            report.fail(Exit::Check as u8);
        }
        report.more = self.document(&problems);
        report.answer = Some(report.text(columns));
        report
    }

    fn workers(&self) -> Table {
        let columns = ["worker", "version", "traffic", "of", "since", "health"];
        let mut table = Table::new("workers", &columns);
        for (it, (health, _)) in self.standing.workers.iter().zip(&self.health) {
            if it.live.split.is_empty() {
                let none = if it.live.exists {
                    "not deployed"
                } else {
                    "not there"
                };
                table.row([&it.worker.name, "-", "-", none, "-", "-"]);
            }
            for (index, (id, share)) in it.live.split.iter().enumerate() {
                let first = index == 0;
                let deployed = it.live.deployed.as_ref().and_then(|it| it.at.as_deref());
                table.row([
                    if first {
                        it.worker.name.clone()
                    } else {
                        String::new()
                    },
                    short(id).to_owned(),
                    format!("{share} %"),
                    source(it, id),
                    deployed.map_or_else(|| "-".to_owned(), |at| age(at, self.now)),
                    if first { health.shown() } else { String::new() },
                ]);
            }
        }
        table
    }

    fn databases(&self) -> Table {
        let mut table = Table::new(
            "databases",
            &["database", "schema level", "pending", "to be put right"],
        );
        for schema in &self.standing.databases {
            let list = |texts: Vec<String>| match texts.is_empty() {
                true => "-".to_owned(),
                false => texts.join(", "),
            };
            let pending = schema.pending().into_iter().map(str::to_owned).collect();
            table.row([
                schema.name.clone(),
                schema.level().unwrap_or("-").to_owned(),
                list(pending),
                list(schema.wrong()),
            ]);
        }
        table
    }

    fn preview_table(&self) -> Table {
        let mut table = Table::new(
            "previews",
            &["preview", "workers", "databases, namespaces, buckets"],
        );
        for (key, (workers, stores)) in self.previews.iter().flatten() {
            table.row([key.shown(), workers.to_string(), stores.to_string()]);
        }
        table
    }

    fn release_line(&self) -> String {
        let Some(release) = &self.release else {
            return "none on record".to_owned();
        };
        let commit = release.sha.get(..7).unwrap_or(&release.sha);
        format!(
            "{}, {} old, commit {commit} {} by {}",
            shown(release),
            age(&release.created_at, self.now),
            release.subject,
            release.author
        )
    }

    fn repo_line(&self) -> String {
        let Some(repo) = &self.repo else {
            return "not a git repository with a commit".to_owned();
        };
        let commit = repo.head.sha.get(..7).unwrap_or(&repo.head.sha);
        let dirty = if repo.dirty {
            ", with uncommitted changes"
        } else {
            ""
        };
        format!("{commit}, {}{dirty}", apart(repo, self.release.is_some()))
    }

    fn lease_line(&self) -> String {
        match &self.standing.lease {
            None => "free".to_owned(),
            Some(lease) => {
                let url = lease.run_url.as_deref().unwrap_or_default();
                format!("{} since {} {url}", lease.holder, lease.acquired_at)
                    .trim_end()
                    .to_owned()
            }
        }
    }

    /// The table is left out when it is empty; that there are none is worth a line all the same.
    fn previews_line(&self) -> String {
        match &self.previews {
            Ok(previews) if previews.is_empty() => "none".to_owned(),
            Ok(previews) => previews.len().to_string(),
            Err(_) => "not known".to_owned(),
        }
    }

    fn document(&self, problems: &[String]) -> serde_json::Map<String, Value> {
        let worker = |(it, (health, url)): (
            &Standpoint<'_>,
            &(super::health::Health, Option<String>),
        )| {
            let version = |(id, share): &(String, u8)| {
                let known = it.live.version(id);
                json!({"id": id, "percentage": share, "tag": known.and_then(|it| it.tag.clone()),
                       "message": known.and_then(|it| it.message.clone()), "made": known.map(|it| &it.made)})
            };
            json!({
                "worker": it.worker.name,
                "script": it.worker.config.name,
                "exists": it.live.exists,
                "url": url,
                "versions": it.live.split.iter().map(version).collect::<Vec<_>>(),
                "deployed": it.live.deployed,
                "health": health,
                "secrets": it.live.secrets,
                "triggers": it.live.triggers,
            })
        };
        let workers: Vec<Value> = self
            .standing
            .workers
            .iter()
            .zip(&self.health)
            .map(worker)
            .collect();
        let databases = self.standing.databases.iter().map(|schema| {
            json!({"database": schema.name, "level": schema.level(), "pending": schema.pending(), "wrong": schema.wrong()})
        });
        let databases: Vec<Value> = databases.collect();
        let previews = self.previews.as_ref().ok().map(|previews| {
            let preview = previews.iter().map(|(key, (workers, stores))| {
                json!({"preview": key.shown(), "workers": workers, "stores": stores})
            });
            preview.collect::<Vec<_>>()
        });
        let repo = self.repo.as_ref().map(|repo| {
            json!({"sha": repo.head.sha, "dirty": repo.dirty, "ahead": repo.apart.map(|it| it.0), "behind": repo.apart.map(|it| it.1)})
        });
        serde_json::Map::from_iter([
            ("record".to_owned(), json!(self.release)),
            ("workers".to_owned(), json!(workers)),
            ("databases".to_owned(), json!(databases)),
            ("differences".to_owned(), json!(self.differences)),
            ("previews".to_owned(), json!(previews)),
            ("repo".to_owned(), json!(repo)),
            ("lease".to_owned(), json!(self.standing.lease)),
            ("under_way".to_owned(), json!(self.under_way())),
            ("problems".to_owned(), json!(problems)),
        ])
    }
}

fn differences<'d>(title: &str, all: impl Iterator<Item = &'d Difference>) -> Table {
    let mut table = Table::new(title, &["worker", "what", "name", "wanted", "live"]);
    for it in all {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        table.row([
            it.worker.clone(),
            it.kind.word().to_owned(),
            it.name.clone(),
            or_none(&it.repo),
            or_none(&it.live),
        ]);
    }
    table
}

/// Which release a version is of, or who else made it.
fn source(it: &Standpoint<'_>, id: &str) -> String {
    let Some(version) = it.live.version(id) else {
        return "?".to_owned();
    };
    let tag = version.tag.clone().filter(|_| is_ours(version));
    tag.unwrap_or_else(|| {
        let by = version.made.by.as_deref().unwrap_or("somebody");
        let with = version.made.with.as_deref().unwrap_or("?");
        format!("{by}, {with}")
    })
}

fn apart(repo: &Repo, released: bool) -> String {
    match (repo.apart, released) {
        (Some((0, 0)), _) => "the commit of the release".to_owned(),
        (Some((ahead, 0)), _) => format!("{ahead} ahead of the release"),
        (Some((0, behind)), _) => format!("{behind} behind the release"),
        (Some((ahead, behind)), _) => format!("{ahead} ahead of the release and {behind} behind"),
        (None, true) => "which does not know the commit of the release".to_owned(),
        (None, false) => "nothing to compare it with".to_owned(),
    }
}
