//! Who votes: the set that a KRAFT_VOTERS record carries (KIP-853), or ids from the configuration.

use strom_base::Uuid;
use strom_protocol::voters_record::{
    Endpoint as WireEndpoint, KRaftVersionFeature, Voter as WireVoter, VotersRecord,
};
use strom_protocol::{DecodeError, EncodeError, Message};

/// Where a voter is reached on one of its controller listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name.
    pub name: String,
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub id: i32,
    /// Of its metadata directory: the same id with another one is a different replica. Zero where
    /// it is not known.
    pub directory_id: Uuid,
    pub endpoints: Vec<VoterEndpoint>,
    /// Lowest and highest kraft.version it can run with.
    pub kraft_versions: (i16, i16),
}

impl Voter {
    /// A voter that is known by its id alone, as `controller.quorum.voters` names it.
    #[must_use]
    pub fn by_id(id: i32) -> Self {
        Self { id, directory_id: Uuid::ZERO, endpoints: Vec::new(), kraft_versions: (0, 1) }
    }

    /// Whether both name the same replica.
    #[must_use]
    pub fn is_replica(&self, id: i32, directory_id: Uuid) -> bool {
        self.id == id && (self.directory_id.is_zero() || self.directory_id == directory_id)
    }
}

/// In the order of the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterSet(pub Vec<Voter>);

impl VoterSet {
    /// # Errors
    /// When the value of the control record is malformed.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let record = VotersRecord::from_bytes(value, 0)?;
        let voters = record.voters.iter().map(|voter| Voter {
            id: voter.voter_id,
            directory_id: voter.voter_directory_id,
            endpoints: voter
                .endpoints
                .iter()
                .map(|endpoint| VoterEndpoint {
                    name: endpoint.name.to_owned(),
                    host: endpoint.host.to_owned(),
                    port: endpoint.port,
                })
                .collect(),
            kraft_versions: (
                voter.kraft_version_feature.min_supported_version,
                voter.kraft_version_feature.max_supported_version,
            ),
        });
        Ok(Self(voters.collect()))
    }

    /// The value of a control record.
    ///
    /// # Errors
    /// When a name is too long for its format.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let voters = self.0.iter().map(|voter| WireVoter {
            voter_id: voter.id,
            voter_directory_id: voter.directory_id,
            endpoints: voter
                .endpoints
                .iter()
                .map(|endpoint| WireEndpoint {
                    name: &endpoint.name,
                    host: &endpoint.host,
                    port: endpoint.port,
                    ..Default::default()
                })
                .collect(),
            kraft_version_feature: KRaftVersionFeature {
                min_supported_version: voter.kraft_versions.0,
                max_supported_version: voter.kraft_versions.1,
                ..Default::default()
            },
            ..Default::default()
        });
        VotersRecord { voters: voters.collect(), ..Default::default() }.to_bytes(0)
    }

    #[must_use]
    pub fn find(&self, id: i32) -> Option<&Voter> {
        self.0.iter().find(|voter| voter.id == id)
    }

    #[must_use]
    pub fn ids(&self) -> Vec<i32> {
        self.0.iter().map(|voter| voter.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_kafkas_bytes() {
        let endpoint = VoterEndpoint { name: "CONTROLLER".into(), host: "c1".into(), port: 9093 };
        let voters = VoterSet(vec![Voter { endpoints: vec![endpoint], ..Voter::by_id(1) }]);
        let mut expected = vec![0, 0, 2, 0, 0, 0, 1];
        expected.extend([0; 16]);
        expected.extend(b"\x02\x0bCONTROLLER\x03c1\x23\x85\x00\x00\x00\x00\x01\x00\x00\x00");
        let encoded = voters.encode();
        assert_eq!(encoded.as_deref(), Ok(expected.as_slice()));
        assert_eq!(VoterSet::decode(&expected), Ok(voters));
    }
}
