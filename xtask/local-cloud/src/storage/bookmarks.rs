//! The points in time one D1 database can go back to: an index of bookmarks and the SQLite files behind them.
//!
//! Knows files and hashes only: not HTTP, not the sidecar, not which requests write.
//!
//! ```text
//! <dir>/index.json          { "sequence": 7, "entries": [ {bookmark, at_ms, content}, … oldest first ] }
//! <dir>/<content>.sqlite    one file per distinct content, shared by every bookmark that has it
//! ```

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::sqlite_file;

/// How many bookmarks and how many days of them are kept. A choice: the real service keeps every change of 30 days.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The newest so many bookmarks of each database.
    pub entries_max: usize,
    /// Bookmarks older than this are forgotten.
    pub age_ms_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            entries_max: 50,
            age_ms_max: 30 * 24 * 3600 * 1000,
        }
    }
}

/// One point in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What the user sees and sends back, e.g. `00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683`.
    pub bookmark: String,
    /// When the content was recorded, in milliseconds since 1970.
    pub at_ms: u64,
    /// Hash of what is in the SQLite file.
    pub content: String,
}

/// All points in time of one database.
#[derive(Debug)]
pub struct Timeline {
    dir: PathBuf,
    retention: Retention,
    index: Index,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    sequence: u32,
    entries: Vec<Entry>,
}

impl Timeline {
    /// Reads the timeline kept in `dir`; an absent directory is an empty timeline.
    pub fn open(dir: &Path, retention: Retention) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let index = match fs::read(dir.join("index.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Index::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            retention,
            index,
        })
    }

    /// Where a new snapshot should be written before [`Timeline::record`] takes it in.
    pub fn incoming(&self) -> PathBuf {
        self.dir.join("incoming.sqlite")
    }

    /// The SQLite file of an entry.
    pub fn file(&self, entry: &Entry) -> PathBuf {
        self.content_file(&entry.content)
    }

    /// The current point in time, if anything was ever recorded.
    pub fn latest(&self) -> Option<&Entry> {
        self.index.entries.last()
    }

    /// The entry with exactly this bookmark.
    pub fn find(&self, bookmark: &str) -> Option<&Entry> {
        self.index
            .entries
            .iter()
            .find(|entry| entry.bookmark == bookmark)
    }

    /// The state the database was in at `at_ms`: the newest entry that is not younger.
    pub fn at(&self, at_ms: u64) -> Option<&Entry> {
        self.index
            .entries
            .iter()
            .rev()
            .find(|entry| entry.at_ms <= at_ms)
    }

    /// The oldest point in time that can still be restored.
    pub fn oldest(&self) -> Option<&Entry> {
        self.index.entries.first()
    }

    /// Takes in the snapshot at [`Timeline::incoming`]. Content equal to the latest entry makes no new bookmark.
    pub fn record(&mut self, at_ms: u64) -> io::Result<Entry> {
        let incoming = self.incoming();
        let (content, bytes) = sqlite_file::digest(&incoming)?;
        if let Some(latest) = self.latest()
            && latest.content == content
        {
            let latest = latest.clone();
            fs::remove_file(&incoming)?;
            return Ok(latest);
        }
        fs::rename(&incoming, self.content_file(&content))?;
        self.push(content, bytes, at_ms)
    }

    /// Notes that the database has the content of an earlier entry again (after a restore).
    pub fn record_again(&mut self, earlier: &Entry, at_ms: u64) -> io::Result<Entry> {
        if let Some(latest) = self.latest()
            && latest.content == earlier.content
        {
            return Ok(latest.clone());
        }
        let bytes = fs::metadata(self.file(earlier))?.len();
        self.push(earlier.content.clone(), bytes, at_ms)
    }

    fn push(&mut self, content: String, bytes: u64, at_ms: u64) -> io::Result<Entry> {
        self.index.sequence += 1;
        let entry = Entry {
            bookmark: bookmark(self.index.sequence, bytes, at_ms, &content),
            at_ms,
            content,
        };
        self.index.entries.push(entry.clone());
        let forgotten = self.forget_old(at_ms);
        // The index first: a crash in between leaves a file too many, never an entry without its file.
        self.save()?;
        for content in forgotten {
            fs::remove_file(self.content_file(&content))?;
        }
        Ok(entry)
    }

    /// Drops entries beyond the retention and returns the contents nobody needs any more.
    fn forget_old(&mut self, now_ms: u64) -> HashSet<String> {
        let keep_from = self
            .index
            .entries
            .len()
            .saturating_sub(self.retention.entries_max.max(1));
        let age_ms_max = self.retention.age_ms_max;
        let newest = self.index.entries.len() - 1;
        let (mut kept, mut forgotten) = (Vec::new(), HashSet::new());
        for (position, entry) in self.index.entries.drain(..).enumerate() {
            let too_old = now_ms.saturating_sub(entry.at_ms) > age_ms_max;
            if position == newest || (position >= keep_from && !too_old) {
                kept.push(entry);
            } else {
                forgotten.insert(entry.content);
            }
        }
        for entry in &kept {
            forgotten.remove(&entry.content);
        }
        self.index.entries = kept;
        forgotten
    }

    fn save(&self) -> io::Result<()> {
        let temporary = self.dir.join("index.json.tmp");
        fs::write(&temporary, serde_json::to_vec_pretty(&self.index)?)?;
        fs::rename(temporary, self.dir.join("index.json"))
    }

    fn content_file(&self, content: &str) -> PathBuf {
        self.dir.join(format!("{content}.sqlite"))
    }
}

