//! All integration tests of this crate in one program: support is compiled once and linked once. One module per subject.

mod act;
mod bootstrap;
mod canaries;
mod ci;
mod ci_kept;
mod ci_parts;
mod ci_scripts;
mod cleanup;
mod completions;
mod crons;
mod database;
mod deploy;
mod deploy_failures;
mod deploy_interrupted;
mod deploy_shapes;
mod docs;
mod doctor;
mod errors;
mod examples;
mod faults;
mod faults_database;
mod health;
mod init;
mod interrupted;
mod logs;
mod migrate;
mod preview;
mod preview_faults;
mod rollback;
mod secrets;
mod secrets_verb;
mod shapes;
mod ships;
mod signals;
mod stand_in;
mod status;
mod support;
mod tidy;
mod watch;
mod worker;
mod workers;

/// A file without a `mod` line is not compiled, and its tests never run.
#[test]
fn every_file_is_part_of_this_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let forgotten = support::complete::forgotten(&folder);
    assert!(
        forgotten.is_empty(),
        "add a `mod` line for each of these: {forgotten:?}"
    );
}
