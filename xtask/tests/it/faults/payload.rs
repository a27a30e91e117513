//! The repo that the sweep ships: two tiny workers, one of which calls the other, and a database. Every release changes all
//! of it. Two are the fewest of which one can be ahead of the other, and each more makes the sweep longer by its square.

use serde_json::{Value, json};

use crate::support::{ACCOUNT, DATABASE};

/// Short names, callees first.
pub const WORKERS: [&str; 2] = ["beta", "alpha"];
/// Where the public finds alpha.
pub const DOMAIN: &str = "alpha.sweep.test";
/// Values no file may hold.
pub const SECRETS: [(&str, &str); 2] = [
    ("ALPHA_KEY", "canary-alpha-5d0c1e77a9"),
    ("BETA_KEY", "canary-beta-93b1f6c24e"),
];
/// What git must not see.
pub const IGNORED: &str = ".xtask\nnode_modules\n.wrangler\n";

/// The files of a release, `durable` being those that brought a Durable Object class.
pub fn files(n: u64, durable: &[u64]) -> Vec<(String, String)> {
    let mut files = vec![
        ("pipeline.toml".to_owned(), pipeline()),
        (
            format!("migrations/{n:04}_t{n}.sql"),
            format!("CREATE TABLE t{n} (x INTEGER);\nINSERT INTO t{n} VALUES ({n});\n"),
        ),
        ("workers/alpha/public/n.txt".to_owned(), n.to_string()),
    ];
    for worker in WORKERS {
        let config = config(worker, n, durable).to_string();
        files.push((format!("workers/{worker}/wrangler.json"), config));
        files.push((
            format!("workers/{worker}/index.js"),
            code(worker, n, durable),
        ));
    }
    files
}

fn config(worker: &str, release: u64, durable: &[u64]) -> Value {
    let mut config = json!({
        "name": script(worker), "main": "index.js", "compatibility_date": "2026-01-01",
        "version_metadata": {"binding": "META"},
    });
    let more = match worker {
        "alpha" => json!({
            "triggers": {"crons": [cron(release)]},
            "routes": [{"pattern": DOMAIN, "custom_domain": true}],
            "assets": {"directory": "public", "binding": "ASSETS", "run_worker_first": true},
            "services": [{"binding": "BETA", "service": script("beta")}],
            "d1_databases": [{"binding": "DB", "database_name": "sweep-db", "database_id": DATABASE}],
        }),
        _ => json!({
            "durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter1"}]},
            "migrations": durable.iter().map(|n| json!({"tag": format!("v{n}"),
                "new_sqlite_classes": [format!("Counter{n}")]})).collect::<Vec<_>>(),
        }),
    };
    let more = more.as_object().expect("an object").clone();
    config.as_object_mut().expect("an object").extend(more);
    config
}

/// The cron of a release.
pub fn cron(release: u64) -> String {
    format!("{} 4 * * *", release % 60)
}

fn code(worker: &str, release: u64, durable: &[u64]) -> String {
    let ask = match worker {
        "alpha" => {
            "await env.DB.prepare('SELECT 1').run(); await env.BETA.fetch('http://b/alive/beta')"
        }
        _ => "await env.COUNTER.get(env.COUNTER.idFromName('one')).fetch('http://c/')",
    };
    let secret = match worker {
        "alpha" => "env.ALPHA_KEY",
        _ => "env.BETA_KEY",
    };
    let mut code = format!(
        "import {{ DurableObject }} from 'cloudflare:workers';\n\
             export default {{\n  async fetch(request, env) {{\n    {ask};\n    \
             if (!{secret}) return new Response('a secret is missing', {{ status: 500 }});\n    \
             return Response.json({{ version: env.META.id, n: {} }});\n  }},\n  scheduled() {{}},\n}};\n",
        release
    );
    for n in durable.iter().filter(|_| worker == "beta") {
        code.push_str(&format!(
                "export class Counter{n} extends DurableObject {{ fetch() {{ return new Response('{n}'); }} }}\n"
            ));
    }
    code
}

/// The worker's name on Cloudflare.
pub fn script(worker: &str) -> String {
    format!("sweep-{worker}")
}

fn pipeline() -> String {
    let mut text = format!(
        "[project]\nname = \"sweep\"\n[cloudflare]\naccount_id = \"{ACCOUNT}\"\n\
         [databases.sweep-db]\nmigrations = \"migrations\"\n\
         [health]\nwithin = \"20s\"\ntimeout = \"20s\"\n[local]\nport = 0\nsubdomain = \"test\"\n"
    );
    for worker in WORKERS {
        text.push_str(&format!(
            "[workers.{worker}]\npath = \"workers/{worker}\"\nhealth = \"/alive/{worker}\"\nsecrets = [\"{}_KEY\"]\n",
            worker.to_uppercase()
        ));
    }
    text
}
