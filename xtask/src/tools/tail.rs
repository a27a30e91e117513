//! Live events of workers: Cloudflare's tail API. The only module that knows its paths, its WebSocket and how that is read.
//! `deploy --watch` and `rollback --watch` count what it brings; whatever shows events to people can use it as well.
//!
//! A tail is made over REST and read over a WebSocket (`wss:` at Cloudflare). A TLS stack and a WebSocket client in this
//! crate would double its compile time, curl speaks WebSocket only where it was built with it, and `wrangler tail` is
//! a process of 200 MB for every worker. So one short script runs on the Node that wrangler needs anyway, whose own
//! `WebSocket` reads the tails of all workers at once. The tails' addresses go to it over standard input.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::env::Env;
use crate::error::Fail;
use crate::mask::Mask;
use crate::plan::Command;
use crate::tools::cloudflare::{self, Call, Cloudflare};
use crate::tools::node;
use crate::tools::process::{Next, Stream};

const SCRIPT: &str = include_str!("tail/listen.mjs");

/// A worker to listen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its short name, by which its events are told.
    pub worker: String,
    /// Its name on Cloudflare.
    pub script: String,
}

/// Live tails of some workers. They are deleted when this value goes; those of a run that was killed expire by themselves.
pub struct Tail {
    stream: Stream,
    _made: Made,
}

/// The tails that exist on Cloudflare's side, by their paths.
struct Made {
    cloud: Cloudflare,
    paths: Vec<String>,
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.paths {
            // One that stays harms nobody: it is read by nobody and expires.
            let call = Call::repeatable("DELETE", path.clone(), Value::Null);
            let _ = self.cloud.call(&Call { body: None, ..call });
        }
    }
}

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// From now on the events of a worker arrive.
    Open {
        /// Its short name.
        worker: String,
    },
    /// Something happened in a worker: a trace item, as Cloudflare words it. *Not* masked.
    Event {
        /// Its short name.
        worker: String,
        /// The item.
        item: Value,
    },
    /// No more events of a worker arrive.
    Closed {
        /// Its short name.
        worker: String,
        /// Why, as far as that is known.
        why: String,
    },
    /// Nothing, for as long as one was ready to wait.
    Nothing,
}

impl Tail {
    /// Listens to workers. `filters` are those of the API; an empty list lets everything through.
    pub fn open(
        cloud: &Cloudflare,
        (root, env, mask): (&Path, &Env, &Mask),
        sources: &[Source],
        filters: &Value,
    ) -> anyhow::Result<Tail> {
        let node = node::find(root)?;
        let mut made = Made {
            cloud: cloud.clone(),
            paths: Vec::new(),
        };
        let mut addresses = Vec::new();
        for source in sources {
            let path = cloud.script(&source.script, "/tails");
            // Should an answer be lost there is one tail too many, which nobody reads and which expires.
            let call = Call::repeatable("POST", path.clone(), json!({ "filters": filters }));
            let tail = cloud.call(&call)?.map_err(|error| {
                Fail::from(error).why(format!("{} cannot be listened to", source.worker))
            })?;
            let field = |name: &str| {
                let text = tail[name].as_str();
                text.with_context(|| format!("the answer to `POST {path}` has no `{name}`"))
            };
            let id = cloudflare::encode(field("id")?);
            made.paths.push(format!("{path}/{id}"));
            addresses.push(json!({ "worker": source.worker, "url": field("url")? }));
        }
        let argv = ["--input-type=module", "--eval", SCRIPT];
        let command = Command {
            display: "node (the reader of live events)".to_owned(),
            ..Command::new(&node.display().to_string(), &argv, root)
        };
        let input = format!("{}\n", Value::from(addresses));
        Ok(Tail {
            stream: Stream::start(&command, env, mask, input.as_bytes())?,
            _made: made,
        })
    }

    /// The next thing that is heard within `patience`.
    pub fn next(&mut self, patience: Duration) -> anyhow::Result<Heard> {
        let line = match self.stream.next(patience) {
            Next::Line(line) => line,
            Next::Quiet => return Ok(Heard::Nothing),
            Next::Ended(said) => {
                return Err(Fail::remote("the reader of live events has ended")
                    .why(said)
                    .into());
            }
        };
        read(&line).with_context(|| format!("the reader of live events said {line:?}"))
    }
}

/// One line of the script's.
fn read(line: &str) -> anyhow::Result<Heard> {
    let mut said: Value = serde_json::from_str(line)?;
    let worker = said["worker"].as_str().context("no worker")?.to_owned();
    if said["open"] == true {
        return Ok(Heard::Open { worker });
    }
    if let Some(why) = said["closed"].as_str() {
        let why = why.to_owned();
        return Ok(Heard::Closed { worker, why });
    }
    let item = said["event"].take();
    anyhow::ensure!(item.is_object(), "no event");
    Ok(Heard::Event { worker, item })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_reader_is_understood() {
        let worker = || "api".to_owned();
        let heard = |line: &str| read(line).ok();
        let open = heard(r#"{"worker":"api","open":true}"#);
        assert_eq!(open, Some(Heard::Open { worker: worker() }));
        let closed = heard(r#"{"worker":"api","closed":"code 1006"}"#);
        let why = "code 1006".to_owned();
        let worker_closed = Heard::Closed {
            worker: worker(),
            why,
        };
        assert_eq!(closed, Some(worker_closed));
        let event = heard(r#"{"worker":"api","event":{"outcome":"ok"}}"#);
        let item = json!({"outcome": "ok"});
        assert_eq!(
            event,
            Some(Heard::Event {
                worker: worker(),
                item
            })
        );
        assert_eq!(heard(r#"{"worker":"api"}"#), None);
        assert_eq!(heard("{"), None);
    }
}
