//! The client without IO. Reading order: one connection, what the cluster is, what to send, what
//! came back, membership in a group.

pub mod assignor;
pub mod batches;
pub mod connection;
pub mod fetch;
pub mod membership;
pub mod metadata;
pub mod partitioner;
pub mod record;
pub mod sequences;
pub mod versions;
