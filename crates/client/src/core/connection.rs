//! One connection without its socket: numbers requests, frames them, matches answers to them.

use super::versions::{Announcement, Versions};
use crate::error::{ClientError, Refusal, Result};
use crate::settings::Endpoint;
use bytes::Bytes;
use std::collections::VecDeque;
use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::api_versions_response::ApiVersionsResponse;
use strom_protocol::request_header::RequestHeader;
use strom_protocol::response_header::ResponseHeader;
use strom_protocol::{ApiKey, Message, Reader, Writer};

/// The version of ApiVersions that is asked first.
const API_VERSIONS_FIRST: i16 = 4;
const CLIENT_NAME: &str = "strom";

#[derive(Clone, Copy, Debug)]
struct InFlight {
    correlation_id: i32,
    api: &'static str,
    version: i16,
    response_header_version: i16,
}

/// A frame to be written, length prefix included.
#[derive(Debug)]
pub struct Outgoing {
    pub correlation_id: i32,
    pub api: &'static str,
    pub frame: Vec<u8>,
}

/// The answer to one request, not yet decoded: decoding borrows from it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub correlation_id: i32,
    pub version: i16,
    api: &'static str,
    endpoint: Endpoint,
    body: Bytes,
}

impl Answer {
    /// Reads the body as the response that belongs to the request.
    ///
    /// # Errors
    /// `Malformed` when the body is not that response.
    pub fn decode<'a, M: Message<'a>>(&'a self) -> Result<M> {
        let mut reader = Reader::new(&self.body);
        M::decode(&mut reader, self.version).map_err(|error| ClientError::Malformed {
            endpoint: self.endpoint.clone(),
            api: self.api,
            reason: error.to_string(),
        })
    }
}

#[derive(Debug)]
pub struct Connection {
    endpoint: Endpoint,
    client_id: String,
    versions: Versions,
    next_correlation_id: i32,
    in_flight: VecDeque<InFlight>,
}

impl Connection {
    #[must_use]
    pub fn new(endpoint: Endpoint, client_id: String) -> Self {
        Connection {
            endpoint,
            client_id,
            versions: Versions::default(),
            next_correlation_id: 0,
            in_flight: VecDeque::new(),
        }
    }

    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The version that [`Self::request`] will write for this kind of message.
    ///
    /// # Errors
    /// `Unsupported` when node and client share none.
    pub fn version_of<'m, M: Message<'m>>(&self) -> Result<i16> {
        let chosen = M::API_KEY.and_then(|key| self.versions.choose(key, M::VERSIONS));
        chosen.ok_or_else(|| ClientError::Unsupported {
            endpoint: self.endpoint.clone(),
            api: api_of(M::NAME),
        })
    }

    /// Frames a request in the best shared version and expects its answer.
    ///
    /// # Errors
    /// `Unsupported`, or `Unwritable` when a field does not fit the version.
    pub fn request<'m, M: Message<'m>>(&mut self, message: &M) -> Result<Outgoing> {
        let version = self.version_of::<M>()?;
        self.frame(message, version, true)
    }

