//! The metadata log and its snapshots: records by choice in any order, logs and snapshots as bytes.
//!
//! What must hold: nothing panics, whatever the records say; an image that was replayed is the same
//! through the snapshot that it writes; a snapshot that can be read is itself when it is written and
//! read again; what the node's last word is by a snapshot's begin is what the whole of it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strom_fuzz::choices::Choices;
use strom_fuzz::damage::damage;
use strom_fuzz::messages::choose;
use strom_metadata::controller::replay_bytes;
use strom_metadata::{Delta, Image};
use strom_protocol::Writer;
use strom_protocol::compression::Codecs;
use strom_protocol::records::{batches, body_of};
use strom_raft::control::ControlState;
use strom_raft::snapshot::{Snapshot, last_timestamp_ms};

const METADATA: usize = 2;
const RECORDS_MAX: usize = 60;
const BODY_BYTES_MAX: usize = 1 << 20;
/// The frame of a record in the log.
const FRAME_VERSION: u8 = 1;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    if choices.byte() == 0 {
        let bytes = choices.rest();
        snapshot(bytes);
        log(bytes);
        return;
    }
    let records = records(&mut choices);
    replay(&records);
    let snapshot_of = Snapshot { records, ..Snapshot::default() };
    let mut bytes = snapshot_of.write(1, 1000).expect("small records");
    assert_eq!(Snapshot::read(&bytes), Ok(snapshot_of));
    damage(&mut bytes, &mut choices);
    snapshot(&bytes);
});

fn records(choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !choices.is_over() && records.len() < RECORDS_MAX {
        let (kind, version) = choose(METADATA, choices);
        let mut writer = Writer::new();
        writer.write_uvarint(u32::from(FRAME_VERSION));
        writer.write_uvarint(kind.api_key().unwrap_or_default() as u32);
        writer.write_uvarint(version as u32);
        let mut record = writer.bytes;
        record.extend_from_slice(&kind.sample(version, choices));
        if choices.byte() & 7 == 7 {
            damage(&mut record, choices);
        }
        records.push(record);
    }
    records
}

/// Replays what can be, and puts the image through a snapshot.
fn replay(records: &[Vec<u8>]) {
    let (mut image, mut delta) = (Image::default(), Delta::default());
    for (offset, record) in (0..).zip(records) {
        // After a record that does not fit an image is not to be used: go on with one that knows less.
        let mut next = image.clone();
        if replay_bytes(&mut next, offset, record, &mut delta).is_ok() {
            image = next;
        }
    }
    if image.in_transaction() {
        return;
    }
    let mut copy = Image::default();
    for (offset, record) in (0..).zip(image.to_snapshot_records()) {
        replay_bytes(&mut copy, offset, &record, &mut Delta::default()).expect("its own records");
    }
    assert_eq!(copy.to_snapshot_records(), image.to_snapshot_records());
}

fn snapshot(bytes: &[u8]) {
    let begin = last_timestamp_ms(bytes);
    let Ok(read) = Snapshot::read(bytes) else { return };
    assert_eq!(begin, Ok(read.last_timestamp_ms));
    let written = read.write(3, 1000).expect("what was read is written");
    let again = Snapshot::read(&written).expect("what was written is read");
    assert_eq!(again.records, read.records);
    assert_eq!(again.last_timestamp_ms, read.last_timestamp_ms);
    replay(&read.records);
}

fn log(bytes: &[u8]) {
    let (mut control, mut records) = (ControlState::default(), Vec::new());
    for batch in batches(bytes) {
        let Ok(batch) = batch else { break };
        let _ = control.replay(&batch);
        if batch.header.is_control() {
            continue;
        }
        let Ok(body) = body_of(&batch.header, batch.bytes, &mut Codecs::new(), BODY_BYTES_MAX)
        else {
            continue;
        };
        for record in batch.header.records(&body) {
            let Ok(record) = record else { break };
            records.extend(record.value.map(<[u8]>::to_vec));
        }
    }
    replay(&records);
}
