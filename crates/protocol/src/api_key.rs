//! The kinds of requests, and what the schemas say about each.

use std::ops::RangeInclusive;

include!(concat!(env!("OUT_DIR"), "/api_key.rs"));

/// What is known of one api key.
struct Facts {
    name: &'static str,
    lowest: i16,
    highest: i16,
    latest_stable: i16,
    flexible_from: Option<i16>,
    /// What Apache Kafka's listeners offer in ApiVersions, unless it is not served there.
    broker: Option<(i16, i16)>,
    controller: Option<(i16, i16)>,
}

impl ApiKey {
    /// The number in request headers.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name, such as `Produce`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions of the request (and of its response) that can be decoded.
    #[must_use]
    pub const fn request_versions(self) -> RangeInclusive<i16> {
        self.facts().lowest..=self.facts().highest
    }

    /// The highest version that is not still being worked on in Kafka.
    #[must_use]
    pub const fn latest_stable_version(self) -> i16 {
        self.facts().latest_stable
    }

    /// The versions that a broker of Apache Kafka offers to clients. Produce starts below what
    /// can be decoded, because old clients look for version 0 (KAFKA-18659).
    #[must_use]
    pub fn broker_versions(self) -> Option<RangeInclusive<i16>> {
        self.facts().broker.map(|(low, high)| low..=high)
    }

    /// The versions that a controller of Apache Kafka offers.
    #[must_use]
    pub fn controller_versions(self) -> Option<RangeInclusive<i16>> {
        self.facts().controller.map(|(low, high)| low..=high)
    }

    /// Whether it has compact lengths and tagged fields (KIP-482).
    const fn is_flexible(self, version: i16) -> bool {
        matches!(self.facts().flexible_from, Some(from) if version >= from)
    }

    /// The version of the header before this version of the request, known or not.
    #[must_use]
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header before the response to this version of the request. ApiVersions
    /// always has the first one, so that a client can read it that asked in a version unknown
    /// here (KIP-511).
    #[must_use]
    pub const fn response_header_version(self, version: i16) -> i16 {
        if matches!(self, Self::ApiVersions) || !self.is_flexible(version) { 0 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::ApiKey;

    #[test]
    fn every_code_leads_back_to_its_key() {
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(*key));
        }
    }

    #[test]
    fn removed_and_unknown_codes_are_no_keys() {
        for code in [-1, 4, 5, 6, 7, 999] {
            assert_eq!(ApiKey::from_code(code), None);
        }
    }

    #[test]
    fn the_answer_to_api_versions_always_has_the_first_header() {
        assert_eq!(ApiKey::ApiVersions.request_header_version(4), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
        assert_eq!(ApiKey::Produce.response_header_version(9), 1);
        assert_eq!(ApiKey::Produce.response_header_version(8), 0);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    }

    #[test]
    fn versions_are_those_of_the_schemas() {
        assert_eq!(ApiKey::Produce.request_versions(), 3..=13);
        assert_eq!(ApiKey::Produce.broker_versions(), Some(0..=13));
        assert_eq!(ApiKey::Vote.broker_versions(), None);
        assert_eq!(ApiKey::InitProducerId.latest_stable_version(), 5);
    }
}
