//! What both ways to alter configurations have in common: which resources the broker refuses by itself,
//! and which outcome belongs to which resource of the request.

use std::collections::BTreeMap;

use strom_metadata::controller::Decision;
use strom_metadata::controller::configs::AlterReply;
use strom_metadata::image::ResourceType;
use strom_metadata::{Controller, Refusal};
use strom_protocol::ErrorCode;

use crate::Broker;
use crate::config_rules::Rules;

/// One resource of a request, with what is to be done to it or why that is malformed.
pub(super) struct Asked<'a, T> {
    pub(super) resource_type: i8,
    pub(super) resource_name: &'a str,
    pub(super) change: Result<T, Refusal>,
}

/// Has the controller decide on all that is well-formed; the reply is in the order of the request.
pub(super) fn decide<T>(
    broker: &Broker,
    asked: Vec<Asked<'_, T>>,
    decide: impl FnOnce(&Controller, &[T], &Rules<'_>) -> Decision<AlterReply>,
) -> Decision<AlterReply> {
    let mut times = BTreeMap::new();
    for it in &asked {
        *times.entry((it.resource_type, it.resource_name)).or_insert(0_usize) += 1;
    }
    let mut outcomes = Vec::with_capacity(asked.len());
    let (mut changes, mut places) = (Vec::new(), Vec::new());
    for (index, it) in asked.into_iter().enumerate() {
        let resource = (it.resource_type, it.resource_name);
        let is_named_once = times.get(&resource) == Some(&1);
        match check(broker, resource, is_named_once).and(it.change) {
            Ok(change) => {
                outcomes.push(Ok(()));
                places.push(index);
                changes.push(change);
            }
            Err(refusal) => outcomes.push(Err(refusal)),
        }
    }
    let Decision { records, reply } =
        decide(&broker.metadata.controller, &changes, &Rules(&broker.settings));
    for (index, outcome) in places.into_iter().zip(reply) {
        if let Some(place) = outcomes.get_mut(index) {
            *place = outcome;
        }
    }
    Decision { records, reply: outcomes }
}

/// What the broker itself refuses.
fn check(
    broker: &Broker,
    (resource_type, name): (i8, &str),
    is_named_once: bool,
) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    if !is_named_once {
        return invalid("Each resource must appear at most once.".to_owned());
    }
    match ResourceType::from_code(resource_type) {
        ResourceType::Broker if !name.is_empty() => {
            let node_id = broker.identity.node_id;
            match name.parse::<i32>() {
                Ok(id) if id == node_id => Ok(()),
                Ok(_) => invalid(format!(
                    "Unexpected broker id, expected {node_id}, but received {name}"
                )),
                Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
            }
        }
        ResourceType::Other(code) => invalid(format!("Unknown resource type {code}")),
        _ => Ok(()),
    }
}
