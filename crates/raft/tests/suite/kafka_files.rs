//! Files that Apache Kafka 4.3.1 wrote (the fixtures stand with the crate of the image).

use strom_base::Uuid;
use strom_protocol::records::batches;
use strom_raft::{ControlState, QuorumState, Snapshot};

const STATIC_SNAPSHOT: &[u8] = include_bytes!(
    "../../../metadata/tests/fixtures/static/00000000000000000105-0000000001.checkpoint"
);
const BOOTSTRAP: &[u8] =
    include_bytes!("../../../metadata/tests/fixtures/static/bootstrap.checkpoint");
const FORMATTED: &[u8] = include_bytes!(
    "../../../metadata/tests/fixtures/dynamic/00000000000000000000-0000000000.checkpoint"
);
const DYNAMIC_LOG: &[u8] =
    include_bytes!("../../../metadata/tests/fixtures/dynamic/00000000000000000000.log");
const QUORUM_STATES: [&str; 2] = [
    include_str!("../../../metadata/tests/fixtures/static/quorum-state"),
    include_str!("../../../metadata/tests/fixtures/dynamic/quorum-state"),
];

/// The timestamps of the batches in a snapshot: header, records, footer.
fn written_ms(bytes: &[u8]) -> Vec<i64> {
    batches(bytes).map(|batch| batch.expect("whole").header.max_timestamp).collect()
}

#[test]
fn a_snapshot_is_read_and_written_byte_for_byte() {
    for (file, epoch) in [(STATIC_SNAPSHOT, 1), (BOOTSTRAP, 0), (FORMATTED, 0)] {
        let snapshot = Snapshot::read(file).expect("whole");
        let times = written_ms(file);
        let ours = snapshot.write(epoch, times[0]).expect("made");
        assert_eq!(Snapshot::read(&ours), Ok(snapshot));
        if times.iter().all(|it| *it == times[0]) {
            assert_eq!(ours, file);
        } else {
            assert_eq!(ours.len(), file.len(), "only times differ");
        }
    }
}

#[test]
fn the_formatting_names_the_voter() {
    let snapshot = Snapshot::read(FORMATTED).expect("whole");
    assert_eq!(snapshot.control.kraft_version, 1);
    let (voters, offset) = snapshot.control.voters.expect("voters");
    assert_eq!(offset, -1);
    let voter = voters.find(1).expect("node 1");
    assert_eq!(voter.directory_id.to_string(), "aCdOZLvSTdiJ75XZUf4FiA");
    let endpoint = voter.endpoints.first().expect("an endpoint");
    assert_eq!((endpoint.name.as_str(), endpoint.port), ("CONTROLLER", 38093));
}

#[test]
fn the_log_says_the_same_of_the_quorum() {
    let mut control = ControlState::default();
    let mut epoch = 0;
    for batch in batches(DYNAMIC_LOG) {
        let batch = batch.expect("whole");
        control.replay(&batch).expect("sound");
        epoch = batch.header.partition_leader_epoch;
    }
    let of_formatting = Snapshot::read(FORMATTED).expect("whole").control;
    assert_eq!((control.kraft_version, epoch), (1, 2));
    let (voters, offset) = control.voters.expect("voters");
    assert_eq!(Some(voters), of_formatting.voters.map(|(voters, _)| voters));
    assert_eq!(offset, 2);
}

#[test]
fn the_quorum_state_of_both_versions_is_read() {
    let [of_static, of_dynamic] = QUORUM_STATES.map(|it| QuorumState::from_json(it).expect("read"));
    assert_eq!((of_static.leader_epoch, of_static.leader_id), (1, 1));
    assert_eq!((of_dynamic.leader_epoch, of_dynamic.voted_directory_id), (2, Uuid::ZERO));
    assert_eq!(of_static.to_json(&[1]), QUORUM_STATES[0]);
    assert_eq!(of_dynamic.to_json_with_directory(), QUORUM_STATES[1]);
}
