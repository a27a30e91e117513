//! Collects what a program prints, as lines or as data. Knows nothing of processes.

use std::io::{PipeReader, Read as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use crate::run::Io;
use crate::ui::clean_line;

/// How much of one stream is kept; a program that prints more is cut off there.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// A line longer than this is cut into several.
const LINE_BYTES_MAX: usize = 1 << 20;

/// One piece of output; `None` at the end of the stream.
pub(super) type Piece = (usize, Option<Vec<u8>>);

pub(super) const STDOUT: usize = 0;
pub(super) const STDERR: usize = 1;

pub(super) fn read_pieces(stream: usize, mut reader: PipeReader, sender: &SyncSender<Piece>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(length) if length > 0 => Some(buffer[..length].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // A pipe that cannot be read any more has ended for our purposes.
            Ok(_) | Err(_) => None,
        };
        let over = piece.is_none();
        // The receiver goes away when the program left a process behind that still holds the pipe.
        if sender.send((stream, piece)).is_err() || over {
            return;
        }
    }
}

#[derive(PartialEq, Eq)]
pub(super) enum Streams {
    Open,
    Closed,
}

/// What arrived so far on both streams.
pub(super) struct Collected<'run> {
    io: &'run Io<'run>,
    stdout_is_data: bool,
    open: [bool; 2],
    /// Bytes of a line whose end has not arrived.
    rest: [Vec<u8>; 2],
    /// Finished text: raw for data, plain and masked for lines.
    text: [Vec<u8>; 2],
}

impl<'run> Collected<'run> {
    pub(super) fn new(io: &'run Io<'run>, stdout_is_data: bool) -> Collected<'run> {
        Collected {
            io,
            stdout_is_data,
            open: [true; 2],
            rest: Default::default(),
            text: Default::default(),
        }
    }

    /// Handles what arrives within `patience`; returns early once something did.
    pub(super) fn take(&mut self, pieces: &Receiver<Piece>, patience: Duration) -> Streams {
        if self.open == [false; 2] {
            return Streams::Closed;
        }
        match pieces.recv_timeout(patience) {
            Ok((stream, Some(bytes))) if stream == STDOUT && self.stdout_is_data => {
                self.text[STDOUT].extend_from_slice(&bytes);
            }
            Ok((stream, Some(bytes))) => self.lines(stream, &bytes),
            Ok((stream, None)) => {
                self.open[stream] = false;
                let rest = std::mem::take(&mut self.rest[stream]);
                if !rest.is_empty() {
                    self.line(stream, &rest);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.open = [false; 2],
        }
        if self.open == [false; 2] {
            Streams::Closed
        } else {
            Streams::Open
        }
    }

    fn lines(&mut self, stream: usize, bytes: &[u8]) {
        let mut rest = std::mem::take(&mut self.rest[stream]);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") || rest.len() > LINE_BYTES_MAX {
                self.line(stream, &rest);
                rest.clear();
            }
        }
        self.rest[stream] = rest;
    }

    fn line(&mut self, stream: usize, bytes: &[u8]) {
        let line = String::from_utf8_lossy(bytes);
        let line = self.io.mask().apply(&clean_line(&line)).into_owned();
        let text = &mut self.text[stream];
        if text.len() + line.len() < KEPT_BYTES_MAX {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        self.io.masked_line(line);
    }

    pub(super) fn finish(mut self) -> (String, String) {
        for stream in [STDOUT, STDERR] {
            let rest = std::mem::take(&mut self.rest[stream]);
            if !rest.is_empty() {
                self.line(stream, &rest);
            }
        }
        let [stdout, stderr] = self.text;
        (text_of(stdout), text_of(stderr))
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
