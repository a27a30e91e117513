//! A pull request for a person to look at: its comments as GitHub would show them, and its deployments. Read-only.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse as _, Response};

use crate::app::App;
use crate::github::answer::GithubResult;
use crate::github::markdown::{self, escape};
use crate::github::model::{Comment, Deployment, Github, Pull, Repo, User};
use crate::guard::PAGE_POLICY;

const STYLE: &str = include_str!("page.css");

/// `GET /_local/github`: every pull request there is.
pub async fn index(app: App) -> Response {
    page("Pull requests", &list(&app.snapshot().github))
}

/// `GET /_local/github/{owner}/{repo}/pull/{number}`
pub async fn pull(
    app: App,
    Path((owner, repo, number)): Path<(String, String, u64)>,
) -> GithubResult {
    let state = app.snapshot();
    let (name, repo) = state.github.repo(&owner, &repo)?;
    let pull = repo.pull(number)?;
    let title = format!("{} · {name} #{number}", pull.title);
    Ok(page(&title, &body(name, repo, pull)))
}

fn page(title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\"><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>\n",
        escape(title)
    );
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(text)).into_response()
}

fn list(github: &Github) -> String {
    let mut text = String::from(
        "<header><h1>Pull requests</h1><p class=\"quiet\">of the local GitHub</p></header>",
    );
    let mut any = false;
    for (name, repo) in &github.repos {
        // Writing to a String cannot fail.
        let _ = write!(text, "<h2>{}</h2><ul class=\"pulls\">", escape(name));
        for pull in repo.pulls.values().rev() {
            any = true;
            let _ = write!(
                text,
                "<li>{} <a href=\"/_local/github/{}/pull/{}\">{} <span class=\"quiet\">#{}</span></a> <span class=\"quiet\">{}</span></li>",
                badge(pull),
                escape(name),
                pull.number,
                escape(&pull.title),
                pull.number,
                comments(pull.comments.len()),
            );
        }
        text.push_str("</ul>");
    }
    if !any {
        text.push_str(
            "<p class=\"quiet\">none yet: <code>POST /_local/github/pulls</code> makes one</p>",
        );
    }
    text
}

fn comments(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "1 comment".to_owned(),
        count => format!("{count} comments"),
    }
}

fn body(name: &str, repo: &Repo, pull: &Pull) -> String {
    let head = match &pull.fork {
        Some(fork) => format!("{fork}:{}", pull.branch),
        None => pull.branch.clone(),
    };
    let mut text = format!(
        "<header><p class=\"quiet\"><a href=\"/_local/github\">pull requests</a> / {}</p>\
         <h1>{} <span class=\"quiet\">#{}</span></h1>\
         <p>{} <strong>{}</strong> <span class=\"quiet\">wants to merge</span> <code>{}</code> \
         <span class=\"quiet\">into</span> <code>{}</code> <span class=\"quiet\">at</span> <code>{}</code></p></header>",
        escape(name),
        escape(&pull.title),
        pull.number,
        badge(pull),
        escape(&pull.author.login),
        escape(&head),
        escape(&pull.base),
        escape(pull.sha.get(..8).unwrap_or(&pull.sha)),
    );
    if !pull.body.trim().is_empty() {
        text.push_str(&card("", &pull.author, &pull.created_at, None, &pull.body));
    }
    for comment in &pull.comments {
        text.push_str(&comment_card(comment));
    }
    if pull.comments.is_empty() {
        text.push_str("<p class=\"quiet\">no comments yet</p>");
    }
    text.push_str(&deployments(repo, pull));
    text
}

fn comment_card(comment: &Comment) -> String {
    let edited = (comment.updated_at != comment.created_at).then_some(comment.updated_at.as_str());
    let id = format!("issuecomment-{}", comment.id);
    card(
        &id,
        &comment.author,
        &comment.created_at,
        edited,
        &comment.body,
    )
}

fn card(id: &str, author: &User, at: &str, edited: Option<&str>, body: &str) -> String {
    let letter = author
        .login
        .chars()
        .next()
        .unwrap_or('?')
        .to_ascii_uppercase();
    let bot = if author.is_bot() {
        " <span class=\"tag\">bot</span>"
    } else {
        ""
    };
    let edited = edited
        .map(|at| format!(" · edited {}", shown_time(at)))
        .unwrap_or_default();
    format!(
        "<article id=\"{}\"><header><span class=\"avatar\">{}</span><strong>{}</strong>{bot} \
         <span class=\"quiet\">{}{edited}</span></header><section>{}</section></article>",
        escape(id),
        escape(&letter.to_string()),
        escape(author.login.trim_end_matches("[bot]")),
        shown_time(at),
        markdown::html(body),
    )
}

/// `2026-11-24T04:05:04Z` as people read it.
fn shown_time(at: &str) -> String {
    escape(at.get(..16).unwrap_or(at)).replace('T', " ") + " UTC"
}

fn badge(pull: &Pull) -> String {
    let (class, text) = match (pull.merged_at.is_some(), pull.state.as_str(), pull.draft) {
        (true, ..) => ("merged", "Merged"),
        (_, "closed", _) => ("closed", "Closed"),
        (_, _, true) => ("draft", "Draft"),
        _ => ("open", "Open"),
    };
    format!("<span class=\"badge {class}\">{text}</span>")
}

/// The deployments of this pull request's commit, and those to an environment named for it.
fn deployments(repo: &Repo, pull: &Pull) -> String {
    let suffix = format!("pr-{}", pull.number);
    let belongs = |it: &&Deployment| {
        it.sha == pull.sha || it.environment.ends_with(&suffix) || it.reference == pull.branch
    };
    let rows: Vec<String> = repo
        .deployments
        .values()
        .rev()
        .filter(belongs)
        .map(deployment_row)
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Deployments</h2><table class=\"deployments\"><tr><th>Environment</th><th>State</th><th>Commit</th><th>Address</th></tr>{}</table>",
        rows.concat()
    )
}

fn deployment_row(deployment: &Deployment) -> String {
    let last = deployment.statuses.last();
    let url = last
        .map(|status| status.environment_url.as_str())
        .unwrap_or_default();
    let url = escape(url);
    let link = if url.is_empty() {
        String::new()
    } else {
        format!("<a href=\"{url}\">{url}</a>")
    };
    let state = deployment.state().unwrap_or("no status yet");
    format!(
        "<tr><td>{}</td><td><span class=\"state {}\">{}</span></td><td><code>{}</code></td><td>{link}</td></tr>",
        escape(&deployment.environment),
        escape(deployment.state().unwrap_or_default()),
        escape(state),
        escape(deployment.sha.get(..8).unwrap_or(&deployment.sha)),
    )
}
