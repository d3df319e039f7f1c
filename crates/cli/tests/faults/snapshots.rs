//! The metadata log of a node that is killed while it writes snapshots and cuts its log.

use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::{ErrorCode, Message};

use crate::node::Place;
use crate::wire::Peer;

const LIVES: usize = 4;
const TOPICS_OF_A_LIFE: usize = 15;
const METADATA_VERSION: i16 = 12;

/// Name, id and partitions of every topic.
fn topics(peer: &mut Peer) -> Vec<(String, String, usize)> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let told = peer.call(METADATA_VERSION, &request, |reader, version| {
        let response = MetadataResponse::decode(reader, version).expect("decodes");
        let topics = response.topics.iter().map(|topic| {
            let name = topic.name.unwrap_or_default().to_owned();
            (name, topic.topic_id.to_string(), topic.partitions.len())
        });
        topics.collect()
    });
    told.expect("an answer")
}

fn names(place: &Place, end: &str) -> Vec<String> {
    let folder = place.data().join("__cluster_metadata-0");
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

#[test]
fn topics_outlive_snapshots_cut_logs_and_kills() {
    let mut place = Place::new();
    place.set("metadata.log.max.record.bytes.between.snapshots", "1500");
    place.set("internal.metadata.log.segment.bytes", "4096");
    place.set("metadata.max.retention.bytes", "20000");
    let mut known = Vec::new();
    for life in 0..LIVES {
        let node = place.start();
        let mut peer = Peer::connect(node.address());
        assert_eq!(topics(&mut peer), known, "life {life}");
        for number in 0..TOPICS_OF_A_LIFE {
            let name = format!("topic-{life}-{number:02}");
            assert_eq!(peer.create_topic(&name, 1, &[]), ErrorCode::None);
        }
        known = topics(&mut peer);
        assert_eq!(known.len(), (life + 1) * TOPICS_OF_A_LIFE);
        if life % 2 == 0 {
            drop(node);
        } else {
            node.stop();
        }
    }
    let node = place.start();
    assert_eq!(topics(&mut Peer::connect(node.address())), known);
    assert!(names(&place, ".checkpoint").len() > 1);
    let first = names(&place, ".log").remove(0);
    assert_ne!(first, "00000000000000000000.log", "what a snapshot stands for is deleted");
    node.stop();
}
