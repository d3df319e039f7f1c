//! One node as one machine: the cores behind one file per API.
//!
//! Owns: connections and the order of their answers, the partitions, the metadata plane, groups, fetch
//! sessions, checkpoints, start and stop. Never does: IO, clocks, threads; it asks its shell.
//! Start at [`node::Broker`] (inputs), then `gate` (how a request finds its handler), `api`.
//!
//! Invariants: an answer that promises something is parked until its ticket is kept; answers leave in
//! the order of their requests; what ApiVersions names is what `api` serves, but for Produce 0 to 2.
#![forbid(unsafe_code)]

pub mod effect;
pub mod examinations;
pub mod look_ups;
pub mod node;

mod gate;

mod api;
mod call;
mod connections;

mod failed_directories;
mod fetch_sessions;
mod fetches;
mod full_disk;
mod groups;
pub mod held;
mod log_set;
mod partitions;
mod producer_ids;

mod cluster;
mod config_rules;
mod decisions;
mod metadata;
mod reconcile;
mod topic_creation;

pub mod boot;
mod checkpoints;
mod lifecycle;
pub mod recovery_debt;

mod authorized_operations;
pub mod settings;

pub use call::of_its_own;
pub use cluster::EndpointType;
pub use gate::{is_produce, would_serve};
pub use node::{Broker, BrokerStart};
