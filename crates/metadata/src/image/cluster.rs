//! The brokers of the cluster.

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;
use strom_protocol::register_broker_record::RegisterBrokerRecord;

use super::Change;

/// Where a broker is reached on one of its listeners.
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
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    brokers: BTreeMap<i32, BrokerRegistration>,
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

    pub(super) fn register(&mut self, record: &RegisterBrokerRecord<'_>) -> Change {
        let registration = BrokerRegistration {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record
                .end_points
                .iter()
                .map(|endpoint| Endpoint {
                    name: endpoint.name.to_owned(),
                    host: endpoint.host.to_owned(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|it| (it.name.to_owned(), it.min_supported_version, it.max_supported_version))
                .collect(),
            rack: record.rack.map(str::to_owned),
            is_fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories: record.log_dirs.clone(),
        };
        self.brokers.insert(record.broker_id, registration);
        Change::Broker(record.broker_id)
    }

    pub(super) fn unregister(&mut self, id: i32, epoch: i64) -> Result<Change, String> {
        self.known(id, epoch)?;
        self.brokers.remove(&id);
        Ok(Change::Broker(id))
    }

    pub(super) fn set_fenced(
        &mut self,
        id: i32,
        epoch: i64,
        is_fenced: bool,
    ) -> Result<Change, String> {
        self.known(id, epoch)?.is_fenced = is_fenced;
        Ok(Change::Broker(id))
    }

    pub(super) fn change(
        &mut self,
        record: &BrokerRegistrationChangeRecord<'_>,
    ) -> Result<Change, String> {
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
        Ok(Change::Broker(record.broker_id))
    }

    fn known(&mut self, id: i32, epoch: i64) -> Result<&mut BrokerRegistration, String> {
        let broker = self.brokers.get_mut(&id).ok_or_else(|| format!("broker {id} is unknown"))?;
        if broker.epoch != epoch {
            return Err(format!("broker {id} has epoch {}, not {epoch}", broker.epoch));
        }
        Ok(broker)
    }
}
