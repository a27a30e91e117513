//! The data plane end to end: the real binary, real workerd, Workers uploaded the way wrangler uploads them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{ACCOUNT, Answer, Cloud};
use serde_json::{Value, json};

const HOST_SUFFIX: &str = ".kiamichi.localhost";

/// A Worker upload under construction.
struct Upload {
    name: &'static str,
    source: String,
    metadata: Value,
}

impl Upload {
    fn new(name: &'static str, source: impl Into<String>) -> Self {
        let metadata = json!({
            "main_module": "index.js", "bindings": [], "compatibility_date": "2025-06-01", "compatibility_flags": ["nodejs_compat"],
        });
        Self {
            name,
            source: source.into(),
            metadata,
        }
    }

    fn answering(name: &'static str, text: &str) -> Self {
        Self::new(
            name,
            format!("export default {{ fetch() {{ return new Response({text:?}); }} }};"),
        )
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.metadata[key] = value;
        self
    }

    fn send(&self, cloud: &Cloud, method: &str, path: &str) -> Value {
        let boundary = "----edge-test";
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n",
            self.metadata
        );
        body.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\n\
             Content-Type: application/javascript+module\r\n\r\n{}\r\n--{boundary}--\r\n",
            self.source
        ));
        let path = format!(
            "/client/v4/accounts/{ACCOUNT}/workers/scripts/{}{path}",
            self.name
        );
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let headers = [
            ("authorization", "Bearer test-token"),
            ("content-type", &content_type),
        ];
        cloud
            .http(method, "127.0.0.1", &path, &headers, body.as_bytes())
            .expect("an HTTP answer")
            .json()
    }

    /// New version at 100 %, reachable at its own address.
    #[track_caller]
    fn deploy(&self, cloud: &Cloud) {
        let answer = self.send(cloud, "PUT", "");
        assert_eq!(answer["success"], true, "{answer}");
        let path = format!("/workers/scripts/{}/subdomain", self.name);
        let flags = json!({ "enabled": true, "previews_enabled": true });
        cloud.result("POST", &path, Some(flags));
    }

    /// New version without traffic; its id.
    #[track_caller]
    fn stage(&self, cloud: &Cloud) -> String {
        let answer = self.send(cloud, "POST", "/versions");
        assert_eq!(answer["success"], true, "{answer}");
        answer["result"]["id"].as_str().expect("an id").to_owned()
    }
}

#[track_caller]
fn live_version(cloud: &Cloud, name: &str) -> String {
    let deployments = cloud.result("GET", &format!("/workers/scripts/{name}/deployments"), None);
    deployments["deployments"][0]["versions"][0]["version_id"]
        .as_str()
        .unwrap_or_else(|| panic!("no live version: {deployments}"))
        .to_owned()
}

#[track_caller]
fn split(cloud: &Cloud, name: &str, shares: &[(&str, u32)]) {
    let versions: Vec<Value> = shares
        .iter()
        .map(|(id, percentage)| json!({ "version_id": id, "percentage": percentage }))
        .collect();
    let body = json!({ "strategy": "percentage", "versions": versions });
    cloud.result(
        "POST",
        &format!("/workers/scripts/{name}/deployments"),
        Some(body),
    );
}

fn host(name: &str) -> String {
    format!("{name}{HOST_SUFFIX}")
}

#[track_caller]
fn get(cloud: &Cloud, name: &str, path: &str) -> Answer {
    cloud.get(&host(name), path)
}

