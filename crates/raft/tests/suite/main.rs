//! The quorum in a small world: a disk that loses what was not synced, and Apache Kafka's own files.

mod kafka_files;
mod restarts;
mod snapshots;
mod world;
