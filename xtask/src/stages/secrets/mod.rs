//! `cargo xtask secrets`: where the declared secrets are, and how they get there.

pub(in crate::stages) mod places;
