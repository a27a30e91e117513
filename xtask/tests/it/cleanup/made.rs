//! Previews made through the API, with the names, tags and markers `preview` gives them: quicker than `preview`, and as
//! broken as a test needs them.

use serde_json::{Value, json};
use xtask::preview::{Key, names};

use crate::support::{ACCOUNT, DATABASE, World, repo};

/// The repository the pull requests are of.
pub const REPO: &str = "acme/site";

const CODE: &str = "export default { fetch() { return new Response(NAME); } };";

/// The small set, with a bucket.
pub fn sources() -> Vec<(&'static str, &'static str)> {
    let mut files = repo::small_set();
    for (path, text) in &mut files {
        if *path == "workers/site/wrangler.toml" {
            let with_bucket = format!(
                "{text}\n[[r2_buckets]]\nbinding = \"IMAGES\"\nbucket_name = \"small-images\"\n"
            );
            *text = Box::leak(with_bucket.into_boxed_str());
        }
    }
    files
}

/// What tells the small set's previews from those of other repos.
pub fn own() -> String {
    names::repo_hash(ACCOUNT, "small")
}

pub fn marker(key: Key) -> String {
    names::marker(key, &own())
}

/// What marks a bucket.
pub fn rule(key: Key) -> String {
    names::rule(key, &own())
}

/// A whole preview: three Workers, bound to each other and to a database, a namespace and a bucket with something in it.
pub fn made(world: &World, key: Key) {
    let suffix = key.suffix();
    let database = database(
        world,
        &format!("small-db-{suffix}"),
        Some((&own(), &suffix)),
    );
    let mark = marker(key);
    let cache = namespace(
        world,
        &format!("small-kv-b6b44e27-{suffix}"),
        &[("xtask-preview", &mark), ("page", "cached")],
    );
    let images = format!("small-images-{suffix}");
    bucket(
        world,
        &images,
        Some(&rule(key)),
        &[("logo.png", "png"), ("a/b c.png", "png")],
    );
    let tags = names::tags(key, &own());
    set(
        world,
        &format!("-{suffix}"),
        &tags,
        [&database, &cache, &images],
    );
}

/// The id of production's namespace, as the configs give it.
const CACHE: &str = "b6b44e270e4b4f6c8d19c7e2b0f35d62";

/// Makes what the configs name as production's exist, as in an account in use.
pub fn adopted(world: &World) {
    let body = json!({
        "d1": [{"id": DATABASE, "name": "small-db"}],
        "kv": [{"id": CACHE, "title": "CACHE"}],
        "r2": ["small-images"],
    });
    world.cloud().local("POST", "/resources", Some(body));
}

/// Production's Workers and data, under the names and ids the configs give.
pub fn production(world: &World) {
    adopted(world);
    world.query("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('production');");
    put(
        world,
        &format!("/storage/kv/namespaces/{CACHE}/values/page"),
        "production's",
    );
    object(world, "small-images", "logo.png", "production's");
    set(world, "", &[], [DATABASE, CACHE, "small-images"]);
}

fn set(world: &World, suffix: &str, tags: &[String], [database, cache, images]: [&str; 3]) {
    let name = |base: &str| format!("{base}{suffix}");
    let (site, agent, api) = (name("small-site"), name("small-agent"), name("small-api"));
    let service = |binding: &str, target: &str| json!({"type": "service", "name": binding, "service": target});
    let db = json!({"type": "d1", "name": "DB", "id": database});
    worker(world, &api, std::slice::from_ref(&db), tags);
    worker(world, &agent, &[service("API", &api)], tags);
    let kv = json!({"type": "kv_namespace", "name": "CACHE", "namespace_id": cache});
    let r2 = json!({"type": "r2_bucket", "name": "IMAGES", "bucket_name": images});
    worker(
        world,
        &site,
        &[service("API", &api), service("AGENT", &agent), db, kv, r2],
        tags,
    );
    for script in [site, agent, api] {
        let path = format!("/workers/scripts/{script}/subdomain");
        world
            .cloud()
            .result("POST", &path, Some(json!({"enabled": true})));
    }
}

