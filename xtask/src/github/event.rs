//! What GitHub Actions says about the run: the repository, and the pull request it is about. Everything in it that a
//! stranger can choose (branch, title) is kept as text and trusted for nothing.

use serde_json::Value;

use crate::env::Env;
use crate::error::Fail;

/// A pull request, as an event or the API tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The head commit: what the author pushed, not the merge GitHub tests.
    pub sha: String,
    /// The head branch.
    pub branch: String,
    /// Its title.
    pub title: String,
    /// Who opened it, e.g. `dependabot[bot]`.
    pub author: String,
    /// True while it is a draft.
    pub draft: bool,
    /// True when its commits come from another repository: such a run gets no secrets.
    pub fork: bool,
    /// Whether it is open.
    pub state: State,
}

/// Whether a pull request is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Open, draft or not.
    Open,
    /// Closed or merged.
    Closed,
}

/// A repository on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The user or organisation.
    pub owner: String,
    /// Its name.
    pub name: String,
}

/// The pull request this run was started for; `None` outside Actions and for events that are about no pull request.
pub fn pull_request(env: &Env) -> anyhow::Result<Option<PullRequest>> {
    let Some(path) = env.var("GITHUB_EVENT_PATH") else {
        return Ok(None);
    };
    let wrong = |why: String| {
        Fail::setup("GitHub's event cannot be read")
            .why(format!("{path}: {why}"))
            .fix("run `cargo xtask preview --pr N` with the number given, or unset GITHUB_EVENT_PATH outside Actions")
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let event: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    match &event["pull_request"] {
        Value::Object(_) => PullRequest::parse(&event["pull_request"])
            .map(Some)
            .map_err(|why| wrong(why).into()),
        _ => Ok(None),
    }
}

/// Whether the event that started this run belongs to the preview without a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutPull {
    /// Outside Actions, or started by a person (`workflow_dispatch`).
    ByHand,
    /// A merge queue tests several pull requests together; each has a preview of its own.
    MergeQueue,
    /// Another event, such as `push`: its name.
    Other(String),
}

/// What started this run, when it was no pull request.
pub fn without_pull(env: &Env) -> WithoutPull {
    let event = env.var("GITHUB_EVENT_NAME").filter(|_| env.ci);
    match event {
        None | Some("" | "workflow_dispatch" | "repository_dispatch") => WithoutPull::ByHand,
        Some("merge_group") => WithoutPull::MergeQueue,
        Some(name) => WithoutPull::Other(name.to_owned()),
    }
}

/// Refuses an event that belongs to no pull request: `verb` would change the preview that people make by hand.
pub fn refuse_without_pull(env: &Env, verb: &str) -> Result<(), Fail> {
    let name = match without_pull(env) {
        WithoutPull::ByHand => return Ok(()),
        WithoutPull::MergeQueue => "merge_group".to_owned(),
        WithoutPull::Other(name) => name,
    };
    Err(Fail::setup(format!("event `{name}` belongs to no pull request"))
        .why(format!(
            "without `--pr`, `{verb}` changes the preview that has no pull request; in GitHub Actions only `workflow_dispatch` may"
        ))
        .fix(format!("cargo xtask {verb} --pr N")))
}

/// The address of the page of this CI run.
pub fn run_url(env: &Env) -> Option<String> {
    let server = env.var("GITHUB_SERVER_URL")?;
    let repository = env.var("GITHUB_REPOSITORY")?;
    let run = env.var("GITHUB_RUN_ID")?;
    Some(format!("{server}/{repository}/actions/runs/{run}"))
}

impl PullRequest {
    /// Reads the object GitHub uses in events and answers; the error says which field is wrong.
    pub fn parse(value: &Value) -> Result<PullRequest, String> {
        let text = |pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_str);
            found.map(str::to_owned)
        };
        let need = |pointer: &str| {
            text(pointer).ok_or_else(|| format!("the pull request has no `{}`", field(pointer)))
        };
        let sha = need("/head/sha")?;
        if !matches!(sha.len(), 40 | 64) || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("the pull request's `head.sha` is not a commit id".to_owned());
        }
        let state = match need("/state")?.as_str() {
            "open" => State::Open,
            "closed" => State::Closed,
            other => return Err(format!("the pull request's state is `{other}`")),
        };
        let number = value["number"].as_u64().filter(|number| *number > 0);
        let base = need("/base/repo/full_name")?;
        Ok(PullRequest {
            number: number.ok_or("the pull request has no `number`")?,
            sha,
            branch: need("/head/ref")?,
            title: text("/title").unwrap_or_default(),
            author: text("/user/login").unwrap_or_default(),
            draft: value["draft"].as_bool().unwrap_or(false),
            // The head repository is `null` once a fork is deleted.
            fork: text("/head/repo/full_name").is_none_or(|head| !head.eq_ignore_ascii_case(&base)),
            state,
        })
    }
}

