//! Deployments, what is said about them, and the environments they make.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::Uri;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::github::answer::{
    GithubError, GithubResult, base, created, deleted, fields, flag_field, number, ok, page,
    parameter, query, text_field,
};
use crate::github::model::{Deployment, Ids, Repo, Status, User};
use crate::github::pulls::branch_sha;
use crate::github::user_json;
use crate::ids;

const STATES: [&str; 7] = [
    "error",
    "failure",
    "inactive",
    "in_progress",
    "queued",
    "pending",
    "success",
];
const DESCRIPTION_CHARACTERS_MAX: usize = 140;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/repos/{owner}/{repo}/deployments", get(list).post(create))
        .route(
            "/repos/{owner}/{repo}/deployments/{id}",
            get(read).delete(delete),
        )
        .route(
            "/repos/{owner}/{repo}/deployments/{id}/statuses",
            get(statuses).post(add_status),
        )
        .route("/repos/{owner}/{repo}/environments", get(environments))
        .route(
            "/repos/{owner}/{repo}/environments/{name}",
            get(environment).delete(delete_environment),
        )
}

type InRepo = Path<(String, String)>;
type OfRepo = Path<(String, String, String)>;

async fn list(app: App, Path((owner, repo)): InRepo, uri: Uri) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let asked = query(&uri);
    let is = |field: &str, value: &str| parameter(&asked, field).is_none_or(|it| it == value);
    let rows = repo
        .deployments
        .values()
        .rev()
        .filter(|it| is("sha", &it.sha) && is("ref", &it.reference))
        .filter(|it| is("task", &it.task) && is("environment", &it.environment))
        .map(|it| deployment_json(app.config().port, name, it))
        .collect();
    page(app.config().port, &uri, rows)
}

async fn create(
    app: App,
    Path((owner, repo)): InRepo,
    Extension(creator): Extension<User>,
    body: Bytes,
) -> GithubResult {
    app.read(|state| state.github.repo(&owner, &repo).map(drop))?;
    let asked = deployment_of(&fields(&body)?, creator)?;
    let deployment = app.mutate_or(|state| {
        let (name, known) = state.github.repo(&owner, &repo)?;
        let sha = resolve(name, known, &asked.reference)?;
        let (repo, new) = state.github.repo_mut(&owner, &repo)?;
        let id = new.fresh();
        let made = Deployment { id, sha, ..asked };
        repo.deployments.insert(id, made.clone());
        Ok::<_, GithubError>(made)
    })?;
    created(deployment_json(
        app.config().port,
        &format!("{owner}/{repo}"),
        &deployment,
    ))
}

fn deployment_of(fields: &Map<String, Value>, creator: User) -> Result<Deployment, GithubError> {
    let reference = text_field(fields, "ref")?.ok_or_else(|| GithubError::missing("ref"))?;
    let environment = text_field(fields, "environment")?.unwrap_or("production");
    let now = ids::now_seconds();
    Ok(Deployment {
        reference: reference.to_owned(),
        task: text_field(fields, "task")?.unwrap_or("deploy").to_owned(),
        environment: environment.to_owned(),
        description: text_field(fields, "description")?.map(str::to_owned),
        payload: fields.get("payload").cloned().unwrap_or_else(|| json!({})),
        transient: flag_field(fields, "transient_environment", false)?,
        production: flag_field(
            fields,
            "production_environment",
            environment == "production",
        )?,
        creator,
        created_at: now.clone(),
        updated_at: now,
        ..Deployment::default()
    })
}

/// The commit of a branch, or of itself. Whether a commit exists is not known here: any 40 hex digits are one.
fn resolve(full_name: &str, repo: &Repo, reference: &str) -> Result<String, GithubError> {
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    let pull = repo.pulls.values().rev().find(|pull| pull.branch == branch);
    if let Some(pull) = pull {
        return Ok(pull.sha.clone());
    }
    if branch == repo.default_branch {
        return Ok(branch_sha(full_name, branch));
    }
    if reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(reference.to_owned());
    }
    Err(GithubError::unprocessable(format!(
        "No ref found for: {reference}"
    )))
}

async fn read(app: App, Path((owner, repo, id)): OfRepo) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let deployment = repo.deployment(number(&id)?)?;
    ok(deployment_json(app.config().port, name, deployment))
}

