//! The pipeline of a Cloudflare Workers monorepo as a library; the binary only calls [`cli`]'s entry.
//! Reading order: error, env, config, workspace, plan, run, report, tools, stages.

pub mod affected;
pub mod cache;
pub mod cli;
pub mod config;
pub mod context;
pub mod cron;
pub mod derive;
pub mod diff;
pub mod digest;
pub mod drift;
pub mod env;
pub mod error;
pub mod findings;
pub mod github;
pub mod interrupt;
pub mod ledger;
pub mod live;
pub mod mask;
pub mod migrate;
pub mod pause;
pub mod plan;
pub mod preview;
pub mod report;
pub mod run;
pub mod stages;
pub mod standing;
pub mod survey;
pub mod target;
pub mod tools;
pub mod ui;
pub mod watch;
pub mod workspace;
pub mod zone;
