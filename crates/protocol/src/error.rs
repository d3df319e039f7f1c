//! What can be wrong with bytes that came in, and with values that are to go out.

use std::ops::RangeInclusive;

/// Why bytes are no message, and how far the reader had come.
///
/// The culprit is always the sender (or the disk): nothing here is a defect of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: {reason}")]
pub struct DecodeError {
    /// Bytes read before the error, counted from where the reader started.
    pub position: u32,
    pub reason: DecodeReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeReason {
    #[error("{missing} more bytes are needed")]
    Truncated { missing: u32 },
    #[error("{count} bytes follow the end")]
    TrailingBytes { count: u32 },
    #[error("the length {length} is out of range")]
    Length { length: i32 },
    #[error("a variable-length number takes more bits than its type has")]
    LongVarint,
    #[error("null where null is not allowed")]
    Null,
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    #[error("{count} elements are claimed, more than the bytes can hold")]
    ArrayTooLong { count: u32 },
    #[error("the values would take more memory than the frame justifies")]
    OverBudget,
    #[error("a tagged field of {size} bytes holds something of another size")]
    TaggedFieldSize { size: u32 },
    #[error("version {version} is not known")]
    UnsupportedVersion { version: i16 },
    #[error("api key {code} is not known")]
    UnknownApiKey { code: i16 },
    #[error("record type {record_type} is not known")]
    UnknownRecordType { record_type: i16 },
    #[error("frame version {version} is not known")]
    UnknownFrameVersion { version: u32 },
}

/// Why a value cannot be written in the version asked for. The culprit is the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    #[error("{field} is set, which version {version} cannot carry")]
    UnsupportedField { field: &'static str, version: i16 },
    #[error("tagged fields are set, which version {version} cannot carry")]
    UnsupportedTaggedFields { version: i16 },
    #[error("{field} may not be null")]
    Null { field: &'static str },
    #[error("a length of {length} does not fit")]
    TooLong { length: usize },
}

impl EncodeError {
    pub(crate) fn refuse_version(
        versions: RangeInclusive<i16>,
        message: &'static str,
        version: i16,
    ) -> Result<(), Self> {
        if versions.contains(&version) {
            Ok(())
        } else {
            Err(Self::UnsupportedVersion { message, version })
        }
    }

    pub(crate) fn refuse_field(
        is_set: bool,
        field: &'static str,
        version: i16,
    ) -> Result<(), Self> {
        if is_set { Err(Self::UnsupportedField { field, version }) } else { Ok(()) }
    }

    pub(crate) fn refuse_null(is_null: bool, field: &'static str) -> Result<(), Self> {
        if is_null { Err(Self::Null { field }) } else { Ok(()) }
    }
}
