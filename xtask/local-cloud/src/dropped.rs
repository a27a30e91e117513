//! Storage that is no longer the account's, but whose files are still there: the runtime may have them open, and taking
//! them away from it would cost a restart. They go when the next world is applied, which does not have them any more.
//!
//! It is part of the state, so that a server that was killed in between remembers. Knows no file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::resource_id::{ResourceId, usable};
use crate::state::State;

/// What is to be removed, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    /// Database UUIDs.
    #[serde(deserialize_with = "usable")]
    pub d1: BTreeSet<ResourceId>,
    /// KV namespace ids.
    #[serde(deserialize_with = "usable")]
    pub kv: BTreeSet<ResourceId>,
    /// Bucket names.
    #[serde(deserialize_with = "usable")]
    pub r2: BTreeSet<ResourceId>,
    /// Ids of Durable Object namespaces.
    pub objects: BTreeSet<String>,
}

impl Dropped {
    /// Notes what an account had before a change and has no more.
    pub fn note(&mut self, before: &State, after: &State) {
        self.d1
            .extend(gone(before.d1.keys(), |id| after.d1.contains_key(id)));
        self.kv
            .extend(gone(before.kv.keys(), |id| after.kv.contains_key(id)));
        self.r2
            .extend(gone(before.r2.keys(), |id| after.r2.contains_key(id)));
        // One that was transferred to another Worker lives on there.
        let lives: BTreeSet<&String> = objects(after).collect();
        self.objects
            .extend(gone(objects(before), |id| lives.contains(id)));
    }

    /// Nothing is to be removed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Something of this name exists again, and must not find what the one before it held.
    pub fn is_back(&self, state: &State) -> bool {
        self.d1.iter().any(|id| state.d1.contains_key(id))
            || self.kv.iter().any(|id| state.kv.contains_key(id))
            || self.r2.iter().any(|name| state.r2.contains_key(name))
    }

    /// Forgets what was removed.
    pub fn remove(&mut self, removed: &Self) {
        self.d1.retain(|id| !removed.d1.contains(id));
        self.kv.retain(|id| !removed.kv.contains(id));
        self.r2.retain(|name| !removed.r2.contains(name));
        self.objects.retain(|id| !removed.objects.contains(id));
    }
}

fn gone<'a, Id: Clone + 'a>(
    had: impl Iterator<Item = &'a Id>,
    has: impl Fn(&Id) -> bool,
) -> impl Iterator<Item = Id> {
    had.filter(move |id| !has(id)).cloned()
}

fn objects(state: &State) -> impl Iterator<Item = &String> {
    let scripts = state.scripts.values();
    scripts.flat_map(|script| {
        script
            .durable_objects
            .values()
            .map(|namespace| &namespace.id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{DurableObjectNamespace, KvNamespace, R2Bucket};

    fn resource(id: &str) -> ResourceId {
        ResourceId::new(id).expect("a usable id")
    }

    fn state(kv: &[&str], r2: &[&str], objects: &[(&str, &str)]) -> State {
        let mut state = State::default();
        for id in kv {
            let title = format!("title of {id}");
            state.kv.insert(resource(id), KvNamespace { title });
        }
        for name in r2 {
            let creation_date = "now".to_owned();
            state
                .r2
                .insert(resource(name), R2Bucket::created(creation_date));
        }
        for (script, id) in objects {
            let namespace = DurableObjectNamespace {
                id: (*id).to_owned(),
                sqlite: true,
            };
            let script = state.scripts.entry((*script).to_owned()).or_default();
            script.durable_objects.insert("Room".to_owned(), namespace);
        }
        state
    }

    #[test]
    fn what_is_gone_is_noted_and_what_moved_is_not() {
        let before = state(
            &["k1", "k2"],
            &["b1"],
            &[("old", "moved"), ("gone", "lost")],
        );
        let after = state(&["k2", "k3"], &["b1"], &[("new", "moved")]);
        let mut dropped = Dropped::default();
        dropped.note(&before, &after);
        assert_eq!(dropped.kv, BTreeSet::from([resource("k1")]));
        assert_eq!(dropped.objects, BTreeSet::from(["lost".to_owned()]));
        assert!(dropped.d1.is_empty() && dropped.r2.is_empty());
        assert!(!dropped.is_back(&after));
        assert!(dropped.is_back(&before));

        // What is dropped while the first is being removed stays noted.
        let first = dropped.clone();
        dropped.note(&after, &state(&["k2", "k3"], &[], &[("new", "moved")]));
        dropped.remove(&first);
        assert_eq!(dropped.r2, BTreeSet::from([resource("b1")]));
        assert!(!dropped.is_empty());
        dropped.remove(&dropped.clone());
        assert!(dropped.is_empty());
    }
}
