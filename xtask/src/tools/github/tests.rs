//! Against a loopback server that keeps comments and deployments as GitHub does, and misbehaves on demand.

mod server;

use expect_test::expect;
use serde_json::json;

use self::server::{Server, Trouble};
use super::*;
use crate::error::exit_of;

const MARKED: &str = "<!-- m -->";

fn is_marked(text: &str) -> bool {
    text.starts_with(MARKED)
}

fn upsert(server: &Server, text: &str) -> anyhow::Result<()> {
    server
        .github()
        .upsert_comment(7, &format!("{MARKED}{text}"), is_marked)
}

#[test]
fn one_comment_is_made_then_changed_and_others_are_left_alone() {
    let server = Server::start();
    for number in 0..250 {
        server.comment("ann", &format!("{MARKED} imitation {number}"));
    }
    server.comment("github-actions[bot]", &format!("not {MARKED}"));
    upsert(&server, "one").unwrap();
    upsert(&server, "two").unwrap();
    assert_eq!(server.own_comments(), [format!("{MARKED}two")]);
    assert_eq!(server.comments().len(), 252);
    assert!(server.comments()[3].1.ends_with("imitation 3"));
    let made = server.calls("POST /repos/shop/site/issues/7/comments");
    assert_eq!(made, 1);
}

#[test]
fn of_several_the_oldest_stays() {
    let server = Server::start();
    for text in ["first", "second", "third"] {
        server.comment("GitHub-Actions[bot]", &format!("{MARKED}{text}"));
    }
    upsert(&server, "now").unwrap();
    assert_eq!(server.own_comments(), [format!("{MARKED}now")]);
    assert_eq!(server.comments()[0].0, 1, "the oldest");
}

#[test]
fn runs_that_race_leave_one() {
    let server = Server::start();
    std::thread::scope(|scope| {
        for run in 0..6 {
            let server = &server;
            scope.spawn(move || upsert(server, &format!("run {run}")).unwrap());
        }
    });
    assert_eq!(server.own_comments().len(), 1, "{:?}", server.comments());
}

#[test]
fn a_comment_that_is_deleted_meanwhile_is_made_anew() {
    let server = Server::start();
    server.comment("github-actions[bot]", &format!("{MARKED}old"));
    server.trouble("PATCH", Trouble::Vanish);
    upsert(&server, "new").unwrap();
    assert_eq!(server.own_comments(), [format!("{MARKED}new")]);
}

#[test]
fn lost_answers_make_no_second_comment() {
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        for trouble in [
            Trouble::DropBefore,
            Trouble::DropAfter,
            Trouble::Status(500),
            Trouble::Status(502),
        ] {
            for before in [0, 1, 2] {
                let server = Server::start();
                for _ in 0..before {
                    server.comment("github-actions[bot]", &format!("{MARKED}old"));
                }
                server.trouble(method, trouble);
                upsert(&server, "new").unwrap();
                let own = server.own_comments();
                assert_eq!(
                    own,
                    [format!("{MARKED}new")],
                    "{method} {trouble:?} {before}"
                );
            }
        }
    }
}

#[test]
fn a_personal_token_and_an_app_are_asked_for_their_name() {
    let server = Server::start();
    server.user("ann", None);
    upsert(&server, "a").unwrap();
    assert_eq!(server.comments()[0].2, "ann");
    let server = Server::start();
    server.user("shop-previews[bot]", Some("shop-previews[bot]"));
    assert_eq!(server.github().login().unwrap(), "shop-previews[bot]");
}

/// The text a person sees for a refusal, without the port.
fn refusal(status: u16, headers: &str, body: &str) -> String {
    let server = Server::start();
    server.user("ann", None);
    server.always(status, headers, body);
    let error = upsert(&server, "x").unwrap_err();
    assert!(!format!("{error:?}").contains(server::TOKEN));
    format!("{:?} {error}", exit_of(&error))
}

