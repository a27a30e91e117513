//! The local cloud as a library: `main.rs` only calls it.
