//! Which version of each record a cluster's `metadata.version` allows (KIP-778).

/// 3.4-IV0
const ZK_MIGRATION: i16 = 8;
/// 3.6-IV0
const NO_EPOCH_BUMP_ON_ISR_SHRINK: i16 = 12;
/// 3.6-IV1
const TRANSACTIONS: i16 = 13;
/// 3.7-IV0
const CONTROLLER_REGISTRATION: i16 = 15;
/// 3.7-IV2
const DIRECTORIES: i16 = 17;
/// 4.0-IV1
const ELIGIBLE_LEADERS: i16 = 23;
/// 4.3-IV0
const CORDONED_DIRECTORIES: i16 = 30;

/// The answers of one `metadata.version` level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordVersions(pub(crate) i16);

impl RecordVersions {
    pub(crate) fn register_broker(self) -> i16 {
        match self.0 {
            CORDONED_DIRECTORIES.. => 4,
            DIRECTORIES.. => 3,
            ZK_MIGRATION.. => 2,
            _ => 1,
        }
    }

    /// Of both partition records.
    pub(crate) fn partition(self) -> i16 {
        match self.0 {
            ELIGIBLE_LEADERS.. => 2,
            DIRECTORIES.. => 1,
            _ => 0,
        }
    }

    pub(crate) fn has_directories(self) -> bool {
        self.0 >= DIRECTORIES
    }

    pub(crate) fn has_transactions(self) -> bool {
        self.0 >= TRANSACTIONS
    }

    pub(crate) fn has_controllers(self) -> bool {
        self.0 >= CONTROLLER_REGISTRATION
    }

    pub(crate) fn bumps_leader_epoch_on_isr_shrink(self) -> bool {
        self.0 < NO_EPOCH_BUMP_ON_ISR_SHRINK
    }
}
