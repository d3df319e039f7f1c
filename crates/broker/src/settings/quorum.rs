//! `controller.*` and `metadata.log.*`: the quorum of the metadata log.

use strom_raft::{SnapshotPolicy, VoterEndpoint};

use super::Values;
use super::listeners::parse;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumSettings {
    /// Ids of `controller.quorum.voters`, empty for a dynamic quorum.
    pub voters: Vec<i32>,
    /// Where others reach this node's controller.
    pub endpoints: Vec<VoterEndpoint>,
    pub snapshots: SnapshotPolicy,
}

pub(super) fn read(values: &Values<'_>) -> Result<QuorumSettings, String> {
    let voters = values.list("controller.quorum.voters");
    let voters = voters.iter().map(|text| {
        let id = text.split_once('@').and_then(|(id, _)| id.trim().parse().ok());
        id.ok_or_else(|| {
            format!("controller.quorum.voters has '{text}', but id@host:port is expected")
        })
    });
    let default = SnapshotPolicy::default();
    Ok(QuorumSettings {
        voters: voters.collect::<Result<_, _>>()?,
        endpoints: endpoints(values)?,
        snapshots: SnapshotPolicy {
            after_bytes: values
                .number("metadata.log.max.record.bytes.between.snapshots", default.after_bytes)?,
            after_ms: values.number("metadata.log.max.snapshot.interval.ms", default.after_ms)?,
            retention_bytes: values
                .number("metadata.max.retention.bytes", default.retention_bytes)?,
            retention_ms: values.number("metadata.max.retention.ms", default.retention_ms)?,
        },
    })
}

/// The controller's listeners, as advertised where they are.
fn endpoints(values: &Values<'_>) -> Result<Vec<VoterEndpoint>, String> {
    let advertised = values.list("advertised.listeners");
    let advertised: Vec<_> = advertised
        .iter()
        .map(|text| parse("advertised.listeners", text))
        .collect::<Result<_, _>>()?;
    let names = values.list("controller.listener.names");
    let mut endpoints = Vec::new();
    for text in values.list("listeners") {
        let (name, host, port) = parse("listeners", &text)?;
        if !names.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
            continue;
        }
        let told = advertised.iter().find(|(other, ..)| *other == name);
        let (host, port) = told.map_or((host, port), |(_, host, port)| (host.clone(), *port));
        let host = match host.as_str() {
            "" | "0.0.0.0" | "::" => "localhost".to_owned(),
            _ => host,
        };
        endpoints.push(VoterEndpoint { name, host, port });
    }
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read_from(pairs: &[(&str, &str)]) -> Result<QuorumSettings, String> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        read(&Values(&pairs.collect::<BTreeMap<_, _>>()))
    }

    #[test]
    fn voters_and_controller_listeners_are_read_as_kafka_writes_them() {
        let found = read_from(&[
            ("controller.quorum.voters", "1@a:9093, 2@b:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ]);
        let found = found.expect("they are well-formed");
        assert_eq!(found.voters, [1, 2]);
        let [endpoint] = found.endpoints.as_slice() else { panic!("{found:?}") };
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("localhost", 9093));
        assert!(read_from(&[("controller.quorum.voters", "here")]).is_err());
    }
}
