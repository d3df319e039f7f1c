//! One request on its way: where its answer goes and how it is put into bytes.

use bytes::BytesMut;
use strom_protocol::{ApiKey, DecodeError, EncodeError, Hole, Message, Writer, header};

use crate::connections::ReplyTo;
use crate::effect::{FileRange, Response};

/// Most answers fit: their buffer does not grow.
const SMALL_ANSWER_BYTES: usize = 128;

/// All that is needed to answer a request later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReturnAddress {
    pub to: ReplyTo,
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
}

/// A small request that is kept for a while: as it was read it keeps the whole buffer that it came in, with what
/// others have sent before and behind it.
#[must_use]
pub fn of_its_own(frame: BytesMut) -> BytesMut {
    const SMALL_BYTES: usize = 64 << 10;
    if frame.len() < SMALL_BYTES { BytesMut::from(frame.as_ref()) } else { frame }
}

/// A request whose header was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub address: ReturnAddress,
    pub client_id: Option<&'a str>,
}

/// What a handler did with its request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Response),
    /// The answer comes later, by the return address that was kept.
    Parked,
    /// No answer is wanted (acks=0).
    Silent,
}

/// Why a request has no answer: the connection is closed, as Apache Kafka does.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("a malformed request: {0}")]
    Malformed(#[from] DecodeError),
    #[error("an answer that version {version} of {api} cannot carry: {error}")]
    Unanswerable { api: &'static str, version: i16, error: EncodeError },
    #[error("{0}")]
    Refused(String),
}

impl ReturnAddress {
    /// The answer's bytes with length prefix and response header.
    ///
    /// # Errors
    /// When the message holds what this version cannot carry, which is a defect of the handler.
    pub(crate) fn encode<'m>(&self, message: &impl Message<'m>) -> Result<Response, RequestError> {
        self.encode_with_ranges(message, Vec::new())
    }

    /// The same for an answer with external records: `ranges` fill its holes in order.
    ///
    /// # Errors
    /// As [`ReturnAddress::encode`].
    pub(crate) fn encode_with_ranges<'m>(
        &self,
        message: &impl Message<'m>,
        ranges: Vec<FileRange>,
    ) -> Result<Response, RequestError> {
        let empty = Response { bytes: Vec::with_capacity(SMALL_ANSWER_BYTES), ranges };
        self.encode_by(empty, &mut Vec::new(), |writer| message.encode(writer, self.version))
    }

    /// The same for a body that is written by `write`, into the memory of `empty`; `holes` is an empty
    /// list to be used meanwhile.
    ///
    /// # Errors
    /// As [`ReturnAddress::encode`].
    pub(crate) fn encode_by(
        &self,
        empty: Response,
        holes: &mut Vec<Hole>,
        write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<Response, RequestError> {
        let Response { bytes, mut ranges } = empty;
        let mut writer = Writer::appending_to(bytes);
        writer.holes = std::mem::take(holes);
        writer.write_i32(0);
        header::encode_response_header(&mut writer, self.api, self.version, self.correlation_id)
            .and_then(|()| write(&mut writer))
            .map_err(|error| RequestError::Unanswerable {
                api: self.api.name(),
                version: self.version,
                error,
            })?;
        let length = writer.total_length() - 4;
        let prefix = i32::try_from(length)
            .map_err(|_| RequestError::Refused(format!("an answer of {length} bytes")))?;
        for (range, hole) in ranges.iter_mut().zip(&writer.holes) {
            range.at = hole.position;
        }
        if let Some(place) = writer.bytes.first_chunk_mut::<4>() {
            *place = prefix.to_be_bytes();
        }
        writer.holes.clear();
        *holes = writer.holes;
        Ok(Response { bytes: writer.bytes, ranges })
    }
}

impl Call<'_> {
    /// Answers at once.
    ///
    /// # Errors
    /// As [`ReturnAddress::encode`].
    pub(crate) fn reply<'m>(&self, message: &impl Message<'m>) -> Result<Outcome, RequestError> {
        self.address.encode(message).map(Outcome::Reply)
    }

    #[must_use]
    pub(crate) fn version(&self) -> i16 {
        self.address.version
    }
}
