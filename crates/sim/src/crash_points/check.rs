//! What has to hold after a crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_base::{Now, Random};
use strom_protocol::records::{BatchHeader, batches, verify_crc};
use strom_storage::disk::{Disk, DiskError};
use strom_storage::format::partition_metadata;
use strom_storage::log::ReadRequest;
use strom_storage::recovery::{RecoveredLog, recover_log};
use strom_storage::{Log, LogConfig};

use crate::disk::SimDisk;

use super::history::History;
use super::stage::{Stage, batch, folder, identity, of_producer};

const READ_BYTES: u32 = 1 << 20;
/// Fates of what a recovery and the appends behind it left unsynced.
const SECOND_FATES: u64 = 6;

/// Recovers the log from the disk as the crash left it and checks it against its history.
pub(super) fn recovered(mut stage: Stage, survives_written: bool) -> Result<(), String> {
    match stage.engine.disk.list(&folder()) {
        Ok(_) => {}
        Err(DiskError::NotFound(_)) => return missing(&stage, survives_written),
        Err(error) => return Err(error.to_string()),
    }
    if let Some(error) = stage.engine.refused.first() {
        return Err(format!("the disk refused what nobody waits for: {error}"));
    }
    let history = std::mem::take(&mut stage.history);
    let (stage, recovered) = reopen(stage, false)?;
    if recovered.lost_synced_records {
        return Err("recovery says that synced records were damaged".into());
    }
    let found = read_all(&stage)?;
    compare(&history, &found, survives_written)?;
    if stage.log.log_start_offset() > history.log_start_offset {
        return Err(format!("the log starts at {}", stage.log.log_start_offset()));
    }
    if !history.was_cut {
        check_epochs(&stage.log, &found)?;
    }
    check_name(&stage, &history, survives_written)?;
    fails_again(&stage, (&recovered, &history), &found)?;
    goes_on(stage, &found)
}

/// The power fails right after the recovery, and after the first appends behind it: what comes back
/// is a beginning of what was found and appended, and nothing that recovery had cut off. What the
/// log itself had cut or let go, and not synced, may come back as without a recovery.
fn fails_again(
    stage: &Stage,
    (recovered, history): (&RecoveredLog, &History),
    found: &BTreeMap<i64, Vec<u8>>,
) -> Result<(), String> {
    let log_start_offset = recovered.log_start_offset;
    let may_come_back = |offset: i64, bytes: &[u8]| {
        (history.was_cut || offset < log_start_offset) && history.was_ever(bytes)
    };
    for fate in 0..SECOND_FATES {
        let mut stage = open(stage.engine.disk.clone(), recovered.clone(), &stage.config);
        let mut there = found.clone();
        for _ in 0..fate % 3 {
            let _ = stage.append(batch(Default::default(), 300));
            stage.settle();
            there = read_all(&stage)?;
        }
        stage.engine.disk.crash(&mut Random::new(fate));
        let left = match stage.engine.disk.list(&folder()) {
            Err(DiskError::NotFound(_)) => BTreeMap::new(),
            _ => read_all(&reopen(stage, false)?.0)?,
        };
        let mut promised = there.range(..recovered.synced_offset);
        let lost = promised.find(|(offset, _)| !left.contains_key(offset));
        if let Some((offset, _)) = lost {
            return Err(format!("offset {offset} is gone after a second power failure"));
        }
        let mut strangers = left.iter().filter(|(at, bytes)| there.get(at) != Some(*bytes));
        if let Some((offset, _)) = strangers.find(|(at, bytes)| !may_come_back(**at, bytes)) {
            return Err(format!("offset {offset} came back after a second power failure"));
        }
    }
    Ok(())
}

/// Each epoch ends where the next one has its first batch.
fn check_epochs(log: &Log, found: &BTreeMap<i64, Vec<u8>>) -> Result<(), String> {
    let mut last_epoch = None;
    for (offset, bytes) in found {
        let header = BatchHeader::parse(bytes).map_err(|error| error.to_string())?;
        let epoch = header.partition_leader_epoch;
        if let Some(before) = last_epoch.replace(epoch).filter(|before| *before != epoch) {
            let told = log.end_offset_for_epoch(before);
            if told != Some((before, *offset)) {
                return Err(format!("epoch {before} is said to end at {told:?}, not {offset}"));
            }
        }
    }
    if last_epoch > log.latest_epoch() {
        return Err(format!("the last epoch is {last_epoch:?}, not {:?}", log.latest_epoch()));
    }
    Ok(())
}

/// What was promised lies in a folder that says whose it is.
fn check_name(stage: &Stage, history: &History, survives_written: bool) -> Result<(), String> {
    let promised = if survives_written { history.written_offset } else { history.synced_offset };
    if promised == 0 {
        return Ok(());
    }
    let path = folder().below(partition_metadata::FILE_NAME);
    let bytes = stage.engine.disk.read_file(&path, 1 << 10).map_err(|error| error.to_string())?;
    match partition_metadata::parse(&bytes) {
        Ok(id) if id == identity().topic_id => Ok(()),
        told => Err(format!("the folder says {told:?} of its topic")),
    }
}

fn missing(stage: &Stage, survives_written: bool) -> Result<(), String> {
    let history = &stage.history;
    let promised = if survives_written { history.written_offset } else { history.synced_offset };
    if stage.was_deleted || promised == 0 {
        return Ok(());
    }
    Err("the folder is gone".into())
}

