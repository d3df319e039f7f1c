//! What a node has, compared with what clients were told.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use strom_protocol::ErrorCode;
use strom_protocol::compression::Codecs;
use strom_protocol::records::{batches, body_of, verify_crc};

use super::book::{Book, Page, Place, Seen, Token};
use super::load::GROUP;
use super::plan::{Plan, Topic, Trimming};
use super::requests;
use super::victim::PATIENCE;
use crate::load::wire::Connection;

/// No value of ours is larger.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What a partition holds.
#[derive(Debug, Default)]
struct Contents {
    log_start: i64,
    end: i64,
    /// Of the batches from the start on.
    bytes: u64,
    /// By offset.
    records: BTreeMap<i64, Seen>,
    /// Of each producer in order of the offsets.
    numbers: BTreeMap<u32, Vec<u64>>,
}

/// Which faults a folder went through, and so what has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The process alone: all that anybody was told.
    Nothing,
    /// The machine: what was to be synced first.
    Unsynced,
}

/// Reads all partitions; how many records that were.
///
/// # Errors
/// Something that was promised does not hold, or the node does not answer.
pub(crate) fn audit(port: u16, plan: &Plan, book: &Book, loss: Loss) -> Result<u64> {
    let mut connection = Connection::open(port)?;
    connection.set_patience(PATIENCE)?;
    let mut records = 0;
    for topic in &plan.topics {
        for partition in 0..topic.partitions {
            let place = (topic.name.to_owned(), partition);
            // First what is known, then a look: what comes meanwhile may be there or not.
            let page = book.page(&place);
            let contents = read(&mut connection, &place)?;
            // Somebody may have asked for a cut meanwhile.
            let page = Page { cut_asked: book.page(&place).cut_asked, ..page };
            let contradiction = book.contradiction();
            ensure!(contradiction.is_none(), "{}", contradiction.unwrap_or_default());
            records += contents.records.len() as u64;
            check(topic, &page, &contents, loss).with_context(|| format!("{place:?}"))?;
            check_numbers(topic, &contents).with_context(|| format!("{place:?}"))?;
            if loss == Loss::Nothing {
                for (offset, found) in &contents.records {
                    book.on_read(&place, *offset, *found);
                }
                book.note(&place, |page| page.log_start = contents.log_start);
                check_committed(&mut connection, &place, page.committed)?;
            }
        }
    }
    Ok(records)
}

