//! A local cloud of a test's own, and plain HTTP to it. Knows its control endpoints.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the boundary to the local cloud"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub use super::loopback::Answer;
use super::{ACCOUNT, loopback, setup};

/// A running local cloud; it ends with its standard input, so also when the test program is killed.
pub struct Cloud {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The account of its API requests.
    pub account: &'static str,
}

impl Cloud {
    /// Starts one with its state where the repo's pipeline looks for it.
    pub fn start(program: &Path, repo: &Path) -> Cloud {
        let modules = setup::node_modules();
        let state = repo.join(".xtask/local-cloud");
        std::fs::create_dir_all(&state).expect("a folder can be made");
        let mut child = Command::new(program)
            .args(["serve", "--port", "0", "--exit-with-stdin"])
            .args(["--subdomain", "test", "--state"])
            .arg(&state)
            .arg("--repo-root")
            .arg(modules.parent().unwrap_or(modules))
            .env("TMPDIR", repo.with_file_name("home"))
            // Else every new cloud would compile miniflare for itself.
            .env("NODE_COMPILE_CACHE", setup::compile_cache())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the local cloud starts");
        let port = loopback::announced_port(&mut child);
        Cloud {
            child,
            port,
            account: ACCOUNT,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `CLOUDFLARE_API_BASE_URL`.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}/client/v4", self.port)
    }

    /// A request to `/_local/…`; must answer 200 with JSON.
    #[track_caller]
    pub fn local(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.control(method, &format!("/_local{path}"), body);
        assert_eq!(answer.status, 200, "{method} {path}: {answer}");
        answer.json()
    }

    /// An API request below the account, which must succeed; the result. It is journalled like any other.
    #[track_caller]
    pub fn result(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let path = format!("/client/v4/accounts/{}{path}", self.account);
        let envelope = self.control(method, &path, body).json();
        assert_eq!(envelope["success"], true, "{method} {path}: {envelope}");
        envelope["result"].clone()
    }

    /// Any request to the control host.
    #[track_caller]
    pub fn control(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let headers = [
            ("authorization", "Bearer test-token"),
            ("content-type", "application/json"),
        ];
        self.http(method, "127.0.0.1", path, &headers, &body)
            .expect("an HTTP answer")
    }

    /// A request for a Worker; `host` without port.
    #[track_caller]
    pub fn edge(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.http(method, host, path, headers, body)
            .expect("an HTTP answer")
    }

    /// One HTTP request on a connection of its own; `None` when the server closed it without an answer.
    pub fn http(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let target = (method, host, path);
        loopback::request(self.port, target, headers, body.as_bytes())
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        loopback::end(&mut self.child);
    }
}
