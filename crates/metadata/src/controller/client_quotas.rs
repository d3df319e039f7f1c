//! AlterClientQuotas: limits for users, client ids and addresses (KIP-546).

use std::collections::{BTreeMap, BTreeSet};

use strom_protocol::ErrorCode;

use super::{Controller, Decision, RecordBytes, Refusal, bounded};
use crate::image::client_quotas::entity_type::{CLIENT_ID, IP, USER};
use crate::image::client_quotas::{QuotaEntity, quota_record};

/// The difference from a whole number that rounding explains.
const FRACTION_MAX: f64 = 1e-6;

/// What is to become of the quotas of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaAlteration<'a> {
    pub entity: QuotaEntity,
    /// Keys and their values; `None` removes the quota.
    pub changes: Vec<(&'a str, Option<f64>)>,
}

/// Each entity once, with its last outcome.
pub type QuotaReply = BTreeMap<QuotaEntity, Result<(), Refusal>>;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fractional,
    /// A whole number up to that, and Java's name of the type with its article.
    Whole(f64, &'static str),
}

const LONG: Kind = Kind::Whole(i64::MAX as f64, "a LONG");
const INT: Kind = Kind::Whole(i32::MAX as f64, "an INT");

const USER_AND_CLIENT_QUOTAS: &[(&str, Kind)] = &[
    ("producer_byte_rate", LONG),
    ("consumer_byte_rate", LONG),
    ("request_percentage", Kind::Fractional),
    ("controller_mutation_rate", Kind::Fractional),
];
const ADDRESS_QUOTAS: &[(&str, Kind)] = &[("connection_creation_rate", INT)];

impl Controller {
    /// Decides on each entity by itself. An entity that is named again is left as the first time has
    /// it.
    pub fn alter_client_quotas(&self, alterations: &[QuotaAlteration<'_>]) -> Decision<QuotaReply> {
        let mut seen = BTreeSet::new();
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        for alteration in alterations {
            let outcome = if seen.insert(&alteration.entity) {
                self.alter_quotas_of(alteration)
            } else {
                Err(duplicate(&alteration.entity))
            };
            decision.reply.push(outcome.map(|records| decision.records.extend(records)));
        }
        let Decision { records, reply } = bounded(decision);
        let entities = alterations.iter().map(|alteration| alteration.entity.clone());
        Decision { records, reply: entities.zip(reply).collect() }
    }

    fn alter_quotas_of(
        &self,
        alteration: &QuotaAlteration<'_>,
    ) -> Result<Vec<RecordBytes>, Refusal> {
        let entity = &alteration.entity;
        let changes: BTreeMap<_, _> = alteration.changes.iter().copied().collect();
        if changes.len() < alteration.changes.len() {
            return Err(duplicate(entity));
        }
        let kinds = quotas_of(entity)?;
        let mut records = Vec::new();
        for (key, value) in &changes {
            if let Some(value) = value {
                check(kinds, key, *value)?;
            }
            if self.image.quotas.value(entity, key) != *value {
                records.push(quota_record(entity, key, *value));
            }
        }
        Ok(records)
    }
}

/// The quotas that such an entity can have.
fn quotas_of(entity: &QuotaEntity) -> Result<&'static [(&'static str, Kind)], Refusal> {
    for (entity_type, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&entity_type.as_str()) {
            return Err(invalid(format!("Unhandled client quota entity type: {entity_type}")));
        }
        if name.as_deref().is_some_and(str::is_empty) {
            return Err(invalid(format!("Empty {entity_type} not supported")));
        }
    }
    let Some(address) = entity.get(IP) else {
        if entity.is_empty() {
            return Err(invalid("Invalid empty client quota entity"));
        }
        return Ok(USER_AND_CLIENT_QUOTAS);
    };
    if entity.len() > 1 {
        let text = "Invalid quota entity combination, IP entity should not be combined with User \
                    or ClientId";
        return Err(invalid(text));
    }
    match address {
        // Apache Kafka looks names up; here nothing is asked of a name server.
        Some(name) if name.parse::<core::net::IpAddr>().is_err() => {
            Err(invalid(format!("{name} is not a valid IP or resolvable host.")))
        }
        _ => Ok(ADDRESS_QUOTAS),
    }
}

fn check(kinds: &[(&str, Kind)], key: &str, value: f64) -> Result<(), Refusal> {
    let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    // Apache Kafka lets NaN through, which limits nothing.
    if value.is_nan() || value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    match kind {
        Kind::Whole(max, name) if value > *max => {
            Err(invalid(format!("Proposed value for {key} is too large for {name}.")))
        }
        Kind::Whole(..) if value % 1.0 > FRACTION_MAX => {
            Err(invalid(format!("{key} cannot be a fractional value.")))
        }
        _ => Ok(()),
    }
}

