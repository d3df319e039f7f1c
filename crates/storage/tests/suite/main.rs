//! The log on a disk in memory and on a real folder.

mod appending;
mod batches;
mod damage;
mod epoch_checkpoints;
mod failures;
mod folder;
mod folder_disk;
mod kafka_folder;
mod lives;
mod lookups;
mod memory_disk;
mod model;
mod producers;
mod real_folder;
mod recovery;
mod retention;
mod rolling;
mod syncs;
mod truncation;
mod validation;
mod world;
