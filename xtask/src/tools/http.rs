//! HTTP through `curl`, fed by a config on stdin: a token never stands in argv, and no TLS stack has to be compiled.
//! Knows nothing of Cloudflare or GitHub.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::error::Fail;

/// A body longer than this goes through a file: older curls limit the length of a config line to 100 kB.
const INLINE_BODY_MAX: usize = 60_000;

/// How the pipeline calls itself, in every request of its own.
pub const USER_AGENT: &str = concat!("xtask/", env!("CARGO_PKG_VERSION"));

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Header names and values; a token belongs here.
    pub headers: Vec<(String, String)>,
    /// The body, sent as it is.
    pub body: Option<String>,
    /// `host:port` to open the connection to, whatever the URL says: how production host names reach the local cloud.
    pub connect_to: Option<String>,
    /// The longest the whole exchange may take.
    pub timeout_secs: u64,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// curl's own words.
    pub message: String,
    /// False when the request certainly never reached the server (no connection was made).
    pub maybe_received: bool,
}

impl Response {
    /// The first header of a name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Request {
    /// A GET with a ten-second limit.
    pub fn get(url: impl Into<String>) -> Request {
        Request {
            method: "GET".to_owned(),
            url: url.into(),
            timeout_secs: 10,
            ..Request::default()
        }
    }
}

/// Sends one request.
pub fn send(request: &Request) -> anyhow::Result<Result<Response, NoAnswer>> {
    let mut answers = send_all(std::slice::from_ref(request))?;
    Ok(answers.remove(0))
}

/// Refuses when there is no curl. For callers to whom no answer is an answer: they must not take its absence for one.
pub fn installed() -> anyhow::Result<()> {
    match which::which("curl") {
        Ok(_) => Ok(()),
        Err(error) => Err(no_curl(error.to_string()).into()),
    }
}

fn no_curl(why: String) -> Fail {
    Fail::setup("`curl` cannot be run")
        .why(why)
        .fix("install curl (apt-get install curl, brew install curl) and run the command again")
}

