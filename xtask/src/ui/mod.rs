//! The only module that prints. People read stderr, stdout carries data. Knows how progress looks, not what it means.
//!
//! Three styles: live lines on a terminal, plain lines in a pipe, folded groups and annotations on GitHub. All of it
//! goes to stderr, GitHub's workflow commands included (the runner reads both streams): one stream keeps its order,
//! and stdout stays exactly the data that was asked for.

mod annotate;
mod data;
mod github;
mod live;
mod sink;
#[cfg(test)]
mod tests;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use self::live::Live;
use self::sink::Sink;
pub use self::text::{clean_line, clean_text, fit, human_duration, width};
use crate::env::Env;
use crate::error::render;
use crate::mask::Mask;
use crate::plan::{Action, Plan, Step};
use crate::run::{Status, StepReport};

/// How many of a failed step's last lines are shown.
const TAIL_LINES: usize = 20;

/// What `--format` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Nothing on stdout unless a verb's result is text.
    #[default]
    Text,
    /// One JSON document on stdout.
    Json,
}

/// Where everything that is said ends up.
pub struct Ui {
    look: Look,
    format: Format,
    mask: RwLock<Arc<Mask>>,
    screen: Arc<Mutex<Screen>>,
}

/// How it is said.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    terminal: bool,
    github: bool,
    color: bool,
    /// The same for what goes to stdout.
    data_color: bool,
    data_terminal: bool,
    quiet: bool,
    verbose: bool,
}

/// What is written to, and what stands at its bottom.
struct Screen {
    sink: Sink,
    live: Live,
    /// `$ command` of the steps of the running plan, by id, for groups and failures.
    commands: std::collections::HashMap<String, String>,
    steps_done: usize,
    /// Annotations made so far: errors, warnings, notices.
    annotations: [usize; 3],
}

impl Ui {
    /// The voice that suits these surroundings.
    pub fn new(env: &Env, quiet: bool, verbose: bool, format: Format) -> Ui {
        let look = Look {
            terminal: env.terminal && !quiet,
            github: env.github_actions,
            color: env.color,
            data_color: env.data_color,
            data_terminal: env.data_terminal,
            quiet,
            verbose,
        };
        Ui::of(look, format, Sink::Process)
    }

    /// A voice that keeps what it says, for tests: see [`Ui::said`]. Dressed for a pipe, or for GitHub.
    pub fn in_memory(github: bool) -> Ui {
        let look = Look {
            github,
            ..Look::default()
        };
        let sink = Sink::Memory {
            said: String::new(),
            data: String::new(),
        };
        Ui::of(look, Format::Text, sink)
    }

    fn of(look: Look, format: Format, sink: Sink) -> Ui {
        Ui {
            look,
            format,
            mask: RwLock::new(Arc::new(Mask::new([]))),
            screen: Arc::new(Mutex::new(Screen {
                sink,
                live: Live::default(),
                commands: std::collections::HashMap::new(),
                steps_done: 0,
                annotations: [0; 3],
            })),
        }
    }

