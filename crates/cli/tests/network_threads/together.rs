//! What several threads must not change: the order of answers, and whose turn it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::header::decode_response_header;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::produce_request::ProduceRequest;
use strom_protocol::records::BatchOptions;
use strom_protocol::{ApiKey, ErrorCode, Reader};

use crate::node::{PATIENCE, Place};
use crate::wire::{PRODUCE_VERSION, Peer, batch, frame, produce_request};

const METADATA_VERSION: i16 = 12;

/// The same request with a number of its own.
fn numbered(mut frame: Vec<u8>, number: i32) -> Vec<u8> {
    // Behind the length, the API and its version.
    frame[8..12].copy_from_slice(&number.to_be_bytes());
    frame
}

fn number_of(answer: &[u8]) -> i32 {
    i32::from_be_bytes(*answer.first_chunk().expect("a header"))
}

#[test]
fn answers_come_in_the_order_of_the_requests_on_every_connection() {
    const REQUESTS: i32 = 2000;
    const TOGETHER: i32 = 100;
    let place = Place::new();
    let node = place.start();
    assert_eq!(Peer::connect(node.address()).create_topic("order", 4, &[]), ErrorCode::None);
    let address = node.address();
    let small = batch(BatchOptions::default(), &[b"small".to_vec()]);
    let large = batch(BatchOptions::default(), &[vec![b'l'; 60_000]]);
    let metadata = MetadataRequest { topics: Some(vec![]), ..Default::default() };
    let kinds = Arc::new([
        frame(PRODUCE_VERSION, &produce_request("order", 0, &small)),
        frame(METADATA_VERSION, &metadata),
        frame(PRODUCE_VERSION, &produce_request("order", 1, &large)),
        frame(0, &ApiVersionsRequest::default()),
    ]);
    let peers = (0..4).map(|_| {
        let kinds = Arc::clone(&kinds);
        std::thread::spawn(move || {
            let mut peer = Peer::connect(address);
            for first in (0..REQUESTS).step_by(TOGETHER as usize) {
                let numbers = first..first + TOGETHER;
                let burst = numbers.clone().flat_map(|number| {
                    let kind = &kinds[(number * 7 / 3) as usize % kinds.len()];
                    numbered(kind.clone(), number)
                });
                peer.send(&burst.collect::<Vec<_>>());
                for number in numbers {
                    assert_eq!(number_of(&peer.answer().expect("an answer")), number);
                }
            }
        })
    });
    peers.collect::<Vec<_>>().into_iter().for_each(|peer| peer.join().expect("in order"));
    node.stop();
}

#[test]
fn requests_without_answers_are_taken_however_many_they_are() {
    const REQUESTS: usize = 3000;
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic("silent", 1, &[]), ErrorCode::None);
    let one = batch(BatchOptions::default(), &[b"v".to_vec()]);
    let request = ProduceRequest { acks: 0, ..produce_request("silent", 0, &one) };
    peer.send(&frame(PRODUCE_VERSION, &request).repeat(REQUESTS));
    // The answer behind them all.
    assert_eq!(peer.produce("silent", 0, &one).map(|it| it.base_offset), Some(REQUESTS as i64));
    // What was sent before the connection ends is taken as well.
    let mut leaving = Peer::connect(node.address());
    leaving.send(&frame(PRODUCE_VERSION, &request).repeat(REQUESTS));
    drop(leaving);
    let deadline = Instant::now() + PATIENCE;
    while peer.fetch("silent", 0, 0).1 < 2 * REQUESTS as i64 + 1 {
        assert!(Instant::now() < deadline, "some were lost");
        std::thread::sleep(Duration::from_millis(10));
    }
    node.stop();
}

#[test]
fn who_asks_for_little_goes_between_those_who_send_much() {
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic("flood", 1, &[]), ErrorCode::None);
    let is_over = Arc::new(AtomicBool::new(false));
    let large = batch(BatchOptions::default(), &[vec![b'x'; 900_000]]);
    let request = Arc::new(frame(PRODUCE_VERSION, &produce_request("flood", 0, &large)));
    let address = node.address();
    let floods: Vec<_> = (0..8)
        .map(|_| {
            let (request, is_over) = (Arc::clone(&request), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut peer = Peer::connect(address);
                let mut sent = 0;
                while !is_over.load(Ordering::Relaxed) {
                    peer.send(&request);
                    sent += 1;
                    if sent > 2 {
                        assert!(peer.answer().is_some());
                    }
                }
                (0..sent.min(2)).for_each(|_| assert!(peer.answer().is_some()));
            })
        })
        .collect();
    let mut times = Vec::new();
    let mut few: Vec<_> = (0..4).map(|_| Peer::connect(address)).collect();
    for index in 0..400 {
        let begin = Instant::now();
        let peer = &mut few[index % 4];
        peer.send(&frame(0, &ApiVersionsRequest::default()));
        assert!(peer.answer().is_some());
        times.push(begin.elapsed());
    }
    is_over.store(true, Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().expect("served"));
    times.sort_unstable();
    println!("median {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    // Unfair would be the time of all that was sent before, on this machine too.
    assert!(times[times.len() / 2] < Duration::from_millis(100), "{:?}", times[times.len() / 2]);
    node.stop();
}

#[test]
fn a_node_stops_with_clients_connected_and_waiting() {
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic("stop", 1, &[]), ErrorCode::None);
    let mut idle: Vec<_> = (0..20).map(|_| Peer::connect(node.address())).collect();
    for peer in &mut idle {
        peer.send(&frame(0, &ApiVersionsRequest::default()));
        let answer = peer.answer().expect("an answer");
        decode_response_header(&mut Reader::new(&answer), ApiKey::ApiVersions, 0).expect("one");
    }
    let mut begun = Peer::connect(node.address());
    begun.send(&[0, 0, 1, 0, 7]);
    let said = node.said();
    assert!(said.contains("connections live on 2 network threads"), "{said}");
    node.stop();
    assert!(idle.iter_mut().all(Peer::is_refused) && begun.is_refused());
    place.start().stop();
}