#[test]
fn a_search_finds_what_the_api_wrote_to_the_database() {
    let cloud = Cloud::start();
    let database = cloud.result("POST", "/d1/database", Some(json!({ "name": "db" })));
    let id = database["uuid"].as_str().expect("a uuid").to_owned();
    let sql =
        "CREATE TABLE shops (name TEXT); INSERT INTO shops VALUES ('Book Nook'), ('Cafe; Bar')";
    cloud.result(
        "POST",
        &format!("/d1/database/{id}/query"),
        Some(json!({ "sql": sql })),
    );
    let source = "export default { async fetch(request, env) {
        const like = '%' + new URL(request.url).searchParams.get('q') + '%';
        return Response.json((await env.DB.prepare('SELECT name FROM shops WHERE name LIKE ?').bind(like).all()).results); } };";
    Upload::new("main", source)
        .with(
            "bindings",
            json!([{ "type": "d1", "name": "DB", "id": id }]),
        )
        .deploy(&cloud);
    assert_eq!(
        get(&cloud, "main", "/search?q=book").json(),
        json!([{ "name": "Book Nook" }])
    );
}

#[test]
fn service_bindings_call_by_fetch_and_rpc_across_two_versions() {
    let cloud = Cloud::start();
    let callee = |text: &str| {
        let source = format!(
            "import {{ WorkerEntrypoint }} from 'cloudflare:workers';
             export default class extends WorkerEntrypoint {{ fetch() {{ return new Response('{text}'); }} name() {{ return '{text}'; }} }}"
        );
        Upload::new("callee", source)
    };
    callee("old").deploy(&cloud);
    let source = "export default { async fetch(request, env) {
        const asked = request.headers.get('cloudflare-workers-version-overrides');
        const headers = asked ? { 'cloudflare-workers-version-overrides': asked } : {};
        return Response.json([await (await env.CALLEE.fetch('http://callee/', { headers })).text(), await env.CALLEE.name()]); } };";
    Upload::new("caller", source)
        .with(
            "bindings",
            json!([{ "type": "service", "name": "CALLEE", "service": "callee" }]),
        )
        .deploy(&cloud);
    assert_eq!(get(&cloud, "caller", "/").json(), json!(["old", "old"]));

    let old = live_version(&cloud, "callee");
    let new = callee("new").stage(&cloud);
    split(&cloud, "callee", &[(&old, 100), (&new, 0)]);
    assert_eq!(get(&cloud, "caller", "/").json(), json!(["old", "old"]));
    let asked = format!("callee=\"{new}\"");
    let headers = [("cloudflare-workers-version-overrides", asked.as_str())];
    let answer = cloud
        .http("GET", &host("caller"), "/", &headers, b"")
        .expect("an answer");
    assert_eq!(answer.json(), json!(["new", "old"]));

    split(&cloud, "callee", &[(&old, 50), (&new, 50)]);
    let mut seen = [0, 0];
    for _ in 0..60 {
        let answer = get(&cloud, "caller", "/").json();
        for name in answer.as_array().into_iter().flatten() {
            seen[usize::from(name == "new")] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 30), "{seen:?}");
}

#[test]
fn traffic_is_split_overridden_and_pinned() {
    let cloud = Cloud::start();
    Upload::answering("api", "one").deploy(&cloud);
    let one = live_version(&cloud, "api");
    let two = Upload::answering("api", "two").stage(&cloud);

    // Not deployed: reachable by its preview address only, and an override for it is ignored.
    let preview = format!("{}-api", &two[..8]);
    assert_eq!(get(&cloud, &preview, "/").body, "two");
    let with = |name: &str, value: &str| {
        cloud
            .http("GET", &host("api"), "/", &[(name, value)], b"")
            .expect("an answer")
    };
    let overrides = format!("other=\"x\", api=\"{two}\"");
    assert_eq!(
        with("Cloudflare-Workers-Version-Overrides", &overrides).body,
        "one"
    );

    split(&cloud, "api", &[(&one, 100), (&two, 0)]);
    let answer = with("Cloudflare-Workers-Version-Overrides", &overrides);
    assert_eq!(answer.body, "two");
    assert_eq!(answer.header("local-cloud-version"), Some(two.as_str()));

    split(&cloud, "api", &[(&one, 50), (&two, 50)]);
    let twos = (0..200)
        .filter(|_| get(&cloud, "api", "/").body == "two")
        .count();
    assert!((60..=140).contains(&twos), "{twos} of 200");
    let keyed: Vec<String> = (0..10)
        .map(|_| with("Cloudflare-Workers-Version-Key", "user-7").body)
        .collect();
    assert!(keyed.iter().all(|body| *body == keyed[0]), "{keyed:?}");
}

