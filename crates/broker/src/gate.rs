//! The gate: every request's header, its API and version, then its handler.

use bytes::BytesMut;
use strom_protocol::{ApiKey, Reader, header::decode_request_header};

use crate::Broker;
use crate::api;
use crate::call::{Call, Outcome, RequestError, ReturnAddress, of_its_own};
use crate::cluster::EndpointType;
use crate::connections::ReplyTo;
use crate::effect::{ConnectionId, Examination, Examined, NetworkEffect, Turn};
use crate::examinations::ExaminedProduce;
use crate::look_ups::LookUp;

/// What can be told of a request by its first bytes.
struct Opening {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
}

fn opening(frame: &[u8]) -> Result<Opening, RequestError> {
    let mut reader = Reader::new(frame);
    let (code, version) = (reader.read_i16()?, reader.read_i16()?);
    let correlation_id = reader.read_i32()?;
    let api = ApiKey::from_code(code)
        .ok_or_else(|| RequestError::Refused(format!("API key {code} does not exist")))?;
    Ok(Opening { api, version, correlation_id })
}

/// Whether a request that begins like this would be served on a listener of this type: asked before
/// memory is spent on it, also where the broker is not at hand.
///
/// # Errors
/// Why the connection should be closed instead.
pub fn would_serve(endpoint: EndpointType, start: &[u8]) -> Result<(), RequestError> {
    let Opening { api, version, .. } = opening(start)?;
    let is_offered = api::is_offered(endpoint, api);
    if is_offered && api::serves(api, version) || api == ApiKey::ApiVersions {
        return Ok(());
    }
    Err(unsupported(api, version))
}

/// Whether a request that begins like this is a produce.
#[must_use]
pub fn is_produce(start: &[u8]) -> bool {
    opening(start).is_ok_and(|opening| opening.api == ApiKey::Produce)
}

impl Broker {
    /// A whole request of a connection, without its length prefix. Not while [`Broker::is_held`].
    pub fn on_frame(&mut self, turn: &mut Turn<'_>, connection: ConnectionId, frame: BytesMut) {
        if !self.is_running() {
            // What is appended behind the last sync would pass for synced after a clean stop.
            let reason = "the node is stopping".to_owned();
            self.connections.refuse(connection, reason, turn.out);
            return;
        }
        debug_assert!(!self.is_held(connection), "it would pass the one before it");
        let Some(to) = self.connections.expect_reply(connection) else { return };
        self.dispatch(turn, to, frame);
        self.partitions.note_deadlines();
    }

    /// Runs a request; also again, when what it had to wait for has been committed.
    pub(crate) fn dispatch(&mut self, turn: &mut Turn<'_>, to: ReplyTo, frame: BytesMut) {
        let result = match opening(&frame) {
            Err(error) => Err(error),
            Ok(opening) => self.execute(turn, to, opening, frame),
        };
        self.conclude(turn, to, result);
    }

    /// What was not in memory may be now ([`strom_storage::disk::DiskError::WouldBlock`]): who found it so tries again.
    pub fn on_bytes_read(&mut self, turn: &mut Turn<'_>) {
        self.retry_blocked_fetches(turn);
        self.retry_blocked_look_ups(turn);
        self.partitions.note_deadlines();
    }

    /// Somebody has looked at records: the request goes on.
    pub fn on_examined(&mut self, turn: &mut Turn<'_>, examined: Examined) {
        match examined {
            Examined::Produce(examined) => self.on_produce_examined(turn, examined),
            Examined::Search(examined) => self.on_searched(turn, examined),
        }
        self.partitions.note_deadlines();
    }

    /// The request goes on, and is looked at again where a topic was configured anew; then those behind it do.
    fn on_produce_examined(&mut self, turn: &mut Turn<'_>, examined: ExaminedProduce) {
        let to = examined.address.to;
        let is_taken = self.examinations.finish(&examined);
        turn.out.examinations.extend(self.examinations.next().map(Examination::Produce));
        if is_taken {
            let result = match self.is_running() {
                true => api::produce::handle_examined(self, turn, examined),
                false => Err(RequestError::Refused("the node is stopping".to_owned())),
            };
            self.conclude(turn, to, result);
        }
        // Also of who is refused: the shell has what comes behind, and last of all that it has gone.
        if !self.is_held(to.connection) {
            turn.out.network.push(NetworkEffect::GoOn { connection: to.connection });
        }
    }

    /// Does with a request what its handler said, at once or after it was parked.
    pub(crate) fn conclude(
        &mut self,
        turn: &mut Turn<'_>,
        to: ReplyTo,
        result: Result<Outcome, RequestError>,
    ) {
        match result {
            Ok(Outcome::Reply(response)) => self.connections.reply(to, response, turn.out),
            Ok(Outcome::Silent) => self.connections.stay_silent(to, turn.out),
            Ok(Outcome::Parked) => {}
            Err(error) => {
                if self.examinations.refuse(to.connection) {
                    turn.out.network.push(NetworkEffect::GoOn { connection: to.connection });
                }
                self.look_ups.drop_of(to.connection);
                self.connections.refuse(to.connection, error.to_string(), turn.out);
            }
        }
    }

    fn execute(
        &mut self,
        turn: &mut Turn<'_>,
        to: ReplyTo,
        opening: Opening,
        frame: BytesMut,
    ) -> Result<Outcome, RequestError> {
        let Opening { api, version, correlation_id } = opening;
        let address = ReturnAddress { to, api, version, correlation_id };
        let is_offered = api::is_offered(self.endpoint_type(to.connection), api);
        if !(is_offered && api::serves(api, version)) {
            return if api == ApiKey::ApiVersions {
                api::api_versions::refuse_version(self, address)
            } else {
                Err(unsupported(api, version))
            };
        }
        if api == ApiKey::Produce {
            return api::produce::handle(self, turn, address, frame);
        }
        let (call, mut reader) = read_call(address, &frame)?;
        match api::handle(self, turn, &call, &mut reader)? {
            api::Handled::Outcome(outcome) => Ok(outcome),
            api::Handled::AfterCommit(offset) => {
                self.metadata.retry_after(offset, to, of_its_own(frame));
                Ok(Outcome::Parked)
            }
            api::Handled::LookUp { reached, open, needed } => {
                let frame = of_its_own(frame);
                match self.put_off(turn, LookUp { address, frame, reached, open }, needed) {
                    Some(mut look_up) => api::list_offsets::give_up(self, turn, &mut look_up),
                    None => Ok(Outcome::Parked),
                }
            }
        }
    }
}

/// The request's header, and what is behind it.
///
/// # Errors
/// The header is malformed.
pub(crate) fn read_call(
    address: ReturnAddress,
    frame: &[u8],
) -> Result<(Call<'_>, Reader<'_>), RequestError> {
    let mut reader = Reader::for_request(frame);
    let (_, header) = decode_request_header(&mut reader)?;
    Ok((Call { address, client_id: header.client_id }, reader))
}

fn unsupported(api: ApiKey, version: i16) -> RequestError {
    RequestError::Refused(format!("version {version} of {} is not served", api.name()))
}
