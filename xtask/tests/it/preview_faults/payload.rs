//! The repo that is previewed: two tiny workers with one of each kind of storage. Every push changes all of it.

use serde_json::{Value, json};

use crate::support::{ACCOUNT, DATABASE};

/// Short names, callees first.
pub const WORKERS: [&str; 2] = ["beta", "alpha"];
/// Values no file may hold.
pub const SECRETS: [(&str, &str); 1] = [("ALPHA_KEY", "canary-alpha-77c1e05d9a")];
/// What git must not see.
pub const IGNORED: &str = ".xtask\nnode_modules\n.wrangler\n";
/// The repository on GitHub.
pub const REPOSITORY: &str = "acme/sweep";

const NAMESPACE: &str = "c7f02d1be64e4a0f8d19c7e2b0f35d62";

/// The files of a push. `tag` names the Durable Object migration, `first` the table of the first SQL migration: what has
/// changed in one of them does not fit what is there.
pub fn files(n: u64, tag: u64, first: u64) -> Vec<(String, String)> {
    let mut files = vec![
        ("pipeline.toml".to_owned(), pipeline()),
        (
            "migrations/0001_first.sql".to_owned(),
            format!("CREATE TABLE first (x INTEGER, y{first} INTEGER);\n"),
        ),
        (
            "seed.sql".to_owned(),
            "CREATE TABLE IF NOT EXISTS towns (name TEXT PRIMARY KEY);\nINSERT OR IGNORE INTO towns VALUES ('Talihina');\n"
                .to_owned(),
        ),
    ];
    if n > 1 {
        let sql = format!("CREATE TABLE t{n} (x INTEGER);\n");
        files.push((format!("migrations/{n:04}_t{n}.sql"), sql));
    }
    for worker in WORKERS {
        let config = config(worker, tag).to_string();
        files.push((format!("workers/{worker}/wrangler.json"), config));
        files.push((format!("workers/{worker}/index.js"), code(worker, n)));
    }
    files
}

/// The same before the pull request: it is the one that brings the storage.
pub fn without_storage() -> Vec<(String, String)> {
    let mut bare = config("alpha", 1);
    let fields = bare.as_object_mut().expect("an object");
    fields.retain(|field, _| {
        !["d1_databases", "kv_namespaces", "r2_buckets"].contains(&field.as_str())
    });
    let database = "[databases.sweep-db]\nmigrations = \"migrations\"\nseed = \"seed.sql\"\n";
    vec![
        ("workers/alpha/wrangler.json".to_owned(), bare.to_string()),
        ("pipeline.toml".to_owned(), pipeline().replace(database, "")),
    ]
}

fn config(worker: &str, tag: u64) -> Value {
    let mut config = json!({
        "name": script(worker), "main": "index.js", "compatibility_date": "2026-01-01", "workers_dev": true,
        "version_metadata": {"binding": "META"},
    });
    let more = match worker {
        "alpha" => json!({
            "triggers": {"crons": ["5 4 * * *"]},
            "services": [{"binding": "BETA", "service": script("beta")}],
            "d1_databases": [{"binding": "DB", "database_name": "sweep-db", "database_id": DATABASE}],
            "kv_namespaces": [{"binding": "CACHE", "id": NAMESPACE}],
            "r2_buckets": [{"binding": "FILES", "bucket_name": "sweep-files"}],
        }),
        _ => json!({
            "durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
            "migrations": [{"tag": format!("v{tag}"), "new_sqlite_classes": ["Counter"]}],
        }),
    };
    let more = more.as_object().expect("an object").clone();
    config.as_object_mut().expect("an object").extend(more);
    config
}

fn code(worker: &str, n: u64) -> String {
    let answer = match worker {
        "alpha" => {
            "if (!env.ALPHA_KEY) return new Response('a secret is missing', { status: 500 });\n\
             if (new URL(request.url).pathname === '/beta') return env.BETA.fetch('http://b/alive/beta');\n\
             const town = await env.DB.prepare('SELECT name FROM towns').first('name');"
        }
        _ => {
            "const town = await env.COUNTER.getByName('one').fetch('http://c/').then((answer) => answer.text());"
        }
    };
    let object = match worker {
        "beta" => {
            "export class Counter extends DurableObject { fetch() { return new Response('one'); } }\n"
        }
        _ => "",
    };
    format!(
        "import {{ DurableObject }} from 'cloudflare:workers';\n{object}\
         export default {{ async fetch(request, env) {{\n{answer}\n\
         return Response.json({{ version: env.META.id, release: env.META.tag, town, n: {n} }});\n}} }};\n"
    )
}

/// The worker's name on Cloudflare.
pub fn script(worker: &str) -> String {
    format!("sweep-{worker}")
}

fn pipeline() -> String {
    let mut text = format!(
        "[project]\nname = \"sweep\"\n[cloudflare]\naccount_id = \"{ACCOUNT}\"\n\
         [databases.sweep-db]\nmigrations = \"migrations\"\nseed = \"seed.sql\"\n\
         [[preview.smoke]]\nworker = \"alpha\"\npath = \"/beta\"\nreaches = [\"beta\"]\n\
         [health]\nwithin = \"20s\"\ntimeout = \"20s\"\n[local]\nport = 0\nsubdomain = \"test\"\n"
    );
    for worker in WORKERS {
        text.push_str(&format!(
            "[workers.{worker}]\npath = \"workers/{worker}\"\nhealth = \"/alive/{worker}\"\n"
        ));
        if worker == "alpha" {
            text.push_str("secrets = [\"ALPHA_KEY\"]\nsmoke = [\"/alive/alpha?smoke\"]\n");
        }
    }
    text
}
