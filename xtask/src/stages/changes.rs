//! Files of the repo that are to have another text: shown as a difference in a dry run, else written.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::context::Ctx;
use crate::diff;
use crate::report::Report;
use crate::ui::Format;

/// A file that is to have another text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Relative to the root.
    pub path: PathBuf,
    /// Its text now; none when it is not there.
    pub old: Option<String>,
    /// Its text then.
    pub new: String,
}

impl Change {
    fn diff(&self) -> String {
        diff::unified(
            &self.path.display().to_string(),
            self.old.as_deref(),
            Some(&self.new),
        )
    }

    /// Renamed into place: a killed run leaves the old file or the new one.
    fn write(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        let new = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::write(&new, &self.new).and_then(|()| std::fs::rename(&new, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.with_context(|| format!("failed to write {}", path.display()))
    }
}

/// Writes them in their order, or in a dry run shows the difference. `next` is said when something was written.
pub fn carry_out(
    ctx: &Ctx,
    mut report: Report,
    changes: &[Change],
    next: &str,
) -> anyhow::Result<Report> {
    if ctx.dry_run {
        let text: String = changes.iter().map(Change::diff).collect();
        match ctx.ui.format() {
            Format::Json => {
                let mut document = report.json();
                document["diff"] = Value::from(text);
                ctx.ui.data(&document.to_string());
            }
            Format::Text => {
                ctx.ui.info(&report.text(ctx.ui.columns()));
                ctx.ui.data(if text.is_empty() {
                    "nothing would change"
                } else {
                    &text
                });
            }
        }
        return Ok(report);
    }
    for change in changes {
        change.write(&ctx.root)?;
    }
    let written: Vec<String> = changes
        .iter()
        .map(|change| change.path.display().to_string())
        .collect();
    if written.is_empty() {
        report.fact("written", "nothing: it is all there already");
    } else {
        report.fact("written", written.join(", "));
        report.fact("next", next);
    }
    Ok(report)
}
