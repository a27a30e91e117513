//! `worker add`, `remove` and `rename`: whole runs on repos of small Workers. No file changes by a byte that is not meant, and
//! a refused command changes none.
#![cfg(unix)]
#![expect(clippy::too_many_lines, reason = "most of it is what is expected")]

mod live;
mod refusals;

use std::collections::BTreeMap;

use crate::support::{Run, World};
use expect_test::{Expect, expect};

const CODE: &str = "export default { fetch: () => Response.json({ ok: true }) };\n";

/// More of everything that says a worker's name.
const MORE: &str = r#"
# How a preview is tried.
[preview]
vars = { SITE = "{url:site}/" }

[[preview.smoke]]
worker = "site" # the public one
path = "/"
reaches = ["site", "api"]

[[allow]]
step = "bundle site"
reason = "grows until the new front page is out"
until = 2099-01-31
"#;

/// The small set with more in its `pipeline.toml`, and a worker that nobody ships yet.
fn world() -> World {
    let world = World::without_cloud(&crate::support::repo::small_set());
    let text = world.read("pipeline.toml");
    world.edit("pipeline.toml", &(text + MORE));
    world.edit("examples/mail/wrangler.jsonc", "{\n  // Sends mail.\n  \"name\": \"small-mail\",\n  \"main\": \"index.js\",\n  \"compatibility_date\": \"2026-09-01\",\n  \"workers_dev\": true,\n  \"services\": [{ \"binding\": \"API\", \"service\": \"small-api\" }],\n  \"secrets\": { \"required\": [\"MAIL_KEY\"] },\n}\n");
    world.edit("examples/mail/index.js", CODE);
    world.edit(
        "README.md",
        "small-site runs first: `cargo xtask deploy --only site`, not small-site-2.\n",
    );
    world.commit("more");
    world
}

/// The difference of all files to the last commit.
#[track_caller]
fn check(world: &World, expect: Expect) {
    let diff = world.git(&["-c", "core.abbrev=7", "diff", "--no-color", "-U0"]);
    let lines: Vec<&str> = diff
        .lines()
        .filter(|line| {
            !line.starts_with("index ") && !line.starts_with("diff ") && !line.starts_with("+++ ")
        })
        .collect();
    expect.assert_eq(&lines.join("\n"));
}

/// A refused command: its error, and that nothing changed.
#[track_caller]
fn refused<const N: usize>(world: &World, arguments: [&str; N], expect: Expect) {
    let before = tracked(world);
    let run = world.run(arguments).exits(2);
    expect.assert_eq(&world.redact(run.error()));
    assert_eq!(tracked(world), before, "{run}");
}

fn tracked(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut files = world.files();
    // Reports are written after a refusal, too.
    files.retain(|path, _| !path.starts_with(".xtask"));
    files
}

/// What a run said at its end, without what differs.
#[track_caller]
fn said(world: &World, run: &Run, expect: Expect) {
    expect.assert_eq(&world.redact(run.stderr.trim_end()));
}

