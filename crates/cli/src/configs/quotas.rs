//! Quotas of users, client ids and addresses, which are no configurations but are set like them.

use std::collections::BTreeMap;
use std::io::Write;

use strom_client::Cluster;
use strom_client::driver::admin::configs::Change;
use strom_client::driver::admin::quotas::{QuotaEntity, QuotaMatch, QuotaType};

use super::{EntityArguments, FAILED};
use crate::failure::{Failure, Outcome};

const TYPES: [(&str, QuotaType); 3] =
    [("users", QuotaType::User), ("clients", QuotaType::ClientId), ("ips", QuotaType::Ip)];
const OF_USERS_AND_CLIENTS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const OF_ADDRESSES: [&str; 1] = ["connection_creation_rate"];

/// Whose quotas are meant: types in the order of the options, with the names that belong to them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    types: Vec<(&'static str, QuotaType)>,
    /// `""` is the default of the type.
    names: Vec<String>,
}

impl Target {
    /// `None` when the options name something else than users, clients or addresses.
    pub(super) fn chosen(arguments: &EntityArguments) -> Outcome<Option<Target>> {
        let of = |plural: &str| TYPES.into_iter().find(|(known, _)| *known == plural);
        let mut types: Vec<_> = arguments.entity_type.iter().map(|name| of(name)).collect();
        let mut names = arguments.entity_name.0.clone();
        let short_forms = [
            ("clients", arguments.client.clone()),
            ("users", arguments.user.clone()),
            ("ips", arguments.ip.clone()),
            ("users", arguments.user_defaults.then(String::new)),
            ("clients", arguments.client_defaults.then(String::new)),
            ("ips", arguments.ip_defaults.then(String::new)),
        ];
        let is_long = !types.is_empty() || !names.is_empty();
        for (plural, name) in short_forms {
            let Some(name) = name else { continue };
            if is_long {
                return Err(Failure::said(
                    "--entity-{type,name,default} should not be used in conjunction with specific \
                     entity flags",
                ));
            }
            types.push(of(plural));
            names.push(name);
        }
        if !types.iter().any(Option::is_some) {
            return Ok(None);
        }
        let is_pair = |types: &[_]| types.contains(&of("users")) && types.contains(&of("clients"));
        if types.len() > 2 || types.len() == 2 && !is_pair(&types) {
            return Err(Failure::said(
                "Only 'users' and 'clients' entity types may be specified together",
            ));
        }
        let types: Vec<_> = types.into_iter().flatten().collect();
        if names.len() > types.len() {
            return Err(Failure::said("More entity names specified than entity types"));
        }
        Ok(Some(Target { types, names }))
    }

    /// Every type with its name, or with any where none is given.
    fn filter(&self) -> BTreeMap<QuotaType, QuotaMatch> {
        let names = self.names.iter().map(Some).chain(std::iter::repeat(None));
        let parts = self.types.iter().zip(names).map(|((_, entity_type), name)| {
            let wanted = match name.map(String::as_str) {
                None => QuotaMatch::Any,
                Some("") => QuotaMatch::Default,
                Some(name) => QuotaMatch::Name(name.to_owned()),
            };
            (*entity_type, wanted)
        });
        parts.collect()
    }

    pub(super) async fn describe(&self, cluster: &mut Cluster) -> Outcome {
        let quotas = cluster.describe_client_quotas(&self.filter()).await?;
        let mut output = std::io::stdout().lock();
        for (entity, values) in &quotas {
            let parts: Vec<String> = entity.iter().map(part).collect();
            let values: Vec<String> = values
                .iter()
                .map(|(key, value)| format!("{key}={}", java_double(*value)))
                .collect();
            let (parts, values) = (parts.join(", "), values.join(", "));
            writeln!(output, "Quota configs for {parts} are {values}")?;
        }
        Ok(())
    }

    /// What is to be written, checked as far as the tool does that.
    pub(super) fn changes(&self, changes: Vec<Change>) -> Outcome<Vec<(String, Option<f64>)>> {
        if self.names.is_empty() {
            return Err(Failure::said(
                "An entity-name or default entity must be specified with --alter of users, \
                 clients, brokers or ips",
            ));
        }
        self.check_names(&changes)?;
        let changes = changes.into_iter().map(|change| match change {
            Change::Delete { name } => Ok((name, None)),
            Change::Set { name, value } => {
                let number = value.trim().parse::<f64>().map_err(|_| {
                    let text = "Cannot parse quota configuration value for";
                    Failure::said(format!("{text} {name}: {value}"))
                })?;
                Ok((name, Some(number)))
            }
        });
        changes.collect()
    }

