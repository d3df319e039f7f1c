//! From options and Kafka's producer configuration to the client's settings.

use super::Arguments;
use crate::failure::{Failure, Outcome};
use crate::properties;
use strom_client::Settings;
use strom_client::driver::{Acks, ProducerSettings};
use strom_protocol::compression::{Codec, Compression};

/// The longest that records are gathered before they are sent.
const BUFFER_BYTES: usize = 1 << 20;

/// All client settings that were given, later ones over earlier ones.
fn given(arguments: &Arguments) -> Outcome<Vec<(String, String)>> {
    let mut all = Vec::new();
    let older = arguments.producer_config.as_deref();
    for path in older.into_iter().chain(arguments.connect.config_file()) {
        all.extend(properties::read(path)?);
    }
    all.extend(properties::pairs(&arguments.producer_property)?);
    all.extend(properties::pairs(&arguments.command_property)?);
    Ok(all)
}

pub(super) fn client(arguments: &Arguments) -> Outcome<Settings> {
    let mut settings = arguments.connect.settings_with("console-producer", &given(arguments)?)?;
    if let Some(timeout_ms) = arguments.request_timeout_ms {
        settings.request_timeout_ms = timeout_ms;
    }
    if let Some(block_ms) = arguments.max_block_ms {
        settings.api_timeout_ms = block_ms;
    }
    if let Some(backoff_ms) = arguments.retry_backoff_ms {
        settings.retry_backoff_ms = backoff_ms;
    }
    Ok(settings)
}

pub(super) fn producer(arguments: &Arguments) -> Outcome<ProducerSettings> {
    let mut settings = ProducerSettings { buffer_bytes: BUFFER_BYTES, ..Default::default() };
    let mut idempotence = None;
    for (key, value) in given(arguments)? {
        match key.as_str() {
            "acks" => settings.acks = acks(&value)?,
            "compression.type" => settings.compression = compression(&value)?,
            "batch.size" => settings.batch_bytes = number(&key, &value)?,
            "max.request.size" => settings.request_bytes_max = number(&key, &value)?,
            "enable.idempotence" => idempotence = Some(value.trim().eq_ignore_ascii_case("true")),
            "request.timeout.ms" => {
                let timeout_ms = number(&key, &value)?;
                settings.request_timeout_ms = i32::try_from(timeout_ms).unwrap_or(i32::MAX);
            }
            "transactional.id" => {
                return Err(Failure::said("transactional.id is not supported by this tool"));
            }
            _ => {}
        }
    }
    if let Some(value) = &arguments.request_required_acks {
        settings.acks = acks(value)?;
    }
    if let Some(codec) = &arguments.compression_codec {
        settings.compression = compression(codec)?;
    }
    if let Some(bytes) = arguments.batch_size.or(arguments.max_partition_memory_bytes) {
        settings.batch_bytes = bytes;
    }
    if let Some(bytes) = arguments.max_memory_bytes {
        settings.buffer_bytes = settings.buffer_bytes.min(bytes.max(1));
    }
    settings.idempotence = match (idempotence, settings.acks) {
        (Some(true), acks) if acks != Acks::All => {
            return Err(Failure::said(
                "Must set acks to all in order to use the idempotent producer. Otherwise we cannot \
                 guarantee idempotence.",
            ));
        }
        (Some(wanted), _) => wanted,
        (None, acks) => acks == Acks::All,
    };
    Ok(settings)
}

fn acks(value: &str) -> Outcome<Acks> {
    match value.trim() {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "-1" | "all" => Ok(Acks::All),
        _ => Err(Failure::said(format!(
            "Invalid value {value} for configuration acks: String must be one of: all, -1, 0, 1"
        ))),
    }
}

fn compression(value: &str) -> Outcome<Compression> {
    let known = ["none", "gzip", "snappy", "lz4", "zstd"];
    let codec = Codec::from_name(value.trim()).filter(|_| known.contains(&value.trim()));
    codec.map(Compression::from).ok_or_else(|| {
        Failure::said(format!(
            "Invalid value {value} for configuration compression.type: String must be one of: {}",
            known.join(", ")
        ))
    })
}

fn number(key: &str, value: &str) -> Outcome<usize> {
    value.trim().parse().map_err(|_| {
        let text =
            format!("Invalid value {value} for configuration {key}: Not a number of type INT");
        Failure::said(text)
    })
}
