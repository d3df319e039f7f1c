//! TLS of one connection without its socket: records in, bytes out, and the other way round.

use std::fmt;
use std::sync::Arc;

use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError};
use rustls::{AlertDescription, Error};

/// The largest record with its header.
pub(super) const RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 2048;
/// What of a handshake may wait to be whole: a chain of certificates is the largest part.
const UNSHAKEN_BYTES_MAX: usize = 64 * 1024;
/// What encryption adds to the bytes of one record, in any suite.
const RECORD_OVERHEAD: usize = 64;
const RECORD_PAYLOAD_MAX: usize = 16 * 1024;

/// What an idle connection holds is rustls' state alone: the buffers are empty and unallocated.
pub(super) struct Session {
    rustls: UnbufferedServerConnection,
    /// The begin of a record that has not arrived whole.
    begun: Vec<u8>,
    /// Decrypted, and not taken yet from `plain_start` on.
    plain: Vec<u8>,
    plain_start: usize,
    /// To be sent before anything else, from `outgoing_start` on.
    outgoing: Vec<u8>,
    outgoing_start: usize,
    is_closed_by_peer: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Session").field("is_shaking", &self.is_shaking()).finish_non_exhaustive()
    }
}

/// Takes decrypted bytes, as many as it has room for; says how many.
pub(super) type Take<'a> = &'a mut dyn FnMut(&[u8]) -> usize;

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, String> {
        let rustls = UnbufferedServerConnection::new(config).map_err(|error| sentence(&error))?;
        Ok(Self {
            rustls,
            begun: Vec::new(),
            plain: Vec::new(),
            plain_start: 0,
            outgoing: Vec::new(),
            outgoing_start: 0,
            is_closed_by_peer: false,
        })
    }

    pub(super) fn is_shaking(&self) -> bool {
        self.rustls.is_handshaking()
    }

    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.is_closed_by_peer
    }

    /// The begin of a record, which belongs before what is received next.
    pub(super) fn begun(&self) -> &[u8] {
        &self.begun
    }

    /// Memory that waits for the peer to send more.
    pub(super) fn begun_bytes(&self) -> usize {
        self.begun.capacity()
    }

    /// What has to be sent before the next record.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.outgoing_start..).unwrap_or_default()
    }

    /// So many bytes of `outgoing` are sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.outgoing_start += count;
        if self.outgoing_start >= self.outgoing.len() {
            (self.outgoing, self.outgoing_start) = (Vec::new(), 0);
        }
    }

    /// Sealed bytes that the socket did not take.
    pub(super) fn keep_outgoing(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// Hands out what was decrypted before.
    pub(super) fn take_plain(&mut self, take: Take<'_>) {
        let rest = self.plain.get(self.plain_start..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        self.plain_start += take(rest);
        if self.plain_start >= self.plain.len() {
            (self.plain, self.plain_start) = (Vec::new(), 0);
        }
    }

    /// Takes what was received: `received` begins with what [`Self::begun`] was.
    ///
    /// # Errors
    /// Why the connection cannot go on; an alert for the peer may stand in `outgoing`.
    pub(super) fn receive(&mut self, received: &mut [u8], take: Take<'_>) -> Result<(), String> {
        let mut start = 0;
        let result = self.process(received, &mut start, take);
        let begun = received.get(start..).unwrap_or_default();
        if self.is_shaking() && begun.len() > UNSHAKEN_BYTES_MAX {
            return Err("a handshake of more than 64 KiB".to_owned());
        }
        self.begun = begun.to_vec();
        if let Err(error) = result {
            self.encode_alert();
            return Err(sentence(&error));
        }
        Ok(())
    }

    fn process(
        &mut self,
        received: &mut [u8],
        start: &mut usize,
        take: Take<'_>,
    ) -> Result<(), Error> {
        loop {
            let rest = received.get_mut(*start..).unwrap_or_default();
            let status = self.rustls.process_tls_records(rest);
            let mut discard = status.discard;
            let mut is_waiting = false;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let taken = if self.plain.is_empty() { take(record.payload) } else { 0 };
                        let left = record.payload.get(taken..).unwrap_or_default();
                        self.plain.extend_from_slice(left);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, |room| match data.encode(room) {
                        Ok(length) => Ok(length),
                        Err(EncodeError::InsufficientSize(size)) => Err(size),
                        Err(EncodeError::AlreadyEncoded) => Ok(0),
                    });
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.is_closed_by_peer = true;
                    is_waiting = true;
                }
                Ok(_) => is_waiting = true,
                Err(error) => {
                    *start += discard;
                    return Err(error);
                }
            }
            *start += discard;
            if is_waiting {
                return Ok(());
            }
        }
    }

    /// After a failure rustls has an alert that says why.
    fn encode_alert(&mut self) {
        let status = self.rustls.process_tls_records(&mut []);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
            append(&mut self.outgoing, |room| match data.encode(room) {
                Ok(length) => Ok(length),
                Err(EncodeError::InsufficientSize(size)) => Err(size),
                Err(EncodeError::AlreadyEncoded) => Ok(0),
            });
        }
    }

    /// The room that sealing `length` bytes takes at most.
    pub(super) fn sealed_bytes(length: usize) -> usize {
        length + (length / RECORD_PAYLOAD_MAX + 4) * RECORD_OVERHEAD
    }

    /// Encrypts `plain` into `sealed`; how many bytes that makes.
    ///
    /// # Errors
    /// Why the connection cannot go on.
    pub(super) fn seal(&mut self, plain: &[u8], sealed: &mut [u8]) -> Result<usize, String> {
        let mut written = 0;
        loop {
            let room = sealed.get_mut(written..).unwrap_or_default();
            // What has begun to arrive is shown again: rustls may have looked into it.
            match self.rustls.process_tls_records(&mut self.begun).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let sealed = traffic.encrypt(plain, room).map_err(|it| it.to_string())?;
                    return Ok(written + sealed);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    written += data.encode(room).map_err(|error| error.to_string())?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(state) => return Err(format!("TLS cannot be written in the state {state:?}")),
                Err(error) => return Err(sentence(&error)),
            }
        }
    }

    /// Tells the peer that nothing will follow.
    pub(super) fn close(&mut self) {
        let status = self.rustls.process_tls_records(&mut self.begun);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state {
            append(&mut self.outgoing, |room| match traffic.queue_close_notify(room) {
                Ok(length) => Ok(length),
                Err(EncryptError::InsufficientSize(size)) => Err(size),
                Err(EncryptError::EncryptExhausted) => Ok(0),
            });
        }
    }
}

/// Appends what `encode` writes into the room that it asks for.
fn append(
    target: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, InsufficientSizeError>,
) {
    let start = target.len();
    let mut length = 0;
    if let Err(InsufficientSizeError { required_size }) = encode(&mut []) {
        target.resize(start + required_size, 0);
        length = encode(target.get_mut(start..).unwrap_or_default()).unwrap_or_default();
    }
    target.truncate(start + length);
}

/// What went wrong, for the operator.
fn sentence(error: &Error) -> String {
    use AlertDescription as Alert;
    match error {
        Error::AlertReceived(
            alert @ (Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown),
        ) => format!("the client does not trust this node's certificate ({alert:?})"),
        Error::AlertReceived(alert) => format!("the client ended TLS: {alert:?}"),
        Error::NoCertificatesPresented => {
            "the client shows no certificate, which ssl.client.auth requires".to_owned()
        }
        Error::InvalidCertificate(reason) => {
            format!("the client's certificate is not trusted: {reason}")
        }
        other => format!("TLS failed: {other}"),
    }
}

#[cfg(test)]
mod tests;
