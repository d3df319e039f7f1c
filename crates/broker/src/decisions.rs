//! What the controller decided: its records into the metadata log, the answer once they are committed.

use strom_metadata::Refusal;
use strom_metadata::controller::RecordBytes;
use strom_protocol::{ErrorCode, Message};

use crate::Broker;
use crate::call::{Call, Outcome, RequestError};
use crate::effect::{Response, Turn};

impl Broker {
    /// Answers when the records are committed. An answer without records waits for those of others:
    /// the controller decides by what it has written, and that a topic exists, say, may go by a record
    /// that a power failure still takes.
    ///
    /// # Errors
    /// As [`Call::reply`], and when the records cannot be appended; nothing is written then.
    pub(crate) fn commit_then_answer<'m>(
        &mut self,
        turn: &mut Turn<'_>,
        call: &Call<'_>,
        records: Vec<RecordBytes>,
        message: &impl Message<'m>,
    ) -> Result<Outcome, RequestError> {
        let response = call.address.encode(message)?;
        self.commit_then_send(turn, call, records, response)
    }

    /// The same with an answer in bytes, for one that borrows from the image.
    ///
    /// # Errors
    /// When the records cannot be appended.
    pub(crate) fn commit_then_send(
        &mut self,
        turn: &mut Turn<'_>,
        call: &Call<'_>,
        records: Vec<RecordBytes>,
        response: Response,
    ) -> Result<Outcome, RequestError> {
        if records.is_empty() {
            return Ok(match self.metadata.last_uncommitted_offset() {
                Some(offset) => {
                    self.metadata.answer_after(offset, call.address.to, response);
                    Outcome::Parked
                }
                None => Outcome::Reply(response),
            });
        }
        // No answer may say that something was done that is not in the log.
        let offset = self.submit(turn, records).ok_or_else(|| {
            RequestError::Refused("the change cannot be written to the metadata log".to_owned())
        })?;
        self.metadata.answer_after(offset, call.address.to, response);
        Ok(Outcome::Parked)
    }
}

/// Code and words of an outcome, as most answers carry them.
pub(crate) fn told<T>(outcome: &Result<T, Refusal>) -> (i16, Option<&str>) {
    match outcome {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(refusal) => (refusal.error.code(), Some(&refusal.message)),
    }
}
