//! Produce without lists in memory: what a request holds is handed over piece by piece, and the
//! answer is written from what was kept of the pieces. The one message whose every allocation counts.
//!
//! The same bytes as [`ProduceRequest`] and [`ProduceResponse`] read and write, as a test checks.
//!
//! [`ProduceRequest`]: crate::produce_request::ProduceRequest
//! [`ProduceResponse`]: crate::produce_response::ProduceResponse

use crate::produce_request::{PartitionProduceData, ProduceRequest};
use crate::produce_response::PartitionProduceResponse;
use crate::wire::*;

/// Since this version topics are named by their ids only.
const FIRST_VERSION_WITH_IDS: i16 = 13;

/// A topic as a request names it: by its name or by its id, the other one is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ProducedTopic<'a> {
    pub name: &'a str,
    pub id: Uuid,
}

/// What a request asks for beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceTerms<'a> {
    pub transactional_id: Option<&'a str>,
    pub acks: i16,
    pub timeout_ms: i32,
}

/// Reads a request up to its end and hands over each partition in the order of the bytes.
///
/// # Errors
/// As the decoder of [`ProduceRequest`]; pieces may have been handed over by then.
pub fn read_produce_request<'a>(
    reader: &mut Reader<'a>,
    version: i16,
    mut take: impl FnMut(&ProduceTerms<'a>, ProducedTopic<'a>, PartitionProduceData<'a>),
) -> Result<ProduceTerms<'a>, DecodeError> {
    reader.check_version(ProduceRequest::VERSIONS, version)?;
    let flexible = ProduceRequest::is_flexible(version);
    let terms = ProduceTerms {
        transactional_id: reader.read_nullable_string(flexible)?,
        acks: reader.read_i16()?,
        timeout_ms: reader.read_i32()?,
    };
    let topics = reader.read_struct_count::<crate::produce_request::TopicProduceData>(flexible)?;
    for _ in 0..topics {
        let mut topic = ProducedTopic::default();
        if version >= FIRST_VERSION_WITH_IDS {
            topic.id = reader.read_uuid()?;
        } else {
            topic.name = reader.read_string(flexible)?;
        }
        let partitions = reader.read_struct_count::<PartitionProduceData>(flexible)?;
        for _ in 0..partitions {
            take(&terms, topic, PartitionProduceData::read(reader, version)?);
        }
        pass_over_tagged_fields(reader, flexible)?;
    }
    pass_over_tagged_fields(reader, flexible)?;
    reader.finish()?;
    Ok(terms)
}

fn pass_over_tagged_fields(reader: &mut Reader<'_>, flexible: bool) -> Result<(), DecodeError> {
    if flexible {
        reader.read_unknown_tagged_fields()?;
    }
    Ok(())
}

/// Writes the body of an answer about `parts`; neighbours of one topic share an entry.
///
/// # Errors
/// As the encoder of [`crate::produce_response::ProduceResponse`].
pub fn write_produce_response<'a, P>(
    writer: &mut Writer,
    version: i16,
    parts: &'a [P],
    topic_of: impl Fn(&P) -> ProducedTopic<'_>,
    answer_to: impl Fn(&'a P) -> PartitionProduceResponse<'a>,
) -> Result<(), EncodeError> {
    let flexible = ProduceRequest::is_flexible(version);
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
    let throttle_time_ms = 0;
    writer.write_i32(throttle_time_ms);
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
    use crate::produce_request::TopicProduceData;
    use crate::produce_response::{ProduceResponse, TopicProduceResponse};

    const NAMES: [&str; 3] = ["orders", "payments", ""];

    /// Topic, partition, records.
    type Part = (usize, i32, Vec<u8>);

    fn parts() -> Vec<Part> {
        vec![(0, 3, vec![1, 2, 3]), (0, 4, vec![]), (1, 3, vec![9; 300]), (0, 0, vec![7])]
    }

    fn topic_of(version: i16, (topic, ..): &Part) -> ProducedTopic<'static> {
        if version >= FIRST_VERSION_WITH_IDS {
            ProducedTopic { name: "", id: Uuid([*topic as u8 + 1; 16]) }
        } else {
            ProducedTopic { name: NAMES[*topic], id: Uuid::ZERO }
        }
    }

    fn request_of(version: i16, parts: &[Part]) -> Vec<u8> {
        let topics = parts.chunk_by(|left, right| left.0 == right.0).map(|parts| {
            let ProducedTopic { name, id } = topic_of(version, &parts[0]);
            let partitions = parts.iter().map(|(_, index, records)| PartitionProduceData {
                index: *index,
                records: Some(Records::Inline(records)),
                ..Default::default()
            });
            let partition_data = partitions.collect();
            TopicProduceData { name, topic_id: id, partition_data, ..Default::default() }
        });
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30,
            topic_data: topics.collect(),
            ..Default::default()
        };
        let mut writer = Writer::new();
        request.encode(&mut writer, version).expect("encodes");
        writer.bytes
    }

    #[test]
    fn a_request_is_read_as_its_decoder_reads_it() {
        for version in ProduceRequest::VERSIONS {
            let parts = parts();
            let bytes = request_of(version, &parts);
            let mut read = Vec::new();
            let terms =
                read_produce_request(&mut Reader::new(&bytes), version, |_, topic, part| {
                    let Some(Records::Inline(records)) = part.records else { panic!("no records") };
                    read.push((topic, part.index, records.to_vec()));
                });
            let expected = ProduceTerms { transactional_id: None, acks: -1, timeout_ms: 30 };
            assert_eq!(terms, Ok(expected), "v{version}");
            let named = parts.iter().map(|it| (topic_of(version, it), it.1, it.2.clone()));
            assert!(read.into_iter().eq(named), "v{version}");
        }
    }

    #[test]
    fn a_request_that_is_cut_short_fails_as_in_its_decoder() {
        for version in ProduceRequest::VERSIONS {
            let bytes = request_of(version, &parts());
            for length in 0..bytes.len() {
                let cut = &bytes[..length];
                let read = read_produce_request(&mut Reader::new(cut), version, |_, _, _| {});
                let decoded = ProduceRequest::decode(&mut Reader::new(cut), version);
                assert_eq!(read.map(drop), decoded.map(drop), "v{version}, {length} bytes");
            }
        }
    }

    #[test]
    fn an_answer_is_written_as_its_encoder_writes_it() {
        fn answer((_, index, records): &Part) -> PartitionProduceResponse<'_> {
            PartitionProduceResponse {
                index: *index,
                base_offset: records.len() as i64,
                error_message: Some("none"),
                ..Default::default()
            }
        }
        for version in ProduceResponse::VERSIONS {
            let parts = parts();
            let mut written = Writer::new();
            let topic = |part: &Part| topic_of(version, part);
            write_produce_response(&mut written, version, &parts, |it| topic(it), answer)
                .expect("writes");
            let topics = parts.chunk_by(|left, right| left.0 == right.0).map(|parts| {
                let ProducedTopic { name, id } = topic(&parts[0]);
                let partition_responses = parts.iter().map(answer).collect();
                TopicProduceResponse {
                    name,
                    topic_id: id,
                    partition_responses,
                    ..Default::default()
                }
            });
            let whole = ProduceResponse { responses: topics.collect(), ..Default::default() };
            let mut encoded = Writer::new();
            whole.encode(&mut encoded, version).expect("encodes");
            assert_eq!(written.bytes, encoded.bytes, "v{version}");
        }
    }
}
