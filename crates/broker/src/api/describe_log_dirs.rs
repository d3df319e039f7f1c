//! DescribeLogDirs: what lies in each log directory, and how large it is (KIP-113).

use std::collections::BTreeMap;

use strom_protocol::describe_log_dirs_request::DescribeLogDirsRequest;
use strom_protocol::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use strom_protocol::{ErrorCode, Message, Reader};
use strom_storage::disk::DirectoryId;

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;

/// Told since KIP-827.
const UNKNOWN: i64 = -1;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = DescribeLogDirsRequest::decode(reader, call.version())?;
    let is_asked = |topic: &str, partition: i32| {
        wire.topics.as_ref().is_none_or(|topics| {
            topics.iter().any(|t| t.topic == topic && t.partitions.contains(&partition))
        })
    };
    let mut sizes: BTreeMap<DirectoryId, BTreeMap<&str, BTreeMap<i32, u64>>> = BTreeMap::new();
    for (_, partition) in broker.partitions.iter() {
        let identity = partition.log.identity();
        if is_asked(&identity.topic, identity.partition) {
            let topics = sizes.entry(identity.directory).or_default();
            let partitions = topics.entry(&identity.topic).or_default();
            partitions.insert(identity.partition, partition.log.size());
        }
    }
    let results = broker.settings.node.folders.log_dirs.iter().enumerate().map(|(index, path)| {
        let directory = DirectoryId(index as u16);
        if broker.failed_directories.contains(directory) {
            return DescribeLogDirsResult {
                error_code: ErrorCode::KafkaStorageError.code(),
                log_dir: path,
                total_bytes: UNKNOWN,
                usable_bytes: UNKNOWN,
                ..Default::default()
            };
        }
        let topics = sizes.remove(&directory).unwrap_or_default();
        let volume = turn.files.volume(directory);
        DescribeLogDirsResult {
            log_dir: path,
            total_bytes: volume.map_or(UNKNOWN, |it| signed(it.total)),
            usable_bytes: volume.map_or(UNKNOWN, |it| signed(it.usable)),
            topics: topics.into_iter().map(|(name, sizes)| topic(name, &sizes)).collect(),
            ..Default::default()
        }
    });
    let response = DescribeLogDirsResponse { results: results.collect(), ..Default::default() };
    Ok(call.reply(&response)?.into())
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn topic<'a>(name: &'a str, sizes: &BTreeMap<i32, u64>) -> DescribeLogDirsTopic<'a> {
    let partitions = sizes.iter().map(|(index, size)| DescribeLogDirsPartition {
        partition_index: *index,
        partition_size: signed(*size),
        ..Default::default()
    });
    DescribeLogDirsTopic { name, partitions: partitions.collect(), ..Default::default() }
}
