//! Which partition of the coordinator's topic a group lives in: Java's `String.hashCode` modulo the
//! count.

/// Java's `String.hashCode`: 32-bit, over UTF-16 units.
#[must_use]
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `group_id` among `partition_count`; 0 when there are none.
///
/// Kafka's `abs` knows no absolute value of the smallest integer and says 0.
#[must_use]
pub fn partition_for_group(group_id: &str, partition_count: i32) -> i32 {
    let hash = java_hash(group_id);
    let absolute = if hash == i32::MIN { 0 } else { hash.abs() };
    absolute.checked_rem(partition_count.max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_live_where_kafka_puts_them() {
        let vectors = [
            ("my-group", -1_906_497_762, 12),
            ("test", 3_556_498, 48),
            ("groupé", -1_237_460_406, 6),
            ("g😀", 1_871_882, 32),
            ("polygenelubricants", i32::MIN, 0),
        ];
        for (group_id, hash, partition) in vectors {
            assert_eq!(java_hash(group_id), hash, "{group_id}");
            assert_eq!(partition_for_group(group_id, 50), partition, "{group_id}");
        }
        assert_eq!(partition_for_group("test", 0), 0);
    }
}
