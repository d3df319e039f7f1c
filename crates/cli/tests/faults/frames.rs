//! Frames that no client sends: Kafka's error code or a closed connection, and nobody else notices.

use strom_base::Random;
use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::api_versions_response::ApiVersionsResponse;
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::records::BatchOptions;
use strom_protocol::{ErrorCode, Message};

use crate::healthy::Healthy;
use crate::node::Place;
use crate::wire::{PRODUCE_VERSION, Peer, batch, frame, framed, produce_request};

#[test]
fn a_request_above_the_limit_is_refused_by_its_length_alone() {
    let mut place = Place::new();
    place.set("socket.request.max.bytes", "1048576");
    let node = place.start();
    let healthy = Healthy::start(node.address());
    for length in [1_048_577, i32::MAX, -1, i32::MIN] {
        let mut peer = Peer::connect(node.address());
        peer.send(&length.to_be_bytes());
        assert!(peer.is_refused(), "{length}");
    }
    healthy.finish();
    node.stop();
}

#[test]
fn a_request_that_is_no_request_ends_its_connection() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let valid = frame(12, &MetadataRequest { topics: Some(vec![]), ..Default::default() });
    let cut = framed(&valid[4..valid.len() - 1]);
    let mut unknown_api = valid.clone();
    unknown_api[4..6].copy_from_slice(&999_i16.to_be_bytes());
    let mut unknown_version = valid.clone();
    unknown_version[6..8].copy_from_slice(&99_i16.to_be_bytes());
    let mut negative_version = valid.clone();
    negative_version[6..8].copy_from_slice(&(-1_i16).to_be_bytes());
    let cases = [
        ("nothing", framed(&[])),
        ("half a header", framed(&valid[4..9])),
        ("a body cut short", cut),
        ("an unknown API", unknown_api),
        ("an unknown version", unknown_version),
        ("a negative version", negative_version),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ];
    for (what, bytes) in cases {
        let mut peer = Peer::connect(node.address());
        peer.send(&bytes);
        assert!(peer.is_refused(), "{what}");
    }
    healthy.finish();
    node.stop();
}

#[test]
fn an_unfinished_request_is_forgotten_with_its_connection() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let valid = frame(PRODUCE_VERSION, &produce_request("healthy", 0, &[0; 3000]));
    for length in [1, 3, 4, 5, 13, 1000, valid.len() - 1] {
        let mut peer = Peer::connect(node.address());
        peer.send(&valid[..length]);
        peer.finish();
        assert!(peer.is_refused(), "{length} bytes");
    }
    healthy.finish();
    node.stop();
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    let mut request = frame(4, &ApiVersionsRequest::default());
    request[6..8].copy_from_slice(&99_i16.to_be_bytes());
    peer.send(&request);
    let answer = peer.answer().expect("an answer");
    let mut reader = strom_protocol::Reader::new(&answer[4..]);
    let response = ApiVersionsResponse::decode(&mut reader, 0).expect("version 0");
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::UnsupportedVersion);
    assert!(response.api_keys.iter().any(|it| it.api_key == 18));
    // The connection goes on.
    peer.send(&frame(4, &ApiVersionsRequest::default()));
    assert!(peer.answer().is_some());
    node.stop();
}

#[test]
fn counts_that_the_bytes_do_not_hold_are_refused() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let before = node.resident_bytes();
    // The header of version 1 ends behind the client id; the count of topics follows.
    let valid = frame(1, &MetadataRequest { topics: Some(vec![]), ..Default::default() });
    for count in [i32::MAX, 1, 1_000_000, -2, i32::MIN] {
        let mut request = valid.clone();
        let at = request.len() - 4;
        request[at..].copy_from_slice(&count.to_be_bytes());
        let mut peer = Peer::connect(node.address());
        peer.send(&request);
        assert!(peer.is_refused(), "{count} topics");
    }
    assert!(node.resident_bytes() < before + (8 << 20));
    healthy.finish();
    node.stop();
}

#[test]
fn mutated_requests_of_every_api_hurt_nobody() {
    let mut place = Place::new();
    place.set("socket.request.max.bytes", "1048576");
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let before = node.resident_bytes();
    let mut random = Random::new(4);
    let mut peer = Peer::connect(node.address());
    peer.send(&frame(0, &ApiVersionsRequest::default()));
    let answer = peer.answer().expect("an answer");
    let mut reader = strom_protocol::Reader::new(&answer[4..]);
    let served = ApiVersionsResponse::decode(&mut reader, 0).expect("an answer").api_keys;
    assert!(served.len() > 20);
    for api in &served {
        for version in api.min_version..=api.max_version {
            for _ in 0..4 {
                let mut peer = Peer::connect(node.address());
                peer.send(&framed(&garbage(api.api_key, version, &mut random)));
                peer.finish();
                // Whatever it is, it ends.
                while peer.answer().is_some() {}
            }
        }
    }
    healthy.assert_served();
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    healthy.finish();
    node.stop();
}

/// A request whose header is right and whose body is noise with many zeros, as real ones have.
fn garbage(api_key: i16, version: i16, random: &mut Random) -> Vec<u8> {
    let mut bytes = api_key.to_be_bytes().to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 1, b'x', 0]);
    for _ in 0..random.below(200) {
        let byte = random.next_u64();
        bytes.push(if byte & 0x300 == 0 { byte as u8 } else { (byte & 3) as u8 });
    }
    bytes
}

#[test]
fn illegal_topic_names_get_kafkas_error() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a/b", "../../etc", "a b", "a\0b", "ä", &long] {
        let mut peer = Peer::connect(node.address());
        let code = peer.create_topic(name, 1, &[]);
        assert_eq!(code, ErrorCode::InvalidTopicException, "{name}");
        let topic = MetadataRequestTopic { name: Some(name), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: true,
            ..Default::default()
        };
        let code = peer.call(12, &request, |reader, version| {
            let response = MetadataResponse::decode(reader, version).expect("an answer");
            ErrorCode::from_code(response.topics[0].error_code)
        });
        assert_eq!(code, Some(ErrorCode::InvalidTopicException), "{name}");
        if name.is_empty() {
            continue;
        }
        let value = batch(BatchOptions::default(), &[b"v".to_vec()]);
        let produced = peer.produce(name, 0, &value).expect("an answer");
        assert_eq!(produced.error, ErrorCode::UnknownTopicOrPartition, "{name}");
    }
    healthy.finish();
    node.stop();
}
