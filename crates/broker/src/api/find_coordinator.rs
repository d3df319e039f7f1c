//! FindCoordinator: which node answers for a group. Creates `__consumer_offsets` when first asked.

use strom_coordinator::partition_for_group;
use strom_protocol::find_coordinator_request::FindCoordinatorRequest;
use strom_protocol::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use strom_protocol::{ErrorCode, Message, Reader};

use crate::Broker;
use crate::api::Handled;
use crate::call::{Call, RequestError};
use crate::effect::Turn;
use crate::groups::OFFSETS_TOPIC;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// Since this version several keys are asked for at once (KIP-699).
const FIRST_VERSION_WITH_KEYS: i16 = 4;

/// Host, port and node id of a coordinator, or why there is none.
type Found = Result<Node, ErrorCode>;

struct Node {
    id: i32,
    host: String,
    port: i32,
}

pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let wire = FindCoordinatorRequest::decode(reader, call.version())?;
    if wire.key_type == GROUP
        && broker.groups_topic_id().is_none()
        && let Some(offset) = broker.create_offsets_topic(turn)
    {
        return Ok(Handled::AfterCommit(offset));
    }
    if call.version() < FIRST_VERSION_WITH_KEYS {
        let found = find(broker, call, wire.key_type, wire.key);
        return Ok(call.reply(&answer_one(&found))?.into());
    }
    let found: Vec<_> = wire
        .coordinator_keys
        .into_iter()
        .map(|key| (key, find(broker, call, wire.key_type, key)))
        .collect();
    let coordinators = found.iter().map(|(key, found)| coordinator(key, found)).collect();
    Ok(call.reply(&FindCoordinatorResponse { coordinators, ..Default::default() })?.into())
}

fn find(broker: &Broker, call: &Call<'_>, key_type: i8, key: &str) -> Found {
    match key_type {
        GROUP => find_group(broker, call, key).ok_or(ErrorCode::CoordinatorNotAvailable),
        // Transactions are not coordinated by any node yet, and this one says so when it is asked
        // for a producer id: librdkafka passes that on, but nothing about a missing coordinator.
        TRANSACTION => this_node(broker, call).ok_or(ErrorCode::CoordinatorNotAvailable),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

fn this_node(broker: &Broker, call: &Call<'_>) -> Option<Node> {
    node(broker, call, broker.identity.node_id)
}

fn find_group(broker: &Broker, call: &Call<'_>, group_id: &str) -> Option<Node> {
    let topics = &broker.metadata.image().topics;
    let topic = topics.by_name(OFFSETS_TOPIC)?;
    let count = i32::try_from(topic.partitions.len()).ok()?;
    let partition = topics.partition(topic.id, partition_for_group(group_id, count))?;
    node(broker, call, partition.leader)
}

/// A node that is alive, with its address on the listener of the call.
fn node(broker: &Broker, call: &Call<'_>, wanted: i32) -> Option<Node> {
    let listener = broker.listener_of(call.address.to.connection);
    let mut alive = broker.alive_brokers(&listener);
    let (id, endpoint, _) = alive.find(|(id, _, _)| *id == wanted)?;
    Some(Node { id, host: endpoint.host.clone(), port: i32::from(endpoint.port) })
}

fn coordinator<'a>(key: &'a str, found: &'a Found) -> Coordinator<'a> {
    match found {
        Ok(node) => Coordinator {
            key,
            node_id: node.id,
            host: &node.host,
            port: node.port,
            error_message: Some(""),
            ..Default::default()
        },
        Err(error) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: error.code(),
            error_message: Some(""),
            ..Default::default()
        },
    }
}

fn answer_one(found: &Found) -> FindCoordinatorResponse<'_> {
    match found {
        Ok(node) => FindCoordinatorResponse {
            error_message: Some("NONE"),
            node_id: node.id,
            host: &node.host,
            port: node.port,
            ..Default::default()
        },
        Err(error) => FindCoordinatorResponse {
            error_code: error.code(),
            error_message: Some(message(*error)),
            node_id: -1,
            port: -1,
            ..Default::default()
        },
    }
}

fn message(error: ErrorCode) -> &'static str {
    match error {
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        _ => {
            "This most likely occurs because of a request being malformed by the client library or \
             the message was sent to an incompatible broker. See the broker logs for more details."
        }
    }
}
