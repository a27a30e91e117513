//! `cargo xtask logs`: what the workers meet and say, live, all of them in one stream, until Ctrl-C.

mod line;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::context::Ctx;
use crate::error::Fail;
use crate::pause;
use crate::target::Target;
use crate::tools::tail::{Heard, Source, Tail};
use crate::ui::Format;
use crate::workspace::Workspace;

/// How long one look for something new takes, so that Ctrl-C and `--for` are heard.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a stream that broke off is begun again without having brought anything.
const TRIES_MAX: u32 = 5;

/// The flags of `logs`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these workers, by short or script name.
    pub workers: Vec<String>,
    /// Only what holds this text.
    pub grep: Option<String>,
    /// How long it goes on.
    pub time: Option<Duration>,
}

/// Shows what happens until it is interrupted or the time is over. The tails are deleted then.
pub fn logs(ctx: &Ctx, options: &Options) -> anyhow::Result<()> {
    let workspace = Workspace::load(&ctx.root)?;
    let names = [ctx.only.as_slice(), options.workers.as_slice()].concat();
    let workers = workspace.select(&names)?;
    if ctx.dry_run {
        let scripts: Vec<&str> = workers.iter().map(|it| it.config.name.as_str()).collect();
        ctx.ui
            .data(&format!("would listen to {}", scripts.join(", ")));
        return Ok(());
    }
    let target = Target::look(ctx, &workspace)?;
    if !target.reachable {
        return Err(
            Fail::setup("the local cloud is not running, or has never seen this repo")
                .why("there is nobody to listen to")
                .fix("cargo xtask deploy --cloud local")
                .into(),
        );
    }
    let sources: Vec<Source> = workers
        .iter()
        .map(|worker| Source {
            worker: worker.name.clone(),
            script: worker.config.name.clone(),
        })
        .collect();
    let until = options.time.map(|time| Instant::now() + time);
    let listener = Listener {
        ctx,
        grep: options.grep.as_deref().map(str::to_lowercase),
        width: sources
            .iter()
            .map(|it| it.worker.chars().count())
            .max()
            .unwrap_or(0),
        sources: &sources,
        until,
    };
    listener.listen(&target)
}

struct Listener<'a> {
    ctx: &'a Ctx,
    /// In lower case.
    grep: Option<String>,
    /// Of the longest name.
    width: usize,
    sources: &'a [Source],
    until: Option<Instant>,
}

impl Listener<'_> {
    /// Listens, and begins again when a stream breaks off: Cloudflare ends a tail after some hours.
    fn listen(&self, target: &Target) -> anyhow::Result<()> {
        let mut tries = 0;
        while !self.over() {
            let mask = self.ctx.ui.mask();
            let place = (self.ctx.root.as_path(), &target.env, &*mask);
            let mut tail = Tail::open(&target.cloudflare, place, self.sources, &json!([]))?;
            let (why, heard) = self.carry(&mut tail)?;
            let Some(why) = why else {
                return Ok(());
            };
            tries = if heard { 1 } else { tries + 1 };
            if tries > TRIES_MAX {
                return Err(
                    Fail::remote("the stream of events breaks off again and again")
                        .why(why)
                        .fix("check the connection, then run the command again")
                        .into(),
                );
            }
            self.ctx.ui.info(&format!("{why}; listening again"));
            pause::wait(Duration::from_millis(500) * tries);
        }
        Ok(())
    }

    /// Until the end (`None`) or until a stream breaks off; and whether an event came.
    fn carry(&self, tail: &mut Tail) -> anyhow::Result<(Option<String>, bool)> {
        let mut heard = false;
        while !self.over() {
            match tail.next(PATIENCE)? {
                Heard::Nothing => {}
                Heard::Open { worker } => self.ctx.ui.info(&format!("listening to {worker}")),
                Heard::Event { worker, item } => {
                    heard = true;
                    self.show(&worker, item);
                }
                Heard::Closed { worker, why } => {
                    return Ok((Some(format!("no more events of {worker}: {why}")), heard));
                }
            }
        }
        Ok((None, heard))
    }

    fn over(&self) -> bool {
        self.ctx.interrupt.requested() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    fn show(&self, worker: &str, mut item: Value) {
        // Searched as it is shown: a secret cannot be guessed with `--grep`.
        let mask = self.ctx.ui.mask();
        let lines = line::lines(&item);
        let lines: Vec<String> = lines.iter().map(|it| mask.apply(it).into_owned()).collect();
        let fits = |text: &String| lines.iter().any(|line| line.to_lowercase().contains(text));
        if self.grep.as_ref().is_some_and(|text| !fits(text)) {
            return;
        }
        if self.ctx.ui.format() == Format::Json {
            item["worker"] = json!(worker);
            self.ctx.ui.data(&mask.apply_json(&item).to_string());
            return;
        }
        let index = self.sources.iter().position(|it| it.worker == worker);
        for line in lines {
            let name = format!("{worker:width$}", width = self.width);
            let name = self.ctx.ui.tinted(index.unwrap_or(0), &name);
            self.ctx.ui.data(&format!("{name}  {line}"));
        }
    }
}
