//! The journal: every API request, secrets masked, in memory and in `journal.ndjson`. Bounded.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::disk::write_atomic;
use crate::envelope::ApiError;
use crate::faults::FaultMet;
use crate::ids;
use crate::mask::Mask;

/// Entries kept; the file may hold twice as many before it is rewritten.
const ENTRIES_MAX: usize = 5000;
/// Larger bodies are not kept.
const BODY_BYTES_MAX: usize = 256 << 10;

/// One request, or a note of the local cloud itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    seq: u64,
    at: String,
    method: String,
    path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    query: String,
    status: u16,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The journal of a server.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    entries: VecDeque<Entry>,
    last_seq: u64,
    file: File,
    lines: usize,
}

impl Journal {
    /// Opens the journal; an unreadable line (the process was killed while writing it) is left out.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut entries: VecDeque<Entry> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        entries.drain(..surplus);
        let last_seq = entries.back().map_or(0, |entry| entry.seq);
        let (file, lines) = rewrite(&path, &entries)?;
        Ok(Self {
            path,
            kept: Mutex::new(Kept {
                entries,
                last_seq,
                file,
                lines,
            }),
        })
    }

    /// Entries after `seq`, oldest first.
    pub fn since(&self, seq: u64) -> Vec<Entry> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries
            .iter()
            .filter(|entry| entry.seq > seq)
            .cloned()
            .collect()
    }

    /// Forgets everything; numbers go on.
    pub fn clear(&self) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries.clear();
        (kept.file, kept.lines) = rewrite(&self.path, &kept.entries)?;
        Ok(())
    }

    /// Writes down something the local cloud did on its own.
    pub fn note(&self, note: String) {
        self.push(Entry {
            at: ids::now(),
            note: Some(note),
            ..Entry::default()
        });
    }

    fn push(&self, mut entry: Entry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last_seq += 1;
        entry.seq = kept.last_seq;
        if let Ok(line) = serde_json::to_string(&entry) {
            // A full disk must not fail the request that is journalled; the entry is still in memory.
            let _ = writeln!(kept.file, "{line}");
        }
        kept.lines += 1;
        kept.entries.push_back(entry);
        if kept.entries.len() > ENTRIES_MAX {
            kept.entries.pop_front();
        }
        if kept.lines > 2 * ENTRIES_MAX
            && let Ok((file, lines)) = rewrite(&self.path, &kept.entries)
        {
            (kept.file, kept.lines) = (file, lines);
        }
    }
}

fn rewrite(path: &PathBuf, entries: &VecDeque<Entry>) -> io::Result<(File, usize)> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    write_atomic(path, &text)?;
    Ok((
        fs::OpenOptions::new().append(true).open(path)?,
        entries.len(),
    ))
}

/// Middleware of the API: outermost, so that refused and dropped requests are in the journal, too.
pub async fn record(app: App, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (request, body) = match read_json_body(request).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let mut entry = describe(&app, &request, body.as_ref());
    let response = next.run(request).await;
    entry.status = response.status().as_u16();
    entry.fault = response.extensions().get::<FaultMet>().map(|met| met.0);
    entry.duration_ms = (started.elapsed().as_secs_f64() * 1e4).round() / 10.0;
    app.journal().push(entry);
    response
}

/// What is known of a request before it is carried out: a secret it deletes can still be masked now.
fn describe(app: &App, request: &Request, body: Option<&Value>) -> Entry {
    let mut mask = Mask::of(&app.snapshot());
    // First, because a body can bring a secret the account does not hold yet.
    let request_body = body.map(|body| mask.json(body));
    Entry {
        at: ids::now(),
        method: request.method().to_string(),
        worker: worker(request.uri().path()),
        user_agent: header(request, "user-agent").map(|agent| mask.text(agent)),
        request_body,
        path: mask.text(request.uri().path()),
        query: mask.text(request.uri().query().unwrap_or_default()),
        ..Entry::default()
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// Whether a body is small and may be JSON. Values of KV keys and messages of queues are the user's data: not kept.
fn is_journalled(request: &Request) -> bool {
    let length: usize = header(request, "content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let json = header(request, "content-type")
        .is_none_or(|kind| kind.contains("json") || kind.starts_with("text/plain"));
    let path = request.uri().path();
    let is_data = path.contains("/values/")
        || path.ends_with("/messages")
        || path.ends_with("/messages/batch");
    (1..=BODY_BYTES_MAX).contains(&length) && json && !is_data
}

/// Reads such a body and puts it back.
async fn read_json_body(request: Request) -> Result<(Request, Option<Value>), ApiError> {
    if !is_journalled(&request) {
        return Ok((request, None));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        ApiError::bad_request(10001, format!("could not read the request body: {error}"))
    })?;
    let value = serde_json::from_slice(&bytes)
        .ok()
        .filter(|value| matches!(value, Value::Object(_) | Value::Array(_)));
    Ok((Request::from_parts(parts, Body::from(bytes)), value))
}

/// The Worker a path is about.
fn worker(path: &str) -> Option<String> {
    let mut parts = path
        .split('/')
        .skip_while(|part| *part != "workers")
        .skip(1);
    let collection = parts.next()?;
    let name = parts.next().filter(|name| !name.is_empty())?;
    ["scripts", "services", "workers"]
        .contains(&collection)
        .then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_is_read_from_the_path() {
        assert_eq!(
            worker("/accounts/a/workers/scripts/api/versions").as_deref(),
            Some("api")
        );
        assert_eq!(
            worker("/accounts/a/workers/workers/api").as_deref(),
            Some("api")
        );
        assert_eq!(worker("/accounts/a/workers/subdomain"), None);
        assert_eq!(worker("/accounts/a/d1/database"), None);
    }

    #[test]
    fn numbers_go_on_after_reopening() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("journal.ndjson");
        let journal = Journal::open(path.clone()).expect("opens");
        journal.note("one".into());
        journal.note("two".into());
        drop(journal);
        let journal = Journal::open(path).expect("opens");
        journal.note("three".into());
        let seqs: Vec<u64> = journal.since(1).iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, [2, 3]);
    }
}
