//! `.log` files, and the snapshots of the metadata log, which are logs too.

use super::decoder::{self, Decoder};
use super::mismatches::Mismatches;
use super::{Arguments, base_offset, read};
use crate::failure::{Failure, Outcome};
use std::io::Write;
use std::path::Path;
use strom_protocol::compression::Codecs;
use strom_protocol::records::{self, BatchHeader, RawBatch, Record, TimestampType};

/// The most that one batch may take when decompressed.
const BATCH_BYTES_MAX: usize = 1 << 30;

pub(super) fn dump(
    output: &mut impl Write,
    path: &Path,
    arguments: &Arguments,
    mismatches: &mut Mismatches,
) -> Outcome {
    if file_name(path) == "bootstrap.checkpoint" {
        writeln!(output, "KRaft bootstrap snapshot")?;
    } else {
        let offset = base_offset(path)?;
        match epoch_of_snapshot(path) {
            Some(epoch) => writeln!(output, "Snapshot end offset: {offset}, epoch: {epoch}")?,
            None => writeln!(output, "Log starting offset: {offset}")?,
        }
    }
    let bytes = read(path)?;
    let wanted = usize::try_from(arguments.max_bytes).unwrap_or(usize::MAX).min(bytes.len());
    let bytes = bytes.get(..wanted).unwrap_or_default();
    let name = path.display().to_string();
    let mut walk = Walk { arguments, decoder: arguments.decoder(), codecs: Codecs::new() };
    let mut batches = records::batches(bytes);
    let mut last_offset = None;
    for batch in batches.by_ref() {
        let batch = batch.map_err(|error| Failure::said(format!("{name}: {error}")))?;
        write_batch(output, &batch)?;
        if arguments.is_deep() {
            for (offset, next) in walk.records(output, &batch, &mut last_offset)? {
                mismatches.gaps.entry(name.clone()).or_default().push((offset, next));
            }
        }
    }
    let left = batches.tail().len();
    if left > 0 && (arguments.max_bytes as usize) > bytes.len() {
        writeln!(output, "Found {left} invalid bytes at the end of {}", file_name(path))?;
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `00000000000000000123-0000000007.checkpoint` is of epoch 7.
fn epoch_of_snapshot(path: &Path) -> Option<i32> {
    let name = path.file_name()?.to_str()?.strip_suffix(".checkpoint")?;
    name.split_once('-')?.1.parse().ok()
}

fn write_batch(output: &mut impl Write, batch: &RawBatch<'_>) -> std::io::Result<()> {
    let header = &batch.header;
    let horizon = match header.delete_horizon_ms() {
        Some(horizon_ms) => format!("OptionalLong[{horizon_ms}]"),
        None => "OptionalLong.empty".to_owned(),
    };
    write!(
        output,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
         producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} \
         deleteHorizonMs: {horizon}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.partition_leader_epoch,
        header.is_transactional(),
        header.is_control(),
    )?;
    let codec = match header.codec() {
        Ok(codec) => codec.name().to_owned(),
        Err(_) => format!("unknown({})", header.codec_id()),
    };
    writeln!(
        output,
        " position: {} {}: {} size: {} magic: 2 compresscodec: {codec} crc: {} isvalid: {}",
        batch.position,
        timestamp_type(header),
        header.max_timestamp,
        batch.bytes.len(),
        header.crc,
        records::verify_crc(batch.bytes),
    )
}

fn timestamp_type(header: &BatchHeader) -> &'static str {
    match header.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

struct Walk<'a> {
    arguments: &'a Arguments,
    decoder: Decoder,
    codecs: Codecs,
}

impl Walk<'_> {
    /// Prints the records of a batch; gives the pairs of offsets between which some are missing.
    fn records(
        &mut self,
        output: &mut impl Write,
        batch: &RawBatch<'_>,
        last_offset: &mut Option<i64>,
    ) -> Outcome<Vec<(i64, i64)>> {
        let header = &batch.header;
        let unreadable =
            |error| Failure::said(format!("batch at position {}: {error}", batch.position));
        let body = records::body_of(header, batch.bytes, &mut self.codecs, BATCH_BYTES_MAX)
            .map_err(unreadable)?;
        let mut gaps = Vec::new();
        for record in header.records(&body) {
            let record = record.map_err(unreadable)?;
            let offset = header.offset_of(&record);
            if let Some(last) = last_offset.replace(offset)
                && offset != last.saturating_add(1)
            {
                gaps.push((last, offset));
            }
            self.record(output, header, &record)?;
        }
        Ok(gaps)
    }

    fn record(
        &self,
        output: &mut impl Write,
        header: &BatchHeader,
        record: &Record<'_>,
    ) -> std::io::Result<()> {
        let mut line = String::new();
        if !self.arguments.skip_record_metadata {
            line.push_str(&metadata(header, record));
            if header.is_control() {
                line.push_str(&decoder::control(record));
            }
        }
        if self.arguments.prints_contents() && !header.is_control() {
            let (key, payload) = self.decoder.parse(record);
            for (label, text) in [("key", key), ("payload", payload)] {
                let Some(text) = text else { continue };
                line.push_str(if line.is_empty() { "| " } else { " " });
                line.push_str(&format!("{label}: {text}"));
            }
        }
        writeln!(output, "{line}")
    }
}

fn metadata(header: &BatchHeader, record: &Record<'_>) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    let keys: Vec<String> =
        record.headers.map(|header| String::from_utf8_lossy(header.key).into_owned()).collect();
    let sequence = match header.base_sequence {
        base if base < 0 => -1,
        base => base.wrapping_add(record.offset_delta) & i32::MAX,
    };
    format!(
        "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
        header.offset_of(record),
        timestamp_type(header),
        header.timestamp_of(record),
        size(record.key),
        size(record.value),
        keys.join(","),
    )
}
