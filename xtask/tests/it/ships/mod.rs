//! What ships, and where: the surroundings do not decide it, and what the build proved is what is uploaded.
#![cfg(unix)]

mod environment;
mod paths;
mod unshipped;
mod variables;
