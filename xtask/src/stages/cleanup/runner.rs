//! Carries a clean-up out. Deleting is one call each; a bucket has to be emptied first, object by object.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::Fail;
use crate::plan::{Action, Step};
use crate::run::{Io, Runner};
use crate::stages::effects::Effects;
use crate::tools::cloudflare::{Call, Cloudflare, encode};

/// Objects listed and deleted at a time.
const OBJECTS_PER_PAGE: usize = 1000;
/// Connections that delete side by side, and how many objects each deletes before it is asked whether to go on.
const CONNECTIONS: usize = 4;
const BATCH: usize = 50;

/// Runs the steps of one plan.
pub struct CleanupRunner<'a> {
    /// Everything that is one call.
    pub effects: Effects<'a>,
    /// Step id → bucket to empty.
    pub emptied: BTreeMap<String, String>,
}

impl Runner for CleanupRunner<'_> {
    fn exec(&self, step: &Step, io: &Io) -> anyhow::Result<Value> {
        match (&step.action, self.emptied.get(&step.id)) {
            (Action::Task { .. }, Some(bucket)) => {
                empty(&self.effects.target.cloudflare, bucket, io)
            }
            _ => self.effects.exec(step, io),
        }
    }
}

/// Deletes objects until there are none. The list is read from its start each time, so that nothing that came meanwhile is
/// missed.
fn empty(cloud: &Cloudflare, bucket: &str, io: &Io) -> anyhow::Result<Value> {
    let base = cloud.path(&format!("/r2/buckets/{}/objects", encode(bucket)));
    let mut before = Vec::new();
    let mut deleted = 0;
    loop {
        let keys = page(cloud, &base)?;
        if keys.is_empty() {
            break;
        }
        if keys == before {
            return Err(
                Fail::remote(format!("the bucket {bucket} does not get empty"))
                    .why("objects that were deleted are still listed")
                    .fix("run the command again: it is safe to repeat")
                    .into(),
            );
        }
        before.clone_from(&keys);
        delete_all(cloud, &base, &keys, io)?;
        deleted += keys.len();
        io.line(&format!("{deleted} objects deleted"));
    }
    io.note(&format!("{deleted} objects"));
    Ok(json!({ "objects": deleted }))
}

fn page(cloud: &Cloudflare, base: &str) -> anyhow::Result<Vec<String>> {
    let listed = match cloud.call(&Call::get(format!("{base}?per_page={OBJECTS_PER_PAGE}")))? {
        Ok(listed) => listed,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(Fail::from(error).into()),
    };
    let objects = listed.as_array().into_iter().flatten();
    let keys = objects.filter_map(|object| object["key"].as_str().map(str::to_owned));
    Ok(keys.collect())
}

fn delete_all(cloud: &Cloudflare, base: &str, keys: &[String], io: &Io) -> anyhow::Result<()> {
    let share = keys.len().div_ceil(CONNECTIONS);
    std::thread::scope(|threads| {
        let running: Vec<_> = keys
            .chunks(share)
            .map(|keys| threads.spawn(|| delete_some(cloud, base, keys, io)))
            .collect();
        let mut joined = running.into_iter().map(|thread| thread.join());
        // After a failure the others end with the scope.
        joined
            .try_for_each(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn delete_some(cloud: &Cloudflare, base: &str, keys: &[String], io: &Io) -> anyhow::Result<()> {
    for batch in keys.chunks(BATCH) {
        if io.interrupted() {
            anyhow::bail!(Fail::remote("the run was interrupted"));
        }
        let calls: Vec<Call> = batch
            .iter()
            .map(|key| Call {
                method: "DELETE",
                path: format!("{base}/{}", encode(key)),
                body: None,
                repeatable: true,
            })
            .collect();
        for answer in cloud.call_all(&calls)? {
            match answer {
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(Fail::from(error).into()),
            }
        }
    }
    Ok(())
}
