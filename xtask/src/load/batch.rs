//! What the records of a load look like.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use strom_base::Random;
use strom_protocol::compression::{Codec, Codecs, Compression};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

/// The shape of the batches of one workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchShape {
    pub records: usize,
    pub key_bytes: usize,
    pub value_bytes: usize,
    pub codec: Codec,
}

impl BatchShape {
    pub(crate) const fn plain(records: usize, value_bytes: usize) -> Self {
        Self { records, key_bytes: 0, value_bytes, codec: Codec::None }
    }

    /// One batch. Values are noise, so that nothing on the way can make less of them, or, where the
    /// batch is compressed, text as applications send it.
    ///
    /// # Errors
    /// When the codec fails.
    pub(crate) fn build(&self) -> Result<Vec<u8>> {
        let mut random = Random::new(1);
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let timestamp_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
        for _ in 0..self.records {
            let key: Vec<u8> = (0..self.key_bytes).map(|_| random.next_u64() as u8).collect();
            let value = if self.codec == Codec::None {
                (0..self.value_bytes).map(|_| random.next_u64() as u8).collect()
            } else {
                event(&mut random, self.value_bytes)
            };
            builder.append(&NewRecord {
                timestamp_ms,
                key: (self.key_bytes > 0).then_some(key.as_slice()),
                value: Some(&value),
                ..Default::default()
            })?;
        }
        Ok(builder.build_compressed(Compression::from(self.codec), &mut Codecs::new())?)
    }
}

/// A JSON event of about `bytes`.
fn event(random: &mut Random, bytes: usize) -> Vec<u8> {
    let mut text = String::from("{");
    while text.len() < bytes {
        let (field, value) = (random.next_u64() % 12, random.next_u64() % 100_000);
        text.push_str(&format!("\"field-{field}\":\"value-{value}\","));
    }
    text.truncate(bytes);
    text.into_bytes()
}
