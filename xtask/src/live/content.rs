//! What versions consist of, read back over REST. Changes nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{list, text};
use crate::error::Fail;
use crate::tools::cloudflare::{ApiError, Cloudflare, encode};

/// What a version consists of, its code apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Its bindings as the API shows them; secrets by name only.
    pub bindings: Vec<Value>,
    /// The compatibility date.
    pub compatibility_date: Option<String>,
    /// The compatibility flags.
    pub compatibility_flags: BTreeSet<String>,
}

/// What versions of a worker consist of, in their order; `None` for one that does not exist any more.
pub fn read_contents(
    cloud: &Cloudflare,
    script: &str,
    versions: &[&str],
) -> anyhow::Result<Vec<Option<Content>>> {
    let paths: Vec<String> = versions
        .iter()
        .map(|id| cloud.script(script, &format!("/versions/{}", encode(id))))
        .collect();
    let content = |answer| match answer {
        Ok(detail) => Ok(Some(content(&detail))),
        Err(error) if ApiError::is_not_found(&error) => Ok(None),
        Err(error) => Err(Fail::from(error).into()),
    };
    cloud.read_all(&paths)?.into_iter().map(content).collect()
}

fn content(detail: &Value) -> Content {
    let resources = &detail["resources"];
    let runtime = &resources["script_runtime"];
    Content {
        bindings: list(&resources["bindings"]).cloned().collect(),
        compatibility_date: text(&runtime["compatibility_date"]),
        compatibility_flags: list(&runtime["compatibility_flags"])
            .filter_map(text)
            .collect(),
    }
}
