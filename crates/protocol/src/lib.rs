//! Bytes to values and back: every message of Kafka's wire and of its logs.
//!
//! Owns: the messages, one module per schema file, generated at build time from `schema/` by
//! `build/`; the headers; the frames of persisted records; error codes and api keys; record
//! batches and their compression.
//! Never does: IO, decisions about what a message means, copies of foreign bytes.
//! Start at [`Message`] and [`Request`]; [`Reader`] and [`Writer`] carry the bytes.
//!
//! Invariants: decoding borrows from the frame, never panics, and allocates no more than a small
//! multiple of the bytes received; what cannot be written in a version is an error, not a loss.
#![forbid(unsafe_code)]

mod error;
mod message;
mod reader;
mod tagged;
mod wire;
mod writer;

mod api_key;
mod error_code;
mod request;

pub mod coordinator_record;
pub mod header;
pub mod metadata_record;

pub mod compression;
pub mod fetch;
pub mod produce;
pub mod records;

#[cfg(feature = "sample")]
pub mod sample;

pub use api_key::ApiKey;
pub use coordinator_record::{
    GroupRecordKey, GroupRecordValue, ShareRecordKey, ShareRecordValue, TransactionRecordKey,
    TransactionRecordValue,
};
pub use error::{DecodeError, DecodeReason, EncodeError};
pub use error_code::ErrorCode;
pub use message::{Message, Records};
pub use metadata_record::MetadataRecord;
pub use reader::Reader;
pub use request::Request;
pub use tagged::UnknownTaggedFields;
pub use writer::{Hole, Writer};

include!(concat!(env!("OUT_DIR"), "/modules.rs"));
