//! How a repo's workers and databases stand on a cloud, read side by side: what `status` and other verbs that only look
//! begin with. Changes nothing and judges nothing.

use std::collections::BTreeMap;

use crate::env::Env;
use crate::error::{Exit, exit_of};
use crate::ledger::Database;
use crate::ledger::lease::{self, Held};
use crate::ledger::migrations::status::{Row, status as rows_of};
use crate::ledger::migrations::{self, Ledger};
use crate::ledger::releases::{self, Record};
use crate::live::{self, Content, Live};
use crate::target::Target;
use crate::workspace::{Worker, Workspace};

/// Everything that was read.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The workers, in the order of `pipeline.toml`.
    pub workers: Vec<Standpoint<'a>>,
    /// The databases, in the order of `pipeline.toml`.
    pub databases: Vec<Schema>,
    /// The releases on record, oldest first.
    pub records: Vec<Record>,
    /// The deploy lease, when somebody has it.
    pub lease: Option<Held>,
}

/// One worker.
#[derive(Debug)]
pub struct Standpoint<'a> {
    /// The worker as the repo has it.
    pub worker: &'a Worker,
    /// What is live of it.
    pub live: Live,
    /// Version → what it consists of: those that serve, and those that were asked for.
    pub contents: BTreeMap<String, Content>,
}

/// One database's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The database's name.
    pub name: String,
    /// The state of each file, in the order of application.
    pub rows: Vec<Row>,
    /// True when it has tables and no ledger.
    pub predates: bool,
    /// Why nothing is known of it, when it does not exist or has no id.
    pub unknown: Option<String>,
}

impl<'a> Standing<'a> {
    /// Reads workers and databases at the same time. What a version consists of is read by [`Standing::read_contents`].
    pub fn read(
        workspace: &'a Workspace,
        workers: &[&'a Worker],
        target: &Target,
        env: &Env,
    ) -> anyhow::Result<Standing<'a>> {
        let cloud = &target.cloudflare;
        let scripts: Vec<String> = workers
            .iter()
            .map(|worker| worker.config.name.clone())
            .collect();
        let (lives, ledgers) = std::thread::scope(|scope| {
            let lives = scope.spawn(|| live::read_all(cloud, &scripts));
            let ledgers = ledgers(workspace, target, env);
            let lives = lives
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (lives, ledgers)
        });
        let (databases, records, lease) = ledgers?;
        let standpoint = |(worker, live): (&&'a Worker, Live)| Standpoint {
            worker,
            live,
            contents: BTreeMap::new(),
        };
        Ok(Standing {
            workers: workers.iter().zip(lives?).map(standpoint).collect(),
            databases,
            records,
            lease,
        })
    }

    /// Reads what the versions that serve consist of, and those of a release.
    pub fn read_contents(
        &mut self,
        target: &Target,
        release: Option<&Record>,
    ) -> anyhow::Result<()> {
        let results: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .workers
                .iter_mut()
                .filter(|it| it.live.exists)
                .map(|it| scope.spawn(|| it.read_contents(target, release)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        results.into_iter().collect()
    }
}

impl Standpoint<'_> {
    fn read_contents(&mut self, target: &Target, release: Option<&Record>) -> anyhow::Result<()> {
        let script = &self.worker.config.name;
        let recorded = release.and_then(|release| release.versions.get(script));
        let serving = self.live.serving().map(str::to_owned);
        let mut ids: Vec<&str> = serving.as_deref().into_iter().collect();
        ids.extend(recorded.map(String::as_str).filter(|id| !ids.contains(id)));
        let contents = live::read_contents(&target.cloudflare, script, &ids)?;
        let known = ids.into_iter().zip(contents);
        self.contents = known
            .filter_map(|(id, content)| Some((id.to_owned(), content?)))
            .collect();
        Ok(())
    }
}

type Ledgers = (Vec<Schema>, Vec<Record>, Option<Held>);

/// The schema of each database, and what the first of them keeps: records and lease.
fn ledgers(workspace: &Workspace, target: &Target, env: &Env) -> anyhow::Result<Ledgers> {
    let mut schemas = Vec::new();
    let (mut records, mut held) = (Vec::new(), None);
    for config in &workspace.pipeline.databases {
        let files = migrations::gather(&workspace.root, config)?;
        let mut schema = Schema {
            name: config.name.clone(),
            rows: Vec::new(),
            predates: false,
            unknown: None,
        };
        let Some(id) = &config.id else {
            schema.unknown =
                Some("no wrangler config that binds it says its `database_id`".to_owned());
            schemas.push(schema);
            continue;
        };
        let database = Database::of(&target.cloudflare, config, id);
        let ledger = match migrations::read_ledger(&database) {
            Ok(ledger) => ledger,
            // It does not exist: that is the answer, and not a reason to say nothing of the rest.
            Err(error)
                if exit_of(&error) == Exit::Setup
                    && error.to_string().contains("does not exist") =>
            {
                schema.unknown = error.to_string().lines().next().map(str::to_owned);
                schemas.push(schema);
                continue;
            }
            Err(error) => return Err(error),
        };
        if schemas.is_empty() && ledger.has_ledger {
            let sql = format!("{}; {}", releases::ALL_SQL, lease::HELD_SQL);
            let sets = database.read_each(&sql)?.unwrap_or_default();
            let rows = |index: usize| sets.get(index).map_or(&[][..], Vec::as_slice);
            records = releases::read(rows(0));
            held = lease::held(rows(1), env);
        }
        fill(&mut schema, &files, &ledger);
        schemas.push(schema);
    }
    Ok((schemas, records, held))
}

fn fill(schema: &mut Schema, files: &migrations::Files, ledger: &Ledger) {
    schema.rows = rows_of(files, ledger);
    schema.predates = ledger.predates() && !schema.rows.is_empty();
}

impl Schema {
    /// The newest migration it has.
    pub fn level(&self) -> Option<&str> {
        let mut rows = self.rows.iter().rev();
        let applied = |row: &&Row| row.kind == "migration" && !row.state.is_unapplied();
        rows.find(applied).map(|row| row.name.as_str())
    }

    /// The files that the next deploy applies.
    pub fn pending(&self) -> Vec<&str> {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.state.is_unapplied() && !row.state.is_wrong());
        rows.map(|row| row.name.as_str()).collect()
    }

    /// What is wrong with it, in sentences.
    pub fn wrong(&self) -> Vec<String> {
        let wrong = self.rows.iter().filter(|row| row.state.is_wrong());
        let mut said: Vec<String> = self.unknown.iter().cloned().collect();
        if self.predates {
            said.push(format!("{} has tables but no ledger", self.name));
        }
        said.extend(
            wrong.map(|row| format!("{} of {} is {}", row.name, self.name, row.state.word())),
        );
        said
    }
}
