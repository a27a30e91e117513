//! Tokens that are no good, as the local cloud plays them: each is named first, and a good one typed below the fix mends it.

use std::time::{Duration, SystemTime};

use expect_test::expect;
use serde_json::json;

use crate::doctor::{TOKEN, first, fix_of, healthy, paste};
use crate::support::World;

/// Looks with the token described so; gives what doctor said, and what it says after its fix was pasted and a good token
/// was typed.
#[track_caller]
fn check(world: &mut World, token: &str, code: i32) -> String {
    world.set("CLOUDFLARE_API_TOKEN", token);
    let run = world.run(["doctor"]).exits(code);
    let mended = paste(world, &fix_of(&run.stdout), TOKEN);
    assert!(mended.contains("doctor: success"), "{token}: {mended}");
    assert!(!run.stdout.contains(token), "the token is shown: {run}");
    run.stdout
}

/// Tells the local cloud what each token is.
fn describe_all(world: &World) {
    let describe = |token: serde_json::Value| {
        world.cloud().local("POST", "/tokens", Some(token));
    };
    for status in ["expired", "disabled", "unknown"] {
        describe(json!({"token": format!("tok-{status}"), "status": status}));
    }
    let all = [
        "Workers Scripts: Edit",
        "Workers KV Storage: Edit",
        "Workers Routes: Edit",
        "Zone: Read",
    ];
    describe(json!({"token": "tok-without-d1", "permissions": all}));
    describe(json!({"token": "tok-without-anything", "permissions": []}));
    describe(json!({"token": "tok-of-the-account", "kind": "account"}));
    let soon = SystemTime::now() + Duration::from_secs(5 * 86_400 + 60);
    let soon = humantime::format_rfc3339_seconds(soon).to_string();
    describe(json!({"token": "tok-short-lived", "expires_on": soon}));
}

#[test]
fn a_token_that_is_no_good_is_named_first_and_the_fix_takes_another() {
    let mut world = healthy();
    describe_all(&world);
    let said = check(&mut world, "tok-expired", 2);
    assert_eq!(
        first(&said),
        "✗ token: the token in CLOUDFLARE_API_TOKEN has expired"
    );
    let said = check(&mut world, "tok-disabled", 2);
    assert_eq!(
        first(&said),
        "✗ token: the token in CLOUDFLARE_API_TOKEN is disabled"
    );
    let said = check(&mut world, "tok-unknown", 2);
    assert_eq!(
        first(&said),
        "✗ token: Cloudflare does not accept the token in CLOUDFLARE_API_TOKEN"
    );
    assert!(said.contains("Invalid API Token (code 1000)"), "{said}");

    let said = check(&mut world, "tok-without-d1", 2);
    let problem = said.trim().split("\n\n").next().unwrap_or_default();
    expect![[r#"
        ✗ permissions: the token lacks D1: Edit
          why: Account, D1: Edit: migrations, lease and release records in small-db; the bindings of site, api; the databases of previews
               Cloudflare said: GET /accounts/0123456789abcdef0123456789abcdef/d1/database/[version]: The given account is not valid or is not authorized to access this service (code 7403)
               add it to the token at https://dash.cloudflare.com/profile/api-tokens (the token itself stays the same), or make one with all it needs: https://dash.cloudflare.com/profile/api-tokens?permissionGroupKeys=%5B%7B%22key%22%3A%22workers_scripts%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22d1%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22workers_kv_storage%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22workers_routes%22%2C%22type%22%3A%22edit%22%7D%2C%7B%22key%22%3A%22zone%22%2C%22type%22%3A%22read%22%7D%2C%7B%22key%22%3A%22workers_tail%22%2C%22type%22%3A%22read%22%7D%5D&accountId=*&zoneId=all&name=small%20pipeline
          fix: read -rs CLOUDFLARE_API_TOKEN && export CLOUDFLARE_API_TOKEN"#]].assert_eq(&world.redact(problem));
    let said = check(&mut world, "tok-without-anything", 2);
    assert!(
        first(&said).starts_with("✗ permissions: the token lacks Workers Scripts: Edit, D1: Edit"),
        "{said}"
    );
    assert!(
        said.contains("it may do nothing at all in account"),
        "{said}"
    );

    let said = check(&mut world, "tok-short-lived", 0);
    assert!(first(&said).starts_with("! token: expires on "), "{said}");
    world.set("CLOUDFLARE_API_TOKEN", "tok-of-the-account");
    let run = world.run(["doctor"]).exits(0);
    assert!(run.stdout.contains("doctor: success"), "{run}");

    world.unset("CLOUDFLARE_API_TOKEN");
    let run = world.run(["doctor"]).exits(2);
    assert_eq!(
        first(&run.stdout),
        "✗ token: CLOUDFLARE_API_TOKEN is not set"
    );
    let mended = paste(&world, &fix_of(&run.stdout), TOKEN);
    assert!(mended.contains("doctor: success"), "{mended}");
}
