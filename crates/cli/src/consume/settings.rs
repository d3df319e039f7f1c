//! From options and Kafka's consumer configuration to what is to be read, and how.

use super::Arguments;
use crate::failure::{Failure, Outcome};
use crate::properties;
use crate::topics::Pattern;
use std::time::Duration;
use strom_client::Settings;
use strom_client::core::membership::GroupSettings;
use strom_client::driver::{ConsumerSettings, OffsetReset, Start};

pub(super) enum Source {
    Partition { topic: String, partition: i32, start: Start },
    Topic(String),
    Matching(Pattern),
}

pub(super) struct Plan {
    pub(super) client: Settings,
    pub(super) consumer: ConsumerSettings,
    pub(super) source: Source,
    pub(super) group: GroupSettings,
    pub(super) max_messages: Option<u64>,
    pub(super) patience: Option<Duration>,
}

impl Plan {
    pub(super) fn new(arguments: &Arguments) -> Outcome<Plan> {
        let given = given(arguments)?;
        let mut client = arguments.connect.settings_with("console-consumer", &given)?;
        // Without a node there is nothing to wait for; with one, elections may take a while.
        client.api_timeout_ms = client.api_timeout_ms.max(client.request_timeout_ms);
        let mut consumer = ConsumerSettings::default();
        consumer.fetch.isolation_level = match arguments.isolation_level.as_str() {
            "read_uncommitted" => 0,
            "read_committed" => 1,
            other => {
                return Err(Failure::said(format!(
                    "Invalid value {other} for configuration isolation.level: String must be one \
                     of: read_committed, read_uncommitted"
                )));
            }
        };
        let mut group_id = arguments.group.clone();
        let mut group = GroupSettings::new("");
        for (key, value) in &given {
            apply(key, value, &mut consumer, &mut group)?;
            if key == "group.id" {
                group_id = match group_id {
                    Some(named) if named != *value => {
                        return Err(Failure::said(format!(
                            "The group ids provided in different places (directly using '--group', \
                             via '--consumer-property', or via '--consumer.config') do not match. \
                             Detected group ids: '{named}', '{value}'"
                        )));
                    }
                    _ => Some(value.clone()),
                };
            }
        }
        if arguments.from_beginning {
            consumer.reset = OffsetReset::Earliest;
        }
        // A group of its own makes no sense to keep: nothing is committed for it.
        consumer.auto_commit &= group_id.is_some();
        group.group_id =
            group_id.unwrap_or_else(|| format!("console-consumer-{}", std::process::id()));
        Ok(Plan {
            client,
            consumer,
            source: source(arguments)?,
            group,
            max_messages: arguments.max_messages,
            patience: arguments.timeout_ms.map(Duration::from_millis),
        })
    }
}

fn given(arguments: &Arguments) -> Outcome<Vec<(String, String)>> {
    let mut all = Vec::new();
    let older = arguments.consumer_config.as_deref();
    for path in older.into_iter().chain(arguments.connect.config_file()) {
        all.extend(properties::read(path)?);
    }
    all.extend(properties::pairs(&arguments.consumer_property)?);
    all.extend(properties::pairs(&arguments.command_property)?);
    Ok(all)
}

fn source(arguments: &Arguments) -> Outcome<Source> {
    if let Some(include) = &arguments.include {
        return Ok(Source::Matching(Pattern::new(include)?));
    }
    let topic = arguments.topic.clone().unwrap_or_default();
    let Some(partition) = arguments.partition else { return Ok(Source::Topic(topic)) };
    let start = match arguments.offset.as_deref() {
        None if arguments.from_beginning => Start::Earliest,
        None | Some("latest") => Start::Latest,
        Some("earliest") => Start::Earliest,
        Some(number) => {
            let offset = number.parse::<i64>().ok().filter(|offset| *offset >= 0);
            Start::Offset(offset.ok_or_else(|| {
                Failure::said(format!(
                    "The provided offset value '{number}' is incorrect. Valid values are \
                     'earliest', 'latest', or a non-negative long."
                ))
            })?)
        }
    };
    Ok(Source::Partition { topic, partition, start })
}

fn apply(
    key: &str,
    value: &str,
    consumer: &mut ConsumerSettings,
    group: &mut GroupSettings,
) -> Outcome {
    let number = || {
        value.trim().parse::<i32>().map_err(|_| {
            Failure::said(format!(
                "Invalid value {value} for configuration {key}: Not a number of type INT"
            ))
        })
    };
    match key {
        "auto.offset.reset" => {
            consumer.reset = match value.trim() {
                "earliest" => OffsetReset::Earliest,
                "latest" => OffsetReset::Latest,
                "none" => OffsetReset::Refuse,
                _ => {
                    return Err(Failure::said(format!(
                        "Invalid value {value} for configuration auto.offset.reset"
                    )));
                }
            }
        }
        "enable.auto.commit" => consumer.auto_commit = value.trim().eq_ignore_ascii_case("true"),
        "auto.commit.interval.ms" => {
            consumer.auto_commit_interval_ms = u64::try_from(number()?).unwrap_or(0);
        }
        "fetch.max.wait.ms" => consumer.fetch.max_wait_ms = number()?,
        "fetch.min.bytes" => consumer.fetch.min_bytes = number()?,
        "fetch.max.bytes" => consumer.fetch.max_bytes = number()?,
        "max.partition.fetch.bytes" => consumer.fetch.partition_max_bytes = number()?,
        "isolation.level" => {
            consumer.fetch.isolation_level = i8::from(value.trim() == "read_committed");
        }
        "session.timeout.ms" => group.session_timeout_ms = number()?,
        "heartbeat.interval.ms" => group.heartbeat_interval_ms = number()?,
        "max.poll.interval.ms" => group.rebalance_timeout_ms = number()?,
        "group.instance.id" => group.group_instance_id = Some(value.to_owned()),
        _ => {}
    }
    Ok(())
}
