//! Whether the CI run that holds a lease is still going: GitHub is asked, and believed only about this repository.

use crate::context::Ctx;
use crate::github::access::{self, Access};
use crate::target::Target;
use crate::tools::github::WorkflowRun;

/// How a CI run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It is over; why, for a notice: `its run on GitHub is over: cancelled`.
    Over(String),
    /// It goes on.
    Going,
    /// Nobody knows; why.
    Unknown(String),
}

/// The address of a run's page, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    /// `https://github.com`
    server: &'a str,
    owner: &'a str,
    name: &'a str,
    id: u64,
    attempt: Option<u64>,
}

/// Asks GitHub how the run stands whose page is at `url`. What cannot be found out is no reason to fail.
pub fn state(ctx: &Ctx, target: &Target, url: &str) -> RunState {
    ask(ctx, target, url).unwrap_or_else(RunState::Unknown)
}

fn ask(ctx: &Ctx, target: &Target, url: &str) -> Result<RunState, String> {
    let address = parse(url).ok_or("its address is none of a run on GitHub")?;
    let open = access::open(ctx, target).map_err(|error| error.to_string())?;
    let github = match open {
        Access::Open(github) => github,
        Access::None(why) => return Err(why),
    };
    let server = ctx.env.var("GITHUB_SERVER_URL");
    let ours = github.repository();
    let same = address.server == server.unwrap_or("https://github.com")
        && address.owner.eq_ignore_ascii_case(&ours.owner)
        && address.name.eq_ignore_ascii_case(&ours.name);
    if !same {
        return Err("it is a run of another repository".to_owned());
    }
    let run = github
        .workflow_run(address.id)
        .map_err(|error| error.to_string())?;
    Ok(judge(&run, address.attempt))
}

/// An attempt begins only when the one before it is over.
fn judge(run: &WorkflowRun, attempt: Option<u64>) -> RunState {
    match &run.conclusion {
        Some(conclusion) => RunState::Over(format!("its run on GitHub is over: {conclusion}")),
        None if attempt.is_some_and(|attempt| run.attempt > attempt) => {
            RunState::Over("its run on GitHub was started again".to_owned())
        }
        None => RunState::Going,
    }
}

/// `https://github.com/o/r/actions/runs/7/attempts/2`
fn parse(url: &str) -> Option<Address<'_>> {
    let (repository, run) = url.split_once("/actions/runs/")?;
    let (rest, name) = repository.rsplit_once('/')?;
    let (server, owner) = rest.rsplit_once('/')?;
    let (id, attempt) = match run.split_once("/attempts/") {
        Some((id, attempt)) => (id, Some(attempt.parse().ok()?)),
        None => (run, None),
    };
    let id = id.parse().ok()?;
    Some(Address {
        server,
        owner,
        name,
        id,
        attempt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_run_is_taken_apart() {
        let address = |id, attempt| Address {
            server: "https://github.com",
            owner: "o",
            name: "r",
            id,
            attempt,
        };
        let url = "https://github.com/o/r/actions/runs/7";
        assert_eq!(parse(url), Some(address(7, None)));
        let again = format!("{url}/attempts/2");
        assert_eq!(parse(&again), Some(address(7, Some(2))));
        for odd in [
            "",
            "https://ci.test/build/7",
            "https://github.com/o/r/actions/runs/seven",
            "https://github.com/o/r/actions/runs/7/attempts/",
            "/actions/runs/7",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_run_is_over_when_it_ended_or_was_started_again() {
        let run = |conclusion: Option<&str>, attempt| WorkflowRun {
            conclusion: conclusion.map(str::to_owned),
            attempt,
        };
        let over = |why: &str| RunState::Over(format!("its run on GitHub {why}"));
        assert_eq!(judge(&run(None, 1), Some(1)), RunState::Going);
        assert_eq!(judge(&run(None, 2), None), RunState::Going);
        let again = judge(&run(None, 2), Some(1));
        assert_eq!(again, over("was started again"));
        let cancelled = judge(&run(Some("cancelled"), 1), Some(1));
        assert_eq!(cancelled, over("is over: cancelled"));
    }
}
