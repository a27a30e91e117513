//! A local cloud of a test's own, and plain HTTP to it. Knows its control endpoints.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ACCOUNT, setup};

/// A running local cloud; it ends with its standard input, so also when the test program is killed.
pub struct Cloud {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
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
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the local cloud starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the local cloud announces itself");
        let server: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let port = server["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        Cloud {
            child,
            port: port.expect("a port"),
        }
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
        let path = format!("/client/v4/accounts/{ACCOUNT}{path}");
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
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let patience = Some(Duration::from_secs(120));
        stream
            .set_read_timeout(patience)
            .expect("a timeout can be set");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .ok()?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).ok()?;
        Answer::parse(&raw)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // Closing its standard input ends it in good order; the kill is for the case that it hangs.
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    fn parse(raw: &[u8]) -> Option<Answer> {
        let split = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&raw[..split]).to_ascii_lowercase();
        let status = head.lines().next()?.split(' ').nth(1)?.parse().ok()?;
        let chunked = head
            .lines()
            .any(|line| line == "transfer-encoding: chunked");
        let body = if chunked {
            dechunk(&raw[split + 4..])
        } else {
            raw[split + 4..].to_vec()
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Some(Answer { status, body })
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The body as JSON; the status must be 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self}");
        self.json()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.body)
    }
}

fn dechunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&raw[..end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 || end + 2 + size > raw.len() {
            break;
        }
        body.extend_from_slice(&raw[end + 2..end + 2 + size]);
        raw = raw.get(end + 4 + size..).unwrap_or_default();
    }
    body
}
