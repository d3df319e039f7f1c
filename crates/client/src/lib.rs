//! Connections and requests to a cluster: the seed of the native client.
//!
//! Owns: correlation ids, version negotiation, the metadata cache, partitioners, batch building,
//! the membership of one consumer in a classic group, and a thin async face over TCP.
//! Never does: decide in the async face. [`core`] decides without IO; [`driver`] carries bytes,
//! reads the clock and waits.
//! Start at [`driver::Cluster`]; producers and consumers stand on it.
//!
//! Invariants: a connection matches answers to requests by correlation id, in order; a version is
//! never sent that the node did not announce; a frame's length is bounded before it is read.
#![forbid(unsafe_code)]

pub mod core;
pub mod driver;
pub mod error;
pub mod settings;

pub use core::metadata::{Metadata, Partition, Topic};
pub use core::record::{ConsumedRecord, ProducerRecord};
pub use driver::{Cluster, Consumer, Producer};
pub use error::{ClientError, Refusal};
pub use settings::{Endpoint, Settings};
