//! The files of imports: where an uploaded one lies, and how many are kept. Knows no SQL and no route.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::context::Context;
use crate::disk;
use crate::envelope::ApiError;
use crate::resource_id::ResourceId;

/// A choice: so many imported files of a database are kept, for a repeated import to find them.
const UPLOADS_KEPT_MAX: usize = 4;

/// Keeps an uploaded file, and forgets the oldest.
pub(super) fn keep_upload(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(dir) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(dir)?;
    disk::write_atomic(path, bytes)?;
    let mut kept = Vec::new();
    for file in fs::read_dir(dir)? {
        let file = file?;
        kept.push((file.metadata()?.modified()?, file.path()));
    }
    kept.sort();
    let surplus = kept.len().saturating_sub(UPLOADS_KEPT_MAX);
    kept.iter()
        .take(surplus)
        .try_for_each(|(_, path)| fs::remove_file(path))
}

/// The name the client is told.
pub(super) fn file_name(uuid: &ResourceId, etag: &str) -> String {
    format!("{uuid}.{etag}.sql")
}

/// Where the file with this content lies.
pub(super) fn upload_file(context: &Context, uuid: &ResourceId, etag: &str) -> PathBuf {
    context
        .app
        .dir()
        .path("d1-uploads")
        .join(uuid)
        .join(format!("{etag}.sql"))
}

/// The etag becomes part of a path: nothing but an MD5 may pass.
pub(super) fn check_etag(etag: &str) -> Result<(), ApiError> {
    if etag.len() == 32
        && etag
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Ok(());
    }
    Err(ApiError::bad_request(
        7400,
        format!("`etag` must be the file's MD5 in hex, not '{etag}'"),
    ))
}
