//! What the cluster is: the image that metadata records build, and the controller that writes them.
//!
//! Owns: topics, partitions, brokers, configurations, quotas, feature levels, producer id blocks, and the
//! rules by which requests become records. Never does: append, replicate, answer.
//! Start at [`image::Image`] (what is), then [`controller::Controller`] (what may become).
//!
//! Invariants: the image changes only by `replay`; the controller decides on `&self` and never writes
//! a record whose replay would fail; nothing that a record says is lost to a snapshot.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod controller;
pub mod directory_id;
pub mod features;
pub mod image;
mod record_versions;
pub mod topic_name;

pub use controller::{Controller, Decision, Refusal};
pub use image::{Delta, Image, ReplayError};
