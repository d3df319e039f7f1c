//! The sequence numbers of an idempotent producer (KIP-98): one counter per partition.

use std::collections::BTreeMap;

/// Who the producer is, as the cluster answered to InitProducerId.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdentity {
    pub producer_id: i64,
    pub producer_epoch: i16,
}

#[derive(Clone, Debug, Default)]
pub struct Sequences {
    next: BTreeMap<(String, i32), i32>,
}

impl Sequences {
    /// The sequence of the partition's next record.
    #[must_use]
    pub fn next(&self, partition: &(String, i32)) -> i32 {
        self.next.get(partition).copied().unwrap_or(0)
    }

    /// Counts `count` records. Sequences wrap after `i32::MAX` to 0.
    pub fn advance(&mut self, partition: &(String, i32), count: i32) {
        let next = self.next.entry(partition.clone()).or_insert(0);
        *next = next.wrapping_add(count) & i32::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_count_per_partition_and_wrap_to_zero() {
        let mut sequences = Sequences::default();
        let partition = ("t".to_owned(), 0);
        sequences.advance(&partition, 3);
        assert_eq!(sequences.next(&partition), 3);
        sequences.advance(&partition, i32::MAX - 3);
        assert_eq!(sequences.next(&partition), i32::MAX);
        sequences.advance(&partition, 2);
        assert_eq!(sequences.next(&partition), 1);
        assert_eq!(sequences.next(&("t".to_owned(), 1)), 0);
    }
}
