//! What a configuration belongs to.

use super::EntityArguments;
use crate::failure::{Failure, Outcome};
use strom_client::driver::admin::configs::ResourceKind;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: ResourceKind,
    /// Kafka's name of the type: `topics`.
    pub(super) plural: &'static str,
    /// `None`: all of them. `""`: the default of all brokers.
    pub(super) name: Option<String>,
}

const KINDS: &[(&str, ResourceKind)] = &[
    ("topics", ResourceKind::Topic),
    ("brokers", ResourceKind::Broker),
    ("broker-loggers", ResourceKind::BrokerLogger),
    ("groups", ResourceKind::Group),
    ("client-metrics", ResourceKind::ClientMetrics),
];

impl Entity {
    /// The one entity that the options name.
    pub(super) fn chosen(arguments: &EntityArguments) -> Outcome<Entity> {
        if let Some(entity) = short_form(arguments)? {
            return Ok(entity);
        }
        let Some(named) = arguments.entity_type.first() else {
            return Err(Failure::said("At least one entity type must be specified"));
        };
        let Some(&(plural, kind)) = KINDS.iter().find(|(plural, _)| plural == named) else {
            return Err(Failure::said(format!(
                "Invalid entity type {named}, the entity type must be one of topics, clients, \
                 users, brokers, ips, client-metrics, groups, broker-loggers with a \
                 --bootstrap-server or --bootstrap-controller argument"
            )));
        };
        if arguments.entity_type.len() > 1 {
            let types = arguments.entity_type.join(",");
            return Err(Failure::said(format!("Entity types {types} cannot be combined")));
        }
        let name = match arguments.entity_name.0.as_slice() {
            [] => None,
            [name] if !name.is_empty() || kind == ResourceKind::Broker => Some(name.clone()),
            _ => {
                let text = format!("There is no default of all {plural} beside a name");
                return Err(Failure::said(text));
            }
        };
        Entity { kind, plural, name }.checked()
    }

    fn checked(self) -> Outcome<Entity> {
        let of_broker = matches!(self.kind, ResourceKind::Broker | ResourceKind::BrokerLogger);
        match &self.name {
            Some(name) if of_broker && !name.is_empty() && name.parse::<i32>().is_err() => {
                Err(Failure::said(format!(
                    "The entity name for {} must be a valid integer broker id, found: {name}",
                    self.plural
                )))
            }
            _ => Ok(self),
        }
    }

    /// `topic` of `topics`.
    pub(super) fn singular(&self) -> &'static str {
        self.plural.strip_suffix('s').unwrap_or(self.plural)
    }
}

fn short_form(arguments: &EntityArguments) -> Outcome<Option<Entity>> {
    let broker_defaults = arguments.broker_defaults.then(String::new);
    let forms = [
        (ResourceKind::Topic, "topics", arguments.topic.clone()),
        (ResourceKind::Broker, "brokers", arguments.broker.clone()),
        (ResourceKind::Broker, "brokers", broker_defaults),
        (ResourceKind::BrokerLogger, "broker-loggers", arguments.broker_logger.clone()),
        (ResourceKind::Group, "groups", arguments.group.clone()),
        (ResourceKind::ClientMetrics, "client-metrics", arguments.client_metrics.clone()),
    ];
    let mut given = forms.into_iter().filter(|(_, _, name)| name.is_some());
    let Some((kind, plural, name)) = given.next() else { return Ok(None) };
    if given.next().is_some() || !arguments.entity_type.is_empty() {
        return Err(Failure::said("Only one entity may be named at a time"));
    }
    Entity { kind, plural, name }.checked().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        entity: EntityArguments,
    }

    fn chosen(options: &[&str]) -> Outcome<Entity> {
        let line = ["configs"].iter().chain(options);
        Entity::chosen(&Line::try_parse_from(line).unwrap().entity)
    }

    #[test]
    fn short_and_long_forms_name_the_same_entity() {
        let short = chosen(&["--topic", "t"]).unwrap();
        let long = chosen(&["--entity-type", "topics", "--entity-name", "t"]).unwrap();
        assert_eq!(short, long);
        assert_eq!(short.singular(), "topic");
        let short = chosen(&["--broker-defaults"]).unwrap();
        let long = chosen(&["--entity-type", "brokers", "--entity-default"]).unwrap();
        assert_eq!(short, long);
    }

    #[test]
    fn brokers_are_numbers_and_types_are_known() {
        assert!(chosen(&["--broker", "one"]).is_err());
        assert!(chosen(&["--entity-type", "things"]).is_err());
        assert!(chosen(&[]).is_err());
        assert!(chosen(&["--topic", "t", "--group", "g"]).is_err());
    }
}