#[test]
fn durable_objects_keep_their_state_over_versions_and_restarts() {
    let mut cloud = Cloud::start();
    let counter = |text: &str| {
        let source = format!(
            "import {{ DurableObject }} from 'cloudflare:workers';
             export class Counter extends DurableObject {{
               async hit() {{ const n = ((await this.ctx.storage.get('n')) ?? 0) + 1; await this.ctx.storage.put('n', n); return n; }} }}
             export default {{ async fetch(request, env) {{
               return new Response('{text} ' + await env.COUNTER.get(env.COUNTER.idFromName('x')).hit()); }} }};"
        );
        Upload::new("chat", source).with(
            "bindings",
            json!([{ "type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter" }]),
        )
    };
    let migration = json!({ "new_tag": "v1", "steps": [{ "new_sqlite_classes": ["Counter"] }] });
    counter("one").with("migrations", migration).deploy(&cloud);
    assert_eq!(get(&cloud, "chat", "/").body, "one 1");
    let one = live_version(&cloud, "chat");
    let two = counter("two").stage(&cloud);
    split(&cloud, "chat", &[(&one, 100), (&two, 0)]);
    let overrides = format!("chat=\"{two}\"");
    let headers = [("Cloudflare-Workers-Version-Overrides", overrides.as_str())];
    let answer = cloud.http("GET", &host("chat"), "/", &headers, b"");
    assert_eq!(answer.expect("an answer").body, "two 2");
    split(&cloud, "chat", &[(&two, 100)]);
    assert_eq!(get(&cloud, "chat", "/").body, "two 3");
    cloud.restart();
    assert_eq!(get(&cloud, "chat", "/").body, "two 4");
}

#[test]
fn hosts_and_paths_lead_to_the_most_specific_worker() {
    let cloud = Cloud::start();
    let echo = |name| {
        Upload::new(
            name,
            format!(
                "export default {{ fetch(request) {{ return new Response('{name} ' + request.url + ' ' + request.headers.get('cf-connecting-ip')); }} }};"
            ),
        )
    };
    echo("main").deploy(&cloud);
    echo("api").deploy(&cloud);
    let origins = json!({ "override_scope": true, "override_existing_origin": true, "override_existing_dns_record": true,
        "origins": [{ "hostname": "kiamichibizconnect.com" }] });
    cloud.result(
        "PUT",
        "/workers/scripts/main/domains/records",
        Some(origins),
    );
    let routes = json!([{ "pattern": "kiamichibizconnect.com/api/*", "zone_name": "kiamichibizconnect.com" }]);
    cloud.result("PUT", "/workers/scripts/api/routes", Some(routes));
    assert_eq!(
        cloud.get("kiamichibizconnect.com", "/x?y=1").body,
        "main http://kiamichibizconnect.com/x?y=1 127.0.0.1"
    );
    assert_eq!(
        cloud.get("kiamichibizconnect.com", "/api/x").body,
        "api http://kiamichibizconnect.com/api/x 127.0.0.1"
    );
    let nothing = cloud.get("nobody.example", "/");
    assert_eq!(nothing.status, 404);
    assert!(
        nothing
            .body
            .starts_with("local cloud: no Worker answers at nobody.example\n"),
        "{nothing}"
    );
    let listed = cloud.get("nobody.example.localhost", "/");
    assert!(
        listed.body.contains("main -> kiamichibizconnect.com"),
        "{listed}"
    );
    // What a client claims about itself is not believed.
    let headers = [
        ("cf-connecting-ip", "6.6.6.6"),
        ("local-cloud-target", "api"),
    ];
    let answer = cloud.http("GET", &host("main"), "/", &headers, b"");
    assert_eq!(
        answer.expect("an answer").body,
        format!("main http://{}/ 127.0.0.1", host("main"))
    );
}