/// Asks until the answer is no passing trouble of a start.
fn settled<T>(
    what: &str,
    mut ask: impl FnMut() -> Result<(ErrorCode, T)>,
    is_answer: impl Fn(ErrorCode) -> bool,
) -> Result<(ErrorCode, T)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (error, answer) = ask()?;
        if is_answer(error) {
            return Ok((error, answer));
        }
        ensure!(Instant::now() < deadline, "{what}: {error:?} for a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

fn read(connection: &mut Connection, place: &Place) -> Result<Contents> {
    let named = (place.0.as_str(), place.1);
    let mut contents = Contents::default();
    let start = |connection: &mut Connection| {
        let is_answer = |error| error == ErrorCode::None;
        settled("the log's start", || requests::log_start(connection, named), is_answer)
    };
    let (mut offset, mut codecs) = (start(connection)?.1, Codecs::new());
    contents.log_start = offset;
    // Others go on writing: the reader ends where the log ended when it began.
    let mut goal = None;
    loop {
        let ask = || requests::fetch(connection, named, offset).map(|it| (it.error, it));
        let is_answer = |error| matches!(error, ErrorCode::None | ErrorCode::OffsetOutOfRange);
        let (error, fetched) = settled("a fetch", ask, is_answer)?;
        if error == ErrorCode::OffsetOutOfRange {
            // Retention went past the reader, or the log has got shorter than it said.
            let now = start(connection)?.1;
            ensure!(now > offset, "offset {offset} is out of range, the log starts at {now}");
            contents = Contents { log_start: now, ..Contents::default() };
            offset = now;
            continue;
        }
        contents.end = fetched.high_watermark;
        let before = offset;
        take(&fetched.records, place, &mut offset, (&mut contents, &mut codecs))?;
        if offset >= *goal.get_or_insert(fetched.high_watermark) {
            return Ok(contents);
        }
        ensure!(offset > before, "nothing at {offset}, below {}", fetched.high_watermark);
    }
}

fn take(
    bytes: &[u8],
    place: &Place,
    next: &mut i64,
    (contents, codecs): (&mut Contents, &mut Codecs),
) -> Result<()> {
    for batch in batches(bytes) {
        // The last one of an answer may be cut off.
        let Ok(batch) = batch else { break };
        ensure!(verify_crc(batch.bytes), "a wrong checksum at {}", batch.header.base_offset);
        let body = body_of(&batch.header, batch.bytes, codecs, BODY_BYTES_MAX)?;
        contents.bytes += batch.bytes.len() as u64;
        for record in batch.header.records(&body) {
            let record = record?;
            let offset = batch.header.offset_of(&record);
            if offset < *next {
                continue;
            }
            ensure!(offset == *next, "offset {next} is missing, {offset} comes");
            *next += 1;
            let value = record.value.unwrap_or_default();
            let found = Seen::read(value, place, "the audit");
            let (producer, number) = found
                .token
                .with_context(|| format!("at {offset} is a record of another partition"))?;
            contents.records.insert(offset, found);
            contents.numbers.entry(producer).or_default().push(number);
        }
    }
    Ok(())
}

fn check(topic: &Topic, page: &Page, contents: &Contents, loss: Loss) -> Result<()> {
    let start = contents.log_start;
    let moved = match topic.trimming {
        Trimming::Never => start != 0,
        Trimming::Asked => start > page.cut_asked.max(page.log_start),
        // Only so much goes that what is left is no less than what is to be kept.
        Trimming::Retention { bytes } => {
            loss == Loss::Nothing && start > page.log_start && contents.bytes < bytes
        }
    };
    let bytes = contents.bytes;
    ensure!(
        !moved,
        "it starts at {start}, {bytes} bytes are left, it had started at {}",
        page.log_start
    );
    if loss == Loss::Nothing {
        let least = page.log_start.max(page.cut_acknowledged);
        ensure!(start >= least, "it starts at {start} again, it had started at {least}");
    }
    let is_due = |offset: &i64| match loss {
        Loss::Nothing => true,
        Loss::Unsynced => topic.is_strict && page.acknowledged.contains_key(offset),
    };
    for (offset, known) in page.seen.range(start..) {
        match contents.records.get(offset) {
            Some(found) if !found.is_same(known) => {
                let told = page.acknowledged.get(offset);
                bail!("at offset {offset} there was {known:?}, {told:?}; now there is {found:?}");
            }
            Some(_) => {}
            None if is_due(offset) => {
                let told = page.acknowledged.contains_key(offset);
                let told = if told { "acknowledged" } else { "read" };
                bail!("offset {offset} was {told} and is gone, the log ends at {}", contents.end);
            }
            None => {}
        }
    }
    let found: BTreeSet<Token> = contents
        .numbers
        .iter()
        .flat_map(|(producer, numbers)| numbers.iter().map(|number| (*producer, *number)))
        .collect();
    if start == 0 && loss == Loss::Nothing {
        let gone = page.unplaced.iter().find(|token| !found.contains(token));
        ensure!(gone.is_none(), "{gone:?} was acknowledged without an offset and is gone");
    }
    Ok(())
}

/// Of an idempotent producer each record is there once, in order, without a gap.
fn check_numbers(topic: &Topic, contents: &Contents) -> Result<()> {
    if !topic.is_exactly_once {
        return Ok(());
    }
    for (producer, numbers) in &contents.numbers {
        let first = numbers.first().copied().unwrap_or(0);
        ensure!(contents.log_start > 0 || first == 0, "producer {producer} begins with {first}");
        for (expected, number) in (first..).zip(numbers) {
            ensure!(*number == expected, "of producer {producer} {number} comes, not {expected}");
        }
    }
    Ok(())
}

fn check_committed(connection: &mut Connection, place: &Place, least: i64) -> Result<()> {
    if least <= 0 {
        return Ok(());
    }
    let named = (place.0.as_str(), place.1);
    let ask = || requests::committed(connection, GROUP, named);
    let (_, found) = settled("the committed offset", ask, |error| error == ErrorCode::None)?;
    ensure!(found >= least, "{place:?}: the group has committed {least}, now it is {found}");
    Ok(())
}