/// In Java's words, also where it is a key that came twice.
fn duplicate(entity: &QuotaEntity) -> Refusal {
    let parts = entity.iter();
    let parts: Vec<_> =
        parts.map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null"))).collect();
    let parts = parts.join(", ");
    invalid(format!("Ignoring duplicate entity ClientQuotaEntity(entries={{{parts}}})"))
}

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    fn entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
        parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect()
    }

    fn alter(
        controller: &mut Controller,
        entity: QuotaEntity,
        change: (&str, Option<f64>),
    ) -> Result<usize, String> {
        let alteration = QuotaAlteration { entity, changes: vec![change] };
        let decision = controller.alter_client_quotas(&[alteration]);
        for record in &decision.records {
            controller.replay(0, record).expect("it fits");
        }
        let outcome = decision.reply.into_values().next().expect("an outcome");
        outcome.map(|()| decision.records.len()).map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_quota_is_set_once_changed_and_removed_once() {
        let mut controller = Controller::new(Image::default());
        let of = entity(&[("user", Some("u")), ("client-id", None)]);
        let mut set = |value| alter(&mut controller, of.clone(), ("producer_byte_rate", value));
        assert_eq!(set(None), Ok(0));
        assert_eq!(set(Some(5.0)), Ok(1));
        assert_eq!(set(Some(5.0)), Ok(0));
        assert_eq!(set(Some(6.0)), Ok(1));
        assert_eq!(controller.image().quotas.value(&of, "producer_byte_rate"), Some(6.0));
        let mut copy = Image::default();
        for record in controller.image().to_snapshot_records() {
            let delta = &mut crate::Delta::default();
            crate::controller::replay_bytes(&mut copy, 0, &record, delta).expect("it fits");
        }
        assert_eq!(&copy, controller.image());
        let mut set = |value| alter(&mut controller, of.clone(), ("producer_byte_rate", value));
        assert_eq!(set(None), Ok(1));
        assert_eq!(controller.image().quotas.iter().count(), 0);
    }

    #[test]
    fn what_is_named_twice_is_refused_the_second_time() {
        let controller = Controller::new(Image::default());
        let alteration = |value| QuotaAlteration {
            entity: entity(&[("user", None)]),
            changes: vec![("producer_byte_rate", Some(value))],
        };
        let twice = controller.alter_client_quotas(&[alteration(1.0), alteration(2.0)]);
        assert_eq!((twice.records.len(), twice.reply.len()), (1, 1));
        let key_twice = QuotaAlteration {
            changes: [alteration(1.0).changes, alteration(2.0).changes].concat(),
            ..alteration(1.0)
        };
        let key_twice = controller.alter_client_quotas(&[key_twice]);
        assert_eq!(key_twice.reply, twice.reply);
        assert_eq!(key_twice.records.len(), 0);
        let Some(Err(refusal)) = twice.reply.into_values().next() else { panic!("not refused") };
        let text = "Ignoring duplicate entity ClientQuotaEntity(entries={user=null})";
        assert_eq!(refusal.message, text);
    }

    #[test]
    fn what_is_no_quota_is_refused() {
        let mut controller = Controller::new(Image::default());
        let mut refused = |parts: &[(&str, Option<&str>)], key: &str, value: f64| {
            alter(&mut controller, entity(parts), (key, Some(value))).expect_err("refused")
        };
        let user = [("user", Some("u"))];
        assert!(refused(&[], "request_percentage", 1.0).contains("empty"));
        assert!(refused(&[("group", None)], "request_percentage", 1.0).contains("group"));
        assert!(refused(&[("user", Some(""))], "request_percentage", 1.0).contains("Empty user"));
        assert!(refused(&user, "connection_creation_rate", 1.0).contains("configuration key"));
        assert!(refused(&user, "producer_byte_rate", 0.0).contains("greater than 0"));
        assert!(refused(&user, "producer_byte_rate", 0.5).contains("fractional"));
        assert!(refused(&user, "producer_byte_rate", 1e20).contains("too large"));
        let ip = |name| [("ip", Some(name))];
        assert!(refused(&ip("1.2.3.4"), "producer_byte_rate", 1.0).contains("configuration key"));
        assert!(refused(&ip("no ip"), "connection_creation_rate", 1.0).contains("not a valid IP"));
        let both = [("ip", None), ("user", None)];
        assert!(refused(&both, "connection_creation_rate", 1.0).contains("combined"));
    }
}
