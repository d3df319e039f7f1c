//! A node's folder is formatted with the power failing anywhere: it is formatted whole or seen as not
//! formatted, and then done again.

use std::sync::Arc;

use strom_base::Random;
use strom_broker::boot::{BootOptions, boot, check, identity};
use strom_broker::settings::QuorumSettings;
use strom_raft::VoterEndpoint;
use strom_sim::disk::SimDisk;
use strom_storage::LogConfig;
use strom_storage::disk::{DirectoryId, Disk, DiskPath};

const DIRECTORY: DirectoryId = DirectoryId(0);

fn options() -> BootOptions {
    let endpoint = VoterEndpoint { name: "CONTROLLER".into(), host: "here".into(), port: 9093 };
    BootOptions {
        node_id: 1,
        directories: 1,
        metadata_directory: DIRECTORY,
        failed_directories: Vec::new(),
        format_empty: true,
        quorum: QuorumSettings { endpoints: vec![endpoint], ..QuorumSettings::default() },
        log_config: Arc::new(LogConfig::default()),
        now_ms: 1_000,
    }
}

#[test]
fn the_power_may_fail_anywhere() {
    let (options, mut whole) = (options(), SimDisk::new());
    boot(&mut whole, &options, &mut Random::new(1)).expect("formatted");
    let names =
        ["bootstrap.checkpoint", "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"];
    for crash_at in 0..=whole.operations() {
        for seed in 0..20 {
            let mut disk = SimDisk::new();
            disk.faults.crash_at = Some(crash_at);
            let told = boot(&mut disk, &options, &mut Random::new(1));
            disk.crash(&mut Random::new(seed));
            check(&disk, &options).expect("a folder that can be used");
            let found = identity::read_one(&disk, DIRECTORY).expect("read");
            assert!(found.is_some() || told.is_err(), "at {crash_at}, seed {seed}");
            for name in names {
                let path = DiskPath { directory: DIRECTORY, path: name.into() };
                let length = disk.read_file(&path, 1 << 20).map(|bytes| bytes.len());
                let is_whole = length.is_ok_and(|length| length > 0);
                assert!(is_whole || found.is_none(), "{name} at {crash_at}, seed {seed}");
            }
            boot(&mut disk, &options, &mut Random::new(2)).expect("formatted again");
        }
    }
}
