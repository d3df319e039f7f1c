//! Fetch without lists in memory, as [`crate::produce`] is for produce: what a request holds is handed
//! over piece by piece, and the answer is written from what was kept of the pieces.
//!
//! The same bytes as [`FetchRequest`] and [`FetchResponse`] read and write, as a test checks.
//!
//! [`FetchResponse`]: crate::fetch_response::FetchResponse

use crate::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState,
};
use crate::fetch_response::PartitionData;
use crate::wire::*;

const FIRST_VERSION_WITH_IDS: i16 = 13;
const FIRST_VERSION_WITH_SESSIONS: i16 = 7;
const FIRST_VERSION_WITH_RACK: i16 = 11;
const LAST_VERSION_WITH_REPLICA_ID: i16 = 14;

/// A topic as a request names it: by its name or by its id, the other one is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FetchedTopic<'a> {
    pub name: &'a str,
    pub id: Uuid,
}

/// One thing that a request names.
#[derive(Debug, PartialEq)]
pub enum FetchPiece<'a> {
    Wanted(FetchedTopic<'a>, FetchPartition<'a>),
    /// Only in versions with sessions.
    Forgotten(FetchedTopic<'a>, i32),
}

/// Reads a request up to its end and hands over what it names, in the order of the bytes. What is
/// returned is the request without its lists.
///
/// # Errors
/// As the decoder of [`FetchRequest`]; pieces may have been handed over by then.
pub fn read_fetch_request<'a>(
    reader: &mut Reader<'a>,
    version: i16,
    mut take: impl FnMut(FetchPiece<'a>),
) -> Result<FetchRequest<'a>, DecodeError> {
    reader.check_version(FetchRequest::VERSIONS, version)?;
    let flexible = FetchRequest::is_flexible(version);
    let mut request = FetchRequest::default();
    if version <= LAST_VERSION_WITH_REPLICA_ID {
        request.replica_id = reader.read_i32()?;
    }
    request.max_wait_ms = reader.read_i32()?;
    request.min_bytes = reader.read_i32()?;
    request.max_bytes = reader.read_i32()?;
    request.isolation_level = reader.read_i8()?;
    if version >= FIRST_VERSION_WITH_SESSIONS {
        request.session_id = reader.read_i32()?;
        request.session_epoch = reader.read_i32()?;
    }
    for _ in 0..reader.read_struct_count::<FetchTopic<'_>>(flexible)? {
        let topic = read_topic(reader, version)?;
        for _ in 0..reader.read_struct_count::<FetchPartition<'_>>(flexible)? {
            take(FetchPiece::Wanted(topic, FetchPartition::read(reader, version)?));
        }
        if flexible {
            reader.read_unknown_tagged_fields()?;
        }
    }
    if version >= FIRST_VERSION_WITH_SESSIONS {
        let forgotten = reader.read_structs::<ForgottenTopic<'_>>(flexible, version)?;
        for ForgottenTopic { topic, topic_id, partitions, .. } in reader.not_null(forgotten)? {
            let topic = FetchedTopic { name: topic, id: topic_id };
            partitions.into_iter().for_each(|it| take(FetchPiece::Forgotten(topic, it)));
        }
    }
    if version >= FIRST_VERSION_WITH_RACK {
        request.rack_id = reader.read_string(flexible)?;
    }
    if flexible {
        read_tagged_fields(reader, version, &mut request)?;
    }
    Ok(request)
}

fn read_topic<'a>(reader: &mut Reader<'a>, version: i16) -> Result<FetchedTopic<'a>, DecodeError> {
    let mut topic = FetchedTopic::default();
    if version >= FIRST_VERSION_WITH_IDS {
        topic.id = reader.read_uuid()?;
    } else {
        topic.name = reader.read_string(FetchRequest::is_flexible(version))?;
    }
    Ok(topic)
}

fn read_tagged_fields<'a>(
    reader: &mut Reader<'a>,
    version: i16,
    request: &mut FetchRequest<'a>,
) -> Result<(), DecodeError> {
    let mut tags = reader.begin_tagged_fields()?;
    while let Some(tag) = reader.next_tag(&mut tags)? {
        match tag {
            0 => request.cluster_id = reader.read_nullable_string(true)?,
            1 if version > LAST_VERSION_WITH_REPLICA_ID => {
                request.replica_state = ReplicaState::read(reader, version)?;
            }
            _ => reader.skip_tag(&mut tags)?,
        }
        reader.end_tag(&tags)?;
    }
    request.unknown_tagged_fields = tags.unknown();
    Ok(())
}

