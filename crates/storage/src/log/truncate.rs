//! Cutting the end of a log off.

/// Where to cut, found by reading: see `Log::plan_truncation`.
#[derive(Clone, Debug)]
pub struct Truncation {
    pub(crate) offset: i64,
}
