//! How a repo comes by a package, from npm's lockfile: npm's audit names folders, not the way to them.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

/// The dependencies of a `package-lock.json` (version 2 or 3).
pub(super) struct Lock {
    packages: Map<String, Value>,
}

/// The tables of a package that name what it needs.
const NEEDS: [&str; 4] = [
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
];

impl Lock {
    /// `None` for text that is no such lockfile.
    pub(super) fn parse(text: &str) -> Option<Lock> {
        let mut lock: Value = serde_json::from_str(text).ok()?;
        match lock.get_mut("packages").map(Value::take) {
            Some(Value::Object(packages)) => Some(Lock { packages }),
            _ => None,
        }
    }

    /// The shortest way from the repo or one of its workspaces to a folder: `main-worker > web > parser`.
    pub(super) fn path_to(&self, folder: &str) -> Option<String> {
        let mut from: HashMap<&str, &str> = HashMap::new();
        let mut queue: VecDeque<&str> = self.own().collect();
        let mut seen: HashSet<&str> = queue.iter().copied().collect();
        while let Some(current) = queue.pop_front() {
            if current == folder {
                return Some(self.way(current, &from));
            }
            let package = self.packages.get(current)?;
            for name in needs_of(package) {
                let Some(next) = self.resolve(current, name) else {
                    continue;
                };
                if seen.insert(next) {
                    from.insert(next, current);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// The repo itself and its workspaces: every folder outside `node_modules`.
    fn own(&self) -> impl Iterator<Item = &str> {
        let keys = self.packages.keys().map(String::as_str);
        keys.filter(|key| !key.starts_with("node_modules/") && !key.contains("/node_modules/"))
    }

    /// Where Node finds a package that `from` needs: the nearest `node_modules`, links followed.
    fn resolve(&self, from: &str, name: &str) -> Option<&str> {
        let mut folder = from;
        loop {
            let slash = if folder.is_empty() { "" } else { "/" };
            let candidate = format!("{folder}{slash}node_modules/{name}");
            if let Some((key, package)) = self.packages.get_key_value(&candidate) {
                let target = package.get("resolved").and_then(Value::as_str);
                let is_link = package.get("link").and_then(Value::as_bool) == Some(true);
                let target = target.filter(|_| is_link);
                let linked = target.and_then(|target| self.packages.get_key_value(target));
                return Some(linked.map_or(key.as_str(), |(key, _)| key.as_str()));
            }
            if folder.is_empty() {
                return None;
            }
            folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }

    fn way(&self, to: &str, from: &HashMap<&str, &str>) -> String {
        let mut names = vec![self.name_of(to)];
        let mut current = to;
        while let Some(before) = from.get(current) {
            names.push(self.name_of(before));
            current = before;
        }
        names.retain(|name| !name.is_empty());
        names.reverse();
        names.join(" > ")
    }

    /// A package's name; empty for the repo itself.
    fn name_of<'l>(&'l self, folder: &'l str) -> &'l str {
        if folder.is_empty() {
            return "";
        }
        match folder.rsplit_once("node_modules/") {
            Some((_, name)) => name,
            None => {
                let name = self
                    .packages
                    .get(folder)
                    .and_then(|package| package.get("name"));
                name.and_then(Value::as_str).unwrap_or(folder)
            }
        }
    }
}

fn needs_of(package: &Value) -> impl Iterator<Item = &str> {
    let tables = NEEDS
        .iter()
        .filter_map(|table| package.get(*table)?.as_object());
    tables.flat_map(|table| table.keys().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{"lockfileVersion": 3, "packages": {
        "": {"name": "root", "devDependencies": {"toolbox": "1"}},
        "node_modules/main-worker": {"resolved": "workers/main", "link": true},
        "workers/main": {"name": "main-worker", "dependencies": {"web": "1"}},
        "node_modules/web": {"dependencies": {"parser": "1", "@x/y": "1"}},
        "node_modules/web/node_modules/parser": {"dependencies": {"web": "1"}},
        "node_modules/@x/y": {"dependencies": {"parser": "2", "main-worker": "1"}},
        "node_modules/parser": {},
        "node_modules/orphan": {},
        "node_modules/toolbox": {}
    }}"#;

    #[test]
    fn the_shortest_way_from_what_is_ours() {
        let lock = Lock::parse(LOCK).expect("a lockfile");
        for (folder, expected) in [
            ("node_modules/toolbox", Some("toolbox")),
            ("node_modules/web", Some("main-worker > web")),
            (
                "node_modules/web/node_modules/parser",
                Some("main-worker > web > parser"),
            ),
            (
                "node_modules/parser",
                Some("main-worker > web > @x/y > parser"),
            ),
            ("node_modules/orphan", None),
            ("node_modules/gone", None),
        ] {
            assert_eq!(lock.path_to(folder).as_deref(), expected, "{folder}");
        }
        assert!(Lock::parse("{}").is_none());
        assert!(Lock::parse("lockfileVersion: 9").is_none());
    }
}
