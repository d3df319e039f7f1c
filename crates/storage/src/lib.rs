//! One partition's log, on a disk it never touches itself.
//!
//! Owns: segments and their indexes, leader epochs, producer state, recovery, retention, and
//! Kafka's file formats byte for byte.
//! Never does: IO of its own. A [`Log`] emits [`disk::DiskEffect`]s and hears of their completion;
//! long work ([`recovery`]) is a job that borrows a [`disk::Disk`].
//! Start at [`log::Log`], then [`disk`], then [`format`].
//!
//! Invariants: `log_start_offset <= last_stable_offset <= high_watermark <= written_offset <=
//! log_end_offset`; `synced_offset <= written_offset`; records are never copied on the append path
//! unless the topic asks for another codec; an idle log holds less than 4 KiB.
#![forbid(unsafe_code)]

pub mod arena;
pub mod disk;

pub mod config;
pub mod log;
pub mod producers;
pub mod recovery;

mod entry;
mod epochs;
mod index;
mod scan;
mod segment;

pub mod format;

pub use config::LogConfig;
pub use log::{Log, LogIdentity};
