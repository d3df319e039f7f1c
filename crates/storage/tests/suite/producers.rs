//! Idempotent and transactional producers.

use strom_storage::config::LogConfig;
use strom_storage::log::{AbortedTransaction, AppendError, AppendOrigin};

use crate::batches::{marker, of_producer, plain, transactional};
use crate::world::World;

#[test]
fn a_duplicate_is_answered_with_the_old_offsets() {
    let mut world = World::new(LogConfig::default());
    for sequence in 0..6 {
        world.append(of_producer(1, 0, sequence * 2));
    }
    let again = world.append(of_producer(1, 0, 4));
    assert!(again.is_duplicate);
    assert_eq!((again.first_offset, again.last_offset, again.ticket), (4, 5, None));
    assert_eq!(world.log.log_end_offset(), 12);
    // The sixth last batch is forgotten: not a duplicate, but out of order.
    let error = world.try_append(of_producer(1, 0, 0), AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::OutOfOrderSequence { last_sequence: 11, .. }));
}

#[test]
fn a_duplicate_of_a_pending_batch_waits_for_its_write() {
    let mut world = World::new(LogConfig::default());
    world.holds = true;
    let first = world.append(of_producer(1, 0, 0));
    let again = world.append(of_producer(1, 0, 0));
    assert!(again.is_duplicate);
    assert_eq!(again.ticket, first.ticket);
}

#[test]
fn a_fenced_producer_is_refused() {
    let mut world = World::new(LogConfig::default());
    world.append(of_producer(1, 1, 0));
    let error = world.try_append(of_producer(1, 0, 0), AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::InvalidProducerEpoch { epoch: 0, current: 1, .. }));
    let error = world.try_append(of_producer(1, 2, 5), AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::OutOfOrderSequence { .. }));
    world.append(of_producer(1, 2, 0));
}

#[test]
fn producer_state_survives_a_stop_a_kill_and_rolls() {
    let config = LogConfig { segment_bytes: 400, ..Default::default() };
    let mut world = World::new(config);
    for sequence in 0..9 {
        world.append(of_producer(1, 0, sequence * 2));
        world.append(plain(1));
    }
    let (mut world, _) = world.stop();
    // All that may have been in flight, not only the last one that the snapshot tells.
    for sequence in 4..9 {
        let again = world.append(of_producer(1, 0, sequence * 2));
        assert!(again.is_duplicate);
        assert_eq!(again.first_offset, i64::from(sequence) * 3);
    }
    world.append(of_producer(1, 0, 18));
    let (mut world, _) = world.kill();
    for sequence in 5..10 {
        assert!(world.append(of_producer(1, 0, sequence * 2)).is_duplicate);
    }
    let error = world.try_append(of_producer(1, 0, 26), AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::OutOfOrderSequence { last_sequence: 19, .. }));
    assert!(!world.append(of_producer(1, 0, 20)).is_duplicate);
}

#[test]
fn silent_producers_are_forgotten() {
    let mut world = World::new(LogConfig { producer_id_expiration_ms: 10, ..Default::default() });
    world.append(of_producer(1, 0, 0));
    for left in [1, 0] {
        world.log.on_retention_check(world.now, &mut world.out);
        world.settle();
        assert_eq!(world.log.producers().count(), left);
        world.now.monotonic_ms += 10;
        world.now.wall_ms += 10;
    }
    world.append(of_producer(1, 0, 77));
}

#[test]
fn the_stable_offset_waits_for_the_marker() {
    let mut world = World::new(LogConfig::default());
    world.append(plain(2));
    world.append(transactional(1, 0));
    world.append(transactional(2, 0));
    world.log.advance_high_watermark(4);
    assert_eq!(world.log.last_stable_offset(), 2);
    world.try_append(marker(1, false), AppendOrigin::Coordinator).unwrap();
    world.log.advance_high_watermark(5);
    assert_eq!(world.log.last_stable_offset(), 3);
    world.try_append(marker(2, true), AppendOrigin::Coordinator).unwrap();
    assert_eq!(world.log.last_stable_offset(), 3, "the marker is not replicated yet");
    world.log.advance_high_watermark(6);
    assert_eq!(world.log.last_stable_offset(), 6);
    let aborted = |world: &World<_>, from, upper| {
        world.log.aborted_transactions(&world.files(), from, upper).unwrap()
    };
    let expected = [AbortedTransaction { producer_id: 1, first_offset: 2 }];
    assert_eq!(aborted(&world, 0, 6), expected);
    assert_eq!(aborted(&world, 5, 6), []);
    assert_eq!(aborted(&world, 0, 2), []);
    let (world, _) = world.kill();
    assert_eq!(aborted(&world, 0, 6), expected);
    let (world, _) = world.stop();
    assert_eq!(aborted(&world, 0, 6), expected);
}

#[test]
fn transactions_need_the_coordinators_word() {
    let mut world = World::new(LogConfig::default());
    let request = |batch: Vec<u8>| strom_storage::log::AppendRequest {
        batches: bytes::BytesMut::from(bytes::Bytes::from(batch)),
        origin: AppendOrigin::Client,
        examined: None,
        leader_epoch: 0,
        transaction_verified: false,
        transaction_version: 1,
    };
    let out = &mut world.out;
    let refused = world.log.append_as_leader(world.now, request(transactional(1, 0)), out);
    assert!(matches!(refused, Err(AppendError::InvalidTransactionState(_))));
    world.append(transactional(1, 0));
    let out = &mut world.out;
    world.log.append_as_leader(world.now, request(transactional(1, 1)), out).unwrap();
    world.settle();
    let plain_batch = of_producer(1, 0, 2);
    let error = world.try_append(plain_batch, AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::InvalidTransactionState(_)));
}

#[test]
fn a_late_coordinator_is_fenced() {
    let mut world = World::new(LogConfig::default());
    world.append(transactional(1, 0));
    world.try_append(marker(1, true), AppendOrigin::Coordinator).unwrap();
    let options = strom_protocol::records::BatchOptions {
        producer_id: 1,
        producer_epoch: 0,
        ..Default::default()
    };
    let old =
        strom_protocol::records::EndTransactionMarker { is_commit: true, coordinator_epoch: 0 };
    let error = world.try_append(old.batch(0, &options).unwrap(), AppendOrigin::Coordinator);
    assert!(matches!(error, Err(AppendError::CoordinatorFenced { epoch: 0, current: 1 })));
}
