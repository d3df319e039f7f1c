//! The brokers and controllers of the cluster.

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;
use strom_protocol::register_broker_record::RegisterBrokerRecord;
use strom_protocol::register_controller_record::RegisterControllerRecord;

use super::{Delta, Partition};
use crate::directory_id::is_no_directory;

/// Where a node is reached on one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    pub host: String,
    pub port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
    pub security_protocol: i16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub id: i32,
    /// Greater at each registration: names this life of the broker.
    pub epoch: i64,
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// Feature, lowest and highest level.
    pub features: Vec<(String, i16, i16)>,
    pub rack: Option<String>,
    /// Not to be given leadership, not to be told to clients.
    pub is_fenced: bool,
    pub in_controlled_shutdown: bool,
    pub directories: Vec<Uuid>,
    /// Directories that take no new partitions (KIP-1066); `None` before the broker said so.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

impl BrokerRegistration {
    /// Whether it may lead and be in sync.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.is_fenced && !self.in_controlled_shutdown
    }

    /// Whether its replica of a partition can be there: not in a directory that is known to have failed.
    #[must_use]
    pub fn has_replica_online(&self, partition: &Partition) -> bool {
        let directory = partition.directory_of(self.id);
        directory.is_none_or(|it| is_no_directory(it) || self.directories.contains(&it))
    }

    /// The directory of a replica here, as far as only one can be meant.
    #[must_use]
    pub fn only_directory(&self) -> Option<Uuid> {
        match self.directories.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

/// A controller, as it told the active one (KIP-919).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRegistration {
    pub id: i32,
    pub incarnation_id: Uuid,
    pub zk_migration_ready: bool,
    pub endpoints: Vec<Endpoint>,
    /// Feature, lowest and highest level.
    pub features: Vec<(String, i16, i16)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    brokers: BTreeMap<i32, BrokerRegistration>,
    controllers: BTreeMap<i32, ControllerRegistration>,
}

impl Cluster {
    #[must_use]
    pub fn broker(&self, id: i32) -> Option<&BrokerRegistration> {
        self.brokers.get(&id)
    }

    /// In the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values()
    }

    #[must_use]
    pub fn controller(&self, id: i32) -> Option<&ControllerRegistration> {
        self.controllers.get(&id)
    }

    /// In the order of their ids.
    pub fn controllers(&self) -> impl Iterator<Item = &ControllerRegistration> {
        self.controllers.values()
    }

    /// Whether the broker is registered, unfenced and stays.
    #[must_use]
    pub fn is_active(&self, id: i32) -> bool {
        self.broker(id).is_some_and(BrokerRegistration::is_active)
    }

    pub(super) fn replay(
        &mut self,
        record: &MetadataRecord<'_>,
        delta: &mut Delta,
    ) -> Result<(), String> {
        let broker = match record {
            MetadataRecord::RegisterBroker(record) => self.register(record),
            MetadataRecord::UnregisterBroker(record) => {
                self.known(record.broker_id, record.broker_epoch)?;
                self.brokers.remove(&record.broker_id);
                record.broker_id
            }
            MetadataRecord::BrokerRegistrationChange(record) => self.change(record)?,
            MetadataRecord::FenceBroker(record) => {
                self.known(record.id, record.epoch)?.is_fenced = true;
                record.id
            }
            MetadataRecord::UnfenceBroker(record) => {
                self.known(record.id, record.epoch)?.is_fenced = false;
                record.id
            }
            MetadataRecord::RegisterController(record) => {
                self.register_controller(record);
                return Ok(());
            }
            other => return Err(format!("record type {} is no node's", other.record_type())),
        };
        delta.brokers.insert(broker);
        Ok(())
    }

    fn register(&mut self, record: &RegisterBrokerRecord<'_>) -> i32 {
        let endpoints = record.end_points.iter().map(|endpoint| Endpoint {
            name: endpoint.name.to_owned(),
            host: endpoint.host.to_owned(),
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        });
        let features = record.features.iter().map(|feature| {
            let name = feature.name.to_owned();
            (name, feature.min_supported_version, feature.max_supported_version)
        });
        let registration = BrokerRegistration {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: endpoints.collect(),
            features: features.collect(),
            rack: record.rack.map(str::to_owned),
            is_fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories: record.log_dirs.clone(),
            cordoned_directories: record.cordoned_log_dirs.clone(),
        };
        self.brokers.insert(record.broker_id, registration);
        record.broker_id
    }

    fn change(&mut self, record: &BrokerRegistrationChangeRecord<'_>) -> Result<i32, String> {
        let is_switch = |value: i8| (-1..=1).contains(&value);
        if !is_switch(record.fenced) || !is_switch(record.in_controlled_shutdown) {
            return Err(format!("broker {} changes in an unknown way", record.broker_id));
        }
        let broker = self.known(record.broker_id, record.broker_epoch)?;
        match record.fenced {
            1 => broker.is_fenced = true,
            -1 => broker.is_fenced = false,
            _ => {}
        }
        match record.in_controlled_shutdown {
            1 => broker.in_controlled_shutdown = true,
            -1 => broker.in_controlled_shutdown = false,
            _ => {}
        }
        if !record.log_dirs.is_empty() {
            broker.directories.clone_from(&record.log_dirs);
        }
        if let Some(cordoned) = &record.cordoned_log_dirs {
            broker.cordoned_directories = Some(cordoned.clone());
        }
        Ok(record.broker_id)
    }

    fn register_controller(&mut self, record: &RegisterControllerRecord<'_>) {
        let endpoints = record.end_points.iter().map(|endpoint| Endpoint {
            name: endpoint.name.to_owned(),
            host: endpoint.host.to_owned(),
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        });
        let features = record.features.iter().map(|feature| {
            let name = feature.name.to_owned();
            (name, feature.min_supported_version, feature.max_supported_version)
        });
        let registration = ControllerRegistration {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: endpoints.collect(),
            features: features.collect(),
        };
        self.controllers.insert(record.controller_id, registration);
    }

    fn known(&mut self, id: i32, epoch: i64) -> Result<&mut BrokerRegistration, String> {
        let broker = self.brokers.get_mut(&id).ok_or_else(|| format!("broker {id} is unknown"))?;
        if broker.epoch != epoch {
            return Err(format!("broker {id} has epoch {}, not {epoch}", broker.epoch));
        }
        Ok(broker)
    }
}