/// Sends requests one after the other over as few connections as possible, in one curl process.
/// Errors only when curl itself cannot be run.
pub fn send_all(requests: &[Request]) -> anyhow::Result<Vec<Result<Response, NoAnswer>>> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let marker = marker();
    let mut files = Vec::new();
    let mut config = String::new();
    for (index, request) in requests.iter().enumerate() {
        if index > 0 {
            config.push_str("next\n");
        }
        write_transfer(&mut config, request, &marker, &mut files)?;
    }
    let mut child = spawn()?;
    // A curl that dies early closes the pipe; its exit tells more than the write error would.
    let _ = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(config.as_bytes()));
    let output = child
        .wait_with_output()
        .context("failed to wait for curl")?;
    for file in files {
        drop(file);
    }
    let answers = parse(&String::from_utf8_lossy(&output.stdout), &marker);
    if answers.len() != requests.len() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        anyhow::bail!(
            "curl answered {} of {} requests: {stderr}",
            answers.len(),
            requests.len()
        );
    }
    Ok(answers)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the curl boundary: short-lived, no process group, no log"
)]
fn spawn() -> anyhow::Result<Child> {
    // `--disable` comes first: a `.curlrc` must not change what the pipeline sends.
    std::process::Command::new("curl")
        .args(["--disable", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| no_curl(error.to_string()).into())
}

/// Removes a body's file when the exchange is over, however it ended.
struct BodyFile(std::path::PathBuf);

impl Drop for BodyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write_transfer(
    config: &mut String,
    request: &Request,
    marker: &str,
    files: &mut Vec<BodyFile>,
) -> anyhow::Result<()> {
    let mut option = |name: &str, value: &str| {
        config.push_str(&format!("{name} = {}\n", quote(value)));
    };
    option("url", &request.url);
    option("request", &request.method);
    option("max-time", &request.timeout_secs.max(1).to_string());
    option("connect-timeout", "10");
    option("noproxy", "127.0.0.1,localhost,::1,.localhost");
    if let Some(target) = &request.connect_to {
        option("connect-to", &format!("::{target}"));
    }
    for (name, value) in &request.headers {
        option(
            "header",
            &format!("{name}: {}", value.replace(['\r', '\n'], " ")),
        );
    }
    // No `100 Continue` round trip; it would add a header block, too.
    option("header", "Expect:");
    match &request.body {
        Some(body) if body.len() > INLINE_BODY_MAX => {
            let path = body_file(body, marker, files.len())?;
            option("data-binary", &format!("@{}", path.0.display()));
            files.push(path);
        }
        Some(body) => option("data-raw", body),
        None => {}
    }
    option(
        "write-out",
        &format!("\n{marker} %{{http_code}} %{{exitcode}} %{{errormsg}}\n"),
    );
    // A key of an object may be `..`: the path goes out as it stands.
    config.push_str("silent\ninclude\nsuppress-connect-headers\ngloboff\npath-as-is\n");
    Ok(())
}

fn body_file(body: &str, marker: &str, index: usize) -> anyhow::Result<BodyFile> {
    let path = std::env::temp_dir().join(format!("xtask-{marker}-{index}"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = BodyFile(path);
    options
        .open(&file.0)
        .and_then(|mut handle| handle.write_all(body.as_bytes()))
        .with_context(|| format!("failed to write {}", file.0.display()))?;
    Ok(file)
}

/// Quotes a value for a curl config file (curl(1), `--config`).
fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\0' => {}
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Something no answer contains: unique in this process and unlikely anywhere else.
fn marker() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("curl-end-{:x}-{nanos:x}-{count:x}", std::process::id())
}

fn parse(output: &str, marker: &str) -> Vec<Result<Response, NoAnswer>> {
    let mut answers = Vec::new();
    let mut rest = output;
    let needle = format!("\n{marker} ");
    while let Some((exchange, after)) = rest.split_once(needle.as_str()) {
        let (trailer, next) = after.split_once('\n').unwrap_or((after, ""));
        answers.push(parse_exchange(exchange, trailer));
        rest = next;
    }
    answers
}

fn parse_exchange(exchange: &str, trailer: &str) -> Result<Response, NoAnswer> {
    let mut words = trailer.splitn(3, ' ');
    let status: u16 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let exit: i32 = words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(-1);
    let message = words.next().unwrap_or_default().trim();
    if exit != 0 || status == 0 {
        // 5 and 6: a name was not resolved; 7: no connection; 35: no TLS. Later failures may follow a received request.
        return Err(NoAnswer {
            message: if message.is_empty() {
                format!("curl exit {exit}")
            } else {
                message.to_owned()
            },
            maybe_received: !matches!(exit, 5 | 6 | 7 | 35),
        });
    }
    let mut body = exchange;
    let mut headers = Vec::new();
    // One header block per interim answer (1xx) and one for the final answer.
    while let Some((block, after)) = body.split_once("\r\n\r\n") {
        body = after;
        let mut lines = block.split("\r\n");
        let interim = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .is_some_and(|code| code.starts_with('1'));
        headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if !interim {
            break;
        }
    }
    Ok(Response {
        status,
        headers,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::net::TcpListener;

    /// A server that answers one connection's requests with their own method, path, headers and body.
    fn echo_server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || echo(stream));
            }
        });
        address
    }

    fn echo(mut stream: std::net::TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap_or(0) == 0 {
                    return;
                }
            }
            if head.starts_with("GET /drop") {
                return;
            }
            let length = head
                .to_ascii_lowercase()
                .split_once("content-length: ")
                .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let text = format!("{head}{}", String::from_utf8_lossy(&body));
            let answer = format!(
                "HTTP/1.1 201 Created\r\nX-Seen: yes\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    }

    #[test]
    fn several_requests_keep_their_order_and_a_dropped_one_does_not_hide_the_others() {
        let address = echo_server();
        let mut post = Request::get(format!("http://{address}/one"));
        post.method = "POST".to_owned();
        post.headers.push((
            "Authorization".to_owned(),
            "Bearer \"quoted\\token".to_owned(),
        ));
        post.body = Some("{\"sql\":\"a\\nb\"}\nline\ttwo".to_owned());
        let dropped = Request::get(format!("http://{address}/drop"));
        let mut named = Request::get("http://kiamichibizconnect.test/named");
        named.connect_to = Some(address);
        let answers = send_all(&[post, dropped, named]).unwrap();
        let first = answers[0].as_ref().unwrap();
        assert_eq!((first.status, first.header("x-seen")), (201, Some("yes")));
        assert!(
            first.body.contains("Authorization: Bearer \"quoted\\token"),
            "{}",
            first.body
        );
        assert!(
            first.body.ends_with("{\"sql\":\"a\\nb\"}\nline\ttwo"),
            "{}",
            first.body
        );
        assert!(answers[1].as_ref().unwrap_err().maybe_received);
        assert!(
            answers[2]
                .as_ref()
                .unwrap()
                .body
                .contains("Host: kiamichibizconnect.test")
        );
    }

    #[test]
    fn a_large_body_arrives_whole() {
        let address = echo_server();
        let mut request = Request::get(format!("http://{address}/large"));
        request.method = "PUT".to_owned();
        request.body = Some("@x;\"\\".repeat(100_000));
        let answer = send(&request).unwrap().unwrap();
        assert!(answer.body.ends_with(request.body.as_deref().unwrap()));
    }

    #[test]
    fn no_connection_was_certainly_not_received() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let answer = send(&Request::get(format!("http://127.0.0.1:{port}/"))).unwrap();
        assert!(!answer.unwrap_err().maybe_received);
    }
}
