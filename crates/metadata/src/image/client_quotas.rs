//! Client quotas: limits for users, client ids and addresses (KIP-546).

use std::collections::BTreeMap;

use strom_protocol::MetadataRecord;
use strom_protocol::client_quota_record::{ClientQuotaRecord, EntityData};

use crate::controller::{RecordBytes, encode};

/// Whom a quota is for, by the types of [`entity_type`]; `None` is the default of a type.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// What a quota can be for.
pub mod entity_type {
    pub const USER: &str = "user";
    pub const CLIENT_ID: &str = "client-id";
    pub const IP: &str = "ip";
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientQuotas {
    /// No entity is without quotas.
    by_entity: BTreeMap<QuotaEntity, BTreeMap<String, f64>>,
}

impl ClientQuotas {
    /// The entities that have quotas, with them by key.
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &BTreeMap<String, f64>)> {
        self.by_entity.iter()
    }

    #[must_use]
    pub fn value(&self, entity: &QuotaEntity, key: &str) -> Option<f64> {
        self.by_entity.get(entity)?.get(key).copied()
    }

    /// A removal of what is not there is none, as in Apache Kafka.
    pub(super) fn replay(&mut self, record: &ClientQuotaRecord<'_>) {
        let owned =
            |it: &EntityData<'_>| (it.entity_type.to_owned(), it.entity_name.map(str::to_owned));
        let entity: QuotaEntity = record.entity.iter().map(owned).collect();
        let quotas = self.by_entity.entry(entity.clone()).or_default();
        if record.remove {
            quotas.remove(record.key);
        } else {
            quotas.insert(record.key.to_owned(), record.value);
        }
        if quotas.is_empty() {
            self.by_entity.remove(&entity);
        }
    }

    /// Records that, replayed on an empty image, make these quotas.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordBytes> {
        self.by_entity.iter().flat_map(|(entity, quotas)| {
            quotas.iter().map(|(key, value)| quota_record(entity, key, Some(*value)))
        })
    }
}

/// Sets a quota of an entity, or removes it.
pub(crate) fn quota_record(entity: &QuotaEntity, key: &str, value: Option<f64>) -> RecordBytes {
    let entity = entity.iter().map(|(entity_type, entity_name)| EntityData {
        entity_type,
        entity_name: entity_name.as_deref(),
        ..Default::default()
    });
    let record = ClientQuotaRecord {
        entity: entity.collect(),
        key,
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..Default::default()
    };
    encode(&MetadataRecord::ClientQuota(record), 0)
}
