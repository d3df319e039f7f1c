//! A partition's folder, its segments, indexes, snapshots and checkpoints damaged or foreign, opened by
//! recovery.
//!
//! What must hold: recovery never panics; a log that opens answers every question without a panic;
//! after a crash what it serves from its start to its end are sound batches, in order; it takes an
//! append; a second recovery finds what the first one left, and leaves every file as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strom_fuzz::choices::Choices;
use strom_fuzz::log_folder::{
    NOW, config, damage_files, folder, identity, recover, settle, written,
};
use strom_protocol::records::{batches, verify_crc};
use strom_sim::disk::SimDisk;
use strom_sim::engine::Engine;
use strom_storage::Log;
use strom_storage::disk::{Disk, LogId};
use strom_storage::log::{ReadError, ReadRequest, SearchFrom, SearchLimits, Searched, Sought};
use strom_storage::recovery::RecoveredLog;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let is_clean = choices.byte() & 3 == 0;
    let recovery_point = i64::from(choices.byte() % 16);
    let start = choices.byte();
    let log_start_offset = (start & 1 != 0).then_some(i64::from(start >> 3));
    let mut disk = written(&mut choices);
    damage_files(&mut disk, &mut choices);
    let Ok(found) = recover(&mut disk, recovery_point, log_start_offset, is_clean) else { return };
    let engine = ask(disk, found.clone());
    if is_clean || recovery_point > 0 {
        return;
    }
    let mut disk = serve(engine, found.clone());
    let before = picture(&disk);
    let again = recover(&mut disk, 0, Some(found.log_start_offset), false).expect("opens again");
    assert_eq!(picture(&disk), before, "nothing was left to do");
    let ends = |it: &RecoveredLog| (it.log_start_offset, it.log_end_offset);
    assert_eq!(ends(&again), ends(&found));
    assert_eq!(again.truncated_bytes, 0);
    let open = |found: RecoveredLog| {
        let log = Log::open(identity(), config(), found, NOW);
        let segments: Vec<_> = log.segments().collect();
        format!("{segments:?} {:?}", log.producers().collect::<Vec<_>>())
    };
    assert_eq!(open(again), open(found));
});

fn picture(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let entries = disk.list(&folder()).expect("a folder").into_iter();
    let read = |name: &str| disk.read_file(&folder().below(name), u64::MAX).expect("a file");
    entries.map(|entry| (entry.name.clone(), read(&entry.name))).collect()
}

/// Asks the log everything, with no word on what it says: it may be damaged.
fn ask(disk: SimDisk, found: RecoveredLog) -> Engine {
    let mut engine = Engine::new(disk);
    engine.place(LogId(0), Some(folder()));
    let log = Log::open(identity(), config(), found, NOW);
    let start = log.log_start_offset();
    let mut limits = SearchLimits { headers_left: usize::MAX, batch_bytes_max: usize::MAX };
    for offset in (start..=log.log_end_offset()).take(50) {
        let request = ReadRequest {
            offset,
            max_bytes: 200,
            upper_bound_offset: i64::MAX,
            at_least_one_batch: true,
        };
        let _ = log.read(&engine, &request);
        let time = NOW.wall_ms + offset;
        look_into(log.seek_timestamp(&engine, (time, SearchFrom::offset(start)), &mut limits));
        let _ = log.plan_truncation(&engine, offset);
        let _ = log.end_offset_for_epoch(offset as i32);
    }
    let _ = log.aborted_transactions(&engine, start, log.log_end_offset());
    look_into(log.seek_max_timestamp(&engine, &limits));
    engine
}

fn look_into(sought: Result<Sought, ReadError>) {
    if let Ok(Sought::In(search)) = sought {
        assert_ne!(search.perform(&mut { search.most_bytes() }), Searched::TooLong);
    }
}

/// Reads everything, each batch whole and in order.
fn serve(mut engine: Engine, found: RecoveredLog) -> SimDisk {
    let mut log = Log::open(identity(), config(), found, NOW);
    let (mut offset, end) = (log.log_start_offset(), log.log_end_offset());
    while offset < end {
        let request = ReadRequest {
            offset,
            max_bytes: 300,
            upper_bound_offset: i64::MAX,
            at_least_one_batch: true,
        };
        let slice = log.read(&engine, &request).expect("a log that was scanned is read");
        let before = offset;
        let mut bytes = vec![0; slice.length as usize];
        let read = engine.read_patiently(slice.file, slice.position, &mut bytes);
        assert_eq!(read, Ok(bytes.len()));
        for batch in batches(&bytes) {
            let batch = batch.expect("a batch");
            assert!(verify_crc(batch.bytes), "at {offset}");
            assert!(batch.header.next_offset() > offset && batch.header.next_offset() <= end);
            offset = batch.header.next_offset();
        }
        if slice.length == 0 {
            break;
        }
        assert!(offset > before, "nothing comes at {offset} of {end}");
    }
    let mut out = Vec::new();
    settle(&mut engine, &mut log, &mut out);
    engine.disk
}
