//! The headers before every request and response.

use crate::api_key::ApiKey;
use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::message::Message;
use crate::reader::Reader;
pub use crate::request_header::RequestHeader;
pub use crate::response_header::ResponseHeader;
use crate::writer::Writer;

/// Reads the header of a request, in the version that its own first fields ask for.
///
/// The version of the request may be one that is unknown here: the header can be read all the
/// same, as Kafka does to answer ApiVersions (KIP-511).
pub fn decode_request_header<'a>(
    reader: &mut Reader<'a>,
) -> Result<(ApiKey, RequestHeader<'a>), DecodeError> {
    let mut ahead = reader.clone();
    let code = ahead.read_i16()?;
    let version = ahead.read_i16()?;
    let Some(api_key) = ApiKey::from_code(code) else {
        return Err(reader.error(DecodeReason::UnknownApiKey { code }));
    };
    let header = RequestHeader::decode(reader, api_key.request_header_version(version))?;
    Ok((api_key, header))
}

/// Writes the header of a request; its api key and version say in which form.
pub fn encode_request_header(
    writer: &mut Writer,
    api_key: ApiKey,
    header: &RequestHeader<'_>,
) -> Result<(), EncodeError> {
    header.encode(writer, api_key.request_header_version(header.request_api_version))
}

/// Writes the header of the response to a request of this kind and version.
pub fn encode_response_header(
    writer: &mut Writer,
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
) -> Result<(), EncodeError> {
    let header = ResponseHeader { correlation_id, ..ResponseHeader::default() };
    header.encode(writer, api_key.response_header_version(version))
}

/// Reads the header of the response to a request of this kind and version.
pub fn decode_response_header<'a>(
    reader: &mut Reader<'a>,
    api_key: ApiKey,
    version: i16,
) -> Result<ResponseHeader<'a>, DecodeError> {
    ResponseHeader::decode(reader, api_key.response_header_version(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(api_key: ApiKey, version: i16) -> RequestHeader<'static> {
        RequestHeader {
            request_api_key: api_key.code(),
            request_api_version: version,
            correlation_id: 7,
            client_id: Some("me"),
            ..RequestHeader::default()
        }
    }

    fn encoded(api_key: ApiKey, version: i16) -> Vec<u8> {
        let mut writer = Writer::new();
        encode_request_header(&mut writer, api_key, &header(api_key, version)).expect("encodes");
        writer.bytes
    }

    #[test]
    fn the_client_id_is_never_compact() {
        assert_eq!(encoded(ApiKey::Produce, 8), b"\0\0\0\x08\0\0\0\x07\0\x02me");
        assert_eq!(encoded(ApiKey::Produce, 9), b"\0\0\0\x09\0\0\0\x07\0\x02me\0");
    }

    #[test]
    fn a_header_of_an_unknown_version_can_be_read() {
        let bytes = encoded(ApiKey::ApiVersions, 99);
        let mut reader = Reader::new(&bytes);
        let (api_key, read) = decode_request_header(&mut reader).expect("decodes");
        assert_eq!(api_key, ApiKey::ApiVersions);
        assert_eq!(read, header(ApiKey::ApiVersions, 99));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn an_unknown_api_key_is_refused() {
        let error = decode_request_header(&mut Reader::new(&[0x7f, 0, 0, 0])).expect_err("fails");
        assert_eq!(error.reason, DecodeReason::UnknownApiKey { code: 0x7f00 });
    }
}
