//! Results of steps that passed, one small file each under `.xtask/cache/steps/`, named after the step's key. Safe under
//! parallel and killed runs without a lock: a file only ever appears whole, by a rename, and one that is not exactly what
//! was written is no result. Knows nothing of what a key is made of.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::material::hex;

/// The first word of every file.
const MARK: &str = "xtask-step-1";
/// Entries that are kept at most.
const ENTRIES_MAX: usize = 4096;
/// The size of one entry at most: results are a few numbers and findings.
const ENTRY_BYTES_MAX: u64 = 1 << 20;
/// The use of an entry is noted again after this time.
const USE_STEP: Duration = Duration::from_secs(60);
/// A temporary file this old was left by a run that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What a passed step left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The step's id.
    pub step: String,
    /// When it passed, RFC 3339.
    pub passed_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// What it noted, for the report.
    pub note: Option<String>,
    /// What it gave, e.g. sizes.
    pub output: Value,
    /// [`super::outputs_digest`] of what it made, when it makes something.
    #[serde(default)]
    pub outputs: Option<String>,
}

/// The folder of results.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    bytes_max: u64,
    tidied: Once,
}

#[derive(Serialize, Deserialize)]
struct Body {
    key: String,
    entry: Entry,
}

impl Store {
    /// The store below the pipeline's state folder. Nothing is read or made yet.
    pub fn open(state: &Path, bytes_max: u64) -> Store {
        Store {
            folder: state.join("cache").join("steps"),
            bytes_max,
            tidied: Once::new(),
        }
    }

    /// The result under a key. A file that is not exactly what was put under this key is removed and is no result.
    pub fn get(&self, key: &str) -> Option<Entry> {
        let path = self.path(key)?;
        let facts = fs::metadata(&path).ok()?;
        if !facts.is_file() {
            return None;
        }
        let bytes = match facts.len() {
            0..=ENTRY_BYTES_MAX => fs::read(&path).ok()?,
            _ => Vec::new(),
        };
        let Some(entry) = parse(key, &bytes) else {
            // Left in place it would only be read and refused again; a failure to remove it changes nothing.
            let _ = fs::remove_file(&path);
            return None;
        };
        let now = SystemTime::now();
        let used = facts.modified().ok();
        let fresh = used
            .and_then(|used| now.duration_since(used).ok())
            .is_some_and(|age| age < USE_STEP);
        if !fresh && let Ok(file) = File::options().append(true).open(&path) {
            // Without the note (a read-only folder) the entry may be dropped earlier: no harm.
            let _ = file.set_modified(now);
        }
        Some(entry)
    }

    /// Keeps the result of a step that passed. An error is a warning to show: the run itself is not harmed by it.
    pub fn put(&self, key: &str, entry: &Entry) -> Result<(), String> {
        let failed = |why: &str| format!("the result of `{}` was not kept: {why}", entry.step);
        let path = self
            .path(key)
            .ok_or_else(|| failed("its key is malformed"))?;
        let bytes = render(key, entry).map_err(|error| failed(&error.to_string()))?;
        if bytes.len() as u64 > ENTRY_BYTES_MAX.min(self.bytes_max) {
            return Err(failed(&format!("it has {} bytes", bytes.len())));
        }
        let explain =
            |error: std::io::Error| failed(&format!("{}: {error}", self.folder.display()));
        fs::create_dir_all(&self.folder).map_err(explain)?;
        // Runs that were killed never come to prune at their end.
        self.tidied.call_once(|| self.prune());
        let temporary = self.folder.join(temporary_name(key));
        let written = write_new(&temporary, &bytes).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|error| {
            // What cannot be removed now is removed by a later prune.
            let _ = fs::remove_file(&temporary);
            explain(error)
        })
    }

    /// Removes the entries that were not used for longest until the rest fits, and what killed runs left.
    pub fn prune(&self) {
        let Ok(files) = fs::read_dir(&self.folder) else {
            return;
        };
        let now = SystemTime::now();
        let mut entries = Vec::new();
        for file in files.flatten() {
            let Ok(facts) = file.metadata() else {
                continue;
            };
            let used = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = file.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(".tmp")) {
                let age = now.duration_since(used).unwrap_or_default();
                if age >= ABANDONED {
                    let _ = fs::remove_file(file.path());
                }
            } else if facts.is_file() {
                // A time in the future (the clock was wrong) must not keep an entry for ever.
                entries.push((used.min(now), facts.len(), file.path()));
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        let mut count = entries.len();
        for (_, size, path) in entries {
            if bytes <= self.bytes_max && count <= ENTRIES_MAX {
                break;
            }
            // Another run may have removed it at the same moment.
            let _ = fs::remove_file(path);
            bytes -= size;
            count -= 1;
        }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let sound = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound.then(|| self.folder.join(format!("{key}.json")))
    }
}

/// `xtask-step-1 <SHA-256 of the rest>\n` and then one JSON object.
fn render(key: &str, entry: &Entry) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_string(&Body {
        key: key.to_owned(),
        entry: entry.clone(),
    })?;
    let sum = hex(&Sha256::digest(body.as_bytes()));
    Ok(format!("{MARK} {sum}\n{body}").into_bytes())
}

fn parse(key: &str, bytes: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once('\n')?;
    let sum = head.strip_prefix(MARK)?.strip_prefix(' ')?;
    if sum != hex(&Sha256::digest(body.as_bytes())) {
        return None;
    }
    let body: Body = serde_json::from_str(body).ok()?;
    (body.key == key).then_some(body.entry)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}

/// Unique on this machine and, through the time, among machines that share the folder.
fn temporary_name(key: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    format!(".{}.{}.{count}.{nanos}.tmp", &key[..16], std::process::id())
}
