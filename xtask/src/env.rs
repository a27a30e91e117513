//! The process environment, read once. Nothing else in the crate asks the environment anything.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// What the pipeline needs to know of its surroundings.
#[derive(Clone)]
pub struct Env {
    /// Every variable, for looking up secrets by name. Never printed.
    vars: BTreeMap<String, String>,
    /// True on GitHub Actions and other CI (`CI` set and not `false`).
    pub ci: bool,
    /// True on GitHub Actions: groups, annotations and the step summary are written.
    pub github_actions: bool,
    /// True when stderr is a terminal that a person watches: live progress is drawn.
    pub terminal: bool,
    /// True when colour is wanted: a terminal, no `NO_COLOR`, or `CLICOLOR_FORCE`.
    pub color: bool,
    /// The same for stdout.
    pub data_color: bool,
    /// True when stdout is a terminal.
    pub data_terminal: bool,
    /// Where processes are started from.
    pub cwd: PathBuf,
}

impl Env {
    /// Reads the surroundings of this process.
    pub fn read() -> Env {
        // `vars_os` rather than `vars`: a variable that is not UTF-8 must not stop the pipeline; it cannot be one of ours.
        let vars = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let mut env = Env::from_vars(vars, std::io::stderr().is_terminal(), cwd);
        env.data_terminal = std::io::stdout().is_terminal();
        env.data_color = match env.data_terminal {
            true => env.color,
            false => env.color && env.var("CLICOLOR_FORCE").is_some(),
        };
        env
    }

    /// The surroundings that a set of variables describes: the pure part of [`Env::read`], for tests.
    pub fn from_vars(
        vars: BTreeMap<String, String>,
        stderr_is_terminal: bool,
        cwd: PathBuf,
    ) -> Env {
        let set = |name: &str| vars.get(name).is_some_and(|value| !value.is_empty());
        let github_actions = vars
            .get("GITHUB_ACTIONS")
            .is_some_and(|value| value == "true");
        let ci = github_actions
            || vars
                .get("CI")
                .is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0");
        let terminal =
            stderr_is_terminal && !ci && vars.get("TERM").is_none_or(|term| term != "dumb");
        let color = !set("NO_COLOR") && (terminal || set("CLICOLOR_FORCE"));
        Env {
            ci,
            github_actions,
            terminal,
            color,
            data_color: false,
            data_terminal: false,
            cwd,
            vars,
        }
    }

    /// A variable's value; an empty one counts as not set.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A copy in which a variable is set, e.g. the API address of the local cloud for this run.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Env {
        self.vars.insert(name.to_owned(), value.into());
        self
    }

    /// The names of all variables, without values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.vars.keys().map(String::as_str)
    }
}

impl fmt::Debug for Env {
    /// Shows no values: any of them may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("ci", &self.ci)
            .field("github_actions", &self.github_actions)
            .field("terminal", &self.terminal)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)], terminal: bool) -> Env {
        let vars = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Env::from_vars(vars, terminal, PathBuf::from("/repo"))
    }

    #[test]
    fn colour_follows_terminal_and_no_color() {
        assert!(env(&[], true).color);
        assert!(!env(&[("NO_COLOR", "1")], true).color);
        assert!(!env(&[], false).color);
        assert!(env(&[("CLICOLOR_FORCE", "1")], false).color);
    }

    #[test]
    fn ci_is_not_a_terminal_and_false_is_not_ci() {
        assert!(!env(&[("CI", "true")], true).terminal);
        assert!(!env(&[("CI", "false")], true).ci);
        assert!(env(&[("GITHUB_ACTIONS", "true")], false).ci);
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", env(&[("ADMIN_KEY", "canary")], false));
        assert!(!shown.contains("canary"));
    }
}
