//! A connection over TCP, with or without TLS.
//!
//! Every call may be dropped half way (a person presses Ctrl-C): bytes that were not yet written or
//! read stay in the buffers, and the answer of an abandoned call is thrown away when it comes.

use super::stream::{self, Stream};
use crate::core::connection::{Answer, Connection as Core, Outgoing};
use crate::error::{ClientError, Result};
use crate::settings::{Endpoint, Settings};
use bytes::{Buf, Bytes, BytesMut};
use std::time::Duration;
use strom_protocol::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A frame's buffer grows by at most this much before bytes have come.
const READ_STEP: usize = 256 << 10;

#[derive(Debug)]
pub struct Connection {
    stream: Box<dyn Stream>,
    core: Core,
    outbound: BytesMut,
    inbound: BytesMut,
    request_timeout_ms: u64,
    frame_bytes_max: usize,
}

impl Connection {
    /// Connects and learns the node's versions.
    ///
    /// # Errors
    /// `Lost` when the node does not listen; `TimedOut`, `Malformed`, `Unsupported`.
    pub async fn open(endpoint: Endpoint, settings: &Settings) -> Result<Self> {
        let patience = Duration::from_millis(settings.connect_timeout_ms);
        let stream = match timeout(patience, stream::open(&endpoint, settings)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(lost(&endpoint, "it could not be reached in time")),
        };
        let mut connection = Connection {
            stream,
            core: Core::new(endpoint, settings.client_id.clone()),
            outbound: BytesMut::new(),
            inbound: BytesMut::new(),
            request_timeout_ms: settings.request_timeout_ms,
            frame_bytes_max: settings.frame_bytes_max,
        };
        let mut greeting = Some(connection.core.greeting()?);
        while let Some(outgoing) = greeting {
            let answer = connection.exchange(outgoing, connection.request_timeout_ms).await?;
            greeting = connection.core.on_greeting_answered(&answer)?;
        }
        Ok(connection)
    }

    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// `Lost`, `TimedOut`, `Malformed`, `Unsupported`, `Unwritable`.
    pub async fn call<'m, M: Message<'m>>(&mut self, request: &M) -> Result<Answer> {
        self.call_within(request, self.request_timeout_ms).await
    }

    /// As [`Self::call`], with another patience: for requests that the node may hold back.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_within<'m, M: Message<'m>>(
        &mut self,
        request: &M,
        timeout_ms: u64,
    ) -> Result<Answer> {
        let outgoing = self.core.request(request)?;
        self.exchange(outgoing, timeout_ms).await
    }

    /// Sends a request whose answer [`Self::receive`] will give.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn send<'m, M: Message<'m>>(&mut self, request: &M) -> Result<i32> {
        let outgoing = self.core.request(request)?;
        self.outbound.extend_from_slice(&outgoing.frame);
        self.flush().await?;
        Ok(outgoing.correlation_id)
    }

    /// Sends a request that has no answer.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn post<'m, M: Message<'m>>(&mut self, request: &M) -> Result<()> {
        let outgoing = self.core.request_without_answer(request)?;
        self.outbound.extend_from_slice(&outgoing.frame);
        self.flush().await
    }

    /// Waits for the answer to the request of that number; answers to older requests are dropped.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn receive(&mut self, correlation_id: i32, timeout_ms: u64) -> Result<Answer> {
        let patience = Duration::from_millis(timeout_ms);
        match timeout(patience, self.answer_to(correlation_id)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::TimedOut {
                endpoint: self.core.endpoint().clone(),
                api: "the request",
                timeout_ms,
            }),
        }
    }

    async fn exchange(&mut self, outgoing: Outgoing, timeout_ms: u64) -> Result<Answer> {
        self.outbound.extend_from_slice(&outgoing.frame);
        let (correlation_id, api) = (outgoing.correlation_id, outgoing.api);
        drop(outgoing);
        let work = async {
            self.flush().await?;
            self.answer_to(correlation_id).await
        };
        match timeout(Duration::from_millis(timeout_ms), work).await {
            Ok(answer) => answer,
            Err(_) => {
                let endpoint = self.core.endpoint().clone();
                Err(ClientError::TimedOut { endpoint, api, timeout_ms })
            }
        }
    }

    async fn answer_to(&mut self, correlation_id: i32) -> Result<Answer> {
        loop {
            let frame = self.read_frame().await?;
            let answer = self.core.on_frame(frame)?;
            if answer.correlation_id == correlation_id {
                return Ok(answer);
            }
        }
    }

    async fn flush(&mut self) -> Result<()> {
        while !self.outbound.is_empty() {
            let written = self.stream.write_buf(&mut self.outbound).await;
            written.map_err(|error| lost(self.core.endpoint(), &error.to_string()))?;
        }
        let flushed = self.stream.flush().await;
        flushed.map_err(|error| lost(self.core.endpoint(), &error.to_string()))
    }

    async fn read_frame(&mut self) -> Result<Bytes> {
        self.read_until(4).await?;
        let length = self.inbound.first_chunk().map_or(-1, |bytes| i32::from_be_bytes(*bytes));
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.frame_bytes_max)
            .ok_or_else(|| {
                let reason =
                    format!("it sent a frame of {length} bytes: is this a Kafka listener?");
                lost(self.core.endpoint(), &reason)
            })?;
        self.read_until(length.saturating_add(4)).await?;
        self.inbound.advance(4);
        Ok(self.inbound.split_to(length).freeze())
    }

    async fn read_until(&mut self, length: usize) -> Result<()> {
        while self.inbound.len() < length {
            let missing = length.saturating_sub(self.inbound.len());
            self.inbound.reserve(missing.min(READ_STEP));
            match self.stream.read_buf(&mut self.inbound).await {
                Ok(0) => return Err(lost(self.core.endpoint(), "the node closed it")),
                Ok(_) => {}
                Err(error) => return Err(lost(self.core.endpoint(), &error.to_string())),
            }
        }
        Ok(())
    }
}

pub(super) fn lost(endpoint: &Endpoint, reason: &str) -> ClientError {
    ClientError::Lost { endpoint: endpoint.clone(), reason: reason.to_owned() }
}
