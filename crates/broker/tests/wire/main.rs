//! A whole node, asked over its wire protocol: every version of every API that it offers.

mod memory_disk;
mod node;

mod configs;
mod directories;
mod features;
mod formatting;
mod groups;
mod metadata_log;
mod quotas;
mod topics;
mod versions;
