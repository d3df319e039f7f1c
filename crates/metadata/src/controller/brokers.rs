//! Broker registration and fencing (KIP-631).

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;
use strom_protocol::register_broker_record::{BrokerEndpoint, BrokerFeature, RegisterBrokerRecord};

use super::{Controller, Decision, encode};
use crate::features::SUPPORTED;
use crate::image::Endpoint;

/// Versions that `metadata.version` 4.3 writes.
const REGISTER_VERSION: i16 = 4;
const CHANGE_VERSION: i16 = 3;

/// A broker that begins a new life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub broker_id: i32,
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    /// The ids of its log directories, sorted.
    pub directories: Vec<Uuid>,
}

impl Controller {
    /// The broker's epoch is the offset at which its record will stand: `next_offset`.
    #[must_use]
    pub fn register_broker(&self, broker: &Registration, next_offset: i64) -> Decision<i64> {
        let record = RegisterBrokerRecord {
            broker_id: broker.broker_id,
            incarnation_id: broker.incarnation_id,
            broker_epoch: next_offset,
            end_points: broker
                .endpoints
                .iter()
                .map(|endpoint| BrokerEndpoint {
                    name: &endpoint.name,
                    host: &endpoint.host,
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                    ..Default::default()
                })
                .collect(),
            features: SUPPORTED
                .iter()
                .map(|feature| BrokerFeature {
                    name: feature.name,
                    min_supported_version: feature.min_level,
                    max_supported_version: feature.max_level,
                    ..Default::default()
                })
                .collect(),
            rack: broker.rack.as_deref(),
            fenced: true,
            log_dirs: broker.directories.clone(),
            ..Default::default()
        };
        let records = vec![encode(&MetadataRecord::RegisterBroker(record), REGISTER_VERSION)];
        Decision { records, reply: next_offset }
    }

    /// The broker has caught up and takes part.
    #[must_use]
    pub fn unfence_broker(&self, broker_id: i32, broker_epoch: i64) -> Decision<()> {
        let record = BrokerRegistrationChangeRecord {
            broker_id,
            broker_epoch,
            fenced: -1,
            ..Default::default()
        };
        let record = MetadataRecord::BrokerRegistrationChange(record);
        Decision { records: vec![encode(&record, CHANGE_VERSION)], reply: () }
    }
}
