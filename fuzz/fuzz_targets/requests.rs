//! Whole requests with their headers, through every way there is to read one: the header, the choice by
//! api key, and the readers of produce and fetch that hand over their pieces without lists.
//!
//! What must hold: all of them are total and hold no more than the reader's budget; a request that was
//! encoded is read as it was; the readers in pieces say the same as the generated ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strom_fuzz::allocations::peak_of;
use strom_fuzz::choices::Choices;
use strom_fuzz::damage::damage;
use strom_fuzz::messages::choose;
use strom_protocol::fetch::{FetchPiece, FetchedTopic, read_fetch_request};
use strom_protocol::fetch_request::FetchRequest;
use strom_protocol::header::{RequestHeader, decode_request_header, encode_request_header};
use strom_protocol::produce::{ProducedTopic, read_produce_request};
use strom_protocol::produce_request::ProduceRequest;
use strom_protocol::{ApiKey, DecodeError, Message, Reader, Request, Writer};

const REQUESTS: usize = 0;

fn allowed(length: usize) -> usize {
    24 * length + 4096
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    if choices.byte() == 0 {
        return check(choices.rest());
    }
    let (kind, version) = choose(REQUESTS, &mut choices);
    let code = kind.api_key().expect("a request has one");
    let Some(api_key) = ApiKey::from_code(code) else { return };
    let client_id = (choices.byte() & 1 == 0).then_some("client");
    let header = RequestHeader {
        request_api_key: code,
        request_api_version: version,
        correlation_id: choices.number(4) as i32,
        client_id,
        ..Default::default()
    };
    let mut writer = Writer::new();
    encode_request_header(&mut writer, api_key, &header).expect("a header");
    let mut frame = writer.bytes;
    frame.extend_from_slice(&kind.sample(version, &mut choices));
    let mut reader = Reader::new(&frame);
    assert_eq!(decode_request_header(&mut reader), Ok((api_key, header)));
    assert!(Request::decode(api_key, version, &mut reader).is_ok(), "{}", kind.name());
    damage(&mut frame, &mut choices);
    check(&frame);
});

fn check(frame: &[u8]) {
    let (_, peak) = peak_of(|| {
        for mut reader in [Reader::new(frame), Reader::for_request(frame)] {
            if let Ok((api_key, header)) = decode_request_header(&mut reader) {
                let _ = Request::decode(api_key, header.request_api_version, &mut reader);
            }
        }
    });
    assert!(peak <= allowed(frame.len()), "{peak} for {} bytes", frame.len());
    let mut reader = Reader::new(frame);
    let Ok((api_key, header)) = decode_request_header(&mut reader) else { return };
    match api_key {
        ApiKey::Produce => check_produce(reader, header.request_api_version),
        ApiKey::Fetch => check_fetch(reader, header.request_api_version),
        _ => {}
    }
}

fn check_produce(reader: Reader<'_>, version: i16) {
    let whole = whole::<ProduceRequest<'_>>(reader.clone(), version);
    let (mut pieces, mut reader) = (Vec::new(), reader);
    let read = read_produce_request(&mut reader, version, |_, topic, part| {
        pieces.push((topic, part));
    });
    assert_eq!(read.is_ok(), whole.is_ok(), "version {version}: {read:?}, {whole:?}");
    let (Ok(terms), Ok(whole)) = (read, whole) else { return };
    assert_eq!(
        (terms.transactional_id, terms.acks, terms.timeout_ms),
        (whole.transactional_id, whole.acks, whole.timeout_ms)
    );
    let listed = whole.topic_data.into_iter().flat_map(|topic| {
        let named = ProducedTopic { name: topic.name, id: topic.topic_id };
        topic.partition_data.into_iter().map(move |part| (named, part))
    });
    assert!(listed.eq(pieces));
}

fn check_fetch(reader: Reader<'_>, version: i16) {
    let whole = whole::<FetchRequest<'_>>(reader.clone(), version);
    let (mut pieces, mut reader) = (Vec::new(), reader);
    let read = read_fetch_request(&mut reader, version, |piece| pieces.push(piece));
    let read = read.and_then(|request| reader.finish().map(|()| request));
    assert_eq!(read.is_ok(), whole.is_ok(), "version {version}: {read:?}, {whole:?}");
    let (Ok(read), Ok(mut whole)) = (read, whole) else { return };
    let wanted = std::mem::take(&mut whole.topics).into_iter().flat_map(|topic| {
        let named = FetchedTopic { name: topic.topic, id: topic.topic_id };
        topic.partitions.into_iter().map(move |part| FetchPiece::Wanted(named, part))
    });
    let forgotten = std::mem::take(&mut whole.forgotten_topics_data).into_iter();
    let forgotten = forgotten.flat_map(|topic| {
        let named = FetchedTopic { name: topic.topic, id: topic.topic_id };
        topic.partitions.into_iter().map(move |part| FetchPiece::Forgotten(named, part))
    });
    assert!(wanted.chain(forgotten).eq(pieces));
    assert_eq!(read, whole);
}

fn whole<'a, M: Message<'a>>(mut reader: Reader<'a>, version: i16) -> Result<M, DecodeError> {
    let message = M::decode(&mut reader, version)?;
    reader.finish().map(|()| message)
}
