//! What is refused, with its reasons and the way out; and what `--external` makes of it.

use expect_test::expect;

use crate::support::World;
use crate::worker::{CODE, check, refused, said, world};

#[test]
fn what_others_are_bound_to_is_not_removed_unless_it_lives_on() {
    let world = world();
    refused(
        &world,
        ["worker", "remove", "api"],
        expect![[r#"
        error: others are bound to `api`
          why: workers/site/wrangler.toml:19: `site` calls it by the binding `API`
               workers/agent/wrangler.jsonc:7: `agent` calls it by the binding `API`
          fix: take these bindings out, then run this again; nothing was changed
               cargo xtask worker remove api --external   (it goes on living, shipped from elsewhere)"#]],
    );
    refused(
        &world,
        ["worker", "remove", "apy"],
        expect![[r#"
        error: there is no worker `apy`
          why: pipeline.toml names these: site, agent, api
          fix: did you mean `api`?"#]],
    );
    let run = world
        .run(["worker", "remove", "agent", "--external"])
        .exits(0);
    said(
        &world,
        &run,
        expect![[r#"

        removed        agent
        kept           workers/agent, which `init` leaves alone from now on (`ignored_workers`)
        on cloudflare  `small-agent` stays as it is; others here may be bound to it (`external_services`)
        written        pipeline.toml
        next           look at it, commit it, then: cargo xtask deploy --dry-run

        worker: success"#]],
    );
    check(
        &world,
        expect![[r#"
        --- a/pipeline.toml
        @@ -1,0 +2,4 @@
        +# No longer shipped: `cargo xtask init` takes no Worker from these.
        +ignored_workers = ["workers/agent"]
        +# Bound to, and not shipped from here.
        +external_services = ["small-agent"]
        @@ -12,3 +15,0 @@ secrets = ["SITE_KEY", "API_KEY"]
        -[workers.agent]
        -path = "workers/agent"
        -"#]],
    );
    // A worker whose config somebody emptied: that is when it is to be removed. What it leaves behind is told.
    world.git(&["checkout", "--quiet", "."]);
    world.edit("workers/site/wrangler.toml", "");
    let run = world
        .run(["worker", "remove", "site", "--format", "json"])
        .exits(0);
    assert_eq!(run.json()["facts"]["removed"], "site", "{run}");
    world.git(&["checkout", "--quiet", "workers"]);
    let text = world.read("pipeline.toml");
    assert!(
        text.contains("ignored_workers = [\"workers/site\"]") && !text.contains("[workers.site]"),
        "{text}"
    );
    world.run(["init"]).exits(0);
    assert_eq!(world.read("pipeline.toml"), text, "it does not come back");
    world.git(&["checkout", "--quiet", "."]);
    let run = world.run(["worker", "remove", "site"]).exits(0);
    said(
        &world,
        &run,
        expect![[r#"

        refers to it still
        where                  what                                 what to do
        pipeline.toml          [[allow]] of `bundle site`           take it out: it is about no step any more
        pipeline.toml          `{url:site}` in `preview.vars.SITE`  give it another value: no preview can be made with this one
        the workflows, GitHub  the secret `SITE_KEY`                no other worker needs it

        removed        site
        kept           workers/site, which `init` leaves alone from now on (`ignored_workers`)
        on cloudflare  `small-site` stays as it is, if it is live: its address, routes and crons go on
        to delete it   CLOUDFLARE_ACCOUNT_ID=0123456789abcdef0123456789abcdef npx wrangler delete small-site
        written        pipeline.toml
        next           look at it, commit it, then: cargo xtask deploy --dry-run

        worker: success"#]],
    );

    let world = World::without_cloud(&crate::support::repo::one_worker(CODE));
    refused(
        &world,
        ["worker", "remove", "one"],
        expect![[r#"
        error: without `one` pipeline.toml would be wrong
          why: pipeline.toml:1:1: error: no worker is named, so nothing ships; add a table such as `[workers.main]` with the `path` of its folder
          fix: put that right first; nothing was changed"#]],
    );
}

#[test]
fn names_that_cannot_be_are_refused() {
    let world = world();
    refused(
        &world,
        ["worker", "rename", "api", "site"],
        expect![[r#"
        error: the name `site` is taken
          why: pipeline.toml has a worker of that name
          fix: choose another name"#]],
    );
    refused(
        &world,
        ["worker", "rename", "api", "a b"],
        expect![[r#"
        error: `a b` cannot be a short name
          why: it may hold only letters, digits, `-`, `_` and `.`, and not begin with `-`
          fix: choose another name"#]],
    );
    refused(
        &world,
        ["worker", "rename", "api", "core", "--script", "Core"],
        expect![[r#"
            error: `Core` cannot be the name on Cloudflare
              why: it may hold only lowercase letters, digits and dashes
              fix: choose another one: `--script NAME`"#]],
    );
    refused(
        &world,
        ["worker", "rename", "api", "core", "--script", "small-site"],
        expect![[r#"
            error: `small-site` cannot be the name on Cloudflare
              why: that is the name of `site`
              fix: choose another one: `--script NAME`"#]],
    );
    refused(
        &world,
        [
            "worker",
            "rename",
            "api",
            "api-2",
            "--script",
            "small-agent",
        ],
        expect![[r#"
            error: `small-agent` cannot be the name on Cloudflare
              why: that is the name of `agent`
              fix: choose another one: `--script NAME`"#]],
    );
    refused(
        &world,
        ["worker", "rename", "api", "small"],
        expect![[r#"
        error: what `small` is to be called on Cloudflare is not clear
          why: `small-api` holds both `api` and `small`
          fix: cargo xtask worker rename api small --script NAME   (this name)
               cargo xtask worker rename api small --short-only   (`small-api` stays)"#]],
    );
    refused(
        &world,
        ["worker", "add", "nowhere"],
        expect![[r#"
        error: there is no `nowhere`
          why: neither here nor in `[repo]`
          fix: name the folder that holds the worker's wrangler config, or the config itself"#]],
    );
    refused(
        &world,
        ["worker", "add", "examples"],
        expect![[r#"
        error: there is no wrangler config in `examples`
          why: further down there are: examples/mail/wrangler.jsonc
          fix: name the folder that holds the worker's wrangler config, or the config itself"#]],
    );
    refused(
        &world,
        ["worker", "add", "/"],
        expect![[r#"
        error: `/` is outside the repo
          why: a release is made from `[repo]` alone
          fix: move the worker into the repo, or name another `--root`"#]],
    );
    refused(
        &world,
        ["worker", "add", "examples/mail", "--name", "site"],
        expect![[r#"
            error: the name `site` is taken
              why: it is the worker in `[repo]/workers/site`
              fix: choose another `--name`"#]],
    );
    refused(
        &world,
        ["worker", "add", "workers/site", "--name", "web"],
        expect![[r#"
            error: it ships already, as `site`
              why: a worker has one short name
              fix: cargo xtask worker rename site web"#]],
    );
    world.edit(
        "services/odd/wrangler.toml",
        "name = \"small-site\"\nmain = \"index.js\"\n",
    );
    world.edit("services/odd/index.js", CODE);
    refused(
        &world,
        ["worker", "add", "services/odd"],
        expect![[r#"
        error: `odd` cannot ship together with the others
          why: services/odd/wrangler.toml:1:8: error: the script name `small-site` is taken by `site` (workers/site/wrangler.toml:2:8)
          fix: put that right, then run this again; nothing was changed"#]],
    );
    world.edit("services/odd/wrangler.toml", "name = \"odd\"\n");
    refused(
        &world,
        ["worker", "add", "services/odd"],
        expect![[r#"
        error: `services/odd/wrangler.toml` cannot ship
          why: it has neither a `main` nor assets: there is nothing to upload
          fix: put that right, then run this again; pipeline.toml was not changed"#]],
    );
    world.remove("pipeline.toml");
    refused(
        &world,
        ["worker", "remove", "site"],
        expect![[r#"
        error: there is no `pipeline.toml` to change in `[repo]`
          why: No such file or directory (os error 2)
          fix: cargo xtask init   (writes one with every worker it finds)"#]],
    );
}
