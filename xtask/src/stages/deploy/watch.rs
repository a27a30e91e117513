//! `--watch` of a release: listening begins while nothing is public yet, and what is heard counts as the last question of
//! the verification.

use crate::stages::deploy::plans::STAGE;
use crate::stages::deploy::release::Release;
use crate::tools::tail::Source;
use crate::watch::{self, Watch};

impl Release<'_> {
    /// Begins to listen, when this release is to be watched.
    pub(super) fn listen(&mut self) -> anyhow::Result<()> {
        let limits = &self.workspace.pipeline.watch;
        let Some(window) = watch::window(self.options.watch, limits) else {
            return Ok(());
        };
        let parts = self.parts.iter();
        let sources: Vec<Source> = parts
            .map(|part| Source {
                worker: part.name().to_owned(),
                script: part.script().to_owned(),
            })
            .collect();
        let cloud = &self.target.cloudflare;
        self.watch = Some(Watch::open(self.ctx, cloud, limits, window, &sources)?);
        Ok(())
    }

    /// Watches what is live now. Too many errors are a failure like an unhealthy answer.
    pub(super) fn watch_live(&mut self) -> anyhow::Result<()> {
        let Some(watch) = self.watch.take() else {
            return Ok(());
        };
        let version = |part: &crate::stages::deploy::part::Part<'_>| {
            Some((part.name().to_owned(), part.version.clone()?))
        };
        let versions = self.parts.iter().filter_map(version).collect();
        let (outcome, seen) = watch.run(STAGE, versions);
        self.warnings.extend(seen.warnings.iter().cloned());
        self.seen = seen;
        if outcome.ok() {
            self.keep(outcome);
            return Ok(());
        }
        Err(self.stop(outcome).into())
    }
}
