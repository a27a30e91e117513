//! What goes to stdout for people to look at: colours that only decorate, and pictures that replace each other.

use std::time::SystemTime;

use super::Ui;

impl Ui {
    /// A word on stdout in one of a few colours, to tell neighbours apart; as it is where colour is not wanted.
    pub fn tinted(&self, index: usize, text: &str) -> String {
        const TINTS: [&str; 6] = ["36", "35", "33", "32", "34", "31"];
        match self.look.data_color {
            true => format!("\x1b[{}m{text}\x1b[0m", TINTS[index % TINTS.len()]),
            false => text.to_owned(),
        }
    }

    /// A text that replaces the one before: on a terminal in its place, in a pipe below it, with the time.
    pub fn picture(&self, text: &str) {
        if self.look.data_terminal {
            return self.data(&format!("\x1b[H\x1b[2J{text}"));
        }
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        self.data(&format!("--- {now}\n{text}"));
    }
}
