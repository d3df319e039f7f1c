//! Kafka's files, one format a file, byte for byte.
//!
//! Everything here turns bytes into values and back and knows no disk. Foreign bytes never panic:
//! a damaged file is a [`FormatError`], and what to do about it is the caller's rule.

pub mod checkpoint_text;
pub mod clean_shutdown;
pub mod directory_name;
pub mod file_name;
pub mod index_entry;
pub mod leader_epoch_checkpoint;
pub mod meta_properties;
pub mod offset_checkpoint;
pub mod partition_metadata;
pub mod producer_snapshot;

/// A file does not hold what its format says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged file: {0}")]
pub struct FormatError(pub String);

impl FormatError {
    pub(crate) fn new(reason: impl Into<String>) -> FormatError {
        FormatError(reason.into())
    }
}