#[test]
fn a_worker_is_added_removed_and_stays_removed() {
    let world = world();
    // `init` leaves out what lies below `examples`; who names it means it.
    world
        .run(["init"])
        .exits(0)
        .says("it lies below a folder called `examples`");
    let clean = world.git(&["status", "--porcelain"]);
    assert_eq!(clean, "", "nothing is new to init");
    let before = world.files();
    let dry = world
        .run(["worker", "add", "examples/mail", "--dry-run"])
        .exits(0);
    assert_eq!(world.files(), before, "{dry}");
    assert!(dry.stdout.contains("+[workers.mail]"), "{dry}");
    let run = world.run(["worker", "add", "examples/mail"]).exits(0);
    said(
        &world,
        &run,
        expect![[r#"

        workers
        worker  config                        on cloudflare  env  calls                   secrets            change
        site    workers/site/wrangler.toml    small-site          small-api, small-agent  SITE_KEY, API_KEY
        agent   workers/agent/wrangler.jsonc  small-agent         small-api
        api     workers/api/wrangler.toml     small-api                                   API_KEY
        mail    examples/mail/wrangler.jsonc  small-mail          small-api               MAIL_KEY           new

        written  pipeline.toml
        next     look at it, commit it, then: cargo xtask deploy --cloud local

        warning: no lock file: `npm install --save-dev wrangler` makes one, and what it names is what CI installs

        worker: warning"#]],
    );
    check(
        &world,
        expect![[r#"
            --- a/pipeline.toml
            @@ -18,0 +19,7 @@ secrets = ["API_KEY"]
            +[workers.mail]
            +path = "examples/mail"
            +# Named in wrangler.jsonc; drop what only development needs.
            +secrets = ["MAIL_KEY"]
            +# No route of its source is a health path; add one that answers 200, to have every release checked.
            +health = false
            +"#]],
    );
    let text = world.read("pipeline.toml");
    world
        .run(["worker", "add", "examples/mail/wrangler.jsonc"])
        .exits(0)
        .says("mail ships already");
    assert_eq!(world.read("pipeline.toml"), text);
    world.commit("mail ships");

    let run = world.run(["worker", "remove", "small-mail"]).exits(0);
    said(
        &world,
        &run,
        expect![[r#"

        refers to it still
        where                  what                   what to do
        the workflows, GitHub  the secret `MAIL_KEY`  no other worker needs it

        removed        mail
        kept           examples/mail, which `init` leaves alone from now on (`ignored_workers`)
        on cloudflare  `small-mail` stays as it is, if it is live: its address, routes and crons go on
        to delete it   CLOUDFLARE_ACCOUNT_ID=0123456789abcdef0123456789abcdef npx wrangler delete small-mail
        written        pipeline.toml
        next           look at it, commit it, then: cargo xtask deploy --dry-run

        worker: success"#]],
    );
    check(
        &world,
        expect![[r#"
            --- a/pipeline.toml
            @@ -1,0 +2,2 @@
            +# No longer shipped: `cargo xtask init` takes no Worker from these.
            +ignored_workers = ["examples/mail"]
            @@ -19,7 +20,0 @@ secrets = ["API_KEY"]
            -[workers.mail]
            -path = "examples/mail"
            -# Named in wrangler.jsonc; drop what only development needs.
            -secrets = ["MAIL_KEY"]
            -# No route of its source is a health path; add one that answers 200, to have every release checked.
            -health = false
            -"#]],
    );
    assert_eq!(world.read("examples/mail/index.js"), CODE);
    // It would be found now, and is not taken.
    world.git(&["mv", "examples", "services"]);
    world.replace("pipeline.toml", "examples/mail", "services/mail");
    let text = world.read("pipeline.toml");
    world
        .run(["init"])
        .exits(0)
        .says("services/mail (`ignored_workers` in pipeline.toml)");
    assert_eq!(world.read("pipeline.toml"), text);
    // Until somebody adds it again; an empty list stays.
    world
        .run(["worker", "add", "services/mail", "--name", "post"])
        .exits(0);
    let text = world.read("pipeline.toml");
    assert!(
        text.contains("\nignored_workers = []\n") && text.contains("\n[workers.post]\n"),
        "{text}"
    );
}

#[test]
fn a_rename_reaches_every_config_and_nothing_else() {
    let world = world();
    let before = world.files();
    let dry = world
        .run(["worker", "rename", "api", "core", "--dry-run"])
        .exits(0);
    assert_eq!(world.files(), before, "{dry}");
    assert!(dry.stdout.contains("+name = \"small-core\""), "{dry}");
    let run = world.run(["worker", "rename", "api", "core"]).exits(0);
    said(
        &world,
        &run,
        expect![[r#"

        renamed
        what            from       to
        the short name  api        core
        on cloudflare   small-api  small-core

        says the old name, and was left alone
        where                           name
        examples/mail/wrangler.jsonc:7  small-api

        on cloudflare  `small-api` stays as it is, if it is live; the next deploy makes `small-core` beside it
        to keep it     cargo xtask worker rename core core --script small-api   (only the short name changes: addresses, secrets and data stay)
        to delete it   CLOUDFLARE_ACCOUNT_ID=0123456789abcdef0123456789abcdef npx wrangler delete small-api
        secrets        `small-core` has none yet: the next deploy needs API_KEY
        written        workers/site/wrangler.toml, workers/agent/wrangler.jsonc, workers/api/wrangler.toml, pipeline.toml
        next           look at it (git diff), commit it, then: cargo xtask deploy --cloud local

        worker: success"#]],
    );
    check(
        &world,
        expect![[r#"
        --- a/pipeline.toml
        @@ -15 +15 @@ path = "workers/agent"
        -[workers.api]
        +[workers.core]
        @@ -39 +39 @@ path = "/"
        -reaches = ["site", "api"]
        +reaches = ["site", "core"]
        --- a/workers/agent/wrangler.jsonc
        @@ -7 +7 @@
        -  "services": [{ "binding": "API", "service": "small-api" }],
        +  "services": [{ "binding": "API", "service": "small-core" }],
        --- a/workers/api/wrangler.toml
        @@ -2 +2 @@
        -name = "small-api"
        +name = "small-core"
        --- a/workers/site/wrangler.toml
        @@ -21 +21 @@ binding = "API"
        -service = "small-api"
        +service = "small-core""#]],
    );
    world.run(["ci", "--dry-run"]).exits(0);
    world.run(["deploy", "--dry-run", "--allow-dirty"]).exits(0);
    // Killed when some files were written: the same command finishes. The bound come first, `pipeline.toml` last.
    let done = world.git(&["diff"]);
    for unwritten in [
        &["pipeline.toml"][..],
        &["pipeline.toml", "workers/api", "workers/agent"][..],
    ] {
        world.git(&[&["checkout", "--quiet", "--"][..], unwritten].concat());
        assert_ne!(world.git(&["diff"]), done);
        world.run(["worker", "rename", "api", "core"]).exits(0);
        assert_eq!(world.git(&["diff"]), done);
    }
    // What the report offers: the name on Cloudflare stays after all.
    world
        .run(["worker", "rename", "core", "core", "--script", "small-api"])
        .exits(0);
    assert_eq!(
        world.git(&["diff", "--name-only"]),
        "pipeline.toml",
        "only the short name has changed"
    );

    world.git(&["checkout", "--quiet", "."]);
    let run = world.run(["worker", "rename", "site", "front"]).exits(0);
    said(
        &world,
        &run,
        expect![[r#"

        renamed
        what            from        to
        the short name  site        front
        on cloudflare   small-site  small-front

        says the old name, and was left alone
        where        name
        README.md:1  small-site
        README.md:1  --only site

        on cloudflare  `small-site` stays as it is, if it is live; the next deploy makes `small-front` beside it
        to keep it     cargo xtask worker rename front front --script small-site   (only the short name changes: addresses, secrets and data stay)
        to delete it   CLOUDFLARE_ACCOUNT_ID=0123456789abcdef0123456789abcdef npx wrangler delete small-site
        secrets        `small-front` has none yet: the next deploy needs SITE_KEY, API_KEY
        written        workers/site/wrangler.toml, pipeline.toml
        next           look at it (git diff), commit it, then: cargo xtask deploy --cloud local

        warning: if `small-site` is live, deploy is refused until these addresses are moved (docs/worker.md says how) or it is deleted: small.example

        warning: from the next deploy on its crons fire twice, until `small-site` is deleted

        worker: warning"#]],
    );
    check(
        &world,
        expect![[r#"
        --- a/pipeline.toml
        @@ -8 +8 @@ account_id = "0123456789abcdef0123456789abcdef"
        -[workers.site]
        +[workers.front]
        @@ -34 +34 @@ subdomain = "test"
        -vars = { SITE = "{url:site}/" }
        +vars = { SITE = "{url:front}/" }
        @@ -37 +37 @@ vars = { SITE = "{url:site}/" }
        -worker = "site" # the public one
        +worker = "front" # the public one
        @@ -39 +39 @@ path = "/"
        -reaches = ["site", "api"]
        +reaches = ["front", "api"]
        @@ -42 +42 @@ reaches = ["site", "api"]
        -step = "bundle site"
        +step = "bundle front"
        --- a/workers/site/wrangler.toml
        @@ -2 +2 @@
        -name = "small-site"
        +name = "small-front""#]],
    );
    world.git(&["checkout", "--quiet", "."]);
    world
        .run(["worker", "rename", "agent", "thinker", "--short-only"])
        .exits(0);
    check(
        &world,
        expect![[r#"
        --- a/pipeline.toml
        @@ -12 +12 @@ secrets = ["SITE_KEY", "API_KEY"]
        -[workers.agent]
        +[workers.thinker]"#]],
    );
}
