//! The pipeline as a library: `main.rs` only calls it.
