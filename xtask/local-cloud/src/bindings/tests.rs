//! Targets that exist and targets that do not; inheritance; adoption.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::state::Script;

fn resource(id: &str) -> ResourceId {
    ResourceId::new(id).expect("a usable id")
}

fn account() -> State {
    let mut state = State::default();
    let mut other = Script {
        versions: vec![Version::default()],
        ..Script::default()
    };
    other.durable_objects.insert(
        "Room".into(),
        DurableObjectNamespace {
            id: "1".into(),
            sqlite: true,
        },
    );
    state.scripts.insert("other".into(), other);
    state
        .kv
        .insert(resource("kv1"), KvNamespace { title: "t".into() });
    state
}

fn check_one(binding: Value, expected: Expect) {
    let outcome = check(&account(), "api", &[binding], &BTreeMap::new());
    expected.assert_eq(&outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned()));
}

#[test]
fn every_target_must_exist() {
    check_one(
        json!({"name": "KV", "type": "kv_namespace", "namespace_id": "kv1"}),
        expect!["ok"],
    );
    check_one(
        json!({"name": "KV", "type": "kv_namespace", "namespace_id": "no"}),
        expect![
            "KV namespace 'no' not found. Please use a different one and try again. (binding 'KV') [code: 10041]"
        ],
    );
    check_one(
        json!({"name": "DB", "type": "d1", "id": "no"}),
        expect![
            "D1 database 'no' not found. Please use a different one and try again. (binding 'DB') [code: 10181]"
        ],
    );
    check_one(
        json!({"name": "Q", "type": "queue", "queue_name": "no"}),
        expect![
            "Queue 'no' not found. Please use a different one and try again. (binding 'Q') [code: 11000]"
        ],
    );
    check_one(
        json!({"name": "Q", "type": "queue"}),
        expect!["binding Q of type queue must have a queue specified [code: 10021]"],
    );
    check_one(
        json!({"name": "S", "type": "service", "service": "other"}),
        expect!["ok"],
    );
    check_one(
        json!({"name": "ME", "type": "service", "service": "api"}),
        expect!["ok"],
    );
    check_one(
        json!({"name": "S", "type": "service", "service": "no"}),
        expect![
            "Could not resolve service binding 'S'. Target script 'no' not found. Please verify the target script and try again. [code: 10143]"
        ],
    );
    check_one(
        json!({"name": "R", "type": "durable_object_namespace", "class_name": "Room", "script_name": "other"}),
        expect!["ok"],
    );
    check_one(
        json!({"name": "R", "type": "durable_object_namespace", "class_name": "Room"}),
        expect![
            "Cannot create binding for class 'Room' because it is not currently configured to implement Durable Objects. Did you forget to apply a new-class migration? [code: 10061]"
        ],
    );
}

#[test]
fn inherit_and_keep_take_from_the_latest_version() {
    let latest = Version {
        bindings: vec![
            json!({"name": "A", "type": "plain_text", "text": "1"}),
            json!({"name": "S", "type": "secret_text", "text": "s"}),
            json!({"name": "T", "type": "secret_text", "text": "t"}),
        ],
        ..Version::default()
    };
    let uploaded = [
        json!({"name": "A", "type": "inherit"}),
        json!({"name": "T", "type": "secret_text", "text": "new"}),
    ];
    let resolved =
        resolve(Some(&latest), &uploaded, &["secret_text".to_owned()], true).expect("resolves");
    let texts: Vec<String> = resolved
        .iter()
        .map(|binding| format!("{}={}", text(binding, "name"), text(binding, "text")))
        .collect();
    assert_eq!(texts, ["A=1", "T=new", "S=s"]);
}

#[test]
fn inherit_without_source_fails_only_when_strict() {
    let uploaded = [json!({"name": "A", "type": "inherit"})];
    assert_eq!(resolve(None, &uploaded, &[], false), Ok(Vec::new()));
    assert_eq!(
        resolve(None, &uploaded, &[], true).map_err(|error| error.code),
        Err(10057)
    );
}

#[test]
fn adoption_is_done_once() {
    let bindings = [
        json!({"name": "DB", "type": "d1", "id": "x"}),
        json!({"name": "B", "type": "r2_bucket", "bucket_name": "b"}),
    ];
    let mut state = account();
    assert_eq!(
        adopt(&mut state, &bindings, "now"),
        ["D1 database x", "R2 bucket b"]
    );
    assert!(adopt(&mut state, &bindings, "now").is_empty());
    let outside = json!({"name": "DB", "type": "d1", "id": "../../victim"});
    assert!(adopt(&mut state, &[outside], "now").is_empty());
    assert_eq!(check_storage(&state, &bindings), Ok(()));
}
