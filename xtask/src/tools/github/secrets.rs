//! Secrets by name and age: GitHub tells nobody a value.

use serde_json::Value;

use super::{Call, Github, GithubError};
use crate::tools::cloudflare::encode;

/// No workflow's token can be given this right; a person's has to be.
const NEEDS: &str = "secrets: read (only the token of a person can have it)";

/// Where a secret is kept on GitHub.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// With the repository.
    Repository,
    /// With the organization, which shares it with the repository.
    Organization,
    /// With an environment.
    Environment(String),
}

impl Kept {
    /// For people: `repository`, `environment production`.
    pub fn shown(&self) -> String {
        match self {
            Kept::Repository => "repository".to_owned(),
            Kept::Organization => "organization".to_owned(),
            Kept::Environment(name) => format!("environment {name}"),
        }
    }
}

/// A secret's name, and when its value was last set, RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretAge {
    /// Its name.
    pub name: String,
    /// When its value was last set.
    pub updated_at: Option<String>,
}

impl Github {
    /// The secrets kept in one place. An environment nobody made has none.
    pub fn secrets(&self, kept: &Kept) -> anyhow::Result<Result<Vec<SecretAge>, GithubError>> {
        let path = match kept {
            Kept::Repository => "/actions/secrets".to_owned(),
            Kept::Organization => "/actions/organization-secrets".to_owned(),
            Kept::Environment(name) => format!("/environments/{}/secrets", encode(name)),
        };
        let rows = self.list_in(&self.path(&path), Some("secrets"), NEEDS)?;
        let rows = match (rows, kept) {
            (Err(error), Kept::Environment(_)) if error.is_not_found() => Vec::new(),
            (Err(error), _) => return Ok(Err(error)),
            (Ok(rows), _) => rows,
        };
        let secret = |row: &Value| {
            Some(SecretAge {
                name: row["name"].as_str()?.to_owned(),
                updated_at: row["updated_at"].as_str().map(str::to_owned),
            })
        };
        Ok(Ok(rows.iter().filter_map(secret).collect()))
    }

    /// As [`Github::list`], for lists that stand in an object under `key`.
    pub(super) fn list_in(
        &self,
        path: &str,
        key: Option<&str>,
        needs: &'static str,
    ) -> anyhow::Result<Result<Vec<Value>, GithubError>> {
        let glue = if path.contains('?') { '&' } else { '?' };
        let mut rows = Vec::new();
        for page in 1..=super::PAGES_MAX {
            let call = Call::get(
                format!("{path}{glue}per_page={}&page={page}", super::PER_PAGE),
                needs,
            );
            let mut answer = match self.call(&call)? {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            let found = match key {
                Some(key) => answer.value[key].take(),
                None => answer.value,
            };
            let Value::Array(found) = found else {
                let call = super::shown(&call);
                return Ok(Err(GithubError::odd(&call, "the answer is no list", needs)));
            };
            rows.extend(found);
            if !answer.more {
                return Ok(Ok(rows));
            }
        }
        Ok(Err(GithubError::odd(path, "the list has no end", needs)))
    }
}
