//! Runs the steps of a rollback: those that any stage knows, and two kinds of its own.

use serde_json::{Value, json};

use crate::error::Fail;
use crate::plan::{Action, Rest, Step};
use crate::run::{Io, Runner};
use crate::stages::effects::Effects;
use crate::stages::rollback::facts::Rollback;
use crate::stages::rollback::restore::{self, Ledger, Restore};
use crate::tools::cloudflare::Call;

/// Cloudflare's code for "the secrets have changed since that version".
const SECRETS_CHANGED: i64 = 10220;

/// The runner of this stage.
pub(super) struct Carrier<'a> {
    pub(super) effects: Effects<'a>,
    /// What is restored, and what must outlive it; only where a database goes back.
    pub(super) restores: Option<(&'a Rollback<'a>, &'a Ledger<'a>)>,
}

impl Runner for Carrier<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        match (&step.action, &self.restores) {
            (Action::Rest(rest), _) if rest.path.ends_with("/deployments") => self.flip(rest, io),
            (Action::Task { name }, Some((rollback, ledger))) => {
                let is_it =
                    |restore: &&Restore| format!("restore {}", restore.database.name) == *name;
                let Some(restore) = rollback.restores.iter().find(is_it) else {
                    anyhow::bail!("`{name}` is no database that is restored");
                };
                restore::restore(rollback.ctx, ledger, restore)?;
                Ok(Value::Null)
            }
            _ => self.effects.exec(step, io),
        }
    }
}

impl Carrier<'_> {
    /// Deploys a version. That secrets have changed since is told, and then it is deployed all the same: wrangler asks
    /// the same question and answers it with yes wherever nobody can be asked.
    fn flip(&self, rest: &Rest, io: &Io) -> anyhow::Result<Value> {
        let cloud = &self.effects.target.cloudflare;
        let body = rest.body.clone().unwrap_or_default();
        let error = match cloud.call(&Call::repeatable("POST", rest.path.clone(), body.clone()))? {
            Ok(_) => return Ok(Value::Null),
            Err(error) => error,
        };
        if !error.says(&[SECRETS_CHANGED]) {
            return Err(Fail::from(error).into());
        }
        let names = error
            .message
            .split_once("have changed:")
            .map_or("", |(_, names)| names)
            .trim()
            .trim_end_matches('.')
            .to_owned();
        io.note(&format!("secrets have changed since: {names}"));
        let path = format!("{}?force=true", rest.path);
        cloud.expect(&Call::repeatable("POST", path, body))?;
        Ok(json!({ "secrets": names }))
    }
}
