//! The local cloud as a library: a loopback Cloudflare that speaks the API wrangler speaks and really runs what is uploaded.
//!
//! Reading order: `serve` (process), `api` (control plane), `state` (what the account holds), `world` (what runs),
//! `runtime` and `edge` (where it runs), `storage` (D1, KV, R2), `github` (pull requests), `control` (`/_local`, for tests and people).

pub mod serve;

pub mod api;
pub mod app;
pub mod bindings;
pub mod control;
pub mod d1_failures;
pub mod dropped;
pub mod envelope;
pub mod extract;
pub mod fail;
pub mod faults;
pub mod form;
pub mod github;
pub mod guard;
pub mod journal;
pub mod mask;
pub mod migrations;
pub mod page;
pub mod queues;
pub mod resource_id;
pub mod state;
pub mod upload;
pub mod world;

pub mod crons;
pub mod edge;
pub mod routing;
pub mod runtime;
pub mod sidecar;
pub mod storage;
pub mod tails;

pub mod disk;
pub mod ids;
