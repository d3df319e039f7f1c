//! TLS by Kafka's `ssl.*` keys, for a node's listeners and for clients.
//!
//! Owns: what the keys mean, the three formats of key stores, whom a certificate makes trusted.
//! Never does: open a socket or a file, read the clock; callers hand in a way to read a file, and the
//! time. What it makes are configurations of rustls.
//! Start at [`TlsSettings::read`], then [`server::configuration`] and [`client::configuration`].
//!
//! Invariants: a mistake of the operator is one sentence with the key's whole name; a secret is never
//! part of a sentence, nor of what `Debug` prints.
#![forbid(unsafe_code)]

pub mod settings;

mod certificate;
mod jks;
mod pem;
pub mod store;

pub mod client;
pub mod server;
mod suites;
mod trust;

pub use settings::{ClientAuth, TlsSettings};
pub use store::ReadFile;
