//! Empty folders become a node's by themselves, as `strom storage format --standalone` makes them.

use strom_base::Random;
use strom_broker::boot::{BootOptions, boot};
use strom_broker::settings::QuorumSettings;
use strom_raft::{Snapshot, VoterEndpoint};
use strom_storage::LogConfig;
use strom_storage::disk::{DirectoryId, Disk, DiskPath};

use crate::memory_disk::MemoryDisk;

const VOTERS: &str = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";

fn options(directories: u16, quorum: QuorumSettings) -> BootOptions {
    BootOptions {
        node_id: 1,
        directories,
        metadata_directory: DirectoryId(0),
        failed_directories: Vec::new(),
        format_empty: true,
        quorum,
        log_config: LogConfig::default().into(),
        now_ms: 5,
    }
}

fn standalone() -> QuorumSettings {
    let endpoint = VoterEndpoint { name: "CONTROLLER".into(), host: "h".into(), port: 9093 };
    QuorumSettings { endpoints: vec![endpoint], ..QuorumSettings::default() }
}

fn file(disk: &MemoryDisk, directory: u16, path: &str) -> Option<Vec<u8>> {
    let path = DiskPath { directory: DirectoryId(directory), path: path.to_owned() };
    disk.read_file(&path, 1 << 20).ok()
}

#[test]
fn a_node_with_a_controller_listener_becomes_a_quorum_of_its_own() {
    let mut disk = MemoryDisk::default();
    let state = boot(&mut disk, &options(2, standalone()), &mut Random::new(1)).expect("boots");
    let snapshot = Snapshot::read(&file(&disk, 0, VOTERS).expect("voters")).expect("whole");
    let (voters, _) = snapshot.control.voters.expect("voters");
    assert_eq!(voters.0[0].directory_id, state.identity.directories[0].id);
    assert_eq!(state.metadata.snapshot.control.kraft_version, 1);
    assert_eq!(state.metadata.bootstrap.len(), 6);
    for directory in [0, 1] {
        let bootstrap = file(&disk, directory, "bootstrap.checkpoint").expect("a file");
        assert_eq!(Snapshot::read(&bootstrap).expect("whole").records, state.metadata.bootstrap);
    }
    assert!(file(&disk, 1, VOTERS).is_none());
    let again = boot(&mut disk, &options(2, standalone()), &mut Random::new(2)).expect("boots");
    assert_eq!(again.identity, state.identity);
}

#[test]
fn voters_of_the_configuration_are_not_written_down() {
    let mut disk = MemoryDisk::default();
    let quorum = QuorumSettings { voters: vec![1], ..standalone() };
    boot(&mut disk, &options(1, quorum), &mut Random::new(1)).expect("boots");
    assert!(file(&disk, 0, VOTERS).is_none());
}

#[test]
fn a_cluster_is_not_forgotten_because_its_metadata_folder_is_missing() {
    let mut disk = MemoryDisk::default();
    boot(&mut disk, &options(2, standalone()), &mut Random::new(1)).expect("boots");
    let path = DiskPath { directory: DirectoryId(0), path: "meta.properties".to_owned() };
    disk.remove_file(&path).expect("removed");
    let refused = boot(&mut disk, &options(2, standalone()), &mut Random::new(1));
    let text = refused.expect_err("refused").to_string();
    assert!(text.contains("the folder of the metadata log is empty"), "{text}");
}
