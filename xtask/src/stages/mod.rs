//! One module per verb: gather, plan, run, report.

pub mod answer;
pub mod changes;
pub mod ci;
pub mod cleanup;
pub mod crons;
pub mod deploy;
pub mod doctor;
pub mod effects;
pub mod init;
pub mod install;
pub mod local;
pub mod logs;
pub mod migrate;
pub mod preview;
pub mod rehearse;
pub mod rollback;
pub mod secrets;
pub mod status;
pub mod tidy;
pub mod worker;