fn reopen(stage: Stage, clean: bool) -> Result<(Stage, RecoveredLog), String> {
    let options = stage.recovery_options(clean);
    let (mut disk, config) = (stage.engine.disk, stage.config);
    let recovered =
        recover_log(&mut disk, &folder(), options).map_err(|error| error.to_string())?;
    Ok((open(disk, recovered.clone(), &config), recovered))
}

fn open(disk: SimDisk, recovered: RecoveredLog, config: &Arc<LogConfig>) -> Stage {
    let now = Now { monotonic_ms: 1000, wall_ms: 1_700_000_000_000 };
    let log = Log::open(identity(), Arc::clone(config), recovered, now);
    Stage::on(disk, log, Arc::clone(config))
}

/// All batches as a consumer reads them, by their offsets.
fn read_all(stage: &Stage) -> Result<BTreeMap<i64, Vec<u8>>, String> {
    let log = &stage.log;
    let mut found = BTreeMap::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let request = ReadRequest {
            offset,
            max_bytes: READ_BYTES,
            upper_bound_offset: i64::MAX,
            at_least_one_batch: true,
        };
        let slice = log.read(&stage.engine, &request).map_err(|error| error.to_string())?;
        let path = stage.engine.path_of(slice.file).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; slice.length as usize];
        let read = stage.engine.disk.read_at(&path, slice.position, &mut bytes);
        if read != Ok(bytes.len()) {
            return Err(format!("offset {offset}: a slice of {} bytes is cut", slice.length));
        }
        let before = offset;
        for batch in batches(&bytes) {
            let batch = batch.map_err(|error| error.to_string())?;
            if !verify_crc(batch.bytes) {
                return Err(format!("offset {offset}: the checksum is wrong"));
            }
            if batch.header.base_offset != offset {
                return Err(format!(
                    "after offset {offset} comes {}: there is a hole",
                    batch.header.base_offset
                ));
            }
            found.insert(offset, batch.bytes.to_vec());
            offset = batch.header.next_offset();
        }
        if offset == before {
            return Err(format!(
                "nothing can be read at {offset}, the log ends at {}",
                log.log_end_offset()
            ));
        }
    }
    Ok(found)
}

/// What survived is a beginning of what was written, at least up to what was promised.
fn compare(
    history: &History,
    found: &BTreeMap<i64, Vec<u8>>,
    survives_written: bool,
) -> Result<(), String> {
    let promised = if survives_written { history.written_offset } else { history.synced_offset };
    for batch in &history.present {
        let offset = batch.header.base_offset;
        if offset >= history.log_start_offset
            && offset < promised
            && found.get(&offset).is_none_or(|bytes| *bytes != batch.bytes)
        {
            return Err(format!("offset {offset} was promised and is lost or another"));
        }
    }
    for (offset, bytes) in found {
        let is_present = history.at(*offset).is_some_and(|batch| batch.bytes == bytes);
        let was_cut = if survives_written { history.is_being_cut } else { history.was_cut };
        let may_be_old = was_cut && history.was_ever(bytes);
        if !is_present && !may_be_old {
            return Err(format!("offset {offset} holds what was never written there"));
        }
    }
    Ok(())
}

/// After a clean stop files are as long as what they hold.
fn ends_with_records(stage: &Stage) -> Result<(), String> {
    let listed = stage.engine.disk.list(&folder()).map_err(|error| error.to_string())?;
    let records = listed.iter().filter(|entry| entry.name.ends_with(".log"));
    let (length, size) = (records.map(|entry| entry.length).sum::<u64>(), stage.log.size());
    if length == size { Ok(()) } else { Err(format!("{length} bytes hold {size} of records")) }
}

/// The log takes appends, knows its producers, and survives a clean stop.
fn goes_on(mut stage: Stage, found: &BTreeMap<i64, Vec<u8>>) -> Result<(), String> {
    let mut last_of = BTreeMap::new();
    for bytes in found.values() {
        let header = BatchHeader::parse(bytes).map_err(|error| error.to_string())?;
        if header.has_producer_id() {
            last_of.insert(header.producer_id, header.last_sequence());
        }
    }
    for (producer_id, sequence) in last_of {
        let again = stage.append(of_producer(producer_id, sequence));
        if !again.as_ref().is_ok_and(|appended| appended.is_duplicate) {
            return Err(format!("producer {producer_id} repeats {sequence}: {again:?}"));
        }
        let next = stage.append(of_producer(producer_id, sequence + 1));
        if !next.as_ref().is_ok_and(|appended| !appended.is_duplicate) {
            return Err(format!("producer {producer_id} goes on at {}: {next:?}", sequence + 1));
        }
        stage.settle();
    }
    let end = stage.log.log_end_offset();
    let appended = stage.append(batch(Default::default(), 500));
    if !appended.as_ref().is_ok_and(|appended| appended.first_offset == end) {
        return Err(format!("an append at {end}: {appended:?}"));
    }
    stage.settle();
    let before = read_all(&stage)?;
    stage.close();
    let (reopened, _) = reopen(stage, true)?;
    if read_all(&reopened)? != before {
        return Err("a clean stop changed the log".into());
    }
    ends_with_records(&reopened)
}
