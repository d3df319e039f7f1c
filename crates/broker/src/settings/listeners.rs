//! `listeners`, `advertised.listeners` and their names and protocols.

use super::Values;

/// A listener for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    /// Empty: every address.
    pub host: String,
    /// 0: any free one.
    pub port: u16,
    /// What clients are told; the port is the bound one where this is 0.
    pub advertised_host: String,
    pub advertised_port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
    pub security_protocol: i16,
}

const DEFAULT_LISTENERS: &str = "PLAINTEXT://127.0.0.1:9092";
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

pub(super) fn read(values: &Values<'_>) -> Result<Vec<Listener>, String> {
    let mut texts = values.list("listeners");
    if texts.is_empty() {
        texts.push(DEFAULT_LISTENERS.to_owned());
    }
    let advertised = values
        .list("advertised.listeners")
        .iter()
        .map(|text| parse("advertised.listeners", text))
        .collect::<Result<Vec<_>, _>>()?;
    let controllers = values.list("controller.listener.names");
    let protocols = values.list("listener.security.protocol.map");
    let mut listeners = Vec::new();
    for text in &texts {
        let (name, host, port) = parse("listeners", text)?;
        if controllers.contains(&name) {
            continue;
        }
        let told = advertised.iter().find(|(other, ..)| *other == name);
        let (told_host, told_port) =
            told.map_or((host.clone(), port), |(_, host, port)| (host.clone(), *port));
        let advertised_host = match told_host.as_str() {
            "" | "0.0.0.0" | "::" => "localhost".to_owned(),
            host => host.to_owned(),
        };
        let security_protocol = protocol_of(&name, &protocols)?;
        if security_protocol != 0 {
            return Err(format!(
                "listener {name} asks for {}, which this version does not serve yet: use PLAINTEXT",
                PROTOCOLS.get(security_protocol as usize).unwrap_or(&"an unknown protocol")
            ));
        }
        listeners.push(Listener {
            name,
            host,
            port,
            advertised_host,
            advertised_port: told_port,
            security_protocol,
        });
    }
    if listeners.is_empty() {
        return Err("listeners names no listener for clients: add PLAINTEXT://host:port".into());
    }
    Ok(listeners)
}

/// `NAME://host:port`
pub(super) fn parse(key: &str, text: &str) -> Result<(String, String, u16), String> {
    let wrong = || format!("{key} has '{text}', but NAME://host:port is expected");
    let (name, address) = text.split_once("://").ok_or_else(wrong)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((name.to_ascii_uppercase(), host.to_owned(), port))
}

fn protocol_of(name: &str, map: &[String]) -> Result<i16, String> {
    let mapped = map
        .iter()
        .filter_map(|entry| entry.split_once(':'))
        .find(|(listener, _)| listener.trim().eq_ignore_ascii_case(name))
        .map_or(name, |(_, protocol)| protocol.trim());
    PROTOCOLS
        .iter()
        .position(|protocol| protocol.eq_ignore_ascii_case(mapped))
        .map(|position| position as i16)
        .ok_or_else(|| {
            format!(
                "listener {name} has no security protocol: name it in \
                 listener.security.protocol.map"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read_from(pairs: &[(&str, &str)]) -> Result<Vec<Listener>, String> {
        let map: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        read(&Values(&map))
    }

    #[test]
    fn controller_listeners_are_not_for_clients() {
        let listeners = read_from(&[
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("controller.listener.names", "CONTROLLER"),
        ]);
        let names: Vec<String> = listeners.into_iter().flatten().map(|it| it.name).collect();
        assert_eq!(names, ["PLAINTEXT"]);
    }

    #[test]
    fn what_is_no_address_is_said_in_one_sentence() {
        assert!(read_from(&[("listeners", "PLAINTEXT:9092")]).is_err());
        assert!(read_from(&[("listeners", "OTHER://:9092")]).is_err());
    }
}
