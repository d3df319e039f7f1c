//! The bit sets of operations that a caller may do, for answers that were asked for them (KIP-430).
//!
//! Bit `n` stands for the operation with code `n`: READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7,
//! DESCRIBE 8, CLUSTER_ACTION 9, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11, IDEMPOTENT_WRITE 12,
//! CREATE_TOKENS 13, DESCRIBE_TOKENS 14. Without an authorizer everything is allowed.

/// The client did not ask.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

const fn bits(operations: &[u8]) -> i32 {
    let mut set = 0;
    let mut index = 0;
    while index < operations.len() {
        set |= 1 << operations[index];
        index += 1;
    }
    set
}

pub(crate) const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
pub(crate) const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
pub(crate) const GROUP_OPERATIONS: i32 = bits(&[3, 6, 8, 10, 11]);