/// Writes the body of an answer without an error about `parts`; neighbours of one topic share an
/// entry.
///
/// # Errors
/// As the encoder of [`crate::fetch_response::FetchResponse`].
pub fn write_fetch_response<'a, 't, P>(
    writer: &mut Writer,
    (version, session_id): (i16, i32),
    parts: &'a [P],
    topic_of: impl Fn(&P) -> FetchedTopic<'t>,
    answer_to: impl Fn(&'a P) -> PartitionData<'a>,
) -> Result<(), EncodeError> {
    let flexible = FetchRequest::is_flexible(version);
    let throttle_time_ms = 0;
    writer.write_i32(throttle_time_ms);
    if version >= FIRST_VERSION_WITH_SESSIONS {
        let error_code = 0;
        writer.write_i16(error_code);
        writer.write_i32(session_id);
    }
    let topics = || parts.chunk_by(|left, right| topic_of(left) == topic_of(right));
    writer.write_length(topics().count(), flexible)?;
    for topic in topics() {
        let Some(named) = topic.first().map(&topic_of) else { continue };
        if version >= FIRST_VERSION_WITH_IDS {
            writer.write_uuid(named.id);
        } else {
            writer.write_string(named.name, flexible)?;
        }
        writer.write_length(topic.len(), flexible)?;
        for part in topic {
            answer_to(part).write(writer, version)?;
        }
        write_no_tagged_fields(writer, flexible);
    }
    write_no_tagged_fields(writer, flexible);
    Ok(())
}

fn write_no_tagged_fields(writer: &mut Writer, flexible: bool) {
    if flexible {
        writer.write_unknown_tagged_fields(&UnknownTaggedFields::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch_response::{FetchResponse, FetchableTopicResponse};

    fn topic_of(version: i16, number: u8) -> FetchedTopic<'static> {
        if version >= FIRST_VERSION_WITH_IDS {
            FetchedTopic { name: "", id: Uuid([number; 16]) }
        } else {
            FetchedTopic { name: ["", "orders", "payments"][usize::from(number)], id: Uuid::ZERO }
        }
    }

    fn partition(index: i32) -> FetchPartition<'static> {
        FetchPartition {
            partition: index,
            fetch_offset: 9,
            partition_max_bytes: 10,
            ..Default::default()
        }
    }

    fn request(version: i16) -> FetchRequest<'static> {
        let topics = [(1, vec![partition(0), partition(7)]), (2, vec![partition(1)])];
        let topics = topics.into_iter().map(|(topic, partitions)| {
            let FetchedTopic { name, id } = topic_of(version, topic);
            FetchTopic { topic: name, topic_id: id, partitions, ..Default::default() }
        });
        let mut request = FetchRequest {
            cluster_id: (version >= 12).then_some("cluster"),
            max_wait_ms: 500,
            min_bytes: 1,
            isolation_level: 1,
            topics: topics.collect(),
            rack_id: if version >= FIRST_VERSION_WITH_RACK { "a rack" } else { "" },
            ..Default::default()
        };
        if version > LAST_VERSION_WITH_REPLICA_ID {
            request.replica_state = ReplicaState { replica_id: 5, ..Default::default() };
        }
        if version >= FIRST_VERSION_WITH_SESSIONS {
            (request.session_id, request.session_epoch) = (77, 3);
            let FetchedTopic { name, id } = topic_of(version, 2);
            request.forgotten_topics_data.push(ForgottenTopic {
                topic: name,
                topic_id: id,
                partitions: vec![4, 5],
                ..Default::default()
            });
        }
        request
    }

    #[test]
    fn a_request_is_read_as_its_decoder_reads_it() {
        for version in FetchRequest::VERSIONS {
            let mut whole = request(version);
            let mut writer = Writer::new();
            whole.encode(&mut writer, version).expect("encodes");
            let mut pieces = Vec::new();
            let mut reader = Reader::new(&writer.bytes);
            let read = read_fetch_request(&mut reader, version, |piece| pieces.push(piece));
            assert_eq!(reader.finish(), Ok(()), "v{version}");
            let mut expected = Vec::new();
            for topic in std::mem::take(&mut whole.topics) {
                let named = FetchedTopic { name: topic.topic, id: topic.topic_id };
                let wanted = |it| FetchPiece::Wanted(named, it);
                expected.extend(topic.partitions.into_iter().map(wanted));
            }
            for topic in std::mem::take(&mut whole.forgotten_topics_data) {
                let named = FetchedTopic { name: topic.topic, id: topic.topic_id };
                let forgotten = |it| FetchPiece::Forgotten(named, it);
                expected.extend(topic.partitions.into_iter().map(forgotten));
            }
            assert_eq!((read, pieces), (Ok(whole), expected), "v{version}");
        }
    }

    #[test]
    fn a_request_that_is_cut_short_fails_as_in_its_decoder() {
        for version in FetchRequest::VERSIONS {
            let mut writer = Writer::new();
            request(version).encode(&mut writer, version).expect("encodes");
            for length in 0..writer.bytes.len() {
                let cut = &writer.bytes[..length];
                let read = read_fetch_request(&mut Reader::new(cut), version, drop);
                let decoded = FetchRequest::decode(&mut Reader::new(cut), version);
                assert_eq!(read.map(drop), decoded.map(drop), "v{version}, {length} bytes");
            }
        }
    }

    #[test]
    fn an_answer_is_written_as_its_encoder_writes_it() {
        let parts = [(1, 3, &b"records"[..]), (1, 4, b""), (2, 0, b"more")];
        fn answer<'a>((_, index, records): &(u8, i32, &'a [u8])) -> PartitionData<'a> {
            PartitionData {
                partition_index: *index,
                high_watermark: 10,
                records: Some(Records::Inline(records)),
                ..Default::default()
            }
        }
        for version in FetchResponse::VERSIONS {
            let topic = |number| topic_of(version, number);
            let session_id = if version >= FIRST_VERSION_WITH_SESSIONS { 6 } else { 0 };
            let mut written = Writer::new();
            let asked = (version, session_id);
            write_fetch_response(&mut written, asked, &parts, |it| topic(it.0), answer)
                .expect("writes");
            let topics = parts.chunk_by(|left, right| left.0 == right.0).map(|parts| {
                let FetchedTopic { name, id } = topic(parts[0].0);
                let partitions = parts.iter().map(answer).collect();
                let topic = name;
                FetchableTopicResponse { topic, topic_id: id, partitions, ..Default::default() }
            });
            let responses = topics.collect();
            let whole = FetchResponse { session_id, responses, ..Default::default() };
            let mut encoded = Writer::new();
            whole.encode(&mut encoded, version).expect("encodes");
            assert_eq!(written.bytes, encoded.bytes, "v{version}");
        }
    }
}
