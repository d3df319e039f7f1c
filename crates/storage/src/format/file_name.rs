//! Names of the files in a partition's folder.

use super::{leader_epoch_checkpoint, partition_metadata};
use crate::disk::FileKind;

/// Waiting to be removed.
pub const DELETED: &str = ".deleted";
/// Output of a compaction that did not finish.
pub const CLEANED: &str = ".cleaned";
/// Output of a finished compaction, about to take the place of the segments it replaces.
pub const SWAP: &str = ".swap";
/// A small file that takes its name when it is whole.
pub const TEMPORARY: &str = ".tmp";
/// A name that is none of Kafka's, which leaves alone what it does not know.
const FAILED_SYNC: &str = "failed-sync";

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    pub base_offset: i64,
    pub kind: FileKind,
    pub state: FileState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    Live,
    Deleted,
    Cleaned,
    Swap,
    /// On its way to its place when the process ended.
    Temporary,
}

/// How the names of a segment's files end; whole names are those of the log's own.
#[must_use]
pub fn suffix(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Records => ".log",
        FileKind::OffsetIndex => ".index",
        FileKind::TimeIndex => ".timeindex",
        FileKind::TransactionIndex => ".txnindex",
        FileKind::ProducerSnapshot => ".snapshot",
        FileKind::PartitionMetadata => partition_metadata::FILE_NAME,
        FileKind::LeaderEpochs => leader_epoch_checkpoint::FILE_NAME,
        FileKind::FailedSync => FAILED_SYNC,
    }
}

/// Digits of a base offset, and its sign if it is below zero.
const DIGITS: usize = 20;

#[must_use]
pub fn format(base_offset: i64, kind: FileKind) -> String {
    let mut name = String::with_capacity(DIGITS + suffix(kind).len());
    append(&mut name, base_offset, kind);
    name
}

/// The same behind what `path` holds. By hand: the general way takes more than the write of a small batch.
pub fn append(path: &mut String, base_offset: i64, kind: FileKind) {
    use FileKind::{FailedSync, LeaderEpochs, PartitionMetadata};
    if !matches!(kind, PartitionMetadata | LeaderEpochs | FailedSync) {
        let mut digits = [b'0'; DIGITS];
        let mut rest = base_offset.unsigned_abs();
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if base_offset < 0 {
            digits[0] = b'-';
        }
        path.push_str(str::from_utf8(&digits).unwrap_or_default());
    }
    path.push_str(suffix(kind));
}

/// `None` for files that belong to no segment.
#[must_use]
pub fn parse(name: &str) -> Option<SegmentFile> {
    let (name, state) = if let Some(name) = name.strip_suffix(DELETED) {
        (name, FileState::Deleted)
    } else if let Some(name) = name.strip_suffix(CLEANED) {
        (name, FileState::Cleaned)
    } else if let Some(name) = name.strip_suffix(SWAP) {
        (name, FileState::Swap)
    } else if let Some(name) = name.strip_suffix(TEMPORARY) {
        (name, FileState::Temporary)
    } else {
        (name, FileState::Live)
    };
    let (digits, extension) = name.split_once('.')?;
    let kind = match extension {
        "log" => FileKind::Records,
        "index" => FileKind::OffsetIndex,
        "timeindex" => FileKind::TimeIndex,
        "txnindex" => FileKind::TransactionIndex,
        "snapshot" => FileKind::ProducerSnapshot,
        _ => return None,
    };
    if digits.len() != 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(SegmentFile { base_offset: digits.parse().ok()?, kind, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        assert_eq!(format(42, FileKind::TimeIndex), "00000000000000000042.timeindex");
        for offset in [0, 9, 10, 1_234_567_890, i64::MAX, -1, i64::MIN] {
            assert_eq!(format(offset, FileKind::Records), format!("{offset:020}.log"));
        }
        let file = parse("00000000000000000042.log.swap").unwrap();
        assert_eq!((file.base_offset, file.state), (42, FileState::Swap));
        for name in ["42.log", "partition.metadata", "0000000000000000004x.log", "", "."] {
            assert_eq!(parse(name), None, "{name}");
        }
        assert_eq!(parse("99999999999999999999.log"), None);
    }
}
