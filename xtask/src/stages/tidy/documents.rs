//! Rules about documents: every verb is explained somewhere, and `pipeline.toml` is sound.

use std::path::Path;

use super::{Repo, problem};
use crate::config::{Pipeline, Problems};
use crate::findings::Finding;

/// Checks all of them.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut found = undocumented(repo);
    found.extend(pipeline(repo));
    found
}

fn undocumented(repo: &Repo) -> Vec<Finding> {
    let is_document = |path: &Path| {
        path == Path::new("README.md")
            || (path.starts_with("docs") && path.extension().is_some_and(|ending| ending == "md"))
    };
    let documents: Vec<&String> = repo
        .files
        .iter()
        .filter(|(path, _)| is_document(path))
        .map(|(_, text)| text)
        .collect();
    let named = |verb: &str| {
        let call = format!("cargo xtask {verb}");
        documents.iter().any(|text| {
            text.match_indices(&call).any(|(at, _)| {
                let next = text[at + call.len()..].chars().next();
                next.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-')
            })
        })
    };
    repo.verbs
        .keys()
        .filter(|verb| verb.as_str() != "help" && !named(verb))
        .map(|verb| {
            problem(
                Path::new("README.md"),
                0,
                format!("the verb `{verb}` is documented nowhere"),
                format!(
                    "say in README.md or below docs/ what `cargo xtask {verb}` does and when to use it"
                ),
            )
        })
        .collect()
}

fn pipeline(repo: &Repo) -> Vec<Finding> {
    let mut problems = Problems::new(&repo.root);
    Pipeline::load(&repo.root, &mut problems);
    let problems = problems.sorted().into_iter();
    problems
        .filter(|problem| !problem.warning)
        .map(|error| {
            let fix = error
                .fix
                .unwrap_or_else(|| "see docs/configuration.md".to_owned());
            problem(&error.path, error.line, error.message, fix)
        })
        .collect()
}
