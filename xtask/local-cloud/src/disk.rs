//! Files of the state directory: atomic JSON and content-addressed blobs. Knows nothing of what they mean.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::ids;

/// Where everything lives.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Opens (and makes) the directory; private, because the state holds secret values.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))?;
        let dir = Self { root };
        fs::create_dir_all(dir.blobs())?;
        fs::create_dir_all(dir.storage())?;
        Ok(dir)
    }

    /// Keeps other servers out of the directory for as long as the file lives; the system lets go of it when the process
    /// ends, however it ends. `None`: another server has it.
    pub fn lock(&self) -> io::Result<Option<fs::File>> {
        let file = fs::File::create(self.path("server.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// A file or folder directly in the state directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Modules and assets, by SHA-256.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// D1, KV, R2 and Durable Object data; belongs to Miniflare.
    pub fn storage(&self) -> PathBuf {
        self.root.join("storage")
    }

    /// Keeps `bytes` and returns their address; writing the same content twice is free.
    pub fn put_blob(&self, bytes: &[u8]) -> io::Result<String> {
        let hash = ids::sha256(bytes);
        let path = self.blobs().join(&hash);
        if !path.exists() {
            write_atomic(&path, bytes)?;
        }
        Ok(hash)
    }
}

/// Writes a private file so that a reader sees the old or the new content, never half of one.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", ids::hex32()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&temporary, path).inspect_err(|_| {
        // The rename error is the one to tell; a leftover temporary file harms nobody.
        let _ = fs::remove_file(&temporary);
    })
}
