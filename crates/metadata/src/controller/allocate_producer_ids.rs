//! AllocateProducerIds: blocks of ids, each written down as taken before it is used (KIP-730).

use strom_protocol::MetadataRecord;
use strom_protocol::producer_ids_record::ProducerIdsRecord;

use super::{Controller, Decision, Refusal, encode};

/// Ids of a block.
pub const BLOCK_LENGTH: i32 = 1000;

/// A block for one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: i64,
    pub length: i32,
}

impl Controller {
    /// # Errors
    /// For a broker that is not registered at this epoch.
    pub fn allocate_producer_ids(
        &self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<Decision<ProducerIdBlock>, Refusal> {
        self.registered(broker_id, broker_epoch)?;
        let first = self.image.next_producer_id;
        let record = ProducerIdsRecord {
            broker_id,
            broker_epoch,
            next_producer_id: first + i64::from(BLOCK_LENGTH),
            ..Default::default()
        };
        Ok(Decision {
            records: vec![encode(&MetadataRecord::ProducerIds(record), 0)],
            reply: ProducerIdBlock { first, length: BLOCK_LENGTH },
        })
    }
}
