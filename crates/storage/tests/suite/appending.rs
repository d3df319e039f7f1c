//! What an append promises, and what the log says once it is written.

use bytes::Bytes;
use strom_protocol::records::{BatchHeader, TimestampType, verify_crc};
use strom_storage::config::LogConfig;
use strom_storage::log::{AppendError, AppendOrigin, Completed};

use crate::batches::{plain, sized, stamped, timed};
use crate::world::{START_MS, World};

#[test]
fn offsets_and_epoch_are_put_into_the_batch_and_the_crc_still_holds() {
    let mut world = World::new(LogConfig::default());
    world.append(plain(3));
    let second = world.append(plain(2));
    assert_eq!((second.first_offset, second.last_offset), (3, 4));
    assert_eq!(second.log_append_time_ms, -1);
    let batch = world.bytes_of(&world.read(3, 1 << 20));
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (3, 0));
    assert!(verify_crc(&batch));
}

#[test]
fn the_written_offset_follows_the_contiguous_prefix() {
    let mut world = World::new(LogConfig::default());
    world.holds = true;
    for _ in 0..3 {
        world.append(plain(1));
    }
    let mut reports: Vec<_> = world.reports.drain(..).collect();
    let writes = reports.split_off(reports.len() - 3);
    reports.iter().for_each(|of_the_folder| world.report(of_the_folder));
    let [first, second, third]: [_; 3] = writes.try_into().unwrap();
    world.report(&third);
    world.report(&second);
    assert_eq!((world.log.written_offset(), world.log.log_end_offset()), (0, 3));
    assert!(!world.log.advance_high_watermark(3), "nothing is written yet");
    world.report(&first);
    assert_eq!(world.completed.last(), Some(&Completed::Written { written_offset: 3 }));
    assert!(world.log.advance_high_watermark(7));
    assert_eq!(world.log.high_watermark(), 3);
}

#[test]
fn a_topic_may_stamp_its_records_itself() {
    let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..Default::default() };
    let mut world = World::new(config);
    let appended = world.append(timed(&[1, 2]));
    assert_eq!(appended.log_append_time_ms, START_MS);
    let batch = world.bytes_of(&world.read(0, 1 << 20));
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(header.max_timestamp, START_MS);
    assert!(verify_crc(&batch));
}

#[test]
fn a_sync_by_count_is_named_for_the_answer_to_wait_for() {
    let mut world = World::new(LogConfig { flush_messages: 2, ..Default::default() });
    assert_eq!(world.append(plain(1)).sync_ticket, None);
    let ticket = world.append(plain(1)).sync_ticket;
    assert!(ticket.is_some());
    assert_eq!(world.log.synced_offset(), 2);
}

#[test]
fn a_sync_by_time_has_a_deadline() {
    let mut world = World::new(LogConfig { flush_ms: 500, ..Default::default() });
    assert_eq!(world.log.next_deadline(), None);
    world.append(plain(1));
    assert_eq!(world.log.next_deadline(), Some(1500));
    world.now.monotonic_ms = 1500;
    world.log.on_deadline(world.now, &mut world.out);
    world.settle();
    assert_eq!(world.log.synced_offset(), 1);
    assert_eq!(world.log.next_deadline(), None);
}

#[test]
fn a_follower_takes_the_leaders_bytes_as_they_are() {
    let mut world = World::new(LogConfig::default());
    let mut bytes = [stamped(0, 3, 2), stamped(5, 4, 1), stamped(9, 7, 1)].concat();
    let whole = bytes.clone();
    bytes.extend_from_slice(&stamped(20, 4, 1)[..30]);
    let appended =
        world.log.append_as_follower(world.now, Bytes::from(bytes), 4, &mut world.out).unwrap();
    world.settle();
    assert_eq!((appended.first_offset, appended.last_offset), (0, 5));
    assert_eq!(world.log.log_end_offset(), 6, "epoch 7 is above what the fetch was for");
    let read = world.bytes_of(&world.read(0, 1 << 20));
    assert_eq!(read, whole[..read.len()]);
    assert_eq!(world.log.end_offset_for_epoch(3), Some((3, 5)));
    assert_eq!(world.log.end_offset_for_epoch(4), Some((4, 6)));
    // A gap that compaction left does not stop a reader.
    assert_eq!(world.read(3, 1 << 20).base_offset, 5);
}

#[test]
fn a_follower_refuses_what_does_not_continue_its_log() {
    let mut world = World::new(LogConfig::default());
    let follow = |world: &mut World<_>, bytes: Vec<u8>| {
        let out = &mut world.out;
        let appended = world.log.append_as_follower(world.now, Bytes::from(bytes), 9, out);
        world.settle();
        appended
    };
    follow(&mut world, stamped(0, 1, 5)).unwrap();
    assert!(matches!(
        follow(&mut world, stamped(3, 1, 1)),
        Err(AppendError::UnexpectedOffset { log_end_offset: 5, .. })
    ));
    let mut damaged = stamped(5, 1, 1);
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(follow(&mut world, damaged), Err(AppendError::Corrupt(_))));
    assert_eq!(follow(&mut world, vec![0; 10]).unwrap().ticket, None);
    assert_eq!(world.log.log_end_offset(), 5);
}

#[test]
fn an_empty_follower_restarts_inside_the_leaders_first_batch() {
    let mut world = World::new(LogConfig::default());
    world.log.truncate_fully_and_start_at(world.now, 7, &mut world.out);
    world.settle();
    let bytes = Bytes::from(stamped(5, 1, 5));
    world.log.append_as_follower(world.now, bytes, 1, &mut world.out).unwrap();
    world.settle();
    assert_eq!((world.log.log_start_offset(), world.log.log_end_offset()), (5, 10));
}

#[test]
fn the_quorums_leader_sets_offsets_and_epochs_itself() {
    let mut world = World::new(LogConfig::default());
    let appended = world.try_append(stamped(0, 0, 2), AppendOrigin::Raft).unwrap();
    assert_eq!(appended.last_offset, 1);
    let gap = world.try_append(stamped(5, 0, 1), AppendOrigin::Raft);
    assert!(matches!(gap, Err(AppendError::UnexpectedOffset { .. })));
    let foreign = world.try_append(stamped(2, 4, 1), AppendOrigin::Raft);
    assert!(matches!(foreign, Err(AppendError::InvalidRecord { .. })));
}

#[test]
fn reads_respect_their_bounds() {
    let mut world = World::new(LogConfig::default());
    for _ in 0..200 {
        world.append(sized(1000));
    }
    for offset in [0, 1, 77, 150, 199] {
        let whole = world.read(offset, 1);
        assert_eq!(whole.base_offset, offset);
        assert_eq!(BatchHeader::parse(&world.bytes_of(&whole)).unwrap().base_offset, offset);
        let mut request = strom_storage::log::ReadRequest {
            offset,
            max_bytes: 1 << 20,
            upper_bound_offset: 160,
            at_least_one_batch: false,
        };
        let bounded = world.log.read(&world.files(), &request).unwrap();
        let size = u64::from(whole.length);
        assert_eq!(u64::from(bounded.length), size * (160 - offset).max(0) as u64);
        request.max_bytes = 10;
        assert_eq!(world.log.read(&world.files(), &request).unwrap().length, 0);
    }
    assert_eq!(world.read(200, 100).length, 0);
    let request = strom_storage::log::ReadRequest {
        offset: 201,
        max_bytes: 1,
        upper_bound_offset: i64::MAX,
        at_least_one_batch: true,
    };
    assert!(world.log.read(&world.files(), &request).is_err());
}
