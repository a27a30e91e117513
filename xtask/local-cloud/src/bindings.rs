//! Bindings of an upload: what is inherited, and whether every target exists. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::envelope::ApiError;
use crate::resource_id::ResourceId;
use crate::state::{D1Database, DurableObjectNamespace, KvNamespace, R2Bucket, State, Version};

/// A text field of a binding, empty when absent.
pub fn text<'a>(binding: &'a Value, field: &str) -> &'a str {
    binding
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The database of a `d1` binding: wrangler's upload says `id`, its preview says `database_id`.
fn d1_id(binding: &Value) -> &str {
    match text(binding, "id") {
        "" => text(binding, "database_id"),
        id => id,
    }
}

/// A binding as the API shows it: without its secret.
pub fn shown(binding: &Value) -> Value {
    let mut shown = binding.clone();
    if text(binding, "type") == "secret_text"
        && let Some(fields) = shown.as_object_mut()
    {
        fields.remove("text");
    }
    shown
}

/// The secrets of a version, by name.
pub fn secrets(bindings: &[Value]) -> BTreeMap<&str, &str> {
    let secrets = bindings
        .iter()
        .filter(|binding| text(binding, "type") == "secret_text");
    secrets
        .map(|binding| (text(binding, "name"), text(binding, "text")))
        .collect()
}

/// Replaces `inherit` by the binding of the latest version and adds the kinds in `keep`, unless redefined.
pub fn resolve(
    latest: Option<&Version>,
    uploaded: &[Value],
    keep: &[String],
    strict: bool,
) -> Result<Vec<Value>, ApiError> {
    let old = latest
        .map(|version| version.bindings.as_slice())
        .unwrap_or_default();
    let mut resolved = Vec::with_capacity(uploaded.len());
    for binding in uploaded {
        let name = text(binding, "name");
        if text(binding, "type") != "inherit" {
            resolved.push(binding.clone());
            continue;
        }
        let source_name = match text(binding, "old_name") {
            "" => name,
            old_name => old_name,
        };
        match old
            .iter()
            .find(|candidate| text(candidate, "name") == source_name)
        {
            Some(source) => {
                let mut source = source.clone();
                source["name"] = Value::from(name);
                resolved.push(source);
            }
            None if strict => {
                let message = format!(
                    "inherit binding '{name}' is invalid: the previous version has no such binding"
                );
                return Err(ApiError::bad_request(10057, message));
            }
            None => {}
        }
    }
    let names: BTreeSet<String> = resolved
        .iter()
        .map(|binding| text(binding, "name").to_owned())
        .collect();
    if names.len() != resolved.len() {
        return Err(ApiError::bad_request(
            10021,
            "two bindings have the same name",
        ));
    }
    let kept = old
        .iter()
        .filter(|binding| keep.iter().any(|kind| kind == text(binding, "type")));
    resolved.extend(
        kept.filter(|binding| !names.contains(text(binding, "name")))
            .cloned(),
    );
    Ok(resolved)
}

/// Every target must exist, as on the real service. `own` are the Worker's namespaces after its migrations.
pub fn check(
    state: &State,
    script: &str,
    bindings: &[Value],
    own: &BTreeMap<String, DurableObjectNamespace>,
) -> Result<(), ApiError> {
    check_storage(state, bindings)?;
    for binding in bindings {
        match text(binding, "type") {
            "service" => check_service(state, script, binding)?,
            "durable_object_namespace" => check_durable_object(state, script, binding, own)?,
            _ => {}
        }
    }
    Ok(())
}

/// The targets that hold data; a rollback checks these, too.
pub fn check_storage(state: &State, bindings: &[Value]) -> Result<(), ApiError> {
    for binding in bindings {
        let name = text(binding, "name");
        let (known, code, target) = match text(binding, "type") {
            "kv_namespace" => {
                let id = text(binding, "namespace_id");
                (
                    state.kv.contains_key(id),
                    10041,
                    format!("KV namespace '{id}' not found."),
                )
            }
            // [A] 10181: the real code was never seen.
            "d1" => (
                state.d1.contains_key(d1_id(binding)),
                10181,
                format!("D1 database '{}' not found.", d1_id(binding)),
            ),
            "r2_bucket" => {
                let bucket = text(binding, "bucket_name");
                (
                    state.r2.contains_key(bucket),
                    10085,
                    format!("R2 bucket '{bucket}' not found."),
                )
            }
            "queue" => {
                let queue = text(binding, "queue_name");
                if queue.is_empty() {
                    let message =
                        format!("binding {name} of type queue must have a queue specified");
                    return Err(ApiError::bad_request(10021, message));
                }
                (
                    state.queue_named(queue).is_some(),
                    11000,
                    format!("Queue '{queue}' not found."),
                )
            }
            _ => continue,
        };
        if !known {
            return Err(ApiError::bad_request(
                code,
                format!("{target} Please use a different one and try again. (binding '{name}')"),
            ));
        }
    }
    Ok(())
}

