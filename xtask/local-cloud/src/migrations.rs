//! Durable Object migrations: pure steps over a Worker's namespaces, all applied or none.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::envelope::ApiError;
use crate::ids;
use crate::state::{DurableObjectNamespace, State};

/// The `migrations` of an upload: either a list of steps, or one step inline.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Migrations {
    old_tag: Option<String>,
    new_tag: Option<String>,
    steps: Vec<Step>,
    #[serde(flatten)]
    inline: Step,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Step {
    new_classes: Vec<String>,
    new_sqlite_classes: Vec<String>,
    renamed_classes: Vec<Renamed>,
    transferred_classes: Vec<Transferred>,
    deleted_classes: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Renamed {
    from: String,
    to: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Transferred {
    from: String,
    from_script: String,
    to: String,
}

/// What migrations leave behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The Worker's tag afterwards.
    pub tag: Option<String>,
    /// The Worker's namespaces afterwards.
    pub namespaces: BTreeMap<String, DurableObjectNamespace>,
    /// Namespaces taken from other Workers: (script, class).
    pub taken: Vec<(String, String)>,
}

/// Applies the migrations to a Worker as it is in `state` (it may not exist yet).
pub fn migrate(
    state: &State,
    script: &str,
    migrations: Option<&Migrations>,
) -> Result<Migrated, ApiError> {
    let existing = state.scripts.get(script);
    let mut migrated = Migrated {
        tag: existing.and_then(|script| script.migration_tag.clone()),
        namespaces: existing
            .map(|script| script.durable_objects.clone())
            .unwrap_or_default(),
        taken: Vec::new(),
    };
    let Some(migrations) = migrations else {
        return Ok(migrated);
    };
    if migrations.old_tag != migrated.tag {
        let current = migrated.tag.as_deref().unwrap_or("(none)");
        let message = format!("Migration tag precondition failed; current tag is {current}");
        return Err(ApiError::new(412, 10079, message));
    }
    for step in migrations.steps.iter().chain([&migrations.inline]) {
        apply(state, step, &mut migrated)?;
    }
    if migrations.new_tag.is_some() {
        migrated.tag.clone_from(&migrations.new_tag);
    }
    Ok(migrated)
}

fn apply(state: &State, step: &Step, migrated: &mut Migrated) -> Result<(), ApiError> {
    let sqlite = step.new_sqlite_classes.iter().map(|class| (class, true));
    for (class, sqlite) in step
        .new_classes
        .iter()
        .map(|class| (class, false))
        .chain(sqlite)
    {
        let namespace = DurableObjectNamespace {
            id: ids::hex32(),
            sqlite,
        };
        add(migrated, class, namespace, "new-class")?;
    }
    for Renamed { from, to } in &step.renamed_classes {
        let namespace = remove(migrated, from, "renamed-class")?;
        add(migrated, to, namespace, "renamed-class")?;
    }
    for Transferred {
        from,
        from_script,
        to,
    } in &step.transferred_classes
    {
        let source = state
            .scripts
            .get(from_script)
            .and_then(|script| script.durable_objects.get(from));
        let namespace = source.cloned().ok_or_else(|| {
            // [A] 10072: the real code was never seen.
            let message = format!("Cannot apply transferred-class migration: class '{from}' of script '{from_script}' does not exist");
            ApiError::bad_request(10072, message)
        })?;
        add(migrated, to, namespace, "transferred-class")?;
        migrated.taken.push((from_script.clone(), from.clone()));
    }
    for class in &step.deleted_classes {
        remove(migrated, class, "deleted-class")?;
    }
    Ok(())
}

fn add(
    migrated: &mut Migrated,
    class: &str,
    namespace: DurableObjectNamespace,
    kind: &str,
) -> Result<(), ApiError> {
    if migrated.namespaces.contains_key(class) {
        let message = format!(
            "Cannot apply {kind} migration to class '{class}' that is already depended on by existing Durable Objects"
        );
        return Err(ApiError::bad_request(10074, message));
    }
    migrated.namespaces.insert(class.to_owned(), namespace);
    Ok(())
}

fn remove(
    migrated: &mut Migrated,
    class: &str,
    kind: &str,
) -> Result<DurableObjectNamespace, ApiError> {
    migrated.namespaces.remove(class).ok_or_else(|| {
        // [A] 10072: the real code was never seen.
        let message = format!(
            "Cannot apply {kind} migration to class '{class}': it has no Durable Object namespace"
        );
        ApiError::bad_request(10072, message)
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;
    use crate::state::Script;

    fn check(tag: Option<&str>, classes: &[&str], migrations: Value, expected: Expect) {
        let mut script = Script {
            migration_tag: tag.map(str::to_owned),
            ..Script::default()
        };
        for class in classes {
            let namespace = DurableObjectNamespace {
                id: format!("id-of-{class}"),
                sqlite: true,
            };
            script
                .durable_objects
                .insert((*class).to_owned(), namespace);
        }
        let mut state = State::default();
        state.scripts.insert("api".to_owned(), script);
        let migrations: Migrations = serde_json::from_value(migrations).expect("migrations");
        let text = match migrate(&state, "api", Some(&migrations)) {
            Ok(migrated) => {
                let class = |(class, namespace): (&String, &DurableObjectNamespace)| {
                    let id = if namespace.id.starts_with("id-of") {
                        &namespace.id
                    } else {
                        "new"
                    };
                    format!(
                        "{class}={id}{}",
                        if namespace.sqlite { " sqlite" } else { "" }
                    )
                };
                let classes: Vec<String> = migrated.namespaces.iter().map(class).collect();
                format!(
                    "{}: {}",
                    migrated.tag.unwrap_or_default(),
                    classes.join(", ")
                )
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn steps_apply_in_order() {
        let steps = json!({"new_tag": "v2", "steps": [{"new_sqlite_classes": ["A"]}, {"renamed_classes": [{"from": "A", "to": "B"}]}, {"new_classes": ["A"]}]});
        check(None, &[], steps, expect!["v2: A=new, B=new sqlite"]);
    }

    #[test]
    fn a_renamed_class_keeps_its_namespace() {
        let steps = json!({"old_tag": "v1", "new_tag": "v2", "steps": [{"renamed_classes": [{"from": "A", "to": "B"}]}]});
        check(Some("v1"), &["A"], steps, expect!["v2: B=id-of-A sqlite"]);
    }

    #[test]
    fn the_tag_must_be_the_expected_one() {
        let steps = json!({"new_tag": "v1", "new_sqlite_classes": ["A"]});
        check(
            Some("v1"),
            &["A"],
            steps,
            expect!["Migration tag precondition failed; current tag is v1 [code: 10079]"],
        );
    }

    #[test]
    fn a_class_is_made_once_and_deleted_once() {
        let again = json!({"old_tag": "v1", "new_tag": "v2", "new_sqlite_classes": ["A"]});
        check(
            Some("v1"),
            &["A"],
            again,
            expect![
                "Cannot apply new-class migration to class 'A' that is already depended on by existing Durable Objects [code: 10074]"
            ],
        );
        let gone = json!({"old_tag": "v1", "new_tag": "v2", "deleted_classes": ["B"]});
        check(
            Some("v1"),
            &["A"],
            gone,
            expect![
                "Cannot apply deleted-class migration to class 'B': it has no Durable Object namespace [code: 10072]"
            ],
        );
    }
}
