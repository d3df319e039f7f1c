//! `leader-epoch-checkpoint` in a partition's folder: where each leader epoch begins.

use super::{FormatError, checkpoint_text};

pub const FILE_NAME: &str = "leader-epoch-checkpoint";

/// One leadership: its epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: i32,
    pub start_offset: i64,
}

pub fn parse(bytes: &[u8]) -> Result<Vec<EpochEntry>, FormatError> {
    let mut entries = Vec::new();
    for line in checkpoint_text::parse(bytes)? {
        let [epoch, start_offset] = checkpoint_text::fields(line)?;
        entries.push(EpochEntry {
            epoch: checkpoint_text::number(epoch)?,
            start_offset: checkpoint_text::number(start_offset)?,
        });
    }
    Ok(entries)
}

#[must_use]
pub fn format(entries: &[EpochEntry]) -> Vec<u8> {
    let lines = entries.iter().map(|entry| format!("{} {}", entry.epoch, entry.start_offset));
    checkpoint_text::format(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_survive_the_file() {
        let entries =
            [EpochEntry { epoch: 0, start_offset: 0 }, EpochEntry { epoch: 7, start_offset: 120 }];
        assert_eq!(format(&entries), b"0\n2\n0 0\n7 120\n");
        assert_eq!(parse(&format(&entries)), Ok(entries.to_vec()));
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error() {
        for bytes in ["1\n0\n", "0\n", "0\n2\n1 1\n", "0\n1\n1 x\n", "0\n1\n1\n", "0\n-1\n"] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
