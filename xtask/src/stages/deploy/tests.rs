//! Whole plans as text, and what a part decides: facts in, steps out, without a cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use expect_test::{Expect, expect};

use crate::live::{Live, Triggers, Version};
use crate::plan::Plan;
use crate::report::plan_text;
use crate::stages::deploy::part::{Change, PLACEHOLDER_MESSAGE, Part, digest_mark};
use crate::stages::deploy::{plans, triggers};
use crate::tools::cloudflare::Cloudflare;
use crate::workspace::Workspace;

const COMMIT: &str = "1a2b3c4";

/// `site` calls `api`, which owns a Durable Object.
fn workspace(root: &Path) -> Workspace {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "pipeline.toml",
        "[workers.site]\npath = \"site\"\nsmoke = [\"/api/ping\"]\n[workers.api]\npath = \"api\"\nsecrets = [\"KEY\"]\n",
    );
    write(
        "site/wrangler.toml",
        "name = \"acme-site\"\nmain = \"index.js\"\ncompatibility_date = \"2026-01-01\"\n\
         routes = [{ pattern = \"acme.example\", custom_domain = true }]\n\
         services = [{ binding = \"API\", service = \"acme-api\" }]\n",
    );
    write(
        "api/wrangler.toml",
        "name = \"acme-api\"\nmain = \"index.js\"\ncompatibility_date = \"2026-01-01\"\n\
         triggers = { crons = [\"0 6 * * *\"] }\n\
         durable_objects.bindings = [{ name = \"ROOM\", class_name = \"Room\" }]\n\
         migrations = [{ tag = \"v1\", new_sqlite_classes = [\"Room\"] }]\n",
    );
    write("site/index.js", "");
    write("api/index.js", "");
    Workspace::load(root).unwrap()
}

fn version(id: &str, tag: &str, message: &str) -> Version {
    Version {
        id: id.to_owned(),
        tag: Some(tag.to_owned()),
        message: Some(message.to_owned()),
        triggered_by: None,
        ..Version::default()
    }
}

/// A worker that serves `old`, the content `d-old`.
fn serving(workers_dev: bool, domains: &[&str]) -> Live {
    Live {
        exists: true,
        versions: vec![version("old", "r1-0000000", &digest_mark("d-old"))],
        split: vec![("old".to_owned(), 100)],
        secrets: BTreeSet::from(["KEY".to_owned()]),
        migration_tag: Some("v1".to_owned()),
        triggers: Triggers {
            workers_dev,
            crons: BTreeSet::from(["0 6 * * *".to_owned()]),
            domains: domains.iter().map(|host| (*host).to_owned()).collect(),
            ..Triggers::default()
        },
        deployed: None,
    }
}

fn parts<'a>(workspace: &'a Workspace, lives: [Live; 2]) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = workspace
        .workers
        .iter()
        .zip(lives)
        .map(|(worker, live)| Part::new(worker, live, COMMIT, &BTreeMap::new()))
        .collect();
    for part in &mut parts {
        part.digest = "d-new".to_owned();
        part.decide(false);
    }
    parts
}

/// Every phase of a release after its build, as one text.
fn whole(workspace: &Workspace, parts: &mut [Part<'_>]) -> String {
    let cloud = Cloudflare::new("https://api.example/client/v4", "acc", "token");
    let levels: Vec<BTreeSet<String>> = workspace
        .callees_first()
        .iter()
        .map(|level| level.iter().map(|worker| worker.name.clone()).collect())
        .collect();
    let url = |part: &Part<'_>, triggers: &Triggers| {
        part.url(
            triggers,
            &format!("https://{}.acme.workers.dev", part.script()),
        )
    };
    let mut plan = plans::create(&cloud, workspace, parts);
    for part in parts.iter_mut() {
        part.version
            .get_or_insert(format!("new-{}", part.worker.name));
        part.base.get_or_insert("placeholder".to_owned());
    }
    let wanted = parts
        .iter()
        .map(|part| (part, part.live.triggers.clone(), part.wanted.clone()));
    let health = &workspace.pipeline.health;
    let all: Vec<&Part<'_>> = parts.iter().collect();
    let back = plans::put_back(&cloud, &levels, &all, "r2");
    for phase in [
        plans::stage(&cloud, parts, "r2"),
        plans::smoke(parts, health, "r2", url),
        plans::promote(&cloud, &levels, parts, "r2", 100),
        triggers::triggers(&cloud, "triggers", wanted),
        plans::verify(parts, health, "r2", url),
    ]
    .into_iter()
    .chain(back)
    {
        plan.notes.extend(phase.notes);
        plan.steps.extend(phase.steps);
    }
    text(&plan)
}

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let call = match &step.action {
            crate::plan::Action::Rest(rest) => {
                let body = match &rest.content_type {
                    Some(_) => "(form)".to_owned(),
                    None => rest
                        .body
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                };
                format!(
                    "{} {} {body}",
                    rest.method,
                    rest.path.replace("/accounts/acc/workers/scripts", "")
                )
            }
            crate::plan::Action::Probe(probe) => {
                let fields = probe.fields.iter();
                let ids: std::collections::BTreeMap<_, _> = fields
                    .map(|(field, expected)| (field, &expected.id))
                    .collect();
                format!("GET {} {:?} {ids:?}", probe.url, probe.overrides)
            }
            other => format!("{other:?}"),
        };
        let done = step
            .done
            .as_ref()
            .map(|why| format!(" [{why}]"))
            .unwrap_or_default();
        let needs = if step.needs.is_empty() {
            String::new()
        } else {
            format!(" after {}", step.needs.join(", "))
        };
        text.push_str(&format!("{}{needs}{done}\n    {call}\n", step.id));
    }
    for note in &plan.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

