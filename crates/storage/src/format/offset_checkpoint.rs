//! The checkpoints of a log directory: one offset a partition.
//!
//! Kafka's rules for a damaged one: recovery point and log start are taken as empty, the
//! high watermark's takes the directory offline.

use super::{FormatError, checkpoint_text};

pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
pub const LOG_START_OFFSET: &str = "log-start-offset-checkpoint";
pub const REPLICATION_OFFSET: &str = "replication-offset-checkpoint";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionOffset {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

pub fn parse(bytes: &[u8]) -> Result<Vec<PartitionOffset>, FormatError> {
    let mut entries = Vec::new();
    for line in checkpoint_text::parse(bytes)? {
        let [topic, partition, offset] = checkpoint_text::fields(line)?;
        entries.push(PartitionOffset {
            topic: topic.to_owned(),
            partition: checkpoint_text::number(partition)?,
            offset: checkpoint_text::number(offset)?,
        });
    }
    Ok(entries)
}

#[must_use]
pub fn format(entries: &[PartitionOffset]) -> Vec<u8> {
    let line =
        |entry: &PartitionOffset| format!("{} {} {}", entry.topic, entry.partition, entry.offset);
    checkpoint_text::format(entries.iter().map(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_survive_the_file() {
        let entry = PartitionOffset { topic: "a-b".to_owned(), partition: 3, offset: 9 };
        assert_eq!(format(std::slice::from_ref(&entry)), b"0\n1\na-b 3 9\n");
        assert_eq!(parse(b"0\n1\na-b 3 9\n"), Ok(vec![entry]));
        assert!(parse(b"0\n1\na 3\n").is_err());
    }
}
