//! How each example is known to be true. What has no way here fails the test: a new kind of example needs one.

use crate::examples::blocks::{Block, Example};

const WORKER: &str = "xtask/tests/it/worker/mod.rs";

/// How a command is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Run as it stands.
    Run,
    /// Run with `--dry-run`: it would take minutes, or change what the others look at.
    Dry,
    /// Run with `--detach`, and stopped again.
    Detached,
    /// Followed for a second.
    Second,
    /// Another test runs it; this file holds this text.
    Elsewhere(&'static str, &'static str),
    /// The real wrangler's own help has the command and each flag.
    Wrangler,
    /// Sent to the rehearsal's cloud, and the answer compared.
    Curl,
    /// A line that prepares the shell; the names it sets are names that exist.
    Shell,
}

/// The way of a command; none when nobody has thought of it.
pub fn of(example: &Example) -> Option<Way> {
    let words: Vec<&str> = example.words.iter().map(String::as_str).collect();
    Some(match words.as_slice() {
        ["cargo", "xtask", verb, rest @ ..] => return of_verb(verb, rest),
        ["cargo", "test", "--workspace"] => Way::Elsewhere(".ci/run", "cargo test --workspace"),
        ["scripts/bootstrap.sh"] => {
            Way::Elsewhere("xtask/tests/it/bootstrap.rs", "scripts/bootstrap.sh")
        }
        ["scripts/bootstrap.sh", "--yes"] => Way::Elsewhere("xtask/tests/it/bootstrap.rs", "--yes"),
        ["scripts/bootstrap.sh", "--check"] => {
            Way::Elsewhere("xtask/tests/it/bootstrap.rs", "--check")
        }
        ["npx", "wrangler", ..] => Way::Wrangler,
        // This repo has no queue.
        ["curl", url] if url.ends_with("/_local/queues") => {
            Way::Elsewhere("xtask/local-cloud/tests/it/queues/mod.rs", "\"/queues\"")
        }
        ["curl", ..] => Way::Curl,
        ["export" | "read" | "umask" | "echo" | "mkdir", ..] => Way::Shell,
        ["git", "clone", "<this", "repo>", "&&", "cd", ..] => Way::Shell,
        _ => return None,
    })
}

fn of_verb(verb: &str, rest: &[&str]) -> Option<Way> {
    let dry = rest.contains(&"--dry-run");
    Some(match (verb, rest) {
        // The set-up of all the others.
        ("rehearse", []) => Way::Run,
        ("local", ["--status" | "--detach"]) => Way::Run,
        ("local", ["--stop", ..]) => Way::Run,
        ("local", _) => Way::Detached,
        ("logs", _) => Way::Second,
        ("status", rest) if rest.contains(&"--watch") => {
            Way::Elsewhere("xtask/tests/it/status/mod.rs", "--watch")
        }
        // This repo has no such worker.
        ("worker", ["add", ..]) => Way::Elsewhere(WORKER, "\"worker\", \"add\""),
        ("worker", ["remove", ..]) => Way::Elsewhere(WORKER, "\"worker\", \"remove\""),
        ("worker", ["rename", ..]) => Way::Elsewhere(WORKER, "\"worker\", \"rename\""),
        ("completions", _) => Way::Run,
        ("status" | "crons" | "schema", _) => Way::Run,
        ("secrets", ["list" | "check"]) => Way::Run,
        ("migrate", ["status"]) | ("rollback", ["--list"]) => Way::Run,
        ("doctor", rest) if !rest.contains(&"--fix") => Way::Run,
        (
            "ci" | "deploy" | "preview" | "cleanup" | "migrate" | "rollback" | "secrets" | "init"
            | "install" | "doctor",
            _,
        ) => match dry {
            true => Way::Run,
            false => Way::Dry,
        },
        _ => return None,
    })
}

/// How a block that holds no command is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Each line is one that this command of the same document really says.
    Said(&'static [&'static str]),
    /// Each line stands in the snapshot of a test.
    Snapshot(&'static str),
    /// The same, behind the name of a Worker.
    Columned(&'static str),
    /// The reader of `pipeline.toml` takes it.
    Toml,
    /// `tests/it/docs/diagrams.rs` makes it.
    Diagram,
    /// SQLite takes it, and no row is lost.
    Sql,
}

/// The way of a block without commands.
pub fn of_text(block: &Block) -> Option<Text> {
    let first = block.lines.first().map_or("", String::as_str);
    Some(match (block.language.as_str(), block.file.as_str()) {
        ("toml", _) => Text::Toml,
        ("mermaid", _) => Text::Diagram,
        ("sql", "docs/migrate.md") => Text::Sql,
        ("text", "README.md") => Text::Said(&["rehearse"]),
        ("text", "docs/crons.md") => Text::Said(&["crons", "--day", "2027-03-14", "--next", "3"]),
        ("text", "docs/doctor.md") => Text::Said(&["doctor"]),
        ("text", "docs/status.md") => Text::Said(&["status"]),
        ("text", "docs/deploy.md") if first.starts_with("live events") => {
            Text::Snapshot("xtask/src/watch/mod.rs")
        }
        ("text", "docs/logs.md") => Text::Columned("xtask/src/stages/logs/line.rs"),
        ("text", "docs/migrate.md") => Text::Snapshot("xtask/tests/it/migrate/rehearsed.rs"),
        ("text", "docs/secrets.md") => Text::Snapshot("xtask/tests/it/secrets_verb/list.rs"),
        _ => return None,
    })
}
