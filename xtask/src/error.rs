//! What a person sees when something fails: what, why, fix, and the exit code. Knows nothing of how it is printed.

use std::fmt;

use crate::ui::clean_text;

/// The exit codes of `cargo xtask`: an API that scripts and workflows rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// A check failed: the change needs work.
    Check = 1,
    /// The set-up or the input is wrong: nothing was changed.
    Setup = 2,
    /// The cloud refused, or the release was rolled back: what served before serves now.
    Remote = 3,
    /// Left part-way: a person has to look.
    Partial = 4,
    /// Not classified: a bug of the pipeline itself.
    Bug = 101,
}

/// An expected failure, in the three parts a reader needs. Texts are lowercase and have no final period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    /// The class of failure.
    pub exit: Exit,
    /// What happened, with names in backticks.
    pub what: String,
    /// Why, one line each; may be empty when `what` says it all.
    pub why: Vec<String>,
    /// What to do about it, one line each; commands are ready to paste.
    pub fix: Vec<String>,
}

impl Fail {
    /// A failure of the given class.
    pub fn new(exit: Exit, what: impl Into<String>) -> Fail {
        Fail {
            exit,
            what: clean_text(what),
            why: Vec::new(),
            fix: Vec::new(),
        }
    }

    /// A check that failed (exit 1).
    pub fn check(what: impl Into<String>) -> Fail {
        Fail::new(Exit::Check, what)
    }

    /// Wrong set-up or input (exit 2).
    pub fn setup(what: impl Into<String>) -> Fail {
        Fail::new(Exit::Setup, what)
    }

    /// A refusal by the cloud, or a release that was put back (exit 3).
    pub fn remote(what: impl Into<String>) -> Fail {
        Fail::new(Exit::Remote, what)
    }

    /// Something left part-way (exit 4).
    pub fn partial(what: impl Into<String>) -> Fail {
        Fail::new(Exit::Partial, what)
    }

    /// Adds the reason; several lines become several reasons.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Fail {
        self.why.extend(clean_text(why).lines().map(str::to_owned));
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Fail {
        self.fix.extend(clean_text(fix).lines().map(str::to_owned));
        self
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        for (label, lines) in [("why", &self.why), ("fix", &self.fix)] {
            for (index, line) in lines.iter().enumerate() {
                let label = if index == 0 { label } else { "   " };
                let colon = if index == 0 { ':' } else { ' ' };
                write!(f, "\n  {label}{colon} {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Fail {}

/// The exit code of an error: the `Fail` found in its chain decides, so that added context never changes the code.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Fail>())
        .map_or(Exit::Bug, |fail| fail.exit)
}

/// The text shown for an error: `error: …` with the contexts first, then the what, why and fix.
pub fn render(error: &anyhow::Error) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut text = clean_text(format!("error: {}", chain.join(": ")));
    if exit_of(error) == Exit::Bug {
        text.push_str("\n  why: this failure was not foreseen, so it is a bug of the pipeline");
        text.push_str("\n  fix: run the command again with `-v` and report what it prints");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use expect_test::expect;

    #[test]
    fn what_why_fix_are_aligned_and_context_keeps_the_code() {
        let fail = Fail::remote("cloudflare refused the upload")
            .why("code 10143\ntarget script `x` not found")
            .fix("cargo xtask deploy --only x");
        let error = Err::<(), _>(fail)
            .context("failed to upload main")
            .unwrap_err();
        assert_eq!(exit_of(&error), Exit::Remote);
        expect![[r#"
            error: failed to upload main: cloudflare refused the upload
              why: code 10143
                   target script `x` not found
              fix: cargo xtask deploy --only x"#]]
        .assert_eq(&render(&error));
    }

    #[test]
    fn an_unclassified_error_is_our_bug() {
        let error = anyhow::anyhow!("index out of step");
        assert_eq!(exit_of(&error), Exit::Bug);
        assert!(render(&error).contains("a bug of the pipeline"));
    }
}