/// A deployment that users may still be looking at stays, unless it is the only one.
async fn delete(app: App, Path((owner, repo, id)): OfRepo) -> GithubResult {
    let id = number(&id)?;
    app.mutate_or(|state| {
        let (repo, _) = state.github.repo_mut(&owner, &repo)?;
        let wanted = repo.deployment(id)?;
        let others = repo.deployments.values();
        let alone = others.filter(|it| it.environment == wanted.environment).count() == 1;
        if wanted.state() == Some("success") && !alone {
            return Err(GithubError::unprocessable(
                "We cannot delete an active deployment unless it is the only deployment in a given environment.",
            ));
        }
        repo.deployments.remove(&id);
        Ok(())
    })?;
    deleted()
}

async fn statuses(app: App, Path((owner, repo, id)): OfRepo, uri: Uri) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let deployment = repo.deployment(number(&id)?)?;
    let port = app.config().port;
    let newest_first = deployment.statuses.iter().rev();
    let rows = newest_first
        .map(|status| status_json(port, name, deployment.id, status))
        .collect();
    page(port, &uri, rows)
}

async fn add_status(
    app: App,
    Path((owner, repo, id)): OfRepo,
    Extension(creator): Extension<User>,
    body: Bytes,
) -> GithubResult {
    let id = number(&id)?;
    app.read(|state| state.github.repo(&owner, &repo)?.1.deployment(id).map(drop))?;
    let fields = fields(&body)?;
    let asked = status_of(&fields, creator)?;
    let auto_inactive = flag_field(&fields, "auto_inactive", true)?;
    let status = app.mutate_or(|state| {
        let (repo, new) = state.github.repo_mut(&owner, &repo)?;
        let environment = &repo.deployment(id)?.environment;
        let status = Status {
            id: new.fresh(),
            environment: asked.environment.clone().unwrap_or(environment.clone()),
            ..asked.status
        };
        if status.state == "success" && auto_inactive {
            set_others_inactive(repo, new, id, &status);
        }
        if let Some(deployment) = repo.deployments.get_mut(&id) {
            deployment.environment.clone_from(&status.environment);
            deployment.updated_at.clone_from(&status.created_at);
            deployment.statuses.push(status.clone());
        }
        Ok::<_, GithubError>(status)
    })?;
    let name = format!("{owner}/{repo}");
    created(status_json(app.config().port, &name, id, &status))
}

/// A status as asked for, and the environment it moves the deployment to.
struct Asked {
    status: Status,
    environment: Option<String>,
}

fn status_of(fields: &Map<String, Value>, creator: User) -> Result<Asked, GithubError> {
    let refuse = |field: &str, message: &str| {
        Err(GithubError::invalid(
            "DeploymentStatus",
            field,
            "custom",
            message,
        ))
    };
    let text =
        |name: &str| text_field(fields, name).map(|text| text.unwrap_or_default().to_owned());
    let state = text_field(fields, "state")?.ok_or_else(|| GithubError::missing("state"))?;
    if !STATES.contains(&state) {
        return refuse("state", "state is not included in the list");
    }
    let description = text("description")?;
    if description.chars().count() > DESCRIPTION_CHARACTERS_MAX {
        return refuse(
            "description",
            &format!(
                "description is too long (maximum is {DESCRIPTION_CHARACTERS_MAX} characters)"
            ),
        );
    }
    let environment_url = text("environment_url")?;
    let is_address = ["http://", "https://"]
        .iter()
        .any(|start| environment_url.starts_with(start));
    if !is_address && !environment_url.is_empty() {
        return refuse("environment_url", "environment_url must use http(s) scheme");
    }
    let log_url = match text_field(fields, "log_url")? {
        Some(url) => url.to_owned(),
        None => text("target_url")?,
    };
    let status = Status {
        state: state.to_owned(),
        description,
        log_url,
        environment_url,
        creator,
        created_at: ids::now_seconds(),
        ..Status::default()
    };
    let environment = text_field(fields, "environment")?.map(str::to_owned);
    Ok(Asked {
        status,
        environment,
    })
}

