//! Gives a script another name in a wrangler config: where the config is the script's own, and where it refers to it.

use super::{Editor, quote};
use crate::config::tree::{Kind, Node, Table};

/// A script's old name and its new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// As it was.
    pub from: String,
    /// As it is to be.
    pub to: String,
}

impl Editor {
    /// Renames the config's own script, in the environment that ships. The answer has every script whose name changes with
    /// it: environments without a name of their own are called after the top level. An error says why that is not possible.
    pub fn rename_script(
        &mut self,
        env: Option<&str>,
        from: &str,
        to: &str,
    ) -> Result<Vec<Renamed>, String> {
        let named = self.named("env");
        let own_name = |env: &str| {
            let entry = named.iter().find(|entry| entry.key == env)?;
            match &entry.value.kind {
                Kind::Table(table) => table.get("name").map(|entry| entry.value.clone()),
                _ => None,
            }
        };
        let renamed = |from: &str, to: &str| Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        if let Some(name) = env.and_then(own_name) {
            self.edit(name.span, &quote(to));
            return Ok(vec![renamed(from, to)]);
        }
        let Some(name) = self.table.get("name").map(|entry| entry.value.clone()) else {
            return Err("its config has no `name`".to_owned());
        };
        let (base, new_base) = match env {
            None => (from, to),
            Some(env) => {
                let suffix = format!("-{env}");
                let base = from.strip_suffix(suffix.as_str()).unwrap_or(from);
                let Some(new_base) = to.strip_suffix(suffix.as_str()) else {
                    return Err(format!(
                        "its environment `{env}` is called after the top level, so its name ends in `{suffix}`"
                    ));
                };
                (base, new_base)
            }
        };
        self.edit(name.span, &quote(new_base));
        let follow = named.iter().filter(|entry| own_name(&entry.key).is_none());
        let follow = follow.map(|entry| {
            let key = &entry.key;
            renamed(&format!("{base}-{key}"), &format!("{new_base}-{key}"))
        });
        Ok(std::iter::once(renamed(base, new_base))
            .chain(follow)
            .collect())
    }

    /// Renames scripts wherever the config refers to them, in all its environments; how often it did. The history of a
    /// Durable Object (`from_script`) stays: it names the script that has the data.
    pub fn rename_references(&mut self, renamed: &[Renamed]) -> usize {
        let mut texts = Vec::new();
        references(&self.table, &mut texts);
        for env in self.named("env") {
            if let Kind::Table(table) = &env.value.kind {
                references(table, &mut texts);
            }
        }
        let mut count = 0;
        for node in texts {
            let Kind::String(text) = &node.kind else {
                continue;
            };
            if let Some(renamed) = renamed.iter().find(|renamed| renamed.from == *text) {
                self.edit(node.span, &quote(&renamed.to));
                count += 1;
            }
        }
        count
    }
}

/// The values that name a script in one environment.
fn references(table: &Table, found: &mut Vec<Node>) {
    let lists = [
        ("services", "service"),
        ("workflows", "script_name"),
        ("tail_consumers", "service"),
        ("streaming_tail_consumers", "service"),
    ];
    for (list, key) in lists {
        in_list(table, list, key, found);
    }
    if let Some(Kind::Table(objects)) = kind(table, "durable_objects") {
        in_list(objects, "bindings", "script_name", found);
    }
    for namespace in tables(table, "dispatch_namespaces") {
        match kind(namespace, "outbound") {
            Some(Kind::Table(outbound)) => {
                found.extend(outbound.get("service").map(|it| it.value.clone()))
            }
            Some(Kind::String(_)) => {
                found.extend(namespace.get("outbound").map(|it| it.value.clone()))
            }
            _ => {}
        }
    }
}

fn in_list(table: &Table, list: &str, key: &str, found: &mut Vec<Node>) {
    for item in tables(table, list) {
        found.extend(item.get(key).map(|entry| entry.value.clone()));
    }
}

