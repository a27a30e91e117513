//! The repo that is swept: two tiny workers and a database, and how a cloud is brought back to where it was. Knows nothing of
//! faults.

use std::borrow::Borrow;
use std::fs;

use serde_json::{Value, json};

use crate::faults_database::seen::{Seen, look};
use crate::support::{ACCOUNT, DATABASE, World};

pub const SCRIPTS: [&str; 2] = ["sweep-alpha", "sweep-beta"];
/// Values no file may hold.
pub const SECRETS: [(&str, &str); 1] = [("ALPHA_KEY", "canary-alpha-5d0c1e77a9")];

const PIPELINE: &str = r#"
[cloudflare]
account_id = "0123456789abcdef0123456789abcdef"

[workers.alpha]
path = "workers/alpha"
secrets = ["ALPHA_KEY"]
health = "/alive/alpha"

[workers.beta]
path = "workers/beta"
health = "/alive/beta"

[databases.sweep-db]
migrations = "migrations"

[health]
within = "3s"

[local]
port = 0
subdomain = "test"
"#;

/// A repo with its cloud.
pub struct Shop {
    pub inner: World,
    /// Where points start from; none before the first one.
    pub start: Option<Start>,
}

/// What a point starts from, and what there was on the way there.
pub struct Start {
    /// Script → the version that serves, and the crons of alpha, of each release.
    pub releases: Vec<Seen>,
    /// The bookmark that the record of the second release goes back to.
    early: String,
    /// The bookmark of the start itself.
    late: String,
}

impl Borrow<World> for Shop {
    fn borrow(&self) -> &World {
        &self.inner
    }
}

impl Shop {
    pub fn new() -> Shop {
        let mut inner = World::of(&[
            (".gitignore", ".xtask\nnode_modules\n.wrangler\n"),
            ("pipeline.toml", PIPELINE),
        ])
        .with_stand_in();
        for (name, value) in SECRETS {
            inner.set(name, value);
        }
        Shop { inner, start: None }
    }

    /// The files of a release. The first two bring a migration each.
    pub fn release(&self, n: u64) {
        let alpha = json!({
            "name": "sweep-alpha", "main": "index.js", "compatibility_date": "2026-01-01",
            "version_metadata": {"binding": "META"},
            "triggers": {"crons": [format!("{n} 4 * * *")]},
            "routes": [{"pattern": "alpha.sweep.test", "custom_domain": true}],
            "services": [{"binding": "BETA", "service": "sweep-beta"}],
            "d1_databases": [{"binding": "DB", "database_name": "sweep-db", "database_id": DATABASE}],
        });
        let beta = json!({
            "name": "sweep-beta", "main": "index.js", "compatibility_date": "2026-01-01",
            "version_metadata": {"binding": "META"},
        });
        let code = format!(
            "export default {{ fetch(request, env) {{ return Response.json({{ version: env.META.id, n: {n} }}); }}, scheduled() {{}} }};\n"
        );
        for (worker, config) in [("alpha", alpha), ("beta", beta)] {
            let path = format!("workers/{worker}/wrangler.json");
            self.inner.edit(&path, &config.to_string());
            self.inner
                .edit(&format!("workers/{worker}/index.js"), &code);
        }
        if n <= 2 {
            self.migration(n);
        }
        self.inner.commit(&format!("release {n}"));
    }

    /// A migration that makes a table with one row; gives its text.
    pub fn migration(&self, n: u64) -> String {
        let text = format!("CREATE TABLE t{n} (x INTEGER);\nINSERT INTO t{n} VALUES ({n});\n");
        self.inner
            .edit(&format!("migrations/{n:04}_t{n}.sql"), &text);
        text
    }

    /// A cloud with nothing but an empty database, and a repo without migrations.
    pub fn empty(&self) {
        self.inner.cloud().local("POST", "/reset", None);
        let adopted = json!({"d1": [{"id": DATABASE, "name": "sweep-db"}]});
        self.inner
            .cloud()
            .local("POST", "/resources", Some(adopted));
        for folder in [".xtask/releases", ".xtask/restore", "migrations"] {
            let _ = fs::remove_dir_all(self.inner.root().join(folder));
        }
    }

    /// The bookmark of now.
    pub fn bookmark(&self) -> String {
        let path = format!("/d1/database/{DATABASE}/time_travel/bookmark");
        let answer = self.inner.cloud().result("GET", &path, None);
        answer["bookmark"].as_str().expect("a bookmark").to_owned()
    }

    /// Takes the database to a bookmark; false when the cloud keeps it no longer.
    pub fn travel(&self, bookmark: &str) -> bool {
        let path = format!(
            "/client/v4/accounts/{ACCOUNT}/d1/database/{DATABASE}/time_travel/restore?bookmark={bookmark}"
        );
        let answer = self.inner.cloud().control("POST", &path, Some(json!({})));
        answer.json()["success"] == true
    }

    /// Three releases: two with a migration, and one with code and a cron only.
    fn set_up(&mut self) {
        self.empty();
        let mut releases = Vec::new();
        for n in 1..=3 {
            self.release(n);
            self.inner.deploy();
            if n < 3 {
                let sql = format!("INSERT INTO t{n} VALUES (1{n}), (2{n})");
                self.inner.query(&sql);
            }
            releases.push(look(&self.inner));
        }
        let early = self.inner.query(
            "SELECT json_extract(record, '$.restore_points.sweep-db') AS early FROM xtask_releases WHERE number = 2",
        );
        self.start = Some(Start {
            releases,
            early: early[0]["early"]
                .as_str()
                .expect("a restore point")
                .to_owned(),
            late: self.bookmark(),
        });
    }

    /// The third release serves, and the database is as it was then. The cloud keeps few bookmarks, so both that a point
    /// needs are made anew.
    pub fn rewind(&mut self) {
        let _ = fs::remove_dir_all(self.inner.root().join(".xtask/restore"));
        let Some(mut start) = self.start.take() else {
            return self.set_up();
        };
        if !self.travel(&start.early) {
            return self.set_up();
        }
        let early = self.bookmark();
        if !self.travel(&start.late) {
            return self.set_up();
        }
        let (old, new) = (&start.early, &early);
        self.inner.query(&format!(
            "UPDATE xtask_releases SET record = replace(record, '{old}', '{new}')"
        ));
        start.early = early;
        start.late = self.bookmark();
        let third = &start.releases[2];
        for script in SCRIPTS {
            let (version, _) = &third.serving[script][0];
            let body = json!({"strategy": "percentage",
                              "versions": [{"version_id": version, "percentage": 100}]});
            let path = format!("/workers/scripts/{script}/deployments?force=true");
            self.inner.cloud().result("POST", &path, Some(body));
        }
        let crons: Vec<Value> = third
            .crons
            .iter()
            .map(|cron| json!({"cron": cron}))
            .collect();
        let path = "/workers/scripts/sweep-alpha/schedules";
        self.inner.cloud().result("PUT", path, Some(json!(crons)));
        self.start = Some(start);
    }
}
