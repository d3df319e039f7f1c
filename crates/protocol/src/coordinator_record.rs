//! Records of the coordinators' topics. A key begins with the record type, a value with its
//! version, each an i16; a record without a value (a tombstone) has no value to decode.

use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::message::Message;
use crate::reader::Reader;
use crate::wire::from_variant;
use crate::writer::Writer;

include!(concat!(env!("OUT_DIR"), "/coordinator_record.rs"));

/// Keys have one version each: what looks like a version in them is the record type.
const KEY_VERSION: i16 = 0;

macro_rules! coordinator_record {
    ($key:ident, $value:ident) => {
        impl<'a> $key<'a> {
            /// Reads the key of a log record.
            pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(bytes);
                let record_type = reader.read_i16()?;
                let key = Self::decode_body(record_type, KEY_VERSION, &mut reader)?;
                reader.finish()?;
                Ok(key)
            }

            /// Appends the key of a log record.
            pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
                writer.write_i16(self.record_type());
                self.encode_body(writer, KEY_VERSION)
            }
        }

        impl<'a> $value<'a> {
            /// Reads the value of a log record whose key has this record type: the value and
            /// its version.
            pub fn decode(record_type: i16, bytes: &'a [u8]) -> Result<(Self, i16), DecodeError> {
                let mut reader = Reader::new(bytes);
                let version = reader.read_i16()?;
                let value = Self::decode_body(record_type, version, &mut reader)?;
                reader.finish()?;
                Ok((value, version))
            }

            /// Appends the value of a log record.
            pub fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
                writer.write_i16(version);
                self.encode_body(writer, version)
            }
        }
    };
}

coordinator_record!(GroupRecordKey, GroupRecordValue);
coordinator_record!(TransactionRecordKey, TransactionRecordValue);
coordinator_record!(ShareRecordKey, ShareRecordValue);
