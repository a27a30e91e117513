//! What is wrong with what is live: resources that are not there, secrets that are nowhere, a lease nobody holds, versions
//! nobody deployed, previews nobody took down.

use expect_test::expect;
use serde_json::json;
use xtask::preview::Key;

use crate::cleanup::made::{self, open_pull};
use crate::doctor::{first, fix_of, healthy};
use crate::support::ACCOUNT;

#[test]
fn what_is_wrong_with_what_is_live_is_told() {
    let mut world = healthy();
    world.set(
        "GITHUB_API_URL",
        &format!("http://127.0.0.1:{}/github", world.cloud().port),
    );
    world.set("GITHUB_TOKEN", "ghp_a-person");

    // The configs name a namespace that the account does not have, and a secret is nowhere.
    world.replace(
        "workers/site/wrangler.toml",
        "b6b44e270e4b4f6c8d19c7e2b0f35d62",
        "d6b44e270e4b4f6c8d19c7e2b0f35d62",
    );
    world.replace(
        "workers/api/wrangler.toml",
        "b6b44e270e4b4f6c8d19c7e2b0f35d62",
        "d6b44e270e4b4f6c8d19c7e2b0f35d62",
    );
    world.unset("SITE_KEY");
    let run = world.run(["doctor"]).exits(2);
    assert_eq!(
        first(&run.stdout),
        format!(
            "✗ resources: account {ACCOUNT} has no KV namespace CACHE (d6b44e270e4b4f6c8d19c7e2b0f35d62)"
        )
    );
    assert_eq!(
        fix_of(&run.stdout),
        "npx wrangler kv namespace create CACHE"
    );
    assert!(
        run.stdout
            .contains("✗ secrets: set nowhere: SITE_KEY of site\n"),
        "{run}"
    );
    world.git(&["checkout", "--quiet", "."]);
    world.set("SITE_KEY", "the-site-key");

    // Live workers; one has a version nobody deployed. A dead process holds the lease. A preview was left behind, another
    // belongs to an open pull request.
    made::production(&world);
    open_pull(&world, 7, "closed");
    open_pull(&world, 8, "open");
    for number in [7, 8] {
        made::made(&world, Key::Pr(number));
    }
    let patch = json!({"env": {"NEW": {"type": "secret_text", "text": "value-of-new"}}});
    world.cloud().result(
        "PATCH",
        "/workers/workers/small-api/versions/latest",
        Some(patch),
    );
    world.query(
        "CREATE TABLE xtask_lease (name TEXT PRIMARY KEY, token TEXT, holder TEXT, run_url TEXT, acquired_at TEXT, expires_at INTEGER); \
         INSERT INTO xtask_lease VALUES ('deploy', 't', 'bob@elsewhere pid 1', NULL, '2026-01-01T00:00:00Z', 1);",
    );
    let secret = json!({"repo": "acme/site", "name": "API_KEY", "environment": "production"});
    world.cloud().local("POST", "/github/secrets", Some(secret));
    let run = world.run(["doctor"]).exits(0);
    let problems = run.stdout.trim().split("\n\n").next().unwrap_or_default();
    expect![[r#"
        ! secrets on GitHub: GitHub has no CLOUDFLARE_API_TOKEN, SITE_KEY
          why: a deploy there is refused: neither GitHub nor the live worker has them
          fix: gh secret set CLOUDFLARE_API_TOKEN --env production
               gh secret set SITE_KEY --env production
        ! lease: left behind by bob@elsewhere pid 1 since [time]: it has expired
          why: a deploy was killed half-way; the next one takes the lease over, and goes on from there
          fix: cargo xtask deploy
        ! versions: the latest version is not deployed: api ([version])
          why: Cloudflare refuses to change a secret then (10215), and whoever promotes "the latest" ships it
          fix: cargo xtask deploy
        ! previews: left over from pull request 7
          why: these pull requests are not open any more; their workers, databases and buckets are still there
          fix: cargo xtask cleanup --stale"#]].assert_eq(&world.redact(problems));
}
