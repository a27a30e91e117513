//! All integration tests of this crate in one program: support is compiled once and linked once. One module per subject.

mod cleanup;
#[path = "../../../tests/it/support/complete.rs"]
mod complete;
mod d1_failures;
mod edge;
mod github;
mod guard;
mod process;
mod queues;
mod resource_ids;
mod sidecar;
mod support;
mod tokens;
mod wrangler;
mod wrangler_storage;
mod wrangler_tail;

/// A file without a `mod` line is not compiled, and its tests never run.
#[test]
fn every_file_is_part_of_this_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let forgotten = complete::forgotten(&folder);
    assert!(
        forgotten.is_empty(),
        "add a `mod` line for each of these: {forgotten:?}"
    );
}
