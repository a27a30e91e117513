//! The plans that set what calls a worker, and the settings that belong to a worker and not to a version. Pure.

use serde_json::{Value, json};

use crate::live::Triggers;
use crate::plan::{Action, Plan, Rest, Step};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::plans::STAGE;
use crate::tools::cloudflare::Cloudflare;

/// Sets what calls the workers. `from` says what is live, `to` what is wanted; only differences are written.
pub fn triggers<'p>(
    cloud: &Cloudflare,
    group: &str,
    parts: impl Iterator<Item = (&'p Part<'p>, Triggers, Triggers)>,
) -> Plan {
    let mut plan = Plan::new(STAGE);
    for (part, from, to) in parts {
        let script = part.script();
        let mut set = |what: &str, rest: Rest| {
            let goal = format!("set the {what} of {}", part.name());
            let step = Step::new(
                group,
                format!("{what} {}", part.name()),
                goal,
                Action::Rest(rest),
            );
            plan.push(step.worker(part.name()));
        };
        if (from.workers_dev, from.previews) != (to.workers_dev, to.previews) {
            let body = json!({"enabled": to.workers_dev, "previews_enabled": to.previews});
            set(
                "workers.dev address",
                Rest::set("POST", cloud.script(script, "/subdomain"), body),
            );
        }
        if from.domains != to.domains {
            let origins: Vec<Value> = to
                .domains
                .iter()
                .map(|host| json!({"hostname": host}))
                .collect();
            // Never takes a domain from another worker: that was ruled out before the release began.
            let body = json!({"override_scope": true, "override_existing_origin": false,
                              "override_existing_dns_record": false, "origins": origins});
            set(
                "domains",
                Rest::set("PUT", cloud.script(script, "/domains/records"), body),
            );
        }
        if from.routes != to.routes {
            let routes: Vec<Value> = to
                .routes
                .iter()
                .map(|(pattern, zone)| route(pattern, zone.as_deref()))
                .collect();
            set(
                "routes",
                Rest::set("PUT", cloud.script(script, "/routes"), Value::from(routes)),
            );
        }
        if from.crons != to.crons {
            let crons: Vec<Value> = to.crons.iter().map(|cron| json!({"cron": cron})).collect();
            set(
                "crons",
                Rest::set(
                    "PUT",
                    cloud.script(script, "/schedules"),
                    Value::from(crons),
                ),
            );
        }
    }
    plan
}

/// Settings that belong to the worker and not to a version (wrangler sends them with every deploy).
pub fn settings(cloud: &Cloudflare, parts: &[Part<'_>]) -> Plan {
    let mut plan = Plan::new(STAGE);
    for part in parts.iter().filter(|part| part.staged()) {
        let config = &part.worker.config;
        let mut body = json!({"observability": config.observability.clone().unwrap_or(json!({"enabled": false}))});
        if let Some(logpush) = config.logpush {
            body["logpush"] = Value::from(logpush);
        }
        if let Some(consumers) = &config.tail_consumers {
            body["tail_consumers"] = consumers.clone();
        }
        let rest = Rest::set(
            "PATCH",
            cloud.script(part.script(), "/script-settings"),
            body,
        );
        let goal = format!("set the observability of {}", part.name());
        plan.push(
            Step::new(
                "triggers",
                format!("settings {}", part.name()),
                goal,
                Action::Rest(rest),
            )
            .worker(part.name()),
        );
    }
    plan
}

fn route(pattern: &str, zone: Option<&str>) -> Value {
    match zone {
        Some(zone) => json!({"pattern": pattern, "zone_name": zone}),
        None => json!({"pattern": pattern}),
    }
}