    /// From now on everything printed is searched for these secrets, too. What was hidden stays hidden.
    pub fn hide(&self, more: &Mask) {
        let mut mask = self.mask.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut mask).extend(more);
    }

    /// What hides the secrets.
    pub fn mask(&self) -> Arc<Mask> {
        self.mask
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What `--format` asked for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// True with `-v`.
    pub fn verbose(&self) -> bool {
        self.look.verbose
    }

    /// Tells a person something; left out with `-q`.
    pub fn info(&self, text: &str) {
        if !self.look.quiet {
            self.say(text);
        }
    }

    /// Warns; on GitHub as an annotation. The report repeats the warnings of a stage: say here only what cannot wait.
    pub fn warn(&self, text: &str) {
        if self.look.github {
            self.command("warning", &[], text);
        } else {
            self.say(&self.paint(YELLOW, &format!("warning: {text}")));
        }
    }

    /// Shows an error with its why and fix; on GitHub, `path:line:col: error: …` lines annotate their files.
    pub fn error(&self, error: &anyhow::Error) {
        let text = render(error);
        self.say(&self.paint_error(&text));
        if self.look.github {
            let text = self.mask().apply(&text).into_owned();
            for line in github::annotations(&text) {
                self.raw(&line);
            }
        }
    }

    /// Shows the report of a stage; with `-q` only its failures, if there are any.
    pub(crate) fn report(&self, text: &str, failures: &str) {
        let text = if self.look.quiet { failures } else { text };
        if !text.is_empty() {
            self.say(&format!("\n{}", self.paint_error(text)));
        }
    }

    /// Asks the person at the terminal and gives the answer; `None` where nobody sits.
    pub fn ask(&self, question: &str) -> Option<String> {
        use std::io::IsTerminal as _;
        if !self.look.terminal || !std::io::stdin().is_terminal() {
            return None;
        }
        self.say(question);
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }

    /// Writes data to stdout, masked.
    pub fn data(&self, text: &str) {
        let text = self.mask().apply(text).into_owned();
        self.screen().sink.data(&text);
    }

    /// A plan is about to run.
    pub fn begin(&self, plan: &Plan) {
        let mut screen = self.screen();
        screen.steps_done = 0;
        screen.commands = plan.steps.iter().filter_map(command_of).collect();
        if self.look.terminal {
            screen.live.begin(plan.steps.len(), self.look.color);
            live::start_ticking(&self.screen, &mut screen);
        }
    }

    /// The plan has ended.
    pub fn end(&self) {
        let ticker = {
            let mut screen = self.screen();
            let erase = screen.live.end();
            screen.sink.say(&erase);
            screen.live.ticker.take()
        };
        // Joined without the lock, which the thread takes for each picture.
        if let Some(ticker) = ticker {
            ticker.stop();
        }
    }

    /// A step starts.
    pub fn step_started(&self, step: &Step) {
        if self.look.terminal {
            self.screen().live.started(&step.id);
        }
        if self.look.verbose && !self.look.github {
            let command = self.screen().commands.get(&step.id).cloned();
            if let Some(command) = command {
                self.say(&format!("{} | $ {command}", step.id));
            }
        }
    }

    /// A step printed a line, plain and masked already.
    pub fn step_line(&self, id: &str, line: &str) {
        if self.look.terminal {
            self.screen().live.line(id, line);
        }
        if self.look.verbose && !self.look.github {
            self.say(&format!("{id} | {line}"));
        }
    }

    /// A step ended.
    pub fn step_finished(&self, report: &StepReport) {
        let bad = matches!(report.status, Status::Failed | Status::Warning);
        let command = {
            let mut screen = self.screen();
            screen.live.finished(&report.id);
            screen.steps_done += 1;
            screen.commands.get(&report.id).cloned()
        };
        if self.look.quiet && !bad {
            return;
        }
        let headline = self.headline(report);
        if self.look.github {
            return self.github_step(report, &headline, command.as_deref());
        }
        self.say(&headline);
        if bad && !self.look.verbose {
            let skipped = report.log.len().saturating_sub(TAIL_LINES);
            let lines = command.map(|c| format!("$ {c}")).into_iter();
            let lines: Vec<String> = lines
                .chain(report.log[skipped..].iter().cloned())
                .map(|line| self.paint(DIM, &format!("    {line}")))
                .collect();
            if !lines.is_empty() {
                self.say(&lines.join("\n"));
            }
        }
    }

    /// What was said so far; empty unless [`Ui::in_memory`].
    pub fn said(&self) -> String {
        match &self.screen().sink {
            Sink::Process => String::new(),
            Sink::Memory { said, .. } => said.clone(),
        }
    }

    /// The data written so far; empty unless [`Ui::in_memory`].
    pub fn data_said(&self) -> String {
        match &self.screen().sink {
            Sink::Process => String::new(),
            Sink::Memory { data, .. } => data.clone(),
        }
    }

    /// How many columns a table may take.
    pub fn columns(&self) -> usize {
        if self.look.terminal {
            live::terminal_size().0
        } else {
            120
        }
    }

    /// `✓ upload main  1.2s  note`
    fn headline(&self, report: &StepReport) -> String {
        let (sign, color) = sign_of(report.status);
        let mut line = format!("{} {}", self.paint(color, sign), report.id);
        if !matches!(report.status, Status::Passed) {
            line.push(' ');
            line.push_str(&self.paint(color, report.status.word()));
        }
        if report.attempts > 0 && report.duration >= Duration::from_millis(1) {
            line.push_str(&self.paint(DIM, &format!("  {}", human_duration(report.duration))));
        }
        if report.attempts > 1 {
            line.push_str(&self.paint(DIM, &format!("  {} attempts", report.attempts)));
        }
        if let Some(note) = &report.note {
            line.push_str(&format!("  {note}"));
        }
        line
    }

    /// Writes lines to stderr, above the live ones. On GitHub a line of ours never is a workflow command.
    fn say(&self, text: &str) {
        let text = self.mask().apply(text).into_owned();
        if self.look.github {
            let lines: Vec<String> = text.lines().map(github::disarm).collect();
            self.raw(&lines.join("\n"));
        } else {
            self.raw(&text);
        }
    }

    /// A workflow command of GitHub.
    fn command(&self, name: &str, properties: &[(&str, &str)], text: &str) {
        let text = self.mask().apply(text).into_owned();
        self.raw(&github::command(name, properties, &text));
    }

    fn raw(&self, text: &str) {
        let mut screen = self.screen();
        let screen = &mut *screen;
        let mut whole = screen.live.erase();
        whole.push_str(text);
        whole.push('\n');
        whole.push_str(&screen.live.draw(screen.steps_done));
        screen.sink.say(&whole);
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.look.color {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// `error`, `why` and `fix` stand out.
    pub(crate) fn paint_error(&self, text: &str) -> String {
        let lines = text.lines().map(|line| {
            for (label, color) in [("error:", RED), ("  why:", DIM), ("  fix:", GREEN)] {
                if let Some(rest) = line.strip_prefix(label) {
                    return format!("{}{rest}", self.paint(color, label));
                }
            }
            line.to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";

/// The sign and colour of a status; the sign alone carries the meaning.
pub(crate) fn sign_of(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Passed => ("✓", GREEN),
        Status::Skipped => ("-", DIM),
        Status::Cached => ("=", DIM),
        Status::Warning => ("!", YELLOW),
        Status::Failed => ("✗", RED),
        Status::Blocked | Status::Cancelled => ("·", DIM),
    }
}

fn command_of(step: &Step) -> Option<(String, String)> {
    match &step.action {
        Action::Command(command) => Some((step.id.clone(), command.display.clone())),
        _ => None,
    }
}
