//! Comments on a pull request, and the page that shows them.

use serde_json::{Value, json};

use crate::github::{REPO, call, expect, open_pull};
use crate::support::Cloud;

#[test]
fn comments_are_made_edited_paged_and_deleted() {
    let mut cloud = Cloud::start();
    open_pull(&cloud, 7);
    let comments = format!("{REPO}/issues/7/comments");
    let foreign = json!({"repo": "acme/site", "number": 7, "author": "mallory", "body": "<!-- marker --> mine"});
    let foreign = cloud.local("POST", "/github/comments", Some(foreign));
    let mine = expect(
        &cloud,
        201,
        "POST",
        &comments,
        Some(json!({"body": "first"})),
    );
    assert_eq!(
        (&mine["user"]["login"], &mine["user"]["type"]),
        (&json!("github-actions[bot]"), &json!("Bot"))
    );
    assert!(
        mine["id"].as_u64() > Some(u64::from(u32::MAX)),
        "ids need 64 bits: {mine}"
    );
    let one = format!("{REPO}/issues/comments/{}", mine["id"]);
    let edited = expect(&cloud, 200, "PATCH", &one, Some(json!({"body": "second"})));
    assert_eq!(edited["body"], "second");
    // The real one lets a workflow edit anybody's comment: to leave it alone is the client's duty.
    let other = format!("{REPO}/issues/comments/{}", foreign["id"]);
    expect(&cloud, 200, "PATCH", &other, Some(json!({"body": "taken"})));

    cloud.restart();
    let authors = |cloud: &Cloud, query: &str| -> Vec<String> {
        let rows = expect(cloud, 200, "GET", &format!("{comments}{query}"), None);
        let rows = rows.as_array().expect("a list").iter();
        rows.map(|row| row["user"]["login"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(authors(&cloud, ""), ["mallory", "github-actions[bot]"]);
    assert_eq!(
        authors(&cloud, "?per_page=1&page=2"),
        ["github-actions[bot]"]
    );
    assert_eq!(
        authors(&cloud, "?since=2999-01-01T00:00:00Z"),
        Vec::<String>::new()
    );

    expect(&cloud, 204, "DELETE", &one, None);
    expect(&cloud, 404, "DELETE", &one, None);
    expect(&cloud, 404, "GET", &one, None);
    assert_eq!(authors(&cloud, ""), ["mallory"]);
}

#[test]
fn a_comment_has_githubs_limits() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let comments = format!("{REPO}/issues/7/comments");
    let post = |body: Value| call(&cloud, "POST", &comments, Some(body));
    // Characters, not bytes.
    assert_eq!(post(json!({"body": "é".repeat(65_536)})).status, 201);
    let too_long = post(json!({"body": "x".repeat(65_537)}));
    assert_eq!(too_long.status, 422);
    assert_eq!(
        too_long.json(),
        json!({
            "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest", "status": "422",
            "errors": [{"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long (maximum is 65536 characters)"}],
        })
    );
    assert_eq!(post(json!({"body": "  "})).status, 422);
    assert_eq!(
        post(json!({})).json()["message"],
        "Invalid request.\n\n\"body\" wasn't supplied."
    );
    assert_eq!(post(json!({"body": 7})).status, 422);
    assert_eq!(post(json!([])).status, 400);
    expect(
        &cloud,
        404,
        "POST",
        &format!("{REPO}/issues/8/comments"),
        Some(json!({"body": "x"})),
    );
    let rows = expect(&cloud, 200, "GET", &comments, None);
    assert_eq!(
        rows.as_array().map(Vec::len),
        Some(1),
        "nothing refused is kept"
    );
}

#[test]
fn the_page_shows_comments_and_runs_nothing() {
    let cloud = Cloud::start();
    open_pull(&cloud, 7);
    let post = |body: &str| {
        let comments = format!("{REPO}/issues/7/comments");
        expect(
            &cloud,
            201,
            "POST",
            &comments,
            Some(json!({ "body": body })),
        )
    };
    let made =
        post("| Worker | State |\n| --- | --- |\n| `api` | live |\n\n<!-- unseen-marker -->");
    post("<script>alert(1)</script>\n\n<img src=x onerror=alert(2)> @octo-cat");
    let answer = cloud.request("GET", "/_local/github/acme/site/pull/7", None);
    assert_eq!(answer.status, 200);
    let page = &answer.body;
    assert!(page.contains("<td><code>api</code></td>"), "{page}");
    assert!(page.contains(&format!("id=\"issuecomment-{}\"", made["id"])));
    assert!(!page.contains("unseen-marker"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains("<img"), "{page}");
    assert!(page.contains("<span class=\"mention\">@octo-cat</span>"));
    let policy = answer.header("content-security-policy");
    assert!(policy.is_some_and(|policy| policy.starts_with("default-src 'none'")));
    assert_eq!(
        cloud
            .request("GET", "/_local/github/acme/site/pull/8", None)
            .status,
        404
    );
    let index = cloud.request("GET", "/_local/github", None).body;
    assert!(index.contains("/_local/github/acme/site/pull/7"), "{index}");

    // The same HTML is what GitHub gives to whom asks for it.
    let html = [
        ("authorization", "Bearer t"),
        ("user-agent", "test"),
        ("accept", "application/vnd.github.html+json"),
    ];
    let path = format!("/github{REPO}/issues/comments/{}", made["id"]);
    let shown = cloud
        .http("GET", "127.0.0.1", &path, &html, b"")
        .expect("an answer");
    assert!(
        shown.json()["body_html"]
            .as_str()
            .is_some_and(|html| html.contains("<table>"))
    );
}
