//! Requests into frames and frames into answers, as any client does it.

use bytes::BytesMut;
use strom_protocol::header::{RequestHeader, decode_response_header, encode_request_header};
use strom_protocol::{ApiKey, Message, Reader, Writer};

/// One API in the version that the clients here speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) api: ApiKey,
    pub(super) version: i16,
}

/// The last versions that name topics by their names.
pub(super) const PRODUCE: Dialect = Dialect { api: ApiKey::Produce, version: 12 };
pub(super) const FETCH: Dialect = Dialect { api: ApiKey::Fetch, version: 12 };
pub(super) const CREATE_TOPICS: Dialect = Dialect { api: ApiKey::CreateTopics, version: 7 };
pub(super) const INIT_PRODUCER_ID: Dialect = Dialect { api: ApiKey::InitProducerId, version: 4 };

impl Dialect {
    /// A frame without its length.
    pub(super) fn request<'m>(
        self,
        correlation_id: i32,
        message: &impl Message<'m>,
    ) -> Result<BytesMut, String> {
        let mut writer = Writer::new();
        let header = RequestHeader {
            request_api_key: self.api.code(),
            request_api_version: self.version,
            correlation_id,
            client_id: Some("simulated"),
            ..Default::default()
        };
        encode_request_header(&mut writer, self.api, &header)
            .and_then(|()| message.encode(&mut writer, self.version))
            .map_err(|error| error.to_string())?;
        Ok(BytesMut::from(writer.bytes.as_slice()))
    }

    /// The answer's message, from the bytes behind the length.
    pub(super) fn answer<'a, M: Message<'a>>(self, bytes: &'a [u8]) -> Result<M, String> {
        let mut reader = Reader::new(bytes);
        decode_response_header(&mut reader, self.api, self.version)
            .map_err(|error| error.to_string())?;
        let message = M::decode(&mut reader, self.version).map_err(|error| error.to_string())?;
        reader.finish().map_err(|error| error.to_string())?;
        Ok(message)
    }
}
