//! `listeners`, `advertised.listeners` and the protocols of their names.

use std::collections::BTreeMap;

use super::ConfigError;
use super::effective::Effective;

/// What a listener speaks, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurityProtocol {
    Plaintext = 0,
    Ssl = 1,
    SaslPlaintext = 2,
    SaslSsl = 3,
}

impl SecurityProtocol {
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// In capitals, as names of listeners are compared.
    pub name: String,
    /// Without brackets; empty: every interface.
    pub host: String,
    /// 0: any that is free.
    pub port: u16,
    pub protocol: SecurityProtocol,
    /// What clients are told; empty where neither key names a host: the machine's own name.
    pub advertised_host: String,
    pub advertised_port: u16,
    /// Named in `controller.listener.names`.
    pub is_for_controllers: bool,
}

/// An entry of either key: name, host and port.
type Endpoint = (String, String, u16);

pub(super) fn read(values: Effective<'_>) -> Result<Vec<Listener>, ConfigError> {
    let protocols = protocols(values)?;
    let controllers = controller_names(values);
    let advertised = endpoints("advertised.listeners", &values.list("advertised.listeners"))?;
    let endpoints = endpoints("listeners", &values.list("listeners"))?;
    refuse_twice(&endpoints)?;
    check_names(values, &controllers, &protocols, &endpoints)?;
    if let Some((name, ..)) =
        advertised.iter().find(|(name, ..)| !endpoints.iter().any(|(other, ..)| other == name))
    {
        return Err(ConfigError(format!(
            "advertised.listeners names {name}, which listeners does not: give it an address there"
        )));
    }
    let mut listeners = Vec::new();
    for (name, host, port) in endpoints {
        let protocol = *protocols.get(&name).ok_or_else(|| {
            ConfigError(format!(
                "listener {name} has no security protocol: give it one in \
                 listener.security.protocol.map"
            ))
        })?;
        let told = advertised.iter().find(|(other, ..)| *other == name);
        let (told_host, told_port) = told.map_or((&host, port), |(_, host, port)| (host, *port));
        if told.is_some() && matches!(told_host.as_str(), "0.0.0.0" | "::") {
            return Err(ConfigError(format!(
                "advertised.listeners cannot use {told_host}, at which nobody can be reached: \
                 name a host that clients can"
            )));
        }
        listeners.push(Listener {
            advertised_host: told_host.clone(),
            advertised_port: told_port,
            is_for_controllers: controllers.contains(&name),
            name,
            host,
            port,
            protocol,
        });
    }
    Ok(listeners)
}

fn controller_names(values: Effective<'_>) -> Vec<String> {
    let names = values.list("controller.listener.names");
    names.iter().map(|name| name.to_ascii_uppercase()).collect()
}

/// Names of listeners that other keys use are those of listeners, and of protocols.
fn check_names(
    values: Effective<'_>,
    controllers: &[String],
    protocols: &BTreeMap<String, SecurityProtocol>,
    endpoints: &[Endpoint],
) -> Result<(), ConfigError> {
    const INTER_BROKER: &str = "inter.broker.listener.name";
    if let Some(name) = values.text(INTER_BROKER).map(|it| it.to_ascii_uppercase()) {
        if values.is_set("security.inter.broker.protocol") {
            return Err(ConfigError(format!(
                "{INTER_BROKER} and security.inter.broker.protocol are both given: keep the first"
            )));
        }
        if controllers.contains(&name) || !endpoints.iter().any(|(other, ..)| *other == name) {
            let known = endpoints.iter().map(|(name, ..)| name.as_str());
            let known: Vec<_> = known.filter(|it| !controllers.iter().any(|c| c == it)).collect();
            return Err(ConfigError(format!(
                "{INTER_BROKER} is {name}, which is no listener of brokers: use one of {}",
                known.join(", ")
            )));
        }
    }
    match controllers.iter().find(|name| !protocols.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(ConfigError(format!(
            "controller.listener.names has {name}, which has no security protocol: give it one in \
             listener.security.protocol.map"
        ))),
    }
}

/// The protocol of each name. Without a map of their own, listeners of controllers are PLAINTEXT.
fn protocols(values: Effective<'_>) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut protocols = BTreeMap::new();
    let text = values.text(KEY).unwrap_or_default();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let known = entry.split_once(':').and_then(|(name, protocol)| {
            let protocol = SecurityProtocol::from_name(protocol.trim())?;
            Some((name.trim().to_ascii_uppercase(), protocol))
        });
        let (name, protocol) = known.ok_or_else(|| {
            ConfigError(format!(
                "{KEY} has '{entry}': write NAME:PROTOCOL with PLAINTEXT, SSL, SASL_PLAINTEXT or \
                 SASL_SSL"
            ))
        })?;
        if protocols.insert(name.clone(), protocol).is_some() {
            return Err(ConfigError(format!("{KEY} names {name} twice: leave one of them")));
        }
    }
    if !values.is_set(KEY) {
        for name in controller_names(values) {
            protocols.entry(name).or_insert(SecurityProtocol::Plaintext);
        }
    }
    Ok(protocols)
}

fn endpoints(key: &str, texts: &[String]) -> Result<Vec<Endpoint>, ConfigError> {
    let parsed = texts.iter().map(|text| {
        endpoint(text).ok_or_else(|| {
            ConfigError(format!("{key} has '{text}', but NAME://host:port is expected"))
        })
    });
    parsed.collect()
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None => host,
    };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-%._:".contains(it);
    if name.is_empty() || !host.chars().all(is_plain) {
        return None;
    }
    Some((name.trim().to_ascii_uppercase(), host.to_owned(), port.parse().ok()?))
}

fn refuse_twice(endpoints: &[Endpoint]) -> Result<(), ConfigError> {
    for (index, (name, host, port)) in endpoints.iter().enumerate() {
        for (other, other_host, other_port) in endpoints.iter().take(index) {
            if other == name {
                return Err(ConfigError(format!(
                    "listeners names {name} twice: give each listener a name of its own"
                )));
            }
            if *port != 0 && (port, host) == (other_port, other_host) {
                return Err(ConfigError(format!(
                    "listeners {other} and {name} have the same port {port}: give each its own"
                )));
            }
        }
    }
    Ok(())
}
