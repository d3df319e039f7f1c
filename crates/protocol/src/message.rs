//! What all messages have in common.

use std::ops::RangeInclusive;

use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::writer::Writer;

/// A message of Kafka: a request, a response, a header, or the body of a persisted record.
///
/// A field that a version does not have decodes to its default. Encoding it is an error when it
/// holds something else, unless the schema calls the field ignorable.
pub trait Message<'a>: Sized {
    /// The schema's name, such as `ProduceRequest`.
    const NAME: &'static str;
    /// The api key of a request or response; the record type of a metadata or coordinator record.
    const API_KEY: Option<i16>;
    const VERSIONS: RangeInclusive<i16>;

    /// Does this version have compact lengths and tagged fields (KIP-482)?
    fn is_flexible(version: i16) -> bool;

    /// Reads one message; what follows it stays in the reader.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;

    /// Appends the message. After an error the writer holds a part of it.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads a message that takes all of `bytes`.
    fn from_bytes(bytes: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let message = Self::decode(&mut reader, version)?;
        reader.finish()?;
        Ok(message)
    }

    /// The message alone in a buffer; records given as [`Records::External`] are left out.
    fn to_bytes(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::new();
        self.encode(&mut writer, version)?;
        Ok(writer.bytes)
    }

    /// Reads a message that its version goes before, as an i16: values of coordinator records,
    /// subscriptions and assignments of the consumer protocol.
    fn from_versioned_bytes(bytes: &'a [u8]) -> Result<(Self, i16), DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.read_i16()?;
        let message = Self::decode(&mut reader, version)?;
        reader.finish()?;
        Ok((message, version))
    }

    /// The reverse of [`Message::from_versioned_bytes`].
    fn to_versioned_bytes(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::new();
        writer.write_i16(version);
        self.encode(&mut writer, version)?;
        Ok(writer.bytes)
    }
}

/// Record batches inside a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records<'a> {
    /// The batches themselves.
    Inline(&'a [u8]),
    /// Batches that stay where they are: the encoder writes the length and leaves a
    /// [`Hole`](crate::Hole) that whoever sends the message fills. Never decoded.
    External { length: u32 },
}

impl<'a> Records<'a> {
    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::External { length } => *length as usize,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches, if they are here.
    #[must_use]
    pub fn inline(&self) -> Option<&'a [u8]> {
        match self {
            Self::Inline(bytes) => Some(bytes),
            Self::External { .. } => None,
        }
    }
}
