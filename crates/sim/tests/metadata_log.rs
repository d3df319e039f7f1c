//! A start reads all of the metadata log, in pieces that batches may be larger than.

use std::sync::Arc;

use strom_base::Random;
use strom_broker::boot::{BootOptions, boot};
use strom_broker::settings::QuorumSettings;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_raft::VoterEndpoint;
use strom_sim::disk::SimDisk;
use strom_storage::LogConfig;
use strom_storage::disk::{DirectoryId, Disk, DiskPath};

fn options() -> BootOptions {
    let endpoint = VoterEndpoint { name: "CONTROLLER".into(), host: "here".into(), port: 9093 };
    BootOptions {
        node_id: 1,
        directories: 1,
        metadata_directory: DirectoryId(0),
        failed_directories: Vec::new(),
        format_empty: true,
        quorum: QuorumSettings { endpoints: vec![endpoint], ..QuorumSettings::default() },
        log_config: Arc::new(LogConfig::default()),
        now_ms: 1_000,
    }
}

fn batch(base_offset: i64, length: usize) -> Vec<u8> {
    let options =
        BatchOptions { base_offset, partition_leader_epoch: 1, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let value = vec![b'x'; length];
    let record = NewRecord { timestamp_ms: 1, key: None, value: Some(&value), headers: &[] };
    builder.append(&record).expect("appended");
    builder.build()
}

#[test]
fn no_batch_is_left_out_behind_a_large_one() {
    for lengths in [[10, 3 << 20, 20], [3 << 20, 2 << 20, 10], [1 << 20, 10, 5 << 20]] {
        let mut disk = SimDisk::new();
        boot(&mut disk, &options(), &mut Random::new(1)).expect("formatted");
        let name = "__cluster_metadata-0/00000000000000000000.log";
        let path = DiskPath { directory: DirectoryId(0), path: name.into() };
        let batches: Vec<Vec<u8>> =
            (0..).zip(lengths).map(|(offset, length)| batch(offset, length)).collect();
        disk.write_at(&path, 0, &batches.concat()).expect("written");
        let state = boot(&mut disk, &options(), &mut Random::new(1)).expect("started");
        let read: Vec<&[u8]> = state.metadata.batches.iter().map(|it| &**it).collect();
        assert!(read == batches, "{} of {} batches", read.len(), batches.len());
    }
}
