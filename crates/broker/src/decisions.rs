//! What the controller decided: its records into the metadata log, the answer once they are committed.

use strom_metadata::Refusal;
use strom_metadata::controller::RecordBytes;
use strom_protocol::{ErrorCode, Message};

use crate::Broker;
use crate::call::{Call, Outcome, RequestError};
use crate::effect::Turn;

impl Broker {
    /// Answers when the records are committed; at once when there are none.
    ///
    /// # Errors
    /// As [`Call::reply`]; nothing is written then.
    pub(crate) fn commit_then_answer<'m>(
        &mut self,
        turn: &mut Turn<'_>,
        call: &Call<'_>,
        records: Vec<RecordBytes>,
        message: &impl Message<'m>,
    ) -> Result<Outcome, RequestError> {
        let response = call.address.encode(message)?;
        if records.is_empty() {
            return Ok(Outcome::Reply(response));
        }
        Ok(match self.submit(turn, records) {
            Some(offset) => {
                self.metadata.answer_after(offset, call.address.to, response);
                Outcome::Parked
            }
            None => Outcome::Reply(response),
        })
    }
}

/// Code and words of an outcome, as most answers carry them.
pub(crate) fn told<T>(outcome: &Result<T, Refusal>) -> (i16, Option<&str>) {
    match outcome {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(refusal) => (refusal.error.code(), Some(&refusal.message)),
    }
}
