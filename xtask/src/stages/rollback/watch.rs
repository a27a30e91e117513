//! `--watch` of a rollback: listening begins before anything changes. What is heard changes nothing any more, it is told
//! (exit 1) and recorded: what served before was left for a reason.

use crate::error::Fail;
use crate::ledger::releases::Record;
use crate::stages::rollback::facts::Rollback;
use crate::stages::rollback::history::shown;
use crate::stages::rollback::plans::STAGE;
use crate::tools::tail::Source;
use crate::watch::{self, Watch};

impl<'a> Rollback<'a> {
    /// Begins to listen, when this rollback is to be watched.
    pub(super) fn listen(&self) -> anyhow::Result<Option<Watch<'a>>> {
        let limits = &self.workspace.pipeline.watch;
        let Some(window) = watch::window(self.options.watch, limits) else {
            return Ok(None);
        };
        let parts = self.parts.iter();
        let sources: Vec<Source> = parts
            .map(|part| Source {
                worker: part.name().to_owned(),
                script: part.script().to_owned(),
            })
            .collect();
        let cloud = &self.target.cloudflare;
        Watch::open(self.ctx, cloud, limits, window, &sources).map(Some)
    }

    /// Watches what serves again. `record` is the one of this rollback, if it has one.
    pub(super) fn watch(
        &mut self,
        watch: Option<Watch<'a>>,
        record: Option<&mut Record>,
    ) -> anyhow::Result<()> {
        let Some(watch) = watch else { return Ok(()) };
        let parts = self.parts.iter();
        let versions = parts
            .filter_map(|part| Some((part.name().to_owned(), part.version.clone()?)))
            .collect();
        let (outcome, seen) = watch.run(STAGE, versions);
        drop(watch);
        self.warnings.extend(seen.warnings.iter().cloned());
        let over = seen.over().join("\n");
        self.seen = seen;
        let (ok, interrupted) = (outcome.ok(), outcome.interrupted);
        self.keep(outcome);
        if ok {
            return Ok(());
        }
        if let Some(record) = record {
            record.failed = self.failed_steps();
            if let Err(error) = self.save(record) {
                self.warnings.push(format!(
                    "what was heard could not be added to the record: {error:#}"
                ));
            }
        }
        let target = shown(&self.goal.target);
        if interrupted {
            return Err(Fail::check(format!(
                "the release {target} serves again, but the watch was interrupted"
            ))
            .why("the rollback itself is done and recorded")
            .into());
        }
        Err(Fail::check(format!(
            "the release {target} serves again, but too many of its requests end in an error"
        ))
        .why(over)
        .fix("go further back: cargo xtask rollback   (or name a release with `--to`)")
        .fix("cargo xtask rollback --list")
        .into())
    }
}
