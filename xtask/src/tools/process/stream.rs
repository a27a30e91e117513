//! A program that is read while it runs: its standard output line by line, until the reader has had enough of it.

use std::io::{PipeWriter, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::group::signal_group;
use super::output::{Piece, STDOUT};
use super::spawn;
use crate::env::Env;
use crate::interrupt::{GroupGuard, guard_group};
use crate::mask::Mask;
use crate::plan::Command;

/// How much of what it says to people is kept, for the error when it ends too soon.
const SAID_BYTES_MAX: usize = 8 << 10;

/// A program under way. It is killed, with all it started, when this value goes.
pub struct Stream {
    handle: duct::Handle,
    pieces: Receiver<Piece>,
    group: i32,
    _guard: GroupGuard,
    /// The other end of its standard input: a program that reads it learns by its end that nobody listens any more.
    _stdin: PipeWriter,
    rest: Vec<u8>,
    said: Vec<u8>,
    open: bool,
}

/// What came within the time one was ready to wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A line of its standard output, as it came: *not* masked.
    Line(String),
    /// Nothing.
    Quiet,
    /// It has ended, with these last words, *not* masked.
    Ended(String),
}

impl Stream {
    /// Starts a program, hands it `input` and leaves its standard input open.
    pub fn start(
        command: &Command,
        env: &Env,
        mask: &Mask,
        input: &[u8],
    ) -> anyhow::Result<Stream> {
        let (stdin, mut writer) = std::io::pipe().context("failed to make a pipe")?;
        let (handle, pieces) = spawn(command, env, mask, |expression| {
            expression.stdin_file(stdin)
        })?;
        let group = handle.pids().first().map_or(0, |&pid| pid.cast_signed());
        let stream = Stream {
            handle,
            pieces,
            group,
            _guard: guard_group(group),
            rest: Vec::new(),
            said: Vec::new(),
            open: true,
            _stdin: {
                // One that ended before it read is noticed when it is read from.
                let _ = writer.write_all(input);
                writer
            },
        };
        Ok(stream)
    }

    /// The next line, if one comes within `patience`.
    pub fn next(&mut self, patience: Duration) -> Next {
        let until = Instant::now() + patience;
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Next::Line(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.open {
                return Next::Ended(String::from_utf8_lossy(&self.said).trim().to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left) {
                Ok((STDOUT, Some(bytes))) => self.rest.extend_from_slice(&bytes),
                Ok((_, Some(bytes))) => {
                    self.said.extend_from_slice(&bytes);
                    let surplus = self.said.len().saturating_sub(SAID_BYTES_MAX);
                    self.said.drain(..surplus);
                }
                Ok((_, None)) => {}
                Err(RecvTimeoutError::Timeout) => return Next::Quiet,
                Err(RecvTimeoutError::Disconnected) => self.open = false,
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        signal_group(self.group, libc::SIGKILL);
        // It is reaped, so that it does not stay in the list of processes.
        let _ = self.handle.wait();
    }
}