    /// Frames a request that the node will not answer: a produce with acks=0.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn request_without_answer<'m, M: Message<'m>>(&mut self, message: &M) -> Result<Outgoing> {
        let version = self.version_of::<M>()?;
        self.frame(message, version, false)
    }

    /// The first request on a connection.
    ///
    /// # Errors
    /// `Unwritable`, which would be a mistake of ours.
    pub fn greeting(&mut self) -> Result<Outgoing> {
        self.greeting_in(API_VERSIONS_FIRST)
    }

    fn greeting_in(&mut self, version: i16) -> Result<Outgoing> {
        let request = ApiVersionsRequest {
            client_software_name: CLIENT_NAME,
            client_software_version: env!("CARGO_PKG_VERSION"),
            ..Default::default()
        };
        self.frame(&request, version, true)
    }

    /// Learns the node's versions; gives the next greeting if the node did not know ours.
    ///
    /// # Errors
    /// `Refused` or `Malformed`.
    pub fn on_greeting_answered(&mut self, answer: &Answer) -> Result<Option<Outgoing>> {
        match Versions::announced(&self.read_announcement(answer)?) {
            Announcement::Known(versions) => {
                self.versions = versions;
                Ok(None)
            }
            Announcement::AskAgain(version) if version < answer.version => {
                self.greeting_in(version.max(0)).map(Some)
            }
            Announcement::AskAgain(_) => Err(ClientError::Unsupported {
                endpoint: self.endpoint.clone(),
                api: "ApiVersions",
            }),
            Announcement::Refused(code) => Err(Refusal { code, message: None }.into()),
        }
    }

    /// A refusal of the version comes in the format of version 0, whatever was asked.
    fn read_announcement<'a>(&self, answer: &'a Answer) -> Result<ApiVersionsResponse<'a>> {
        let refused = answer.body.first_chunk().is_some_and(|code| i16::from_be_bytes(*code) == 35);
        if !refused {
            return answer.decode();
        }
        let mut reader = Reader::new(&answer.body);
        ApiVersionsResponse::decode(&mut reader, 0).map_err(|error| ClientError::Malformed {
            endpoint: self.endpoint.clone(),
            api: "ApiVersions",
            reason: error.to_string(),
        })
    }

    /// Takes a frame without its length prefix.
    ///
    /// # Errors
    /// `Malformed` when it does not answer the oldest request in flight.
    pub fn on_frame(&mut self, frame: Bytes) -> Result<Answer> {
        let Some(expected) = self.in_flight.pop_front() else {
            return Err(self.malformed("nothing", "no request was waiting".to_owned()));
        };
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::decode(&mut reader, expected.response_header_version)
            .map_err(|error| self.malformed(expected.api, format!("response header: {error}")))?;
        if header.correlation_id != expected.correlation_id {
            let (got, wanted) = (header.correlation_id, expected.correlation_id);
            let reason = format!("correlation id {got} instead of {wanted}");
            return Err(self.malformed(expected.api, reason));
        }
        let start = frame.len().saturating_sub(reader.remaining());
        Ok(Answer {
            correlation_id: expected.correlation_id,
            version: expected.version,
            api: expected.api,
            endpoint: self.endpoint.clone(),
            body: frame.slice(start..),
        })
    }

    fn malformed(&self, api: &'static str, reason: String) -> ClientError {
        ClientError::Malformed { endpoint: self.endpoint.clone(), api, reason }
    }

    fn frame<'m, M: Message<'m>>(
        &mut self,
        message: &M,
        version: i16,
        answered: bool,
    ) -> Result<Outgoing> {
        let api = api_of(M::NAME);
        let unwritable = |reason: String| ClientError::Unwritable { api, reason };
        let correlation_id = self.next_correlation_id;
        let flexible = M::is_flexible(version);
        let header = RequestHeader {
            request_api_key: M::API_KEY.unwrap_or_default(),
            request_api_version: version,
            correlation_id,
            client_id: Some(&self.client_id),
            ..Default::default()
        };
        let mut writer = Writer::new();
        writer.bytes.extend_from_slice(&[0; 4]);
        let header_version = if flexible { 2 } else { 1 };
        header
            .encode(&mut writer, header_version)
            .map_err(|error| unwritable(error.to_string()))?;
        message.encode(&mut writer, version).map_err(|error| unwritable(error.to_string()))?;
        let mut frame = writer.bytes;
        let length = i32::try_from(frame.len().saturating_sub(4))
            .map_err(|_| unwritable("it is longer than 2 GiB".to_owned()))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1) & i32::MAX;
        if answered {
            // ApiVersions is answered with header version 0, so that any client can read it.
            let plain = M::API_KEY == Some(ApiKey::ApiVersions.code());
            let response_header_version = i16::from(flexible && !plain);
            let in_flight = InFlight { correlation_id, api, version, response_header_version };
            self.in_flight.push_back(in_flight);
        }
        Ok(Outgoing { correlation_id, api, frame })
    }
}

fn api_of(request_name: &'static str) -> &'static str {
    request_name.strip_suffix("Request").unwrap_or(request_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::api_versions_response::ApiVersion;
    use strom_protocol::metadata_request::MetadataRequest;

    fn connection() -> Connection {
        let endpoint = Endpoint { host: "test".to_owned(), port: 1 };
        Connection::new(endpoint, "me".to_owned())
    }

    fn answered(correlation_id: i32, response: &ApiVersionsResponse<'_>, version: i16) -> Bytes {
        let mut writer = Writer::new();
        writer.bytes.extend_from_slice(&correlation_id.to_be_bytes());
        response.encode(&mut writer, version).unwrap();
        writer.bytes.into()
    }

    fn metadata_up_to(max_version: i16) -> ApiVersionsResponse<'static> {
        let api = ApiVersion { api_key: 3, min_version: 0, max_version, ..Default::default() };
        ApiVersionsResponse { api_keys: vec![api], ..Default::default() }
    }

    #[test]
    fn a_connection_learns_versions_and_then_uses_them() {
        let mut connection = connection();
        assert!(connection.request(&MetadataRequest::default()).is_err());
        let greeting = connection.greeting().unwrap();
        let frame = answered(greeting.correlation_id, &metadata_up_to(7), API_VERSIONS_FIRST);
        let answer = connection.on_frame(frame).unwrap();
        assert!(connection.on_greeting_answered(&answer).unwrap().is_none());
        let request = connection.request(&MetadataRequest::default()).unwrap();
        assert_eq!(request.frame[4..8], [0, 3, 0, 7]);
        assert_eq!(
            i32::from_be_bytes(*request.frame.first_chunk().unwrap()),
            request.frame.len() as i32 - 4
        );
    }

    #[test]
    fn an_unknown_version_of_the_greeting_falls_back_to_version_0() {
        let mut connection = connection();
        let greeting = connection.greeting().unwrap();
        let refusal = ApiVersionsResponse { error_code: 35, ..Default::default() };
        let answer = connection.on_frame(answered(greeting.correlation_id, &refusal, 0)).unwrap();
        let second = connection.on_greeting_answered(&answer).unwrap().expect("asks again");
        assert_eq!(second.frame[4..8], [0, 18, 0, 0]);
        let frame = answered(second.correlation_id, &metadata_up_to(1), 0);
        let answer = connection.on_frame(frame).unwrap();
        assert!(connection.on_greeting_answered(&answer).unwrap().is_none());
        assert_eq!(connection.version_of::<MetadataRequest<'_>>().unwrap(), 1);
    }

    #[test]
    fn an_answer_out_of_order_is_refused() {
        let mut connection = connection();
        connection.greeting().unwrap();
        assert!(connection.on_frame(answered(77, &metadata_up_to(7), 4)).is_err());
        assert!(connection.on_frame(Bytes::from_static(&[0, 0])).is_err());
    }
}
