//! `rollback`, whole runs: real wrangler, real workerd, a real database; what serves, and which rows are there.
#![cfg(unix)]

mod database;
mod history;
mod revert;
mod wall;
