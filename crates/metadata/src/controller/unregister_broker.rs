//! UnregisterBroker: forgets a broker that will not come back. Its replicas stay assigned to it.

use strom_protocol::unregister_broker_record::UnregisterBrokerRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::{Controller, Decision, Refusal, encode};

impl Controller {
    /// # Errors
    /// For a broker that is not registered.
    pub fn unregister_broker(&self, broker_id: i32) -> Result<Decision<()>, Refusal> {
        let broker = self.image.cluster.broker(broker_id).ok_or_else(|| {
            let text = format!("Broker ID {broker_id} is not currently registered");
            Refusal::new(ErrorCode::BrokerIdNotRegistered, text)
        })?;
        let mut records = Vec::new();
        if !broker.is_fenced {
            self.fence(broker, &broker.directories, &mut records);
        }
        let record =
            UnregisterBrokerRecord { broker_id, broker_epoch: broker.epoch, ..Default::default() };
        records.push(encode(&MetadataRecord::UnregisterBroker(record), 0));
        Ok(Decision { records, reply: () })
    }
}