#[test]
fn a_start_up_exception_is_refused_and_stops_nobody() {
    let cloud = Cloud::start();
    Upload::answering("good", "good").deploy(&cloud);
    let bad = Upload::new("bad", "throw new Error('boom');\nexport default {};");
    let answer = bad.send(&cloud, "PUT", "");
    assert_eq!(answer["success"], false, "{answer}");
    assert_eq!(answer["errors"][0]["code"], 10021, "{answer}");
    let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("Uncaught Error: boom"), "{message}");
    assert_eq!(get(&cloud, "good", "/").body, "good");
}

#[test]
fn websockets_pass_through() {
    let cloud = Cloud::start();
    let source = "export default { fetch(request) {
        if (request.headers.get('upgrade') !== 'websocket') return new Response('no', { status: 426 });
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener('message', (event) => server.send('echo ' + event.data));
        return new Response(null, { status: 101, webSocket: client }); } };";
    Upload::new("ws", source).deploy(&cloud);
    let mut stream = open_websocket(&cloud, &host("ws"), "/", None);
    send_text(&mut stream, "hi", true);
    assert_eq!(read_text(&mut stream), "echo hi");
    // A reload does not wait for an open WebSocket.
    let started = Instant::now();
    Upload::answering("other", "other").deploy(&cloud);
    assert_eq!(get(&cloud, "other", "/").body, "other");
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn crons_run_on_request_and_tails_tell() {
    let cloud = Cloud::start();
    let source = "export default {
        async fetch(request) { console.log('seen', request.method); throw new TypeError('oops'); },
        async scheduled(controller) { if (controller.cron === '1 1 * * *') throw new Error('late'); console.log('ran ' + controller.cron); } };";
    Upload::new("jobs", source).deploy(&cloud);
    let crons = json!([{ "cron": "0 2 * * *" }, { "cron": "1 1 * * *" }]);
    cloud.result("PUT", "/workers/scripts/jobs/schedules", Some(crons));

    let tail = cloud.result(
        "POST",
        "/workers/scripts/jobs/tails",
        Some(json!({ "filters": [] })),
    );
    let url = tail["url"].as_str().expect("a URL");
    let path = url
        .strip_prefix(&format!("ws://127.0.0.1:{}", cloud.port))
        .expect("our own address");
    let mut stream = open_websocket(&cloud, "127.0.0.1", path, Some("trace-v1"));
    send_text(&mut stream, r#"{"debug":false}"#, false);

    let run = |cron: &str| {
        cloud.local(
            "POST",
            "/crons/run",
            Some(json!({ "worker": "jobs", "cron": cron })),
        )
    };
    assert_eq!(run("0 2 * * *")["outcome"], "ok");
    let late = run("1 1 * * *");
    assert_eq!(
        (late["outcome"].as_str(), late["message"].as_str()),
        (Some("exception"), Some("Error: late"))
    );
    let failed = get(&cloud, "jobs", "/x");
    assert_eq!(failed.status, 500);
    assert!(
        failed.body.contains("error code: 1101") && failed.body.contains("TypeError: oops"),
        "{failed}"
    );

    let mut items: Vec<Value> = (0..3)
        .map(|_| serde_json::from_str(&read_text(&mut stream)).expect("JSON"))
        .collect();
    items.sort_by_key(|item| item["event"]["cron"].to_string());
    let request = items
        .iter()
        .find(|item| item["event"]["request"].is_object())
        .expect("the request's trace");
    assert_eq!(request["outcome"], "exception");
    assert_eq!(request["event"]["request"]["method"], "GET");
    assert_eq!(request["scriptName"], "jobs");
    assert_eq!(request["logs"][0]["message"], json!(["seen", "GET"]));
    let id = tail["id"].as_str().expect("an id");
    cloud.result("DELETE", &format!("/workers/scripts/jobs/tails/{id}"), None);
}

