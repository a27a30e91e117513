//! A hash of what users see in a SQLite file, to tell whether a database has changed since the last look.
//!
//! Not a hash of the file: the runtime counts its own transactions in a table `_cf_METADATA`, reads included. The one
//! page of that table is left out. Only the little of the file format that finds this page is known here
//! (<https://www.sqlite.org/fileformat2.html>); whatever looks unexpected is hashed, which costs a bookmark at worst.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::ids;

/// How a schema row of the table begins: type, name and table name, without separators.
const SCHEMA_ROW: &[u8] = b"table_cf_METADATA_cf_METADATA";
const SCHEMA_SQL: &[u8] = b"CREATE TABLE";
const INTERIOR_PAGE: u8 = 0x05;
const LEAF_PAGE: u8 = 0x0d;

/// The hash, and the file's size in bytes.
pub(super) fn digest(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut pages = Pages::open(&mut file)?;
    let left_out = pages.metadata_page()?;
    let mut hasher = Sha256::new();
    let mut number = 1;
    while let Some(page) = pages.read(number)? {
        if left_out != Some(number) {
            hasher.update(&page);
        }
        number += 1;
    }
    Ok((ids::hex(&hasher.finalize()), bytes))
}

struct Pages<'file> {
    file: &'file mut File,
    size: u64,
}

impl<'file> Pages<'file> {
    fn open(file: &'file mut File) -> io::Result<Self> {
        let mut header = Vec::new();
        file.take(18).read_to_end(&mut header)?;
        let size = match header.get(16..18) {
            // 65536 does not fit: it is written as 1.
            Some([0, 1]) => 65536,
            Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])).max(512),
            _ => 4096,
        };
        Ok(Self { file, size })
    }

    /// A page by its number, from 1; the last one may be short, beyond it there is nothing.
    fn read(&mut self, number: u64) -> io::Result<Option<Vec<u8>>> {
        self.file.seek(SeekFrom::Start((number - 1) * self.size))?;
        let mut page = Vec::new();
        (&mut *self.file).take(self.size).read_to_end(&mut page)?;
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    /// The root page of `_cf_METADATA`, found by walking the schema table, which is rooted in page 1.
    fn metadata_page(&mut self) -> io::Result<Option<u64>> {
        let mut unvisited = vec![1];
        let mut visits_left = 10_000;
        while let Some(number) = unvisited.pop() {
            visits_left -= 1;
            let Some(page) = self.read(number)?.filter(|_| visits_left > 0) else {
                continue;
            };
            // Page 1 starts with the file header.
            let header = if number == 1 { 100 } else { 0 };
            match page.get(header) {
                Some(&LEAF_PAGE) => {
                    if let Some(root) = root_page(&page) {
                        return Ok(Some(root));
                    }
                }
                Some(&INTERIOR_PAGE) => unvisited.extend(children(&page, header)),
                _ => {}
            }
        }
        Ok(None)
    }
}

fn children(page: &[u8], header: usize) -> Vec<u64> {
    let short = |at: usize| {
        page.get(at..at + 2)
            .map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
    };
    let long = |at: usize| {
        page.get(at..at + 4)
            .map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])))
    };
    let cells = short(header + 3).unwrap_or_default();
    let left = (0..cells).filter_map(|cell| long(short(header + 12 + 2 * cell)?));
    left.chain(long(header + 8))
        .filter(|number| *number > 0)
        .collect()
}

/// The number between the names and the SQL of the schema row, one to four bytes long.
fn root_page(leaf: &[u8]) -> Option<u64> {
    let start = leaf
        .windows(SCHEMA_ROW.len())
        .position(|window| window == SCHEMA_ROW)?
        + SCHEMA_ROW.len();
    let rest = &leaf[start..];
    let length =
        (1..=4).find(|length| rest[(*length).min(rest.len())..].starts_with(SCHEMA_SQL))?;
    Some(
        rest[..length]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 512-byte pages: the schema in page 2 below an interior page 1, `_cf_METADATA` in page 3, a user's page 4.
    fn file(metadata: u8, user: u8) -> Vec<u8> {
        let mut pages = vec![[0u8; 512]; 4];
        pages[0][16..18].copy_from_slice(&512u16.to_be_bytes());
        pages[0][100] = INTERIOR_PAGE;
        pages[0][108..112].copy_from_slice(&2u32.to_be_bytes());
        pages[1][0] = LEAF_PAGE;
        let row = [SCHEMA_ROW, &[3], b"CREATE TABLE _cf_METADATA (key, value)"].concat();
        pages[1][400..400 + row.len()].copy_from_slice(&row);
        pages[2][500] = metadata;
        pages[3][500] = user;
        pages.concat()
    }

    fn digest_of(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), content).expect("the file can be written");
        digest(file.path()).expect("a hash").0
    }

    #[test]
    fn the_runtimes_own_counter_does_not_count() {
        assert_eq!(digest_of(&file(1, 1)), digest_of(&file(2, 1)));
        assert_ne!(digest_of(&file(1, 1)), digest_of(&file(1, 2)));
    }

    #[test]
    fn anything_else_is_hashed_as_it_is() {
        assert_eq!(
            digest_of(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_ne!(digest_of(b"a"), digest_of(b"b"));
        assert_ne!(digest_of(&file(1, 1)[..900]), digest_of(&file(1, 1)));
    }
}
