//! Where bytes end up: the two streams of the process, or memory. Nothing else writes to them.

use std::io::Write as _;

pub(super) enum Sink {
    /// stderr for people, stdout for data.
    Process,
    /// Kept in memory, for tests.
    Memory { said: String, data: String },
}

impl Sink {
    /// Nobody can be told that the terminal is gone, so a failed write is not an error.
    pub(super) fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self {
            Sink::Process => {
                let _ = std::io::stderr().lock().write_all(text.as_bytes());
            }
            Sink::Memory { said, .. } => said.push_str(text),
        }
    }

    pub(super) fn data(&mut self, text: &str) {
        match self {
            Sink::Process => {
                let mut stdout = std::io::stdout().lock();
                // A reader that closed the pipe (`| head`) has what it wanted.
                let _ = writeln!(stdout, "{text}");
                let _ = stdout.flush();
            }
            Sink::Memory { data, .. } => {
                data.push_str(text);
                data.push('\n');
            }
        }
    }
}