fn field(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

impl Repository {
    /// The repository of this run: `GITHUB_REPOSITORY`, else the one the remote's address names.
    pub fn find(env: &Env, remote: Option<&str>) -> Option<Repository> {
        match env.var("GITHUB_REPOSITORY") {
            Some(name) => Repository::parse(name),
            None => Repository::of_remote(remote?),
        }
    }

    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Option<Repository> {
        let (owner, name) = text.split_once('/')?;
        let plain = |part: &str| {
            let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(usual)
        };
        (plain(owner) && plain(name)).then(|| Repository {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Reads the address of a git remote: `https://host/owner/name.git`, `git@host:owner/name` and their like. Anything
    /// else, a local path for one, names no repository.
    pub fn of_remote(address: &str) -> Option<Repository> {
        let address = address.trim().trim_end_matches('/');
        let path = match address.split_once("://") {
            Some(("http" | "https" | "ssh" | "git", rest)) => rest.split_once('/')?.1,
            Some(_) => return None,
            None => {
                address
                    .split_once(':')
                    .filter(|(host, _)| !host.contains('/'))?
                    .1
            }
        };
        Repository::parse(path.strip_suffix(".git").unwrap_or(path))
    }

    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn pull(head: &Value) -> Value {
        json!({
            "number": 7, "state": "open", "title": "Faster search", "draft": true,
            "user": {"login": "ann"},
            "head": {"sha": "a".repeat(40), "ref": "faster/search", "repo": head},
            "base": {"ref": "main", "repo": {"full_name": "Shop/site"}},
        })
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        let vars: BTreeMap<String, String> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Env::from_vars(vars, false, PathBuf::from("/repo"))
    }

    #[test]
    fn a_fork_is_told_by_the_repositories_not_by_their_flags() {
        let own = PullRequest::parse(&pull(&json!({"full_name": "shop/site", "fork": true})));
        let own = own.unwrap();
        assert!(
            !own.fork,
            "a repository that is a fork has own branches, too"
        );
        assert_eq!((own.number, own.draft, own.state), (7, true, State::Open));
        assert_eq!(own.branch, "faster/search");
        let other = pull(&json!({"full_name": "eve/site", "fork": false}));
        assert!(PullRequest::parse(&other).unwrap().fork);
        assert!(PullRequest::parse(&pull(&Value::Null)).unwrap().fork);
    }

    #[test]
    fn an_event_without_a_pull_request_is_named() {
        let found = |ci: &str, name: &str| {
            without_pull(&env(&[("GITHUB_ACTIONS", ci), ("GITHUB_EVENT_NAME", name)]))
        };
        assert_eq!(without_pull(&env(&[])), WithoutPull::ByHand);
        assert_eq!(found("true", "workflow_dispatch"), WithoutPull::ByHand);
        assert_eq!(found("true", "merge_group"), WithoutPull::MergeQueue);
        for name in [
            "push",
            "schedule",
            "create",
            "delete",
            "release",
            "issue_comment",
            "workflow_run",
        ] {
            assert_eq!(found("true", name), WithoutPull::Other(name.to_owned()));
        }
        let push = env(&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")]);
        expect_test::expect![[r#"
            event `push` belongs to no pull request
              why: without `--pr`, `cleanup` changes the preview that has no pull request; in GitHub Actions only `workflow_dispatch` may
              fix: cargo xtask cleanup --pr N"#]]
        .assert_eq(&refuse_without_pull(&push, "cleanup").unwrap_err().to_string());
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        let without = |change: &dyn Fn(&mut Value)| {
            let mut value = pull(&Value::Null);
            change(&mut value);
            PullRequest::parse(&value).unwrap_err()
        };
        let no_sha = without(&|pull| pull["head"]["sha"] = Value::Null);
        assert_eq!(no_sha, "the pull request has no `head.sha`");
        let bad_sha = without(&|pull| pull["head"]["sha"] = json!("$(reboot)"));
        assert_eq!(bad_sha, "the pull request's `head.sha` is not a commit id");
        let zero = without(&|pull| pull["number"] = json!(0));
        assert_eq!(zero, "the pull request has no `number`");
        let odd = without(&|pull| pull["state"] = json!("locked"));
        assert_eq!(odd, "the pull request's state is `locked`");
    }

    #[test]
    fn an_event_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        let at = path.to_str().unwrap();
        assert_eq!(pull_request(&env(&[])).unwrap(), None);
        std::fs::write(
            &path,
            json!({"pull_request": pull(&Value::Null)}).to_string(),
        )
        .unwrap();
        let found = pull_request(&env(&[("GITHUB_EVENT_PATH", at)])).unwrap();
        assert_eq!(found.unwrap().number, 7);
        std::fs::write(&path, r#"{"ref": "refs/heads/main"}"#).unwrap();
        assert_eq!(
            pull_request(&env(&[("GITHUB_EVENT_PATH", at)])).unwrap(),
            None
        );
        std::fs::write(&path, r#"{"pull_request": {}}"#).unwrap();
        let error = pull_request(&env(&[("GITHUB_EVENT_PATH", at)])).unwrap_err();
        assert_eq!(crate::error::exit_of(&error), crate::error::Exit::Setup);
    }

    #[test]
    fn a_remote_names_its_repository() {
        for (address, name) in [
            ("https://github.com/shop/site.git", Some("shop/site")),
            (
                "https://user:token@github.com/shop/site/",
                Some("shop/site"),
            ),
            ("git@github.com:shop/site.git", Some("shop/site")),
            ("ssh://git@github.com:22/shop/site", Some("shop/site")),
            ("/srv/git/site.git", None),
            ("../site", None),
            ("file:///srv/git/shop/site", None),
            ("https://github.com/shop", None),
            ("git@github.com:shop/site/tree", None),
            ("git@github.com:../..", None),
        ] {
            let found = Repository::of_remote(address).map(|found| found.full_name());
            assert_eq!(found.as_deref(), name, "{address}");
        }
        let set = env(&[("GITHUB_REPOSITORY", "a/b")]);
        let found = Repository::find(&set, Some("git@github.com:shop/site")).unwrap();
        assert_eq!(found.full_name(), "a/b");
    }
}
