//! Records that this software keeps for others: quotas, ACLs, SCRAM credentials, delegation tokens.
//! They are not interpreted, but none may be lost to a snapshot.

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_protocol::MetadataRecord;
use strom_protocol::client_quota_record::ClientQuotaRecord;

/// What makes a record replace another one. The order is that of Kafka's snapshots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Entities (type and name) in order, and the name of the quota.
    Quota(Vec<(String, Option<String>)>, String),
    Acl(Uuid),
    /// User and mechanism.
    Scram(String, i8),
    Token(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// As encoded.
    records: BTreeMap<Key, Box<[u8]>>,
}

impl Kept {
    pub(super) fn replay(
        &mut self,
        record: &MetadataRecord<'_>,
        encoded: &[u8],
    ) -> Result<(), String> {
        match record {
            MetadataRecord::ClientQuota(record) if record.remove => {
                self.records.remove(&quota_key(record));
                Ok(())
            }
            MetadataRecord::ClientQuota(record) => self.keep(quota_key(record), encoded),
            MetadataRecord::AccessControlEntry(record) => self.keep(Key::Acl(record.id), encoded),
            MetadataRecord::RemoveAccessControlEntry(record) => self.forget(&Key::Acl(record.id)),
            MetadataRecord::UserScramCredential(record) => {
                self.keep(Key::Scram(record.name.to_owned(), record.mechanism), encoded)
            }
            MetadataRecord::RemoveUserScramCredential(record) => {
                self.forget(&Key::Scram(record.name.to_owned(), record.mechanism))
            }
            MetadataRecord::DelegationToken(record) => {
                self.keep(Key::Token(record.token_id.to_owned()), encoded)
            }
            MetadataRecord::RemoveDelegationToken(record) => {
                self.forget(&Key::Token(record.token_id.to_owned()))
            }
            MetadataRecord::NoOp(_) | MetadataRecord::ZkMigrationState(_) => Ok(()),
            other => Err(format!("nothing is known of records of type {}", other.record_type())),
        }
    }

    /// The records that stand before the producer ids in a snapshot.
    pub(super) fn quotas(&self) -> impl Iterator<Item = &[u8]> {
        self.filtered(true)
    }

    /// The records that stand behind them.
    pub(super) fn others(&self) -> impl Iterator<Item = &[u8]> {
        self.filtered(false)
    }

    fn filtered(&self, quotas: bool) -> impl Iterator<Item = &[u8]> {
        let wanted = self.records.iter();
        wanted
            .filter(move |(key, _)| matches!(key, Key::Quota(..)) == quotas)
            .map(|(_, encoded)| &**encoded)
    }

    fn keep(&mut self, key: Key, encoded: &[u8]) -> Result<(), String> {
        self.records.insert(key, encoded.into());
        Ok(())
    }

    fn forget(&mut self, key: &Key) -> Result<(), String> {
        let removed = self.records.remove(key);
        removed.map(drop).ok_or_else(|| format!("{key:?} is removed, but was never there"))
    }
}

fn quota_key(record: &ClientQuotaRecord<'_>) -> Key {
    let entities = record.entity.iter();
    let mut entities: Vec<_> =
        entities.map(|it| (it.entity_type.to_owned(), it.entity_name.map(str::to_owned))).collect();
    entities.sort();
    Key::Quota(entities, record.key.to_owned())
}