/// A Worker that answers its own name.
#[track_caller]
pub fn worker(world: &World, script: &str, bindings: &[Value], tags: &[String]) {
    let metadata = json!({"main_module": "w.js", "bindings": bindings, "tags": tags, "compatibility_date": "2026-09-01"});
    let code = CODE.replace("NAME", &format!("{script:?}"));
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"w.js\"; filename=\"w.js\"\r\nContent-Type: application/javascript+module\r\n\r\n{code}\r\n--b--\r\n"
    );
    let path = format!("/client/v4/accounts/{ACCOUNT}/workers/scripts/{script}");
    let headers = [
        ("authorization", "Bearer x"),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    let answer = world
        .cloud()
        .edge("PUT", "127.0.0.1", &path, &headers, &form);
    assert_eq!(answer.status, 200, "{answer}");
}

/// A database, marked as of a repo's preview; its id.
pub fn database(world: &World, name: &str, mark: Option<(&str, &str)>) -> String {
    let made = world
        .cloud()
        .result("POST", "/d1/database", Some(json!({"name": name})));
    let id = made["uuid"].as_str().expect("an id").to_owned();
    if let Some((repo, preview)) = mark {
        let sql = format!(
            "CREATE TABLE xtask_preview (repo TEXT, preview TEXT); INSERT INTO xtask_preview VALUES ('{repo}', '{preview}'); \
             CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('a note');"
        );
        world.query_in(&id, &sql);
    }
    id
}

/// A namespace with keys; its id.
pub fn namespace(world: &World, title: &str, pairs: &[(&str, &str)]) -> String {
    let body = json!({"title": title});
    let made = world
        .cloud()
        .result("POST", "/storage/kv/namespaces", Some(body));
    let id = made["id"].as_str().expect("an id").to_owned();
    for (key, value) in pairs {
        put(
            world,
            &format!("/storage/kv/namespaces/{id}/values/{key}"),
            value,
        );
    }
    id
}

/// A bucket with objects; `mark` is what says whose it is.
pub fn bucket(world: &World, name: &str, mark: Option<&str>, objects: &[(&str, &str)]) {
    world
        .cloud()
        .result("POST", "/r2/buckets", Some(json!({"name": name})));
    if let Some(mark) = mark {
        let rule = json!({"id": mark, "enabled": false, "conditions": {"prefix": ""}});
        let path = format!("/r2/buckets/{name}/lifecycle");
        let rules = json!({"rules": [rule]});
        world.cloud().result("PUT", &path, Some(rules));
    }
    for (key, text) in objects {
        object(world, name, key, text);
    }
}

/// An object.
pub fn object(world: &World, bucket: &str, key: &str, text: &str) {
    let key: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
    put(world, &format!("/r2/buckets/{bucket}/objects/{key}"), text);
}

#[track_caller]
fn put(world: &World, path: &str, text: &str) {
    let path = format!("/client/v4/accounts/{ACCOUNT}{path}");
    let headers = [
        ("authorization", "Bearer x"),
        ("content-type", "text/plain"),
    ];
    let answer = world
        .cloud()
        .edge("PUT", "127.0.0.1", &path, &headers, text);
    assert_eq!(answer.status, 200, "{path}: {answer}");
}

/// A pull request on the local GitHub.
pub fn open_pull(world: &World, number: u64, state: &str) {
    let body = json!({"repo": REPO, "number": number, "state": state, "branch": format!("topic-{number}")});
    world.cloud().local("POST", "/github/pulls", Some(body));
}

/// A request to the local GitHub, below the repository.
#[track_caller]
pub fn github(world: &World, method: &str, path: &str, body: Option<Value>) -> Value {
    let headers = [
        ("authorization", "Bearer ghs_x"),
        ("user-agent", "test"),
        ("content-type", "application/json"),
    ];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let path = format!("/github/repos/{REPO}{path}");
    let answer = world
        .cloud()
        .edge(method, "127.0.0.1", &path, &headers, &body);
    assert!(
        (200..300).contains(&answer.status),
        "{method} {path}: {answer}"
    );
    answer.json()
}

/// The journalled deletes, in order.
pub fn deletions(world: &World) -> Vec<String> {
    let all = world.requests().into_iter();
    all.filter(|line| line.starts_with("DELETE ")).collect()
}
