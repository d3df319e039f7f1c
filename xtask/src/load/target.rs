//! A topic to be loaded.

use anyhow::Result;

use super::batch::BatchShape;
use super::system::System;
use super::wire::{Connection, produce_frame};

pub(crate) const PARTITIONS: i32 = 8;

/// A topic with its frames, ready to be loaded.
pub(crate) struct Target {
    pub topic: String,
    /// One for each partition.
    pub frames: Vec<Vec<u8>>,
}

impl Target {
    /// Makes the topic, unless the system knows none, and waits until every partition takes a batch.
    ///
    /// # Errors
    /// When the system refuses that.
    pub(crate) fn prepare(
        system: &System,
        topic: &str,
        shape: &BatchShape,
        configs: &[(&str, &str)],
    ) -> Result<Self> {
        Self::prepare_many(system, topic, shape, (PARTITIONS, configs))
    }

    /// The same with so many partitions.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn prepare_many(
        system: &System,
        topic: &str,
        shape: &BatchShape,
        (partitions, configs): (i32, &[(&str, &str)]),
    ) -> Result<Self> {
        let mut connection = Connection::open(system.port())?;
        if !system.kind().is_floor() {
            connection.create_topic(topic, partitions, configs)?;
        }
        let batch = shape.build()?;
        let frames = (0..partitions)
            .map(|partition| produce_frame(topic, partition, &batch))
            .collect::<Result<Vec<_>>>()?;
        for frame in &frames {
            connection.produce_when_ready(topic, frame)?;
        }
        Ok(Self { topic: topic.to_owned(), frames })
    }

    /// Frees the disk.
    ///
    /// # Errors
    /// When the system refuses that.
    pub(crate) fn remove(&self, system: &System) -> Result<()> {
        if system.kind().is_floor() {
            return system.empty_floor();
        }
        Connection::open(system.port())?.delete_topic(&self.topic)
    }
}