fn check_service(state: &State, script: &str, binding: &Value) -> Result<(), ApiError> {
    let (name, target) = (text(binding, "name"), text(binding, "service"));
    let exists = target == script
        || state
            .scripts
            .get(target)
            .is_some_and(|target| !target.versions.is_empty());
    if !exists {
        let message = format!(
            "Could not resolve service binding '{name}'. Target script '{target}' not found. Please verify the target script and try again."
        );
        return Err(ApiError::bad_request(10143, message));
    }
    match text(binding, "environment") {
        "" | "production" => Ok(()),
        other => {
            let message = format!(
                "Could not resolve service binding '{name}'. Target environment '{other}' not found."
            );
            Err(ApiError::bad_request(10144, message))
        }
    }
}

fn check_durable_object(
    state: &State,
    script: &str,
    binding: &Value,
    own: &BTreeMap<String, DurableObjectNamespace>,
) -> Result<(), ApiError> {
    let class = text(binding, "class_name");
    let target = text(binding, "script_name");
    if target.is_empty() || target == script {
        if own.contains_key(class) {
            return Ok(());
        }
        let message = format!(
            "Cannot create binding for class '{class}' because it is not currently configured to implement Durable Objects. Did you forget to apply a new-class migration?"
        );
        return Err(ApiError::bad_request(10061, message));
    }
    match state.scripts.get(target) {
        Some(target) if target.durable_objects.contains_key(class) => Ok(()),
        Some(_) => {
            let message = format!(
                "Cannot create binding for class '{class}' in script '{target}' because it is not currently configured to implement Durable Objects."
            );
            Err(ApiError::bad_request(10061, message))
        }
        None => {
            let message = format!(
                "Cannot create binding for class '{class}' because script '{target}' does not exist."
            );
            Err(ApiError::bad_request(10061, message))
        }
    }
}

/// Adopts storage the bindings refer to and the account does not know (`--adopt`); what was adopted, for the journal.
pub fn adopt(state: &mut State, bindings: &[Value], now: &str) -> Vec<String> {
    let mut adopted = Vec::new();
    for binding in bindings {
        if text(binding, "type") == "queue" {
            // One whose name cannot be is refused by the upload.
            adopted.extend(
                state
                    .adopt_queues([text(binding, "queue_name")], now)
                    .unwrap_or_default(),
            );
            continue;
        }
        let id = match text(binding, "type") {
            "kv_namespace" => text(binding, "namespace_id"),
            "d1" => d1_id(binding),
            "r2_bucket" => text(binding, "bucket_name"),
            _ => continue,
        };
        // One that cannot be is not adopted: the upload is then refused, since its target does not exist.
        let Ok(id) = ResourceId::new(id) else {
            continue;
        };
        match text(binding, "type") {
            "kv_namespace" if !state.kv.contains_key(&id) => {
                adopted.push(format!("KV namespace {id}"));
                let title = format!("adopted-{id}");
                state.kv.insert(id, KvNamespace { title });
            }
            "d1" if !state.d1.contains_key(&id) => {
                adopted.push(format!("D1 database {id}"));
                let name = match text(binding, "database_name") {
                    "" => format!("adopted-{id}"),
                    name => name.to_owned(),
                };
                let database = D1Database {
                    name,
                    created_at: now.to_owned(),
                    version: "production".to_owned(),
                };
                state.d1.insert(id, database);
            }
            "r2_bucket" if !state.r2.contains_key(&id) => {
                adopted.push(format!("R2 bucket {id}"));
                state.r2.insert(id, R2Bucket::created(now.to_owned()));
            }
            _ => {}
        }
    }
    adopted
}

#[cfg(test)]
mod tests;
