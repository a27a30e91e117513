//! The plans of a preview, phase by phase. Pure: facts in, steps out.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::{Action, Plan, Rest, Step};
use crate::stages::deploy::{placeholder, plans::deployment};
use crate::stages::preview::STAGE;
use crate::stages::preview::found::Found;
use crate::stages::preview::piece::Piece;
use crate::tools::cloudflare::{Cloudflare, encode};
use crate::tools::wrangler::Wrangler;
use crate::workspace::Workspace;

/// Runs the workers' own builds and bundles each into a folder below `into`.
pub fn build(wrangler: &Wrangler, pieces: &[Piece<'_>], into: &Path, timeout: Duration) -> Plan {
    let mut plan = Plan::new(STAGE);
    for piece in pieces {
        let name = piece.name();
        let mut earlier = Vec::new();
        if let Some(build) = wrangler.own_build(piece.worker) {
            let id = format!("run the build of {name}");
            plan.push(
                Step::new("build", &id, &id, Action::Command(build))
                    .worker(name)
                    .timeout(timeout),
            );
            earlier.push(id);
        }
        let id = format!("build {name}");
        let command = Action::Command(wrangler.bundle(piece.worker, &into.join(name)));
        let step = Step::new("build", &id, &id, command).worker(name);
        plan.push(step.timeout(timeout).needs(earlier));
    }
    plan
}

/// Makes the Workers that do not exist yet, as placeholders with the preview's tags, and tells the others which commit
/// they are made from now. One whose Durable Objects no longer fit is made anew. `tags`: those of each piece.
pub fn claim(
    cloud: &Cloudflare,
    twin: &Workspace,
    pieces: &[Piece<'_>],
    tags: &[Vec<String>],
) -> Plan {
    let mut plan = Plan::new(STAGE);
    for (piece, tags) in pieces.iter().zip(tags) {
        let (name, script) = (piece.name(), piece.script());
        let mut push = |id: &str, goal: String, rest: Rest, needs: Option<String>| {
            let step = Step::new("claim", format!("{id} {name}"), goal, Action::Rest(rest));
            plan.push(step.worker(name).needs(needs));
        };
        let there = piece.live.exists && !piece.renew;
        let mut earlier = None;
        if piece.live.exists && piece.renew {
            let goal = format!("delete {script}, to make it anew");
            push("delete", goal, deletion(cloud, script), None);
            earlier = Some(format!("delete {name}"));
        }
        if there {
            let path = cloud.script(script, "/script-settings");
            let rest = Rest::set("PATCH", path, json!({ "tags": tags }));
            push(
                "claim",
                format!("say which commit {script} is made from"),
                rest,
                None,
            );
        } else {
            let rest = placeholder::upload_tagged(cloud, twin, piece.worker, tags);
            push(
                "create",
                format!("create {script} with a placeholder"),
                rest,
                earlier,
            );
            earlier = Some(format!("create {name}"));
        }
        if !there || !piece.live.triggers.workers_dev {
            let body = json!({"enabled": true, "previews_enabled": false});
            let rest = Rest::set("POST", cloud.script(script, "/subdomain"), body);
            push(
                "address",
                format!("open the workers.dev address of {script}"),
                rest,
                earlier,
            );
        }
    }
    plan
}

/// Has the Workers say which storage is going to be made for them, those that do not say so yet.
pub fn announce(
    cloud: &Cloudflare,
    pieces: &[Piece<'_>],
    tags: &[Vec<String>],
    found: &Found,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    for (piece, tags) in pieces.iter().zip(tags) {
        let (name, script) = (piece.name(), piece.script());
        let known = found.tags(script);
        if tags.iter().all(|tag| known.contains(tag)) {
            continue;
        }
        let path = cloud.script(script, "/script-settings");
        let rest = Rest::set("PATCH", path, json!({ "tags": tags }));
        let goal = format!("say which storage is made for {script}");
        let step = Step::new("data", format!("announce {name}"), goal, Action::Rest(rest));
        plan.push(step.worker(name));
    }
    plan
}

/// Deletes a Worker; one that is not there is as wanted.
pub fn deletion(cloud: &Cloudflare, script: &str) -> Rest {
    Rest {
        body: None,
        tolerate: crate::tools::cloudflare::WORKER_NOT_FOUND.to_vec(),
        ..Rest::set(
            "DELETE",
            cloud.path(&format!("/workers/services/{}?force=true", encode(script))),
            Value::Null,
        )
    }
}

/// Gives the new versions all of the traffic, callees first, and sets what belongs to a Worker and not to a version.
pub fn serve(
    cloud: &Cloudflare,
    levels: &[BTreeSet<String>],
    pieces: &[Piece<'_>],
    release: &str,
    tags: &[Vec<String>],
) -> Plan {
    let mut plan = Plan::new(STAGE);
    let mut earlier: Vec<String> = Vec::new();
    for level in levels {
        let mut ids = Vec::new();
        let of_level = pieces.iter().zip(tags);
        for (piece, tags) in of_level.filter(|(piece, _)| level.contains(piece.name())) {
            let Some(version) = &piece.version else {
                continue;
            };
            let (name, script) = (piece.name(), piece.script());
            let id = format!("serve {name}");
            let rest = deployment(cloud, script, &[(version, 100)], release);
            let goal = format!("have the new version of {name} answer");
            let mut step = Step::new("serve", &id, goal, Action::Rest(rest));
            if piece.serves(version) {
                step = step.done("it does already");
            }
            plan.push(step.worker(name).needs(earlier.clone()));
            plan.push(settings(cloud, piece, tags).needs([id.clone()]));
            ids.push(id);
        }
        if !ids.is_empty() {
            earlier = ids;
        }
    }
    plan
}

fn settings(cloud: &Cloudflare, piece: &Piece<'_>, tags: &[String]) -> Step {
    let config = &piece.worker.config;
    let observability = config.observability.clone();
    let consumers = config.tail_consumers.clone();
    let body = json!({
        "tags": tags,
        "logpush": false,
        "observability": observability.unwrap_or(json!({"enabled": false})),
        "tail_consumers": consumers.unwrap_or(json!([])),
    });
    let name = piece.name();
    let rest = Rest::set(
        "PATCH",
        cloud.script(piece.script(), "/script-settings"),
        body,
    );
    let goal = format!("set the tags and the observability of {}", piece.script());
    Step::new(
        "serve",
        format!("settings {name}"),
        goal,
        Action::Rest(rest),
    )
    .worker(name)
}
