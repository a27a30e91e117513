//! Builds every worker and decides, by content, which of them have to be uploaded. Touches nothing on the cloud.

use std::path::Path;

use anyhow::Context as _;

use crate::config;
use crate::derive;
use crate::digest;
use crate::error::Fail;
use crate::plan::{Action, Command, Plan, Step};
use crate::stages::deploy::part::{Change, Effective, Part};
use crate::stages::deploy::plans::STAGE;
use crate::stages::deploy::release::Release;
use crate::tools::wrangler::Wrangler;
use crate::workspace::Worker;

impl Release<'_> {
    /// Builds and bundles every worker, then decides what each needs. Touches nothing on the cloud.
    pub fn build(&mut self) -> anyhow::Result<()> {
        let wrangler = Wrangler::find(
            &self.ctx.root,
            self.target.cloudflare.base(),
            self.target.cloudflare.account(),
        )?;
        for part in &self.parts {
            // Files of an earlier bundle would count into the digest.
            let folder = self.bundle_dir(part.name());
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .with_context(|| format!("failed to empty {}", folder.display()))?;
            }
        }
        let plan = self.build_plan(&wrangler);
        self.wrangler = Some(wrangler);
        self.run(&plan)?;
        for index in 0..self.parts.len() {
            let effective = effective_config(self.parts[index].worker)?;
            self.parts[index].digest = self.digest(&self.parts[index], &effective)?;
            self.parts[index].effective = Some(effective);
        }
        self.decide();
        Ok(())
    }

    /// Also the first part of what a dry run prints.
    pub(super) fn build_plan(&self, wrangler: &Wrangler) -> Plan {
        let mut plan = Plan::new(STAGE);
        let timeout = self.workspace.pipeline.deploy.build_timeout;
        for part in &self.parts {
            let name = part.name();
            let mut earlier = Vec::new();
            if let Some(build) = &part.worker.build {
                let id = format!("run the build of {name}");
                let command = Action::Command(Command::shell(build, &part.worker.dir));
                plan.push(
                    Step::new("build", &id, &id, command)
                        .worker(name)
                        .timeout(timeout),
                );
                earlier.push(id);
            }
            let command = Action::Command(wrangler.bundle(part.worker, &self.bundle_dir(name)));
            let id = format!("build {name}");
            let step = Step::new("build", &id, &id, command)
                .worker(name)
                .timeout(timeout);
            plan.push(step.needs(earlier));
        }
        plan
    }

    fn digest(&self, part: &Part<'_>, effective: &Effective) -> anyhow::Result<String> {
        let content = derive::content(&effective.config, part.script());
        let assets = effective.config["assets"]["directory"]
            .as_str()
            .map(|path| derive::join(&effective.dir, path));
        let secrets: Vec<(&str, &str)> = part
            .secrets
            .iter()
            .filter_map(|name| Some((name.as_str(), self.target.env.var(name)?)))
            .collect();
        digest::content(&digest::Content {
            bundle: &self.bundle_dir(part.name()),
            assets: assets.as_deref().filter(|folder| folder.is_dir()),
            config: &content,
            secrets: &secrets,
        })
    }

    fn decide(&mut self) {
        for part in &mut self.parts {
            part.decide(self.options.force);
        }
        // A version that an interrupted run of this commit uploaded, or even promoted but never recorded, is taken up,
        // and the release with it: its record bears the id its versions are tagged with.
        let recorded = |id: &String| {
            let previous = self.previous.as_ref();
            previous.is_some_and(|record| record.versions.values().any(|known| known == id))
        };
        let resumed = self.parts.iter().find_map(|part| {
            let id = match &part.change {
                Change::Reuse(id) => id,
                Change::Unchanged => part.version.as_ref().filter(|id| !recorded(id))?,
                Change::Upload | Change::Immediate => return None,
            };
            let tag = part.live.version(id)?.tag.clone();
            tag.filter(|tag| tag.ends_with(&format!("-{}", self.commit)))
        });
        if let Some(id) = resumed {
            self.id = id;
        }
    }
}

/// The config that ships: the one a build generated, when there is one, else the worker's own.
fn effective_config(worker: &Worker) -> anyhow::Result<Effective> {
    if let Some(path) = config::generated_config(&worker.dir)? {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let config = serde_json::from_str(&text).map_err(|error| {
            Fail::check(format!("{} is not valid JSON", path.display()))
                .why(error.to_string())
                .fix("it was generated by the worker's build: run the build again")
        })?;
        return Ok(Effective {
            config,
            dir: parent(&path),
        });
    }
    Ok(Effective {
        config: worker.config.raw.clone(),
        dir: parent(&worker.config_path),
    })
}

fn parent(path: &Path) -> std::path::PathBuf {
    path.parent().unwrap_or(Path::new(".")).to_owned()
}
