//! Two pull requests and production live side by side, and none of them touches another.

use serde_json::json;

use crate::preview::dump::{Dump, difference, dump};
use crate::support::World;

const SITE_7: &str = "kiamichi-biz-connect-pr-7-preview.test.localhost";
const AGENT_7: &str = "kiamichi-business-agent-pr-7-preview.test.localhost";
const SITE_8: &str = "kiamichi-biz-connect-pr-8-preview.test.localhost";

#[test]
fn two_previews_and_production_live_side_by_side() {
    let world = World::kiamichi();
    world.deploy();
    let production = dump(&world, "");

    world.run(["preview", "--pr", "7"]).exits(0);
    world.run(["preview", "--pr", "8"]).exits(0);
    let changed = difference(&production, &dump(&world, "preview"));
    assert!(
        changed.is_empty(),
        "making previews changed production: {changed:#?}"
    );

    each_is_seeded_and_of_its_own(&world);
    writing_stays_in_one(&world);
    nothing_else_calls_them(&world);
    one_goes_and_the_others_stay(&world);
}

#[track_caller]
fn each_is_seeded_and_of_its_own(world: &World) {
    // Each finds the seeded data, and answers with its own release.
    let commit = world.git(&["rev-parse", "--short=7", "HEAD"]);
    for (host, number) in [(SITE_7, 7), (SITE_8, 8)] {
        let health = world.edge_get(host, "/health").ok();
        assert_eq!(health["release"], format!("pr{number}-{commit}"));
        let found = world.edge_get(host, "/api/search?q=coffee").ok();
        assert!(found.to_string().contains("Talimena Coffee Roasters"));
    }
    let siblings = world.edge_get(AGENT_7, "/api/siblings").ok();
    for sibling in ["analyzer", "facebook"] {
        assert_eq!(
            siblings["siblings"][sibling]["release"],
            format!("pr7-{commit}")
        );
    }
}

#[track_caller]
fn writing_stays_in_one(world: &World) {
    // Whatever is written through the preview of PR 7 stays there.
    let before = lasting(dump(world, "pr-7-preview"));
    let bearer = format!("Bearer {}", world.variable("ADMIN_KEY"));
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let listing = json!({
        "slug": "only-in-pr-7", "name": "Only In Seven", "category": "lodging",
        "description": "A listing that exists in one preview.", "city": "Hugo",
    });
    let saved = world.cloud().edge(
        "POST",
        SITE_7,
        "/api/businesses",
        &headers,
        &listing.to_string(),
    );
    assert!(saved.status < 300, "{saved}");
    let image = [
        ("authorization", bearer.as_str()),
        ("content-type", "image/png"),
    ];
    let stored = world.cloud().edge(
        "PUT",
        SITE_7,
        "/images/only-in-seven.png",
        &image,
        "not really a picture",
    );
    assert!(stored.status < 300, "{stored}");
    let said = world.cloud().edge(
        "POST",
        AGENT_7,
        "/api/chat/room",
        &headers,
        &json!({"text": "coffee in Talihina"}).to_string(),
    );
    assert!(said.status < 300, "{said}");
    let found = world.edge_get(SITE_7, "/api/search?q=Seven").ok();
    assert!(found.to_string().contains("only-in-pr-7"), "{found}");
    let elsewhere = world.edge_get(SITE_8, "/api/search?q=Seven").ok();
    assert!(
        !elsewhere.to_string().contains("only-in-pr-7"),
        "{elsewhere}"
    );
    let changed = difference(&before, &lasting(dump(world, "pr-7-preview")));
    assert!(
        changed.is_empty(),
        "writing through PR 7 changed: {changed:#?}"
    );
}

#[track_caller]
fn nothing_else_calls_them(world: &World) {
    // Crons, routes and domains are production's alone.
    let state = world.cloud_state();
    for script in [
        "kiamichi-biz-connect",
        "kiamichi-biz-ai-analyzer",
        "kiamichi-facebook-worker",
    ] {
        let preview = &state["scripts"][format!("{script}-pr-7-preview")];
        assert_eq!(
            preview["crons"].as_array().map_or(0, Vec::len),
            0,
            "{script}"
        );
        assert_eq!(
            preview["routes"].as_array().map_or(0, Vec::len),
            0,
            "{script}"
        );
        let tags = preview["tags"].to_string();
        assert!(
            tags.contains("xtask-preview-pr-7") && tags.contains("xtask-repo-"),
            "{tags}"
        );
    }
}

#[track_caller]
fn one_goes_and_the_others_stay(world: &World) {
    let others = lasting(dump(world, "pr-7-preview"));
    let all = dump(world, "");
    assert!(all.len() > others.len() + 4, "the preview of PR 7 is there");
    world.run(["cleanup", "--pr", "7"]).exits(0);
    let left = difference(&others, &lasting(dump(world, "")));
    assert!(
        left.is_empty(),
        "of PR 7 is left, or of others gone: {left:#?}"
    );
    let gone = world.edge_get(SITE_7, "/health");
    assert_eq!(gone.status, 404, "{gone}");
    let commit = world.git(&["rev-parse", "--short=7", "HEAD"]);
    let health = world.edge_get(SITE_8, "/health").ok();
    assert_eq!(health["release"], format!("pr8-{commit}"));
    let found = world.edge_get(SITE_8, "/api/search?q=coffee").ok();
    assert!(found.to_string().contains("Talimena Coffee Roasters"));
}

/// A dump without what the site keeps of answered searches for a minute: that comes and goes by itself.
fn lasting(mut dump: Dump) -> Dump {
    for content in dump.values_mut() {
        let lines = content.lines().filter(|line| !line.starts_with("search:"));
        *content = lines.collect::<Vec<_>>().join("\n");
    }
    dump
}
