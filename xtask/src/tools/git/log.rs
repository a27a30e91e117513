//! What happened between two commits.

use super::Git;

/// One commit of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The full id.
    pub sha: String,
    /// When it was committed, in seconds since 1970.
    pub committed_at: u64,
    /// `Name <mail>`.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
}

impl Git {
    /// The newest commits that `to` has and `from` has not, newest first; none when one of them is not known here.
    pub fn log_between(&self, from: &str, to: &str, count_max: u32) -> Vec<Logged> {
        let hex = |sha: &str| !sha.is_empty() && sha.chars().all(|c| c.is_ascii_hexdigit());
        if !hex(from) || !hex(to) {
            return Vec::new();
        }
        let count = format!("--max-count={count_max}");
        let range = format!("{from}..{to}");
        // What a person chose comes last: nothing in it can be taken for another field.
        let format = "--format=%H%x1f%ct%x1f%an <%ae>%x1f%s";
        let Ok(log) = self.read(&["log", &count, format, &range]) else {
            return Vec::new();
        };
        let read = |line: &str| {
            let mut fields = line.splitn(4, '\u{1f}');
            Some(Logged {
                sha: fields.next()?.to_owned(),
                committed_at: fields.next()?.parse().ok()?,
                author: fields.next()?.to_owned(),
                subject: fields.next()?.to_owned(),
            })
        };
        log.lines().filter_map(read).collect()
    }
}
