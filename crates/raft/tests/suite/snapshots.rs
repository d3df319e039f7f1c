//! Snapshots: when they are made, what they hold, and which files are none.

use proptest::prelude::*;
use strom_base::Uuid;
use strom_raft::snapshot::{bootstrap_checkpoint, formatting_snapshot, is_leftover};
use strom_raft::{Snapshot, SnapshotId, Voter, VoterEndpoint, VoterSet};

use crate::world::{DIRECTORY, NODE, World, assert_consecutive, options};

fn append_hundred(world: &mut World) -> Vec<Vec<u8>> {
    let records: Vec<_> = (0..100_u8).map(|number| vec![number; 50]).collect();
    for record in &records {
        assert!(world.append(std::slice::from_ref(record)));
        world.settle();
    }
    records
}

#[test]
fn a_log_that_has_grown_is_cut_behind_the_oldest_snapshot_that_is_kept() {
    let mut world = World::new(options(2_000), None);
    world.settle();
    let expected = append_hundred(&mut world);
    let oldest = world.snapshots.keys().next().expect("one");
    assert_eq!(world.log_start, oldest.end_offset);
    assert!(world.log_start > 50);
    assert!(world.snapshots.len() == 1 || world.bytes() <= 8_000, "{}", world.bytes());
    world.crash_and_start();
    world.settle();
    assert_eq!(world.applied, expected);
}

#[test]
fn a_snapshot_stays_until_it_is_too_old_and_the_last_one_for_ever() {
    let mut options = options(2_000);
    options.snapshots.retention_bytes = -1;
    options.snapshots.retention_ms = 1_000;
    let mut world = World::new(options, None);
    world.settle();
    append_hundred(&mut world);
    let all = world.snapshots.len();
    assert!(all > 3 && world.log_start == 0, "{all}");
    world.clock_ms += 850;
    world.clean();
    assert!(world.snapshots.len() < all && world.snapshots.len() > 1, "those of the first moments");
    world.clock_ms += 10_000;
    world.clean();
    let [last] = world.snapshots.keys().collect::<Vec<_>>()[..] else { panic!("not one") };
    assert_eq!(world.log_start, last.end_offset);
}

#[test]
fn a_dynamic_quorum_takes_its_voters_from_the_formatting_into_the_log_once() {
    let endpoint = VoterEndpoint { name: "CONTROLLER".into(), host: "h".into(), port: 9093 };
    let own = Voter { directory_id: DIRECTORY, endpoints: vec![endpoint], ..Voter::by_id(NODE) };
    let voters = VoterSet(vec![own.clone()]);
    let formatted = formatting_snapshot(voters.clone(), 0).expect("made");
    let mut options = options(u64::MAX);
    options.endpoints = own.endpoints;
    let mut world = World::new(options, Some(formatted));
    world.settle();
    assert_eq!((world.raft.kraft_version(), world.raft.voters()), (1, &voters));
    assert_eq!(world.raft.log_end_offset(), 3);
    let state = world.quorum_state.clone().expect("a file");
    assert!(state.contains("\"data_version\":1"), "{state}");
    world.crash_and_start();
    world.settle();
    assert_eq!(world.raft.log_end_offset(), 4, "only the change of leader");
    assert_eq!(world.raft.voters(), &voters);
}

#[test]
fn names_are_kafkas() {
    let id = SnapshotId { end_offset: 105, epoch: 1 };
    assert_eq!(id.file_name(), "00000000000000000105-0000000001.checkpoint");
    assert_eq!(SnapshotId::from_file_name(&id.file_name()), Some(id));
    for other in ["bootstrap.checkpoint", "1-1.checkpoint", "00000000000000000105.log"] {
        assert_eq!(SnapshotId::from_file_name(other), None);
        assert!(!is_leftover(other));
    }
    assert!(is_leftover("00000000000000000105-0000000001-x.checkpoint.part"));
    assert!(is_leftover("00000000000000000105-0000000001.checkpoint.deleted"));
}

#[test]
fn a_snapshot_that_is_cut_or_damaged_anywhere_is_none() {
    let records = (0..20_u8).map(|it| vec![it; 9]).collect();
    let bytes = bootstrap_checkpoint(records, 5).expect("made");
    assert!(Snapshot::read(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(Snapshot::read(&bytes[..length]).is_err(), "cut at {length}");
    }
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x10;
        // Base offset and leader epoch stand outside the checksum.
        if let Ok(read) = Snapshot::read(&damaged) {
            assert_eq!(read.records.len(), 20, "damaged at {position}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3000),
        last_timestamp_ms in any::<i64>(),
        epoch in 0..i32::MAX,
    ) {
        let voters = VoterSet(vec![Voter { directory_id: Uuid::ONE, ..Voter::by_id(7) }]);
        let control = strom_raft::ControlState { kraft_version: 1, voters: Some((voters, -1)) };
        let snapshot = Snapshot { last_timestamp_ms, control, records };
        let bytes = snapshot.write(epoch, 77).expect("made");
        assert_consecutive(&bytes, 0, epoch);
        prop_assert_eq!(Snapshot::read(&bytes), Ok(snapshot));
    }

    #[test]
    fn foreign_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Snapshot::read(&bytes).is_err());
    }
}