#[track_caller]
fn check(lives: [Live; 2], expect: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let workspace = workspace(dir.path());
    let mut parts = parts(&workspace, lives);
    expect.assert_eq(&whole(&workspace, &mut parts));
}

#[test]
fn an_update_is_staged_smoked_and_promoted_callees_first() {
    check(
        [serving(false, &["acme.example"]), serving(true, &[])],
        expect![[r#"
            stage site
                POST /acme-site/deployments {"strategy":"percentage","versions":[{"version_id":"new-site","percentage":0},{"version_id":"old","percentage":100}],"annotations":{"workers/message":"r2 staged"}}
            stage api
                POST /acme-api/deployments {"strategy":"percentage","versions":[{"version_id":"new-api","percentage":0},{"version_id":"old","percentage":100}],"annotations":{"workers/message":"r2 staged"}}
            smoke site
                GET https://acme.example/health {"acme-api": "new-api", "acme-site": "new-site"} {"release": "r2", "version": "new-site"}
            smoke site /api/ping
                GET https://acme.example/api/ping {"acme-api": "new-api", "acme-site": "new-site"} {}
            smoke api
                GET https://acme-api.acme.workers.dev/health {"acme-api": "new-api", "acme-site": "new-site"} {"release": "r2", "version": "new-api"}
            promote api
                POST /acme-api/deployments {"strategy":"percentage","versions":[{"version_id":"new-api","percentage":100}],"annotations":{"workers/message":"r2"}}
            promote site after promote api
                POST /acme-site/deployments {"strategy":"percentage","versions":[{"version_id":"new-site","percentage":100}],"annotations":{"workers/message":"r2"}}
            observability site
                PATCH /acme-site/script-settings {"observability":{"enabled":false}}
            observability api
                PATCH /acme-api/script-settings {"observability":{"enabled":false}}
            verify site
                GET https://acme.example/health {} {"release": "r2", "version": "new-site"}
            verify site /api/ping
                GET https://acme.example/api/ping {} {}
            verify api
                GET https://acme-api.acme.workers.dev/health {} {"release": "r2", "version": "new-api"}
            put back site
                POST /acme-site/deployments?force=true {"strategy":"percentage","versions":[{"version_id":"old","percentage":100}],"annotations":{"workers/message":"r2 put back"}}
            put back api
                POST /acme-api/deployments?force=true {"strategy":"percentage","versions":[{"version_id":"old","percentage":100}],"annotations":{"workers/message":"r2 put back"}}
        "#]],
    );
}

#[test]
fn a_first_release_starts_with_placeholders() {
    check(
        [Live::default(), Live::default()],
        expect![[r#"
            create site
                PUT /acme-site (form)
            create api
                PUT /acme-api (form)
            address api after create api
                POST /acme-api/subdomain {"enabled":true}
            stage site
                POST /acme-site/deployments {"strategy":"percentage","versions":[{"version_id":"new-site","percentage":100}],"annotations":{"workers/message":"r2 staged"}}
            stage api
                POST /acme-api/deployments {"strategy":"percentage","versions":[{"version_id":"new-api","percentage":100}],"annotations":{"workers/message":"r2 staged"}}
            promote api [serves since it was staged: it is new]
                POST /acme-api/deployments {"strategy":"percentage","versions":[{"version_id":"new-api","percentage":100}],"annotations":{"workers/message":"r2"}}
            promote site after promote api [serves since it was staged: it is new]
                POST /acme-site/deployments {"strategy":"percentage","versions":[{"version_id":"new-site","percentage":100}],"annotations":{"workers/message":"r2"}}
            domains site
                PUT /acme-site/domains/records {"override_scope":true,"override_existing_origin":false,"override_existing_dns_record":false,"origins":[{"hostname":"acme.example"}]}
            observability site
                PATCH /acme-site/script-settings {"observability":{"enabled":false}}
            workers.dev address api
                POST /acme-api/subdomain {"enabled":true,"previews_enabled":false}
            crons api
                PUT /acme-api/schedules [{"cron":"0 6 * * *"}]
            observability api
                PATCH /acme-api/script-settings {"observability":{"enabled":false}}
            verify site
                GET https://acme.example/health {} {"release": "r2", "version": "new-site"}
            verify site /api/ping
                GET https://acme.example/api/ping {} {}
            verify api
                GET https://acme-api.acme.workers.dev/health {} {"release": "r2", "version": "new-api"}
            put back site
                POST /acme-site/deployments?force=true {"strategy":"percentage","versions":[{"version_id":"placeholder","percentage":100}],"annotations":{"workers/message":"r2 put back"}}
            put back api
                POST /acme-api/deployments?force=true {"strategy":"percentage","versions":[{"version_id":"placeholder","percentage":100}],"annotations":{"workers/message":"r2 put back"}}
            note: site has no address before its first release: it is checked right after the promotion instead
            note: api has no address before its first release: it is checked right after the promotion instead
        "#]],
    );
}

#[test]
fn a_dry_run_text_is_for_people() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = workspace(dir.path());
    let cloud = Cloudflare::new("https://api.example/client/v4", "acc", "token");
    let parts = parts(&workspace, [Live::default(), serving(true, &[])]);
    expect![[r#"
        deploy: 1 step

        upload
          1. create site
             PUT /accounts/acc/workers/scripts/acme-site"#]]
    .assert_eq(&plan_text(&plans::create(&cloud, &workspace, &parts)));
}

#[test]
fn what_is_live_already_is_not_uploaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = workspace(dir.path());
    let decide = |digest: &str, live: Live, force: bool| {
        let mut part = Part::new(&workspace.workers[1], live, COMMIT, &BTreeMap::new());
        part.digest = digest.to_owned();
        part.decide(force);
        part.change
    };
    assert_eq!(
        decide("d-old", serving(true, &[]), false),
        Change::Unchanged
    );
    assert_eq!(decide("d-old", serving(true, &[]), true), Change::Upload);
    assert_eq!(decide("d-new", serving(true, &[]), false), Change::Upload);
    let mut interrupted = serving(true, &[]);
    interrupted
        .versions
        .insert(0, version("left", "r2-1a2b3c4", &digest_mark("d-new")));
    assert_eq!(
        decide("d-new", interrupted, false),
        Change::Reuse("left".to_owned())
    );
    let mut behind = serving(true, &[]);
    behind.migration_tag = None;
    assert_eq!(decide("d-old", behind, false), Change::Immediate);
}

#[test]
fn an_interrupted_release_goes_back_to_the_last_complete_one() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = workspace(dir.path());
    let mut live = serving(true, &[]);
    live.versions
        .insert(0, version("half", "r2-1a2b3c4", &digest_mark("d-new")));
    live.split = vec![("half".to_owned(), 100)];
    let previous = BTreeMap::from([("acme-api".to_owned(), "old".to_owned())]);
    let part = Part::new(&workspace.workers[1], live.clone(), COMMIT, &previous);
    assert_eq!(part.base.as_deref(), Some("old"));
    let other_commit = Part::new(&workspace.workers[1], live, "9999999", &previous);
    assert_eq!(other_commit.base.as_deref(), Some("half"));
}

#[test]
fn a_placeholder_counts_as_new() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = workspace(dir.path());
    let mut live = serving(true, &[]);
    live.versions = vec![Version {
        id: "old".into(),
        tag: None,
        message: Some(PLACEHOLDER_MESSAGE.into()),
        ..Version::default()
    }];
    assert!(Part::new(&workspace.workers[1], live, COMMIT, &BTreeMap::new()).is_new());
}

#[track_caller]
fn check_refusal(change: impl Fn(&mut Live), expect: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let workspace = workspace(dir.path());
    let mut live = serving(true, &[]);
    change(&mut live);
    let part = Part::new(&workspace.workers[1], live, COMMIT, &BTreeMap::new());
    expect.assert_eq(&part.check().unwrap_err().to_string());
}

#[test]
fn what_cannot_be_released_safely_is_refused() {
    check_refusal(
        |live| live.secrets.clear(),
        expect![[r#"
        api needs secrets that are set nowhere: KEY
          why: neither the environment of this run nor the live worker has them
          fix: export KEY=…   (in CI: add it to the repository's secrets and to the workflow's env)"#]],
    );
    check_refusal(
        |live| live.migration_tag = Some("v9".to_owned()),
        expect![[r#"
            api is live with a Durable Object migration this checkout does not have
              why: the live tag is `v9`; the config knows v1
              fix: git pull   (this checkout is older than what is live)"#]],
    );
    check_refusal(
        |live| live.split = vec![("mine".to_owned(), 10), ("old".to_owned(), 90)],
        expect![[r#"
            api is in a gradual deployment somebody else started
              why: version mine serves 10 % of its traffic
              fix: npx wrangler versions deploy --name acme-api   (finish it, or put it back)"#]],
    );
}
