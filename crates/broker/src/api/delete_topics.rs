//! DeleteTopics: by name or, since version 6, by id (KIP-516).

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_metadata::Refusal;
use strom_metadata::controller::delete_topics::{DeletedTopic, TopicReference};
use strom_protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use strom_protocol::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::decisions::told;
use crate::effect::Turn;

const FIRST_VERSION_WITH_IDS: i16 = 6;
/// Since this version clients know the error for a deletion that is switched off.
const FIRST_VERSION_WITH_DISABLED: i16 = 3;

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let mut wire = DeleteTopicsRequest::decode(reader, call.version())?;
    if call.version() < FIRST_VERSION_WITH_IDS {
        let named = wire
            .topic_names
            .iter()
            .map(|name| DeleteTopicState { name: Some(name), ..Default::default() });
        wire.topics = named.collect();
    }
    let (references, mut answers) = if broker.settings.node.topics.delete_enable {
        sort_out(broker, &wire.topics)
    } else {
        let error = if call.version() < FIRST_VERSION_WITH_DISABLED {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::TopicDeletionDisabled
        };
        let refused = wire.topics.iter().map(|topic| {
            let text = "Topic deletion is disabled.";
            refused((topic.name, topic.topic_id), error, text)
        });
        (Vec::new(), refused.collect())
    };
    let decision = broker.metadata.controller.delete_topics(&references);
    answers.extend(decision.reply);
    let responses = answers.iter().map(|answer| {
        let (error_code, error_message) = told(&answer.outcome);
        let name = answer.name.as_deref();
        DeletableTopicResult {
            // Before there were ids every answer had a name.
            name: if call.version() < FIRST_VERSION_WITH_IDS { name.or(Some("")) } else { name },
            topic_id: answer.id,
            error_code,
            error_message,
            ..Default::default()
        }
    });
    let response = DeleteTopicsResponse { responses: responses.collect(), ..Default::default() };
    Ok(broker.commit_then_answer(turn, call, decision.records, &response)?.into())
}

/// What can be looked for, and what is refused as it is asked.
fn sort_out<'a>(
    broker: &Broker,
    topics: &[DeleteTopicState<'a>],
) -> (Vec<TopicReference<'a>>, Vec<DeletedTopic>) {
    let invalid = |named, text| refused(named, ErrorCode::InvalidRequest, text);
    let (mut names, mut ids) = (BTreeMap::<&str, u32>::new(), BTreeMap::<Uuid, u32>::new());
    let mut answers = Vec::new();
    for topic in topics {
        match (topic.name, topic.topic_id) {
            (None, Uuid::ZERO) => {
                answers
                    .push(invalid((None, Uuid::ZERO), "Neither topic name nor id were specified."));
            }
            (Some(name), Uuid::ZERO) => *names.entry(name).or_default() += 1,
            (None, id) => *ids.entry(id).or_default() += 1,
            named => {
                answers.push(invalid(named, "You may not specify both topic name and topic id."));
            }
        }
    }
    let mut references = Vec::new();
    let mut claimed_by_name = Vec::new();
    for (name, times) in names {
        let id = broker.metadata.image().topics.by_name(name).map(|topic| topic.id);
        if times > 1 {
            answers.push(invalid((Some(name), Uuid::ZERO), "Duplicate topic name."));
        } else if let Some(id) = id.filter(|id| ids.contains_key(id)) {
            let text = "The provided topic name maps to an ID that was already supplied.";
            answers.push(invalid((Some(name), id), text));
            claimed_by_name.push(id);
        } else {
            references.push(TopicReference { name: Some(name), id: Uuid::ZERO });
        }
    }
    for (id, times) in ids {
        if times > 1 {
            answers.push(invalid((None, id), "Duplicate topic id."));
        } else if !claimed_by_name.contains(&id) {
            references.push(TopicReference { name: None, id });
        }
    }
    (references, answers)
}

fn refused((name, id): (Option<&str>, Uuid), error: ErrorCode, text: &str) -> DeletedTopic {
    let outcome = Err(Refusal::new(error, text));
    DeletedTopic { name: name.map(str::to_owned), id, outcome }
}
