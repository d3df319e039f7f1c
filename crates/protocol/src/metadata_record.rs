//! Records of `__cluster_metadata` in their frame: frame version, record type and version, each
//! an unsigned variable-length number, then the record (KIP-631, KIP-746).

use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::message::Message;
use crate::reader::Reader;
use crate::wire::from_variant;
use crate::writer::Writer;

include!(concat!(env!("OUT_DIR"), "/metadata_record.rs"));

/// The only version of the frame.
const FRAME_VERSION: u32 = 1;

impl<'a> MetadataRecord<'a> {
    /// Reads the value of a log record: the metadata record and its version.
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, i16), DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame_version = reader.read_uvarint()?;
        if frame_version != FRAME_VERSION {
            let reason = DecodeReason::UnknownFrameVersion { version: frame_version };
            return Err(reader.error(reason));
        }
        let record_type = read_small(&mut reader)?;
        let version = read_small(&mut reader)?;
        let record = Self::decode_body(record_type, version, &mut reader)?;
        reader.finish()?;
        Ok((record, version))
    }

    /// Appends the value of a log record.
    pub fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        writer.write_uvarint(FRAME_VERSION);
        writer.write_uvarint(u32::from(self.record_type().unsigned_abs()));
        writer.write_uvarint(u32::from(version.unsigned_abs()));
        self.encode_body(writer, version)
    }
}

fn read_small(reader: &mut Reader<'_>) -> Result<i16, DecodeError> {
    let value = reader.read_uvarint()?;
    i16::try_from(value).map_err(|_| {
        reader.error(DecodeReason::Length { length: i32::try_from(value).unwrap_or(i32::MAX) })
    })
}
