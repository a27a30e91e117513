//! One module per outside program; each is the only place that knows that program.

pub mod process;
