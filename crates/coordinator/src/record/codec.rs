//! Group records as Apache Kafka writes them to `__consumer_offsets`: key type and key, value version and value.

use std::sync::Arc;

use bytes::Bytes;
use strom_protocol::group_metadata_key::GroupMetadataKey;
use strom_protocol::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use strom_protocol::legacy_offset_commit_key::LegacyOffsetCommitKey;
use strom_protocol::legacy_offset_commit_value::LegacyOffsetCommitValue;
use strom_protocol::offset_commit_key::OffsetCommitKey;
use strom_protocol::offset_commit_value::OffsetCommitValue;
use strom_protocol::{EncodeError, Message, Reader, Writer};

use super::{CommittedOffset, OffsetKey, Record, StoredGroup, StoredMember};
use crate::{OwnedRecord, ReplayError};

const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;

/// What Kafka 4.1 and later write.
const OFFSET_COMMIT_VALUE_VERSION: i16 = 4;
/// The only version that knows an expiry, so still the one to write for old clients that ask for
/// it.
const OFFSET_COMMIT_VALUE_WITH_EXPIRY: i16 = 1;
const GROUP_METADATA_VALUE_VERSION: i16 = 3;

/// # Errors
/// A text or blob is longer than its length field can say.
pub(crate) fn encode(record: &Record) -> Result<OwnedRecord, EncodeError> {
    match record {
        Record::Offset(key, value) => Ok(OwnedRecord {
            key: encode_offset_key(key)?,
            value: value.as_ref().map(encode_offset).transpose()?,
        }),
        Record::Group(group_id, value) => Ok(OwnedRecord {
            key: encoded(
                GROUP_METADATA,
                &GroupMetadataKey { group: group_id, ..Default::default() },
                0,
            )?,
            value: value.as_ref().map(encode_group).transpose()?,
        }),
    }
}

/// A message behind its two-byte type or version.
fn encoded<'a>(
    prefix: i16,
    message: &impl Message<'a>,
    version: i16,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    writer.bytes.extend_from_slice(&prefix.to_be_bytes());
    message.encode(&mut writer, version)?;
    Ok(writer.bytes)
}

fn encode_offset_key(key: &OffsetKey) -> Result<Vec<u8>, EncodeError> {
    let message = OffsetCommitKey {
        group: &key.group_id,
        topic: &key.topic,
        partition: key.partition,
        ..Default::default()
    };
    encoded(OFFSET_COMMIT, &message, 0)
}

fn encode_offset(offset: &CommittedOffset) -> Result<Vec<u8>, EncodeError> {
    let mut message = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: &offset.metadata,
        commit_timestamp: offset.commit_timestamp_ms,
        ..Default::default()
    };
    let version = match offset.expire_timestamp_ms {
        Some(expire_timestamp_ms) => {
            message.expire_timestamp = expire_timestamp_ms;
            OFFSET_COMMIT_VALUE_WITH_EXPIRY
        }
        None => {
            message.topic_id = offset.topic_id;
            OFFSET_COMMIT_VALUE_VERSION
        }
    };
    encoded(version, &message, version)
}

fn encode_group(group: &StoredGroup) -> Result<Vec<u8>, EncodeError> {
    let members = group.members.iter().map(|member| MemberMetadata {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: &member.subscription,
        assignment: &member.assignment,
        ..Default::default()
    });
    let message = GroupMetadataValue {
        protocol_type: group.protocol_type.as_deref().unwrap_or_default(),
        generation: group.generation_id,
        protocol: group.protocol_name.as_deref(),
        leader: group.leader.as_deref(),
        current_state_timestamp: group.state_timestamp_ms.unwrap_or(-1),
        members: members.collect(),
        ..Default::default()
    };
    encoded(GROUP_METADATA_VALUE_VERSION, &message, GROUP_METADATA_VALUE_VERSION)
}

