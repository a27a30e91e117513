//! Settings of wrangler configs that a release would leave out without a word: refused before anything changes.

use std::collections::BTreeSet;

use crate::error::Fail;
use crate::workspace::{Worker, Workspace};

/// Refuses a release of these workers that would leave out what `deploy.allow_missing` does not name.
pub(super) fn refuse(workspace: &Workspace, workers: &[&Worker]) -> Result<(), Fail> {
    let allowed = &workspace.pipeline.deploy.allow_missing;
    let mut lines = Vec::new();
    let mut keys = BTreeSet::new();
    for worker in workers {
        let config = &worker.config;
        for one in config
            .unshipped
            .iter()
            .filter(|one| !allowed.iter().any(|key| key == one.key))
        {
            let path = config
                .path
                .strip_prefix(&workspace.root)
                .unwrap_or(&config.path);
            let (line, col) = (one.at.line, one.at.col);
            lines.push(format!(
                "{}:{line}:{col}: `{}`: {}",
                path.display(),
                one.key,
                one.why
            ));
            keys.insert(one.key);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let mut all: BTreeSet<&str> = allowed.iter().map(String::as_str).collect();
    all.extend(&keys);
    let list: Vec<String> = all.iter().map(|key| format!("\"{key}\"")).collect();
    let count = lines.len();
    let what = match count {
        1 => "this release would leave out a setting".to_owned(),
        _ => format!("this release would leave out {count} settings"),
    };
    let fail = lines.into_iter().fold(Fail::setup(what), Fail::why);
    Err(fail
        .fix("remove the settings from the wrangler configs")
        .fix(format!(
            "or set allow_missing = [{}] under [deploy] in pipeline.toml: the release then leaves them out and names them in a warning",
            list.join(", ")
        )))
}