/// Bookmarks sort by age, as the real ones do: sequence, pages, day, and part of the content's hash.
fn bookmark(sequence: u32, bytes: u64, at_ms: u64, content: &str) -> String {
    let pages = bytes / 4096;
    let day = at_ms / (24 * 3600 * 1000);
    format!("{sequence:08x}-{pages:08x}-{day:08x}-{}", &content[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(timeline: &mut Timeline, content: &str, at_ms: u64) -> Entry {
        fs::write(timeline.incoming(), content).expect("write a snapshot");
        timeline.record(at_ms).expect("record a snapshot")
    }

    fn open(dir: &Path, entries_max: usize) -> Timeline {
        let retention = Retention {
            entries_max,
            ..Retention::default()
        };
        Timeline::open(dir, retention).expect("open a timeline")
    }

    #[test]
    fn bookmarks_increase_and_equal_content_makes_none() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let mut timeline = open(dir.path(), 50);
        let first = record(&mut timeline, "a", 1_000);
        let same = record(&mut timeline, "a", 2_000);
        let second = record(&mut timeline, "b", 3_000);
        assert_eq!(first, same);
        assert!(first.bookmark < second.bookmark, "{first:?} {second:?}");
        assert_eq!(
            first.bookmark,
            "00000001-00000000-00000000-ca978112ca1bbdcafac231b39a23dc4d"
        );

        let reopened = open(dir.path(), 50);
        assert_eq!(reopened.find(&first.bookmark), Some(&first));
        assert_eq!(reopened.latest(), Some(&second));
        assert_eq!(reopened.at(2_999), Some(&first));
        assert_eq!(reopened.at(3_000), Some(&second));
        assert_eq!(reopened.at(999), None);
    }

    #[test]
    fn old_bookmarks_are_forgotten_with_their_files() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let mut timeline = open(dir.path(), 2);
        let first = record(&mut timeline, "a", 1);
        let second = record(&mut timeline, "b", 2);
        let third = timeline
            .record_again(&first, 3)
            .expect("back to the first content");
        let fourth = record(&mut timeline, "c", 4);
        assert_eq!(timeline.find(&first.bookmark), None);
        assert_eq!(timeline.find(&second.bookmark), None);
        assert!(!timeline.file(&second).exists());
        assert!(
            timeline.file(&third).exists(),
            "shared with a bookmark that is kept"
        );
        assert!(timeline.file(&fourth).exists());

        let month_ms = 31 * 24 * 3600 * 1000;
        let fifth = record(&mut timeline, "d", 4 + month_ms);
        assert_eq!(timeline.oldest(), Some(&fifth));
        assert!(!timeline.file(&fourth).exists());
    }
}
