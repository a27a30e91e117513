//! Durable Object migrations: how the classes a script owns came about. Pure bookkeeping; what is already applied on
//! Cloudflare is not known here.

use serde_json::Value;

use super::section::Section;

/// One Durable Object migration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DoMigration {
    /// Its tag.
    pub tag: String,
    /// Classes that get key-value storage.
    pub new_classes: Vec<String>,
    /// Classes that get SQLite storage.
    pub new_sqlite_classes: Vec<String>,
    /// Classes that keep their objects under another name.
    pub renamed_classes: Vec<RenamedClass>,
    /// Classes whose objects are deleted.
    pub deleted_classes: Vec<String>,
    /// Classes taken over from another script.
    pub transferred_classes: Vec<TransferredClass>,
}

/// A Durable Object class that changed its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenamedClass {
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
}

/// A Durable Object class that came from another script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransferredClass {
    /// Its name there.
    pub from: String,
    /// The script it came from.
    pub from_script: String,
    /// Its name here.
    pub to: String,
}

/// Reads `migrations`, oldest first.
pub(crate) fn read_migrations(config: &Section<'_>) -> Vec<DoMigration> {
    let mut migrations: Vec<DoMigration> = Vec::new();
    for section in config.sections("migrations") {
        let Some(tag) = section.required_text("tag") else {
            continue;
        };
        if migrations.iter().any(|earlier| earlier.tag == tag) {
            let message = format!(
                "`{}` is used by an earlier migration",
                section.path_of("tag")
            );
            section.notes.error(section.at("tag"), message);
        }
        migrations.push(DoMigration {
            tag,
            new_classes: section.strings("new_classes").unwrap_or_default(),
            new_sqlite_classes: section.strings("new_sqlite_classes").unwrap_or_default(),
            renamed_classes: read_renamed(&section),
            deleted_classes: section.strings("deleted_classes").unwrap_or_default(),
            transferred_classes: read_transferred(&section),
        });
    }
    migrations
}

fn read_renamed(migration: &Section<'_>) -> Vec<RenamedClass> {
    let renamed = |section: &Section<'_>| {
        Some(RenamedClass {
            from: section.required_text("from")?,
            to: section.required_text("to")?,
        })
    };
    migration
        .sections("renamed_classes")
        .iter()
        .filter_map(renamed)
        .collect()
}

fn read_transferred(migration: &Section<'_>) -> Vec<TransferredClass> {
    let transferred = |section: &Section<'_>| {
        Some(TransferredClass {
            from: section.required_text("from")?,
            from_script: section.required_text("from_script")?,
            to: section.required_text("to")?,
        })
    };
    migration
        .sections("transferred_classes")
        .iter()
        .filter_map(transferred)
        .collect()
}

/// The classes a script owns after these migrations, and whether each is backed by SQLite.
pub(crate) fn live_classes(migrations: &[DoMigration]) -> Vec<(String, bool)> {
    let mut live: Vec<(String, bool)> = Vec::new();
    for migration in migrations {
        let plain = migration.new_classes.iter().map(|class| (class, false));
        let sqlite = migration
            .new_sqlite_classes
            .iter()
            .map(|class| (class, true));
        live.extend(
            plain
                .chain(sqlite)
                .map(|(class, kind)| (class.clone(), kind)),
        );
        for (class, _) in &mut live {
            if let Some(renamed) = migration
                .renamed_classes
                .iter()
                .find(|renamed| renamed.from == *class)
            {
                class.clone_from(&renamed.to);
            }
        }
        // Only the script a class came from knows its storage; every class made today is SQLite.
        let transferred = migration.transferred_classes.iter();
        live.extend(transferred.map(|class| (class.to.clone(), true)));
        live.retain(|(class, _)| !migration.deleted_classes.contains(class));
    }
    live
}

/// The classes that `exports` declares: the form without migrations, where each class says what became of it.
pub(crate) fn exported_classes(config: &Value) -> Vec<(String, bool)> {
    let exports = config.get("exports").and_then(Value::as_object);
    let class = |(name, export): (&String, &Value)| {
        let text = |key: &str| export.get(key).and_then(Value::as_str);
        let is_class = text("type") == Some("durable-object");
        let is_live = matches!(text("state"), None | Some("created" | "expecting-transfer"));
        (is_class && is_live).then(|| (name.clone(), text("storage") != Some("legacy-kv")))
    };
    exports.into_iter().flatten().filter_map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn live_classes_are_the_net_result() {
        let migrations = [
            DoMigration {
                tag: "v1".into(),
                new_classes: names(&["A", "B"]),
                ..DoMigration::default()
            },
            DoMigration {
                tag: "v2".into(),
                ..DoMigration::default()
            },
            DoMigration {
                tag: "v4".into(),
                new_sqlite_classes: names(&["C"]),
                renamed_classes: vec![RenamedClass {
                    from: "A".into(),
                    to: "A2".into(),
                }],
                deleted_classes: names(&["B"]),
                transferred_classes: vec![TransferredClass {
                    from: "X".into(),
                    from_script: "other".into(),
                    to: "D".into(),
                }],
                ..DoMigration::default()
            },
        ];
        let expected = [("A2", false), ("C", true), ("D", true)];
        let expected: Vec<(String, bool)> = expected
            .map(|(name, sqlite)| (name.to_owned(), sqlite))
            .to_vec();
        assert_eq!(live_classes(&migrations), expected);
        assert_eq!(live_classes(&[]), []);
    }

    #[test]
    fn two_classes_can_swap_their_names() {
        let swap = |from: &str, to: &str| RenamedClass {
            from: from.into(),
            to: to.into(),
        };
        let migrations = [
            DoMigration {
                tag: "v1".into(),
                new_sqlite_classes: names(&["A"]),
                new_classes: names(&["B"]),
                ..DoMigration::default()
            },
            DoMigration {
                tag: "v2".into(),
                renamed_classes: vec![swap("A", "B"), swap("B", "A")],
                ..DoMigration::default()
            },
        ];
        let live = live_classes(&migrations);
        assert!(live.contains(&("A".to_owned(), false)) && live.contains(&("B".to_owned(), true)));
    }

    #[test]
    fn exports_declare_classes_without_migrations() {
        let config = serde_json::json!({ "exports": {
            "A": { "type": "durable-object", "storage": "sqlite" },
            "B": { "type": "durable-object", "state": "created", "storage": "legacy-kv" },
            "C": { "type": "durable-object", "state": "deleted" },
            "D": { "type": "worker" },
            "E": 7,
        } });
        let expected = [("A".to_owned(), true), ("B".to_owned(), false)];
        assert_eq!(exported_classes(&config), expected);
        assert_eq!(exported_classes(&serde_json::json!({ "exports": [] })), []);
    }
}
