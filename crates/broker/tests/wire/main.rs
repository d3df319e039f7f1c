//! A whole node, asked over its wire protocol: every version of every API that it offers.

mod allocations;
mod list_offsets;
mod look_ups;
mod memory_disk;
mod node;

mod cold_reads;
mod configs;
mod controllers;
mod directories;
mod examinations;
mod exchange;
mod failed_directories;
mod features;
mod fetch;
mod formatting;
mod groups;
mod hostile;
mod metadata_log;
mod produce;
mod producer_ids;
mod quotas;
mod reassignments;
mod recovery_debt;
mod topics;
mod versions;
