//! Imports and exports as work in the background: a client starts one and polls until it is done.
//!
//! Knows nothing of SQL or files; a job is anything that ends with a JSON answer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use crate::resource_id::ResourceId;

/// How long an answer waits for the job to end. The client polls again at once, so the server must wait. A choice.
const POLL_WAIT: Duration = Duration::from_millis(500);
/// wrangler tells people that an export link is valid for one hour.
const DOWNLOAD_LIFETIME: Duration = Duration::from_secs(3600);

/// The jobs of one database, and the links they handed out.
#[derive(Default)]
pub(super) struct Jobs {
    /// The last import and its file's MD5; kept when done, so that a poll whose answer was lost can be repeated.
    pub(super) import: Option<(String, Job)>,
    /// The last export and its options.
    pub(super) export: Option<(Value, Job)>,
}

/// Links that need no token of the API: knowing the link is the right to use it.
#[derive(Default)]
pub(super) struct Links {
    uploads: HashMap<String, Upload>,
    downloads: HashMap<String, Download>,
}

/// Where an upload goes.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) database: ResourceId,
    /// The MD5 the client announced.
    pub(super) etag: String,
}

/// What a download gives.
#[derive(Debug, Clone)]
pub(super) struct Download {
    pub(super) path: std::path::PathBuf,
    made: Instant,
}

impl Links {
    /// Remembers an upload under a token.
    pub(super) fn add_upload(&mut self, token: String, upload: Upload) {
        self.uploads.insert(token, upload);
    }

    /// The upload a token is for.
    pub(super) fn upload(&self, token: &str) -> Option<Upload> {
        self.uploads.get(token).cloned()
    }

    /// Remembers a download under a token; returns the files whose links have expired.
    pub(super) fn add_download(
        &mut self,
        token: String,
        path: std::path::PathBuf,
    ) -> Vec<std::path::PathBuf> {
        let expired = self
            .downloads
            .extract_if(|_, download| download.made.elapsed() > DOWNLOAD_LIFETIME);
        let expired = expired.map(|(_, download)| download.path).collect();
        self.downloads.insert(
            token,
            Download {
                path,
                made: Instant::now(),
            },
        );
        expired
    }

    /// The download a token is for, while it is valid.
    pub(super) fn download(&self, token: &str) -> Option<Download> {
        let valid = |download: &&Download| download.made.elapsed() <= DOWNLOAD_LIFETIME;
        self.downloads.get(token).filter(valid).cloned()
    }
}

/// Work that goes on, whoever waits for it.
#[derive(Clone)]
pub(super) struct Job {
    outcome: watch::Receiver<Option<Value>>,
}

impl Job {
    /// Starts the work.
    pub(super) fn start(work: impl Future<Output = Value> + Send + 'static) -> Self {
        let (done, outcome) = watch::channel(None);
        tokio::spawn(async move {
            let value = work.await;
            done.send_replace(Some(value));
        });
        Self { outcome }
    }

    /// Whether it still goes on.
    pub(super) fn is_running(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }

    /// The outcome, if it comes within the time an answer may wait.
    pub(super) async fn wait(&self) -> Option<Value> {
        let mut outcome = self.outcome.clone();
        let ended = tokio::time::timeout(POLL_WAIT, outcome.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(value)) => value.clone(),
            // The work panicked: nobody will ever send.
            Ok(Err(_)) => Some(
                serde_json::json!({ "success": false, "error": "the job ended without a result" }),
            ),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_polled_until_done_and_keeps_its_outcome() {
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let job = Job::start(async move {
            wait.await.ok();
            Value::from("done")
        });
        assert!(job.is_running());
        assert_eq!(job.wait().await, None);
        go.send(()).expect("the job listens");
        assert_eq!(job.wait().await, Some(Value::from("done")));
        assert_eq!(job.wait().await, Some(Value::from("done")));
        assert!(!job.is_running());
    }

    #[tokio::test]
    async fn a_job_that_dies_is_not_waited_for() {
        let (done, outcome) = watch::channel(None);
        drop(done);
        let job = Job { outcome };
        assert!(!job.is_running());
        assert_eq!(
            job.wait().await.map(|value| value["success"].clone()),
            Some(Value::from(false))
        );
    }
}
