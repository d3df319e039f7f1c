//! Producer ids: this node hands them out of a block that the controller has written down as taken,
//! so that no id is given twice in the life of the cluster (KIP-730).

use strom_base::{Planted, planted};
use strom_protocol::ErrorCode;

use crate::Broker;
use crate::effect::Turn;

/// The block in use.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    next: i64,
    /// Exclusive.
    end: i64,
    /// A block that is being taken: its first id, its length and the offset of its record.
    asked: Option<(i64, i32, i64)>,
}

pub(crate) enum NextId {
    Id(i64),
    /// A new block is being taken by the record at this offset.
    AfterCommit(i64),
    Refused(ErrorCode),
}

impl Broker {
    pub(crate) fn next_producer_id(&mut self, turn: &mut Turn<'_>) -> NextId {
        let committed = self.metadata.committed_offset();
        let ids = &mut self.producer_ids;
        if let Some((first, length, offset)) = ids.asked
            && (offset < committed || planted(Planted::ProducerIdsBeforeCommit))
        {
            (ids.next, ids.end, ids.asked) = (first, first + i64::from(length), None);
        }
        if ids.next < ids.end {
            ids.next += 1;
            return NextId::Id(ids.next - 1);
        }
        if let Some((_, _, offset)) = ids.asked {
            return NextId::AfterCommit(offset);
        }
        match self.allocate_producer_ids(turn) {
            Ok((first, length, offset)) => {
                self.producer_ids.asked = Some((first, length, offset));
                NextId::AfterCommit(offset)
            }
            Err(error) => NextId::Refused(error),
        }
    }

    /// A block of producer ids: its first id, its length and the offset of its record.
    fn allocate_producer_ids(&mut self, turn: &mut Turn<'_>) -> Result<(i64, i32, i64), ErrorCode> {
        let epoch = self.broker_epoch();
        let decision = self
            .metadata
            .controller
            .allocate_producer_ids(self.identity.node_id, epoch)
            .map_err(|refusal| refusal.error)?;
        let block = decision.reply;
        let offset =
            self.submit(turn, decision.records).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok((block.first, block.length, offset))
    }
}
