//! Crashes at any moment: what was committed stays, and no epoch is led twice.

use proptest::prelude::*;
use strom_raft::quorum::{AppendError, RECORDS_MAX, StartError};
use strom_raft::{Raft, RaftOptions, RaftStart, SnapshotId};

use crate::world::{NODE, World, at, options};

#[test]
fn a_lone_voter_leads_only_after_its_vote_is_on_the_disk() {
    let mut world = World::new(options(u64::MAX), None);
    assert_eq!(world.raft.leader_id(), -1);
    assert!(!world.append(&[vec![1]]));
    world.save_state();
    assert_eq!((world.raft.leader_id(), world.epochs.as_slice()), (NODE, [1].as_slice()));
    assert!(world.append(&[vec![1], vec![2]]));
    assert_eq!(world.raft.high_watermark(), 0, "nothing is synced yet");
    world.sync();
    assert_eq!(world.raft.high_watermark(), 3);
    assert_eq!(world.applied, [[1], [2]]);
}

#[test]
fn records_of_an_earlier_epoch_commit_with_the_first_of_the_next() {
    let mut world = World::new(options(u64::MAX), None);
    world.settle();
    assert!(world.append(&[vec![1]]));
    world.settle();
    world.crash_and_start();
    assert_eq!(world.raft.high_watermark(), 0);
    world.sync();
    assert_eq!(world.raft.high_watermark(), 0, "not yet a leader");
    world.settle();
    assert_eq!(world.applied, [[1]]);
    assert_eq!(world.epochs, [1, 2]);
}

#[test]
fn a_log_that_is_ahead_of_the_file_sets_the_epoch() {
    let start = RaftStart { log_end_offset: 9, last_epoch: 5, ..RaftStart::default() };
    let mut raft = Raft::new(options(u64::MAX), start).expect("alone");
    raft.on_start(&mut Vec::new());
    assert_eq!(raft.epoch(), 6);
}

#[test]
fn a_node_that_is_not_alone_or_no_voter_does_not_start() {
    let with = |static_voters: Vec<i32>| {
        let options = RaftOptions { static_voters, ..options(u64::MAX) };
        Raft::new(options, RaftStart::default()).map(|raft| raft.voters().ids())
    };
    assert_eq!(with(vec![1]), Ok(vec![1]));
    assert_eq!(with(vec![1, 2, 3]), Err(StartError::OtherVoters(vec![1, 2, 3])));
    assert!(matches!(with(vec![4]), Err(StartError::NotAVoter { node_id: 1, .. })));
}

#[test]
fn a_batch_has_a_limit() {
    let mut world = World::new(options(u64::MAX), None);
    world.settle();
    let appended = world.raft.append(at(0), &vec![vec![0]; RECORDS_MAX + 1], &mut Vec::new());
    assert_eq!(appended, Err(AppendError::TooManyRecords(RECORDS_MAX + 1)));
    let end_offset = world.raft.log_end_offset();
    let appended = world.raft.append(at(0), &[vec![0; 8 << 20]], &mut Vec::new());
    assert!(matches!(appended, Err(AppendError::TooLarge(_))), "{appended:?}");
    assert_eq!(world.raft.log_end_offset(), end_offset);
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    SaveState,
    Sync,
    SaveSnapshot,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..20_u8).prop_map(Step::Append),
        2 => Just(Step::SaveState),
        4 => Just(Step::Sync),
        2 => Just(Step::SaveSnapshot),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #[test]
    fn committed_records_outlive_every_crash(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(options(400), None);
        let mut committed: Vec<Vec<u8>> = Vec::new();
        let mut next = 0_u32;
        for step in steps {
            match step {
                Step::Append(count) => {
                    let numbers = next..next + u32::from(count);
                    let records: Vec<_> = numbers.map(|it| it.to_be_bytes().to_vec()).collect();
                    next += u32::from(count);
                    world.append(&records);
                }
                Step::SaveState => world.save_state(),
                Step::Sync => world.sync(),
                Step::SaveSnapshot => world.save_snapshot(),
                Step::Crash => world.crash_and_start(),
            }
            if world.raft.leader_id() == NODE && world.applied.len() >= committed.len() {
                prop_assert!(world.applied.starts_with(&committed));
                committed = world.applied.clone();
            }
            let oldest = world.snapshots.keys().next().copied().unwrap_or(SnapshotId::default());
            prop_assert!(world.log_start <= oldest.end_offset);
            prop_assert!(world.snapshots.len() <= 1 || world.bytes() <= 4_000, "{}", world.bytes());
        }
        world.crash_and_start();
        world.settle();
        prop_assert!(world.applied.starts_with(&committed));
        prop_assert!(world.epochs.is_sorted_by(|left, right| left < right));
    }
}
