//! The plan that sets what belongs to a worker and to none of its versions: what calls it, and how it is observed. Pure.

use serde_json::{Value, json};

use crate::live::Triggers;
use crate::plan::{Action, Plan, Rest, Step};
use crate::stages::deploy::part::Part;
use crate::stages::deploy::plans::STAGE;
use crate::tools::cloudflare::Cloudflare;

/// Sets what calls the workers and how they are observed. `from` says what is live, `to` what is wanted; only differences are written.
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
        let settings = from.settings.missing(&to.settings);
        if !settings.is_empty() {
            let path = cloud.script(script, "/script-settings");
            set(
                "observability",
                Rest::set("PATCH", path, Value::Object(settings)),
            );
        }
    }
    plan
}

fn route(pattern: &str, zone: Option<&str>) -> Value {
    match zone {
        Some(zone) => json!({"pattern": pattern, "zone_name": zone}),
        None => json!({"pattern": pattern}),
    }
}
