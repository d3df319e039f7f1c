//! AlterReplicaLogDirs: which log directory a partition is to lie in (KIP-113).
//!
//! A partition may be told to stay where it is; this node does not move one to another directory yet
//! and says so with the error of a directory that cannot take it.

use std::collections::BTreeMap;

use strom_protocol::alter_replica_log_dirs_request::AlterReplicaLogDirsRequest;
use strom_protocol::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    _turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = AlterReplicaLogDirsRequest::decode(reader, call.version())?;
    let mut results: Vec<AlterReplicaLogDirTopicResult<'_>> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, topic) in
        wire.dirs.iter().flat_map(|dir| dir.topics.iter().map(|topic| (dir.path, topic)))
    {
        let partitions = topic.partitions.iter().map(|index| AlterReplicaLogDirPartitionResult {
            partition_index: *index,
            error_code: fate(broker, topic.name, *index, path).code(),
            ..Default::default()
        });
        let next = results.len();
        // By a table: a request may name hundreds of thousands of topics.
        let place = *places.entry(topic.name).or_insert(next);
        match results.get_mut(place) {
            Some(result) => result.partitions.extend(partitions),
            None => results.push(AlterReplicaLogDirTopicResult {
                topic_name: topic.name,
                partitions: partitions.collect(),
                ..Default::default()
            }),
        }
    }
    let response = AlterReplicaLogDirsResponse { results, ..Default::default() };
    Ok(call.reply(&response)?.into())
}

fn fate(broker: &Broker, topic: &str, index: i32, path: &str) -> ErrorCode {
    let directories = &broker.settings.node.folders.log_dirs;
    let Some(wanted) = directories.iter().position(|directory| directory == path) else {
        return ErrorCode::LogDirNotFound;
    };
    match broker.partition_by_name(topic, index) {
        None => match broker.missing_partition_of(topic, index) {
            ErrorCode::KafkaStorageError => ErrorCode::KafkaStorageError,
            _ => ErrorCode::UnknownTopicOrPartition,
        },
        Some(partition) if usize::from(partition.log.identity().directory.0) == wanted => {
            ErrorCode::None
        }
        Some(_) => ErrorCode::KafkaStorageError,
    }
}