#[test]
fn refusals_say_what_to_do() {
    let message = |text: &str| json!({ "message": text }).to_string();
    expect![[r#"
        Setup GitHub does not let the token do this
          why: GET /repos/shop/site/issues/7/comments?per_page=100&page=1: Resource not accessible by integration
          fix: give the job `permissions: pull-requests: write` in the workflow
               or set GITHUB_TOKEN to a token with that right"#]].assert_eq(&refusal(
        403,
        "",
        &message("Resource not accessible by integration"),
    ));
    expect![[r#"
        Setup GitHub does not accept the token
          why: GET /repos/shop/site/issues/7/comments?per_page=100&page=1: Bad credentials
          fix: set GITHUB_TOKEN to a token that has not expired; in a workflow: `GITHUB_TOKEN: ${{ github.token }}`"#]].assert_eq(&refusal(401, "", &message("Bad credentials")));
    expect![[r#"
        Setup GitHub does not know what was asked for, or hides it from this token
          why: GET /repos/shop/site/issues/7/comments?per_page=100&page=1: Not Found
          fix: check GITHUB_REPOSITORY (`owner/name`) and the number of the pull request
               give the job `permissions: pull-requests: write` in the workflow"#]]
    .assert_eq(&refusal(404, "", &message("Not Found")));
    let long = "X-RateLimit-Remaining: 0\r\nRetry-After: 900\r\n";
    expect![[r#"
        Remote GitHub limits how often this token may ask
          why: GET /repos/shop/site/issues/7/comments?per_page=100&page=1: API rate limit exceeded
          fix: run the command again in 15 min"#]]
    .assert_eq(&refusal(403, long, &message("API rate limit exceeded")));
    expect![[r#"
        Remote GitHub refused a request
          why: GET /repos/shop/site/issues/7/comments?per_page=100&page=1: Validation Failed; Body is too long (HTTP 422)
          fix: correct what the answer names, then run the command again: running it unchanged fails again"#]].assert_eq(&refusal(
        422,
        "",
        r#"{"message":"Validation Failed","errors":[{"message":"Body is too long"}]}"#,
    ));
    expect![[r#"
        Remote the conversation of the pull request is locked
          why: GET /repos/shop/site/issues/7/comments?per_page=100&page=1: Unable to create comment because issue is locked
          fix: unlock it on GitHub, then run the command again"#]].assert_eq(&refusal(
        403,
        "",
        &message("Unable to create comment because issue is locked"),
    ));
}

#[test]
fn a_short_rate_limit_is_waited_for() {
    let server = Server::start();
    server.trouble("GET", Trouble::Limited);
    server.trouble("POST", Trouble::Limited);
    upsert(&server, "x").unwrap();
    assert_eq!(server.own_comments().len(), 1);
}

#[test]
fn a_deployment_is_made_once_and_retired() {
    for trouble in [
        None,
        Some(Trouble::DropAfter),
        Some(Trouble::DropBefore),
        Some(Trouble::Status(500)),
    ] {
        let server = Server::start();
        let github = server.github();
        let old = github.deployment("preview/pr-7", &"a".repeat(40)).unwrap();
        let other = github.deployment("preview/pr-70", &"a".repeat(40)).unwrap();
        if let Some(trouble) = trouble {
            server.trouble("POST", trouble);
        }
        let made = github.deployment("preview/pr-7", &"b".repeat(40));
        if matches!(trouble, Some(Trouble::DropBefore | Trouble::Status(_))) {
            assert!(made.is_err(), "it is not known whether it was made");
        }
        let new = github.deployment("preview/pr-7", &"b".repeat(40)).unwrap();
        assert_eq!(
            server.calls("POST /repos/shop/site/deployments"),
            if made.is_err() { 4 } else { 3 }
        );
        let success = DeploymentState::Success {
            url: Some("https://a.test".into()),
        };
        github
            .set_deployment(old, &DeploymentState::Failure, "x", None)
            .unwrap();
        github
            .set_deployment(new, &success, &"é".repeat(500), Some("https://log.test"))
            .unwrap();
        assert_eq!(
            github
                .retire_deployments("preview/pr-7", Some(new), "newer")
                .unwrap(),
            1
        );
        assert_eq!(
            server.states(),
            [(old, "inactive"), (other, ""), (new, "success")]
                .map(|(id, state)| (id, state.to_owned()))
        );
        assert_eq!(
            github
                .retire_deployments("preview/pr-7", None, "gone")
                .unwrap(),
            1
        );
        assert_eq!(
            github
                .retire_deployments("preview/pr-7", None, "gone")
                .unwrap(),
            0
        );
    }
}

#[test]
fn open_pull_requests_are_read_to_the_last_page_or_not_at_all() {
    let server = Server::start();
    for number in 1..=230 {
        server.pull(number, if number % 10 == 0 { "closed" } else { "open" });
    }
    let open = server.github().open_pulls().unwrap();
    assert_eq!(open.len(), 207);
    assert!(open.contains(&229) && !open.contains(&230));
    let found = server.github().pull(230).unwrap().unwrap();
    assert_eq!(found.state, crate::github::State::Closed);
    assert_eq!(server.github().pull(999).unwrap(), None);
    server.always(200, "", "{}");
    assert!(
        server.github().open_pulls().is_err(),
        "an object is no list"
    );
    assert!(server.github().pull(230).is_err());
    server.always(200, "", r#"[{"number": 1, "state": "closed"}]"#);
    assert!(server.github().open_pulls().is_err(), "an unfiltered list");
    server.always(200, "", "<html>");
    assert!(server.github().open_pulls().is_err());
}
