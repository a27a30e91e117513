//! Secrets that must be seen nowhere: not in a command line, not in a file, not in anything said.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;

/// Each value and the forms it may be written in.
pub fn forms(plain: &[&str]) -> Vec<String> {
    let base64 = |value: &str| base64::engine::general_purpose::STANDARD.encode(value);
    let in_json = |value: &str| {
        serde_json::Value::from(value)
            .to_string()
            .trim_matches('"')
            .to_owned()
    };
    let mut forms: Vec<String> = plain.iter().map(|value| (*value).to_owned()).collect();
    forms.extend(
        plain
            .iter()
            .map(|value| base64(value).trim_end_matches('=').to_owned()),
    );
    forms.extend(plain.iter().map(|value| in_json(value)));
    // The beginning is enough: whatever was quoted or cut, it is still a leak.
    forms.extend(plain.iter().map(|value| value[..16].to_owned()));
    forms
}

/// Whether bytes hold a form.
pub fn holds(bytes: &[u8], form: &str) -> bool {
    bytes
        .windows(form.len())
        .any(|window| window == form.as_bytes())
}

/// Watches the command lines of all processes until told to stop.
pub struct Watch {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<(BTreeSet<String>, BTreeSet<String>)>>,
}

impl Watch {
    /// Begins to watch for these forms.
    pub fn start(forms: Vec<String>) -> Watch {
        let (stop, rounds) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let thread = {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            std::thread::spawn(move || watch(&stop, &rounds, &forms))
        };
        Watch {
            stop,
            rounds,
            thread: Some(thread),
        }
    }

    /// The programs that were seen, and the command lines that leak.
    pub fn end(mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("it runs");
        let seen = thread.join().expect("it ends");
        assert!(self.rounds.load(Ordering::SeqCst) > 20, "too few samples");
        seen
    }
}

fn watch(
    stop: &AtomicBool,
    rounds: &AtomicUsize,
    forms: &[String],
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut programs, mut leaks) = (BTreeSet::new(), BTreeSet::new());
    while !stop.load(Ordering::SeqCst) {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(&line).replace('\0', " ");
            if forms.iter().any(|form| holds(&line, form)) {
                leaks.insert(text.clone());
            }
            for program in ["curl", "wrangler-dist/cli.js", "workerd"] {
                if text.contains(program) {
                    programs.insert(program.to_owned());
                }
            }
        }
        rounds.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
    }
    (programs, leaks)
}

/// Files below a folder that hold a secret in any form; links are not followed.
pub fn leaking_files(folder: &Path, forms: &[String], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("it has one");
        if kind.is_dir() {
            leaking_files(&path, forms, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if forms.iter().any(|form| holds(&bytes, form)) {
                found.push(path);
            }
        }
    }
}

/// A text must hold none of them.
#[track_caller]
pub fn no_leak(forms: &[String], what: &str, text: &str) {
    for form in forms {
        assert!(!text.contains(form), "{what} shows {form:?}:\n{text}");
    }
}
