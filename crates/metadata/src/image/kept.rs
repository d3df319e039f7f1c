//! Records that this software keeps for others: ACLs, SCRAM credentials, delegation tokens.
//! They are not interpreted, but none may be lost to a snapshot.

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_protocol::MetadataRecord;

/// What makes a record replace another one. The order is that of Kafka's snapshots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
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

    /// As encoded, for a snapshot.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.values().map(|encoded| &**encoded)
    }

    pub(super) fn has_acls(&self) -> bool {
        self.records.keys().any(|key| matches!(key, Key::Acl(_)))
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