#[test]
fn a_reload_under_load_fails_no_request() {
    let cloud = Cloud::start();
    Upload::answering("steady", "steady").deploy(&cloud);
    assert_eq!(get(&cloud, "steady", "/").body, "steady");
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (cloud, stop, served) = (&cloud, &stop, &served);
            scope.spawn(move || {
                let method = if number == 0 { "POST" } else { "GET" };
                while !stop.load(Ordering::Relaxed) {
                    let answer = cloud.http(method, &host("steady"), "/", &[], b"some body");
                    let answer = answer.expect("no request is dropped");
                    assert_eq!((answer.status, answer.body.as_str()), (200, "steady"));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..5 {
            Upload::answering("changing", &format!("round {round}")).deploy(&cloud);
            assert_eq!(get(&cloud, "changing", "/").body, format!("round {round}"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(served.load(Ordering::Relaxed) > 20, "{served:?}");
}

fn open_websocket(cloud: &Cloud, host: &str, path: &str, protocol: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", cloud.port)).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout can be set");
    let protocol = protocol
        .map(|protocol| format!("sec-websocket-protocol: {protocol}\r\n"))
        .unwrap_or_default();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a handshake");
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    stream
}

fn send_text(stream: &mut TcpStream, text: &str, masked: bool) {
    let length = u8::try_from(text.len()).expect("a short text");
    let mut frame = vec![0x81, length | if masked { 0x80 } else { 0 }];
    if masked {
        // A mask of zeros leaves the text as it is.
        frame.extend_from_slice(&[0; 4]);
    }
    frame.extend_from_slice(text.as_bytes());
    stream.write_all(&frame).expect("it reads");
}

/// The next text frame; pings are passed over.
fn read_text(stream: &mut TcpStream) -> String {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).expect("a frame");
        let length = match head[1] & 0x7f {
            126 => {
                let mut extended = [0; 2];
                stream.read_exact(&mut extended).expect("a length");
                usize::from(u16::from_be_bytes(extended))
            }
            127 => panic!("a frame too large for a test"),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).expect("a payload");
        if head[0] & 0x0f == 1 {
            return String::from_utf8(payload).expect("text");
        }
    }
}

#[test]
fn a_dead_sidecar_comes_back() {
    let cloud = Cloud::start();
    Upload::answering("steady", "steady").deploy(&cloud);
    assert_eq!(get(&cloud, "steady", "/").body, "steady");
    let sidecar = children(cloud.pid());
    assert_eq!(sidecar.len(), 1, "{sidecar:?}");
    let runtimes = children(sidecar[0]);
    kill(sidecar[0]);
    assert_eq!(get(&cloud, "steady", "/").body, "steady");
    // A killed process needs a moment to die; from then on, every request finds the new one.
    assert!(!runtimes.is_empty());
    let deadline = Instant::now() + Duration::from_secs(20);
    while runtimes.iter().any(|runtime| is_running(*runtime)) {
        assert!(
            Instant::now() < deadline,
            "workerd {runtimes:?} outlives its sidecar"
        );
        assert_eq!(get(&cloud, "steady", "/").body, "steady");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(get(&cloud, "steady", "/").body, "steady");
    assert_ne!(children(cloud.pid()), sidecar);
}

/// A zombie is dead; it waits for a parent that never asks.
fn is_running(pid: u32) -> bool {
    let status = shell(&format!("ps -o stat= -p {pid}"));
    !status.trim().is_empty() && !status.starts_with('Z')
}

/// Process ids of the children of a process.
fn children(pid: u32) -> Vec<u32> {
    let output = shell("ps -A -o pid=,ppid=");
    let pairs = output
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace));
    pairs
        .filter(|(_, parent)| parent.trim() == pid.to_string())
        .filter_map(|(child, _)| child.parse().ok())
        .collect()
}

fn kill(pid: u32) {
    shell(&format!("kill -KILL {pid}"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the processes are what is tested"
)]
fn shell(command: &str) -> String {
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", command])
        .output()
        .expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
