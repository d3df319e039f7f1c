//! The `quorum-state` file: one line of JSON in `__cluster_metadata-0`, kept over restarts so that no
//! node votes twice in an epoch (KIP-595; version 1 of the file: KIP-853).

use strom_base::Uuid;

pub const FILE_NAME: &str = "quorum-state";

/// What a voter has promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// -1: none is known.
    pub leader_id: i32,
    pub leader_epoch: i32,
    /// -1: nobody got this node's vote in the epoch.
    pub voted_id: i32,
    pub voted_directory_id: Uuid,
}

impl Default for QuorumState {
    fn default() -> Self {
        Self { leader_id: -1, leader_epoch: 0, voted_id: -1, voted_directory_id: Uuid::ZERO }
    }
}

impl QuorumState {
    /// Data version 0, as kraft.version 0 wants it: with the static voters, without directory ids.
    #[must_use]
    pub fn to_json(&self, voters: &[i32]) -> String {
        let voters: Vec<String> =
            voters.iter().map(|voter| format!("{{\"voterId\":{voter}}}")).collect();
        format!(
            "{{\"clusterId\":\"\",\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\
             \"appliedOffset\":0,\"currentVoters\":[{}],\"data_version\":0}}",
            self.leader_id,
            self.leader_epoch,
            self.voted_id,
            voters.join(",")
        )
    }

    /// Data version 1, as kraft.version 1 wants it.
    #[must_use]
    pub fn to_json_with_directory(&self) -> String {
        format!(
            "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"votedDirectoryId\":\"{}\",\
             \"data_version\":1}}",
            self.leader_id, self.leader_epoch, self.voted_id, self.voted_directory_id
        )
    }

    /// Reads either data version.
    ///
    /// # Errors
    /// What is missing: a voter that forgot its promises must not go on.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let number = |field: &str| number_of(text, field).ok_or(format!("{field} is missing"));
        let directory = text_of(text, "votedDirectoryId").map(str::parse);
        Ok(Self {
            leader_id: number("leaderId")?,
            leader_epoch: number("leaderEpoch")?,
            voted_id: number("votedId")?,
            voted_directory_id: match directory {
                Some(id) => id.map_err(|error| format!("votedDirectoryId: {error}"))?,
                None => Uuid::ZERO,
            },
        })
    }
}

/// The text behind `"field":`. The file is flat but for a list whose fields have other names.
fn value_of<'a>(json: &'a str, field: &str) -> Option<&'a str> {
    let (_, behind) = json.split_once(&format!("\"{field}\""))?;
    Some(behind.trim_start().strip_prefix(':')?.trim_start())
}

fn number_of(json: &str, field: &str) -> Option<i32> {
    let value = value_of(json, field)?;
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

fn text_of<'a>(json: &'a str, field: &str) -> Option<&'a str> {
    let value = value_of(json, field)?.strip_prefix('"')?;
    value.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\
                          \"appliedOffset\":0,\"currentVoters\":[{\"voterId\":1}],\
                          \"data_version\":0}";
    const DYNAMIC: &str = "{\"leaderId\":1,\"leaderEpoch\":2,\"votedId\":-1,\
                           \"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}";

    #[test]
    fn both_versions_of_the_file_are_kafkas() {
        let leader =
            |leader_epoch| QuorumState { leader_id: 1, leader_epoch, ..Default::default() };
        assert_eq!(leader(1).to_json(&[1]), STATIC);
        assert_eq!(leader(2).to_json_with_directory(), DYNAMIC);
        assert_eq!(QuorumState::from_json(STATIC), Ok(leader(1)));
        assert_eq!(QuorumState::from_json(DYNAMIC), Ok(leader(2)));
    }

    #[test]
    fn a_vote_survives_its_file_and_a_damaged_file_is_refused() {
        let voted = QuorumState {
            leader_epoch: 7,
            voted_id: 3,
            voted_directory_id: Uuid::ONE,
            ..Default::default()
        };
        assert_eq!(QuorumState::from_json(&voted.to_json_with_directory()), Ok(voted));
        for damaged in ["", "{}", "{\"leaderId\":1}", &DYNAMIC.replace(":2", ":x")] {
            assert!(QuorumState::from_json(damaged).is_err(), "{damaged}");
        }
    }
}