/// `None`: a record of a type that is not a classic group's business, or of a future one.
///
/// # Errors
/// The record is of a known type but cannot be read: the state would be wrong without it.
pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, ReplayError> {
    let (kind, mut key) = prefixed(key, -1)?;
    match kind {
        LEGACY_OFFSET_COMMIT => {
            let key: LegacyOffsetCommitKey<'_> = decoded(&mut key, kind, 0)?;
            let key = offset_key(key.group, key.topic, key.partition);
            let value = value.map(|value| decode_offset(kind, value)).transpose()?;
            Ok(Some(Record::Offset(key, value)))
        }
        OFFSET_COMMIT => {
            let key: OffsetCommitKey<'_> = decoded(&mut key, kind, 0)?;
            let key = offset_key(key.group, key.topic, key.partition);
            let value = value.map(|value| decode_offset(kind, value)).transpose()?;
            Ok(Some(Record::Offset(key, value)))
        }
        GROUP_METADATA => {
            let key: GroupMetadataKey<'_> = decoded(&mut key, kind, 0)?;
            let value = value.map(decode_group).transpose()?;
            Ok(Some(Record::Group(key.group.into(), value)))
        }
        _ => Ok(None),
    }
}

fn prefixed(bytes: &[u8], kind: i16) -> Result<(i16, Reader<'_>), ReplayError> {
    let mut reader = Reader::new(bytes);
    let prefix = reader.read_i16();
    let prefix =
        prefix.map_err(|error| ReplayError::Corrupt { kind, reason: error.to_string() })?;
    Ok((prefix, reader))
}

fn decoded<'a, M: Message<'a>>(
    reader: &mut Reader<'a>,
    kind: i16,
    version: i16,
) -> Result<M, ReplayError> {
    if !M::VERSIONS.contains(&version) {
        return Err(ReplayError::UnknownValueVersion { kind, version });
    }
    let message = M::decode(reader, version);
    message.map_err(|error| ReplayError::Corrupt { kind, reason: error.to_string() })
}

fn offset_key(group: &str, topic: &str, partition: i32) -> OffsetKey {
    OffsetKey { group_id: group.into(), topic: topic.into(), partition }
}

fn decode_offset(kind: i16, value: &[u8]) -> Result<CommittedOffset, ReplayError> {
    let (version, mut reader) = prefixed(value, kind)?;
    if kind == LEGACY_OFFSET_COMMIT {
        let value: LegacyOffsetCommitValue<'_> = decoded(&mut reader, kind, version)?;
        return Ok(CommittedOffset {
            offset: value.offset,
            leader_epoch: -1,
            metadata: value.metadata.to_owned(),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: None,
            topic_id: strom_base::Uuid::ZERO,
        });
    }
    let value: OffsetCommitValue<'_> = decoded(&mut reader, kind, version)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.to_owned(),
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: Some(value.expire_timestamp).filter(|timestamp| *timestamp != -1),
        topic_id: value.topic_id,
    })
}

fn decode_group(value: &[u8]) -> Result<StoredGroup, ReplayError> {
    let (version, mut reader) = prefixed(value, GROUP_METADATA)?;
    let value: GroupMetadataValue<'_> = decoded(&mut reader, GROUP_METADATA, version)?;
    let members = value.members.iter().map(|member| StoredMember {
        member_id: member.member_id.into(),
        group_instance_id: member.group_instance_id.map(Arc::from),
        client_id: member.client_id.to_owned(),
        client_host: member.client_host.to_owned(),
        // Version 0 knows one timeout for both.
        rebalance_timeout_ms: match member.rebalance_timeout {
            -1 => member.session_timeout,
            rebalance_timeout_ms => rebalance_timeout_ms,
        },
        session_timeout_ms: member.session_timeout,
        subscription: Bytes::copy_from_slice(member.subscription),
        assignment: Bytes::copy_from_slice(member.assignment),
    });
    Ok(StoredGroup {
        protocol_type: Some(value.protocol_type.to_owned()).filter(|kind| !kind.is_empty()),
        generation_id: value.generation,
        protocol_name: value.protocol.map(str::to_owned),
        leader: value.leader.map(Arc::from),
        state_timestamp_ms: Some(value.current_state_timestamp).filter(|time| *time != -1),
        members: members.collect(),
    })
}