/// What a success means for the deployments before it: those of the same environment that had succeeded are over, unless
/// the environment goes away by itself or is production.
fn set_others_inactive(repo: &mut Repo, new: &mut Ids, id: u64, success: &Status) {
    let others = repo.deployments.range_mut(..id).map(|(_, other)| other);
    let over = others.filter(|other| {
        other.environment == success.environment
            && !other.transient
            && !other.production
            && other.state() == Some("success")
    });
    for other in over {
        other.updated_at.clone_from(&success.created_at);
        other.statuses.push(Status {
            id: new.fresh(),
            state: "inactive".to_owned(),
            environment: other.environment.clone(),
            creator: success.creator.clone(),
            created_at: success.created_at.clone(),
            ..Status::default()
        });
    }
}

async fn environments(app: App, Path((owner, repo)): InRepo) -> GithubResult {
    let state = app.snapshot();
    let (full_name, repo) = state.github.repo(&owner, &repo)?;
    let shown: Vec<Value> = environments_of(repo)
        .iter()
        .map(|(name, since)| environment_json(app.config().port, full_name, name, since))
        .collect();
    ok(json!({ "total_count": shown.len(), "environments": shown }))
}

async fn environment(app: App, Path((owner, repo, name)): OfRepo) -> GithubResult {
    let state = app.snapshot();
    let (full_name, repo) = state.github.repo(&owner, &repo)?;
    let known = environments_of(repo);
    let since = known
        .get(name.as_str())
        .ok_or_else(GithubError::not_found)?;
    ok(environment_json(app.config().port, full_name, &name, since))
}

/// Takes the right to administrate the repository, which no workflow's token can have.
async fn delete_environment(
    app: App,
    Path((owner, repo, name)): OfRepo,
    Extension(user): Extension<User>,
) -> GithubResult {
    if user.is_bot() {
        return Err(GithubError::forbidden());
    }
    app.mutate_or(|state| {
        let (repo, _) = state.github.repo_mut(&owner, &repo)?;
        let before = repo.deployments.len();
        repo.deployments.retain(|_, it| it.environment != name);
        if repo.deployments.len() == before {
            return Err(GithubError::not_found());
        }
        Ok(())
    })?;
    deleted()
}

/// The environments that deployments or secrets made, and since when.
fn environments_of(repo: &Repo) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for deployment in repo.deployments.values() {
        found
            .entry(deployment.environment.as_str())
            .or_insert(deployment.created_at.as_str());
    }
    for environment in repo.secrets.environments.keys() {
        found.entry(environment).or_insert(&repo.created_at);
    }
    found
}

fn environment_json(port: u16, full_name: &str, name: &str, since: &str) -> Value {
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    json!({
        "name": name,
        "url": format!("{}/repos/{full_name}/environments/{encoded}", base(port)),
        "created_at": since,
        "protection_rules": [],
    })
}

fn deployment_json(port: u16, full_name: &str, deployment: &Deployment) -> Value {
    let repository = format!("{}/repos/{full_name}", base(port));
    let url = format!("{repository}/deployments/{}", deployment.id);
    json!({
        "id": deployment.id,
        "url": url,
        "sha": deployment.sha,
        "ref": deployment.reference,
        "task": deployment.task,
        "environment": deployment.environment,
        "original_environment": deployment.environment,
        "description": deployment.description,
        "payload": deployment.payload,
        "transient_environment": deployment.transient,
        "production_environment": deployment.production,
        "creator": user_json(port, &deployment.creator),
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
        "statuses_url": format!("{url}/statuses"),
        "repository_url": repository,
    })
}

fn status_json(port: u16, full_name: &str, deployment: u64, status: &Status) -> Value {
    let repository = format!("{}/repos/{full_name}", base(port));
    let url = format!("{repository}/deployments/{deployment}");
    json!({
        "id": status.id,
        "url": format!("{url}/statuses/{}", status.id),
        "state": status.state,
        "description": status.description,
        "environment": status.environment,
        "environment_url": status.environment_url,
        "log_url": status.log_url,
        "target_url": status.log_url,
        "creator": user_json(port, &status.creator),
        "created_at": status.created_at,
        "updated_at": status.created_at,
        "deployment_url": url,
        "repository_url": repository,
    })
}
