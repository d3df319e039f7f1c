//! The async face: sockets, waiting, retries. It decides nothing about the protocol.

pub mod admin;
mod attempts;
mod clock;
mod cluster;
mod connection;
mod consumer;
mod group;
mod producer;
mod stream;

pub use attempts::Attempts;
pub use clock::Clock;
pub use cluster::Cluster;
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerSettings, OffsetReset, Start};
pub use producer::{Acks, Delivery, Producer, ProducerSettings};
