//! The lines at the bottom of a terminal: one per running step, redrawn. Produces text; the screen writes it.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Screen;
use super::text::{fit, human_duration, width};

/// How often the picture changes.
const TICK: Duration = Duration::from_millis(120);
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// What is drawn.
#[derive(Default)]
pub(super) struct Live {
    on: bool,
    color: bool,
    begun: Option<Instant>,
    steps: usize,
    running: Vec<Running>,
    /// How many lines the last picture had.
    drawn: usize,
    tick: usize,
    pub(super) ticker: Option<Ticker>,
}

struct Running {
    id: String,
    since: Instant,
    line: String,
}

impl Live {
    pub(super) fn begin(&mut self, steps: usize, color: bool) {
        self.on = true;
        self.color = color;
        self.begun = Some(Instant::now());
        self.steps = steps;
        self.running.clear();
    }

    pub(super) fn started(&mut self, id: &str) {
        self.running.push(Running {
            id: id.to_owned(),
            since: Instant::now(),
            line: String::new(),
        });
    }

    pub(super) fn line(&mut self, id: &str, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if let Some(running) = self.running.iter_mut().find(|r| r.id == id) {
            running.line = line.trim().to_owned();
        }
    }

    pub(super) fn finished(&mut self, id: &str) {
        self.running.retain(|running| running.id != id);
    }

    /// The end of the drawing; returns what removes the last picture.
    pub(super) fn end(&mut self) -> String {
        let erase = self.erase();
        self.on = false;
        self.running.clear();
        erase
    }

    /// What removes the last picture.
    pub(super) fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    /// The next picture, fitted to the window.
    pub(super) fn draw(&mut self, steps_done: usize) -> String {
        if !self.on || self.running.is_empty() {
            return String::new();
        }
        let (columns, rows) = terminal_size();
        let lines = self.lines(
            steps_done,
            columns.saturating_sub(1),
            rows.saturating_sub(1),
        );
        self.drawn = lines.len();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn lines(&self, steps_done: usize, columns: usize, rows: usize) -> Vec<String> {
        let spinner = SPINNER[self.tick % SPINNER.len()];
        let shown = self.running.len().min(rows.saturating_sub(1).max(1));
        let mut lines: Vec<String> = self.running[..shown]
            .iter()
            .map(|running| {
                let elapsed = human_duration(whole_tenths(running.since.elapsed()));
                let head = fit(&format!("{spinner} {}  {elapsed}", running.id), columns);
                let left = columns.saturating_sub(width(&head) + 2);
                if left < 8 || running.line.is_empty() {
                    return head;
                }
                format!("{head}  {}", self.dim(&fit(&running.line, left)))
            })
            .collect();
        let mut foot = format!("  {steps_done}/{} steps", self.steps);
        if let Some(begun) = self.begun {
            foot.push_str(&format!(
                "  {}",
                human_duration(whole_tenths(begun.elapsed()))
            ));
        }
        if shown < self.running.len() {
            foot.push_str(&format!(
                "  and {} more running",
                self.running.len() - shown
            ));
        }
        lines.push(self.dim(&fit(&foot, columns)));
        lines
    }

    fn dim(&self, text: &str) -> String {
        if self.color {
            format!("\x1b[2m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Elapsed time in steps that a reader can follow.
fn whole_tenths(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis() as u64 / 100 * 100)
}

/// The thread that redraws.
pub(super) struct Ticker {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Ticker {
    /// Ends the thread and waits for it.
    pub(super) fn stop(self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        // A panic while drawing has been printed already and changes no result.
        let _ = self.thread.join();
    }
}

/// Redraws until stopped. Holds the screen weakly: the picture never keeps the process alive.
pub(super) fn start_ticking(shared: &Arc<Mutex<Screen>>, screen: &mut Screen) {
    let weak: Weak<Mutex<Screen>> = Arc::downgrade(shared);
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let thread = std::thread::spawn(move || {
        while !is_over.load(Ordering::SeqCst) {
            std::thread::park_timeout(TICK);
            let Some(screen) = weak.upgrade() else { return };
            let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            let screen = &mut *screen;
            screen.live.tick += 1;
            let mut picture = screen.live.erase();
            picture.push_str(&screen.live.draw(screen.steps_done));
            screen.sink.say(&picture);
        }
    });
    screen.live.ticker = Some(Ticker { over, thread });
}

/// Columns and rows of the terminal behind stderr, or 80 by 24.
#[expect(
    unsafe_code,
    reason = "ioctl has no counterpart in the standard library"
)]
pub(super) fn terminal_size() -> (usize, usize) {
    if !std::io::stderr().is_terminal() {
        return (80, 24);
    }
    // SAFETY: TIOCGWINSZ fills the struct it is given, which is plain numbers.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(2, libc::TIOCGWINSZ, &raw mut size) == 0).then_some(size)
    };
    match size {
        Some(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (size.ws_col.into(), size.ws_row.into())
        }
        _ => (80, 24),
    }
}
