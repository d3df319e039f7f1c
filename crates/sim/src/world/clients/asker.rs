//! Somebody who asks for producer ids again and again: none is given twice.

use strom_protocol::ErrorCode;
use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;

use super::wire::INIT_PRODUCER_ID;
use super::{Context, Link};

#[derive(Debug)]
pub(in crate::world) struct Asker {
    questions_left: u32,
    /// Answers that are still to come.
    asked: u32,
}

/// The request of who has no transactional id.
pub(super) fn question() -> InitProducerIdRequest<'static> {
    InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

impl Asker {
    pub(in crate::world) fn new(questions_left: u32) -> Self {
        Self { questions_left, asked: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.questions_left == 0
    }

    pub(super) fn on_disconnected(&mut self) {
        self.asked = 0;
    }

    /// Asks twice at a time: the second one finds the first one's block on its way.
    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.is_done() {
            return Ok(());
        }
        while self.asked < 2 {
            link.send(INIT_PRODUCER_ID, &question(), context)?;
            self.asked += 1;
        }
        Ok(())
    }

    pub(super) fn on_answer(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        self.asked = self.asked.saturating_sub(1);
        let answer: InitProducerIdResponse<'_> = INIT_PRODUCER_ID.answer(bytes)?;
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                context.audit.give_identity((answer.producer_id, answer.producer_epoch))?;
                self.questions_left = self.questions_left.saturating_sub(1);
                context.pause(100);
            }
            error if error.is_retriable() => context.retry(),
            error => return Err(format!("no producer id: {}", error.name())),
        }
        Ok(())
    }
}