fn tables<'t>(table: &'t Table, list: &str) -> impl Iterator<Item = &'t Table> {
    let items = match kind(table, list) {
        Some(Kind::Array(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.kind {
        Kind::Table(table) => Some(table),
        _ => None,
    })
}

fn kind<'t>(table: &'t Table, key: &str) -> Option<&'t Kind> {
    table.get(key).map(|entry| &entry.value.kind)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn check(file: &str, text: &str, env: Option<&str>, from: &str, to: &str, expect: Expect) {
        let path = Path::new("/repo").join(file);
        let mut editor = Editor::open(Path::new("/repo"), &path, text).expect("it can be read");
        let said = match editor.rename_script(env, from, to) {
            Err(why) => format!("error: {why}\n"),
            Ok(renamed) => {
                editor.rename_references(&renamed);
                let new = editor.finish();
                Editor::open(Path::new("/repo"), &path, &new).expect("it can be read still");
                crate::diff::unified(file, Some(text), Some(&new))
            }
        };
        expect.assert_eq(&said);
    }

    /// What is about the script changes, in all environments; a word in a comment, a variable or a route does not.
    #[test]
    fn a_json_config_keeps_its_comments() {
        check(
            "wrangler.jsonc",
            r#"{
  // old-api: do not touch
  "name": "old-api", /* here */
  "vars": { "NAME": "old-api" },
  "services": [{ "binding": "SELF", "service": "old-api" }, { "binding": "B", "service": "old-api-2" }],
  "durable_objects": { "bindings": [{ "name": "C", "class_name": "C", "script_name": "old-api" }] },
  "migrations": [{ "tag": "v1", "transferred_classes": [{ "from": "C", "from_script": "old-api", "to": "C" }] }],
  "env": {
    "staging": { "services": [{ "binding": "SELF", "service": "old-api-staging" }] },
    "named": { "name": "other", "tail_consumers": [{ "service": "old-api" }] },
  },
}
"#,
            None,
            "old-api",
            "new-api",
            expect![[r#"
                --- a/wrangler.jsonc
                +++ b/wrangler.jsonc
                @@ -1,12 +1,12 @@
                 {
                   // old-api: do not touch
                -  "name": "old-api", /* here */
                +  "name": "new-api", /* here */
                   "vars": { "NAME": "old-api" },
                -  "services": [{ "binding": "SELF", "service": "old-api" }, { "binding": "B", "service": "old-api-2" }],
                -  "durable_objects": { "bindings": [{ "name": "C", "class_name": "C", "script_name": "old-api" }] },
                +  "services": [{ "binding": "SELF", "service": "new-api" }, { "binding": "B", "service": "old-api-2" }],
                +  "durable_objects": { "bindings": [{ "name": "C", "class_name": "C", "script_name": "new-api" }] },
                   "migrations": [{ "tag": "v1", "transferred_classes": [{ "from": "C", "from_script": "old-api", "to": "C" }] }],
                   "env": {
                -    "staging": { "services": [{ "binding": "SELF", "service": "old-api-staging" }] },
                -    "named": { "name": "other", "tail_consumers": [{ "service": "old-api" }] },
                +    "staging": { "services": [{ "binding": "SELF", "service": "new-api-staging" }] },
                +    "named": { "name": "other", "tail_consumers": [{ "service": "new-api" }] },
                   },
                 }
            "#]],
        );
    }

    #[test]
    fn an_environment_is_called_after_the_top_level_or_by_a_name_of_its_own() {
        const TOML: &str = "# mine\r\nname = 'api' # top\r\n[env.production]\r\nworkers_dev = true\r\n[env.live]\r\nname = \"api-live-1\"\r\n";
        check(
            "wrangler.toml",
            TOML,
            Some("production"),
            "api-production",
            "web-production",
            expect![[r#"
                --- a/wrangler.toml
                +++ b/wrangler.toml
                @@ -1,5 +1,5 @@
                 # mine
                -name = 'api' # top
                +name = "web" # top
                 [env.production]
                 workers_dev = true
                 [env.live]
            "#]],
        );
        check(
            "wrangler.toml",
            TOML,
            Some("live"),
            "api-live-1",
            "web",
            expect![[r#"
                --- a/wrangler.toml
                +++ b/wrangler.toml
                @@ -3,4 +3,4 @@
                 [env.production]
                 workers_dev = true
                 [env.live]
                -name = "api-live-1"
                +name = "web"
            "#]],
        );
        check(
            "wrangler.toml",
            TOML,
            Some("production"),
            "api-production",
            "web",
            expect![[r#"
                error: its environment `production` is called after the top level, so its name ends in `-production`
            "#]],
        );
    }

    #[test]
    fn others_follow() {
        let renamed = [Renamed {
            from: "api".to_owned(),
            to: "web".to_owned(),
        }];
        let text = "name = \"x\"\nservices = [{ binding = \"A\", service = \"api\" }, { binding = \"B\", service = \"apis\" }]\n\
                    tail_consumers = [{ service = \"api\" }]\n[[workflows]]\nbinding = \"W\"\nscript_name = \"api\" # theirs\n\
                    [[dispatch_namespaces]]\nbinding = \"D\"\noutbound = { service = \"api\" }\n";
        let path = Path::new("/repo/wrangler.toml");
        let mut editor = Editor::open(Path::new("/repo"), path, text).expect("it can be read");
        assert_eq!(editor.rename_references(&renamed), 4);
        let new = editor.finish();
        assert_eq!(new, text.replace("\"api\"", "\"web\""));
    }
}
