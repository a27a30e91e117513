//! The version that stands in for a worker before its first release. With it a first release is staged like any other:
//! service bindings find their targets (in a circle, too), Durable Object classes exist, nothing is public. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::DoMigration;
use crate::plan::Rest;
use crate::stages::deploy::part::PLACEHOLDER_MESSAGE;
use crate::tools::cloudflare::Cloudflare;
use crate::workspace::{Worker, Workspace};

const BOUNDARY: &str = "xtask-form-boundary-7d1f4b";

/// The upload of a worker's placeholder. Its migrations are applied with it, so that later versions have none pending.
pub fn upload(cloud: &Cloudflare, workspace: &Workspace, worker: &Worker) -> Rest {
    upload_tagged(cloud, workspace, worker, &[])
}

/// The same for a worker that is to carry tags from its first moment on.
pub fn upload_tagged(
    cloud: &Cloudflare,
    workspace: &Workspace,
    worker: &Worker,
    tags: &[String],
) -> Rest {
    let config = &worker.config;
    let classes: Vec<String> = config
        .live_durable_classes()
        .into_iter()
        .map(|(class, _)| class)
        .collect();
    let mut metadata = json!({
        "main_module": "placeholder.js",
        "bindings": [],
        "compatibility_flags": [],
        "annotations": {"workers/message": PLACEHOLDER_MESSAGE},
    });
    if !tags.is_empty() {
        metadata["tags"] = json!(tags);
    }
    if let Some(date) = &config.compatibility_date {
        metadata["compatibility_date"] = Value::from(date.as_str());
    }
    if let Some(tag) = config.last_migration_tag() {
        let steps: Vec<Value> = config.migrations.iter().map(migration_step).collect();
        metadata["migrations"] = json!({"new_tag": tag, "steps": steps});
    }
    let module = module(&classes, &entrypoints(workspace, &config.name));
    Rest {
        content_type: Some(format!("multipart/form-data; boundary={BOUNDARY}")),
        // Not repeatable: sent twice, it would apply the migrations twice. A rerun looks first.
        repeatable: false,
        ..Rest::set(
            "PUT",
            cloud.script(&config.name, ""),
            Value::from(form(&metadata, &module)),
        )
    }
}

/// A module that says what it is, and exports every class and entrypoint others bind to.
fn module(classes: &[String], entrypoints: &BTreeSet<String>) -> String {
    let mut text = String::from(
        "import { DurableObject, WorkerEntrypoint } from \"cloudflare:workers\";\n\
         const answer = () => new Response(\"not released yet\\n\", { status: 503 });\n\
         export default { fetch: answer, scheduled() {} };\n",
    );
    for class in classes {
        text.push_str(&format!(
            "export class {class} extends DurableObject {{ fetch() {{ return answer(); }} }}\n"
        ));
    }
    for entrypoint in entrypoints
        .iter()
        .filter(|name| !classes.contains(name) && *name != "default")
    {
        text.push_str(&format!("export class {entrypoint} extends WorkerEntrypoint {{ fetch() {{ return answer(); }} }}\n"));
    }
    text
}

/// The named entrypoints of a script that siblings bind to.
fn entrypoints(workspace: &Workspace, script: &str) -> BTreeSet<String> {
    workspace
        .workers
        .iter()
        .flat_map(|worker| &worker.config.bindings.services)
        .filter(|binding| binding.service == script)
        .filter_map(|binding| binding.entrypoint.clone())
        .collect()
}

fn migration_step(migration: &DoMigration) -> Value {
    let renamed: Vec<Value> = migration
        .renamed_classes
        .iter()
        .map(|renamed| json!({"from": renamed.from, "to": renamed.to}))
        .collect();
    let transferred: Vec<Value> = migration
        .transferred_classes
        .iter()
        .map(|moved| json!({"from": moved.from, "from_script": moved.from_script, "to": moved.to}))
        .collect();
    let mut step = serde_json::Map::new();
    for (key, value) in [
        ("new_classes", json!(migration.new_classes)),
        ("new_sqlite_classes", json!(migration.new_sqlite_classes)),
        ("renamed_classes", Value::from(renamed)),
        ("deleted_classes", json!(migration.deleted_classes)),
        ("transferred_classes", Value::from(transferred)),
    ] {
        if value.as_array().is_some_and(|list| !list.is_empty()) {
            step.insert(key.to_owned(), value);
        }
    }
    Value::Object(step)
}

fn form(metadata: &Value, module: &str) -> String {
    format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"placeholder.js\"; filename=\"placeholder.js\"\r\n\
         Content-Type: application/javascript+module\r\n\r\n{module}\r\n--{BOUNDARY}--\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_placeholder_exports_what_others_bind_to() {
        let module = module(
            &["ChatAgent".to_owned()],
            &BTreeSet::from(["Rpc".to_owned(), "default".to_owned()]),
        );
        expect![[r#"
            import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
            const answer = () => new Response("not released yet\n", { status: 503 });
            export default { fetch: answer, scheduled() {} };
            export class ChatAgent extends DurableObject { fetch() { return answer(); } }
            export class Rpc extends WorkerEntrypoint { fetch() { return answer(); } }
        "#]]
        .assert_eq(&module);
    }
}
