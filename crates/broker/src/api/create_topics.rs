//! CreateTopics: by count or by assignment, with configurations, or only looked at (validate-only).

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_base::config::ConfigEntry;
use strom_base::config::describe::describe_topic;
use strom_metadata::controller::create_topics::{CreateReply, NewTopic};
use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use strom_protocol::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::boot::metadata_log::TOPIC as METADATA_TOPIC;
use crate::call::{Call, RequestError};
use crate::config_rules::Rules;
use crate::effect::Turn;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = CreateTopicsRequest::decode(reader, call.version())?;
    let mut times_named: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in &wire.topics {
        *times_named.entry(topic.name).or_default() += 1;
    }
    let is_fine = |topic: &&CreatableTopic<'_>| {
        topic.name != METADATA_TOPIC && times_named.get(topic.name) == Some(&1)
    };
    let topics: Vec<_> = wire.topics.iter().filter(is_fine).map(new_topic).collect();
    let settings = Arc::clone(&broker.settings);
    let decision = broker.metadata.controller.create_topics(
        &topics,
        broker.topic_defaults(),
        &Rules(&settings),
        &mut broker.random,
    );
    let names = topics.iter().map(|topic| topic.name);
    let entries = entries_of(broker, &decision.reply);
    let mut response = CreateTopicsResponse::default();
    for ((name, outcome), entries) in names.zip(&decision.reply).zip(&entries) {
        response.topics.push(match outcome {
            Ok(created) => CreatableTopicResult {
                name,
                topic_id: created.id,
                error_message: None,
                num_partitions: created.partitions,
                replication_factor: created.replication_factor,
                configs: Some(entries.iter().map(config).collect()),
                ..Default::default()
            },
            Err(refusal) => failure(name, refusal.error, &refusal.message),
        });
    }
    response.topics.extend(times_named.iter().filter_map(|(name, times)| refuse(name, *times)));
    let records = if wire.validate_only { Vec::new() } else { decision.records };
    Ok(broker.commit_then_answer(turn, call, records, &response)?.into())
}

fn new_topic<'a>(wire: &CreatableTopic<'a>) -> NewTopic<'a> {
    NewTopic {
        name: wire.name,
        partitions: wire.num_partitions,
        replication_factor: wire.replication_factor,
        assignments: wire
            .assignments
            .iter()
            .map(|assignment| (assignment.partition_index, assignment.broker_ids.clone()))
            .collect(),
        configs: wire.configs.iter().map(|config| (config.name, config.value)).collect(),
    }
}

/// The configurations that the new topics will have, all keys of each.
fn entries_of(broker: &Broker, reply: &CreateReply) -> Vec<Vec<ConfigEntry>> {
    let of_created = reply.iter().map(|outcome| match outcome {
        Ok(created) => describe_topic(&broker.settings.layers(), &created.configs, None),
        Err(_) => Vec::new(),
    });
    of_created.collect()
}

fn config(entry: &ConfigEntry) -> CreatableTopicConfigs<'_> {
    CreatableTopicConfigs {
        name: &entry.name,
        value: entry.value.as_deref(),
        read_only: entry.is_read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
        ..Default::default()
    }
}

/// Why a name is refused before the controller sees it.
fn refuse(name: &str, times_named: u32) -> Option<CreatableTopicResult<'_>> {
    let text = if times_named > 1 {
        "Duplicate topic name."
    } else if name == METADATA_TOPIC {
        "Creation of internal topic __cluster_metadata is prohibited."
    } else {
        return None;
    };
    Some(failure(name, ErrorCode::InvalidRequest, text))
}

fn failure<'a>(name: &'a str, error: ErrorCode, text: &'a str) -> CreatableTopicResult<'a> {
    CreatableTopicResult {
        name,
        error_code: error.code(),
        error_message: Some(text),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
