//! Which version of each request a node and this client share (KIP-35, KIP-511).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use strom_protocol::api_versions_response::ApiVersionsResponse;
use strom_protocol::{ApiKey, ErrorCode};

/// The versions that this client writes and reads, where they are fewer than the schema's:
/// it names topics in these requests, and later versions carry topic ids only (KIP-516).
const LIMITS: &[(ApiKey, i16)] = &[
    (ApiKey::Produce, 12),
    (ApiKey::Fetch, 12),
    (ApiKey::OffsetCommit, 9),
    (ApiKey::OffsetFetch, 9),
    // Version 6 is unstable: two-phase commit (KIP-939).
    (ApiKey::InitProducerId, 5),
];

/// What a node announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    ranges: BTreeMap<i16, RangeInclusive<i16>>,
}

/// What to do with an answer to ApiVersions.
#[derive(Debug, PartialEq, Eq)]
pub enum Announcement {
    Known(Versions),
    /// The node does not know the version that was asked: ask again in this one.
    AskAgain(i16),
    Refused(ErrorCode),
}

impl Versions {
    /// A node that does not know the asked version answers in version 0 with
    /// UNSUPPORTED_VERSION, and may list the range it does know.
    #[must_use]
    pub fn announced(response: &ApiVersionsResponse<'_>) -> Announcement {
        let ranges: BTreeMap<_, _> = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version..=api.max_version))
            .collect();
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Announcement::Known(Versions { ranges }),
            ErrorCode::UnsupportedVersion => {
                let known = ranges.get(&ApiKey::ApiVersions.code());
                Announcement::AskAgain(known.map_or(0, |range| *range.end()))
            }
            code => Announcement::Refused(code),
        }
    }

    /// The highest version that both sides speak, given the schema's range.
    #[must_use]
    pub fn choose(&self, api_key: i16, schema: RangeInclusive<i16>) -> Option<i16> {
        let theirs = self.ranges.get(&api_key)?;
        let limit = LIMITS.iter().find(|(key, _)| key.code() == api_key).map(|(_, limit)| *limit);
        let highest = limit.unwrap_or(i16::MAX).min(*schema.end()).min(*theirs.end());
        let lowest = *schema.start().max(theirs.start());
        (lowest <= highest).then_some(highest)
    }

    /// The announced ranges by API key, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = (i16, &RangeInclusive<i16>)> {
        self.ranges.iter().map(|(key, range)| (*key, range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strom_protocol::api_versions_response::ApiVersion;

    fn answer(error_code: i16, ranges: &[(i16, i16, i16)]) -> ApiVersionsResponse<'static> {
        let api_keys = ranges
            .iter()
            .map(|&(api_key, min_version, max_version)| ApiVersion {
                api_key,
                min_version,
                max_version,
                ..Default::default()
            })
            .collect();
        ApiVersionsResponse { error_code, api_keys, ..Default::default() }
    }

    #[test]
    fn the_highest_shared_version_is_chosen() {
        let Announcement::Known(versions) =
            Versions::announced(&answer(0, &[(3, 2, 9), (1, 4, 18)]))
        else {
            panic!("an answer without error is known");
        };
        assert_eq!(versions.choose(3, 0..=13), Some(9));
        assert_eq!(versions.choose(3, 10..=13), None);
        assert_eq!(versions.choose(1, 4..=18), Some(12), "fetch by topic name ends at 12");
        assert_eq!(versions.choose(99, 0..=1), None);
    }

    #[test]
    fn an_old_node_is_asked_again_in_a_version_it_knows() {
        assert_eq!(Versions::announced(&answer(35, &[])), Announcement::AskAgain(0));
        assert_eq!(Versions::announced(&answer(35, &[(18, 0, 2)])), Announcement::AskAgain(2));
    }
}
