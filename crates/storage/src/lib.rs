//! One partition's log, on a disk it never touches itself.
#![forbid(unsafe_code)]

pub mod disk;