    fn check_names(&self, changes: &[Change]) -> Outcome {
        let has = |wanted: QuotaType| self.types.iter().any(|(_, it)| *it == wanted);
        let is_of_addresses = has(QuotaType::Ip);
        let known: &[&str] = if is_of_addresses { &OF_ADDRESSES } else { &OF_USERS_AND_CLIENTS };
        for change in changes {
            let (name, done) = match change {
                Change::Set { name, .. } => (name, "added"),
                Change::Delete { name } => (name, "deleted"),
            };
            if known.contains(&name.as_str()) {
                continue;
            }
            let is_of_user = !is_of_addresses && !has(QuotaType::ClientId);
            if is_of_user && name.starts_with("SCRAM-SHA-") {
                let text = "credentials of users cannot be changed with this tool yet";
                return Err(Failure::said(text));
            }
            let (allowed, done, plural) = match (is_of_addresses, is_of_user) {
                (true, _) => ("connection quota configs", "added", "ips"),
                (_, true) => ("quota and SCRAM credential configs", done, "users"),
                (_, false) => ("quota configs", done, "clients"),
            };
            return Err(Failure::said(format!(
                "Only {allowed} can be {done} for '{plural}' using --bootstrap-server. Unexpected \
                 config names: {name}"
            )));
        }
        Ok(())
    }

    pub(super) async fn alter(
        &self,
        cluster: &mut Cluster,
        changes: &[(String, Option<f64>)],
    ) -> Outcome {
        let present = cluster.describe_client_quotas(&self.filter()).await?;
        let has = |key: &str| present.values().any(|values| values.contains_key(key));
        let removed = changes.iter().filter(|(_, value)| value.is_none());
        let missing: Vec<&str> =
            removed.map(|(key, _)| key.as_str()).filter(|key| !has(key)).collect();
        if !missing.is_empty() {
            return Err(Failure::said(format!("Invalid config(s): {}", missing.join(","))));
        }
        let names = self.names.iter().map(|name| Some(name.clone()).filter(|it| !it.is_empty()));
        let types = self.types.iter().map(|(_, entity_type)| *entity_type);
        let entity: QuotaEntity = types.zip(names).collect();
        let altered = cluster.alter_client_quotas(&entity, changes).await;
        altered.map_err(|error| Failure::from(error).while_doing(FAILED))?;
        let mut output = std::io::stdout().lock();
        let plural = self.types.first().map_or("", |(plural, _)| plural);
        match self.names.first().map_or("", String::as_str) {
            "" => {
                writeln!(output, "Completed updating default config for {plural} in the cluster.")?;
            }
            name => {
                let singular = plural.strip_suffix('s').unwrap_or(plural);
                writeln!(output, "Completed updating config for {singular} {name}.")?;
            }
        }
        Ok(())
    }
}

fn part((entity_type, name): (&QuotaType, &Option<String>)) -> String {
    let kind = match entity_type {
        QuotaType::User => "user-principal",
        QuotaType::ClientId => "client-id",
        QuotaType::Ip => "ip",
    };
    match name {
        Some(name) => format!("{kind} '{name}'"),
        None => format!("the default {kind}"),
    }
}

/// As Java's `Double.toString` writes it: `1024.0`, `1.048576E7`.
fn java_double(value: f64) -> String {
    let with_fraction = |text: &str| match text.contains('.') {
        true => text.to_owned(),
        false => format!("{text}.0"),
    };
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return with_fraction(&value.to_string());
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}E{exponent}", with_fraction(mantissa)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        entity: EntityArguments,
    }

    fn chosen(options: &[&str]) -> Outcome<Option<Target>> {
        let line = ["configs"].iter().chain(options);
        Target::chosen(&Line::try_parse_from(line).expect("options").entity)
    }

    fn filter(options: &[&str]) -> BTreeMap<QuotaType, QuotaMatch> {
        chosen(options).expect("a target").expect("of quotas").filter()
    }

    #[test]
    fn names_and_defaults_belong_to_the_types_in_their_order() {
        let users = ["--entity-type", "users", "--entity-default"];
        let clients = ["--entity-type", "clients", "--entity-name", "c"];
        let expected = BTreeMap::from([
            (QuotaType::User, QuotaMatch::Default),
            (QuotaType::ClientId, QuotaMatch::Name("c".to_owned())),
        ]);
        assert_eq!(filter(&[&users[..], &clients[..]].concat()), expected);
        assert_eq!(filter(&[&clients[..], &users[..]].concat()), expected);
        assert_eq!(filter(&["--client", "c", "--user-defaults"]), expected);
        let any = BTreeMap::from([(QuotaType::Ip, QuotaMatch::Any)]);
        assert_eq!(filter(&["--entity-type", "ips"]), any);
    }

    #[test]
    fn other_entities_are_none_of_them_and_do_not_mix() {
        assert!(chosen(&["--topic", "t"]).expect("fine").is_none());
        assert!(chosen(&["--entity-type", "users", "--entity-type", "ips"]).is_err());
        assert!(chosen(&["--entity-type", "users", "--entity-type", "topics"]).is_err());
        assert!(chosen(&["--entity-type", "users", "--client", "c"]).is_err());
        assert!(chosen(&["--user", "u", "--ip", "127.0.0.1"]).is_err());
    }

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        for (value, expected) in [
            (1024.0, "1024.0"),
            (0.5, "0.5"),
            (10_000_000.0, "1.0E7"),
            (10_485_760.0, "1.048576E7"),
            (9_999_999.0, "9999999.0"),
            (0.0001, "1.0E-4"),
        ] {
            assert_eq!(java_double(value), expected);
        }
    }
}
