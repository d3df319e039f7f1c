//! Requests into frames and frames into answers, as any client does it.

use bytes::{Bytes, BytesMut};
use strom_base::Random;
use strom_protocol::compression::Codecs;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::header::{RequestHeader, decode_response_header, encode_request_header};
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::records::{batches, body_of, verify_crc};
use strom_protocol::{ApiKey, Message, Reader, Records, Writer};

use crate::world::places::{Mark, Place, identity};

/// Most requests fit: their buffer does not grow.
const SMALL_REQUEST_BYTES: usize = 200;
/// No batch of a world unfolds to more.
const BODY_BYTES_MAX: usize = 1 << 20;

/// One API in the version that the clients here speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    api: ApiKey,
    version: i16,
}

/// The last versions that name topics by their names.
pub(super) const PRODUCE: Dialect = Dialect { api: ApiKey::Produce, version: 12 };
pub(super) const FETCH: Dialect = Dialect { api: ApiKey::Fetch, version: 12 };
const METADATA: Dialect = Dialect { api: ApiKey::Metadata, version: 9 };
pub(super) const LIST_OFFSETS: Dialect = Dialect { api: ApiKey::ListOffsets, version: 7 };
pub(super) const CREATE_TOPICS: Dialect = Dialect { api: ApiKey::CreateTopics, version: 7 };
pub(super) const DELETE_TOPICS: Dialect = Dialect { api: ApiKey::DeleteTopics, version: 5 };
pub(super) const DELETE_RECORDS: Dialect = Dialect { api: ApiKey::DeleteRecords, version: 2 };
pub(super) const INIT_PRODUCER_ID: Dialect = Dialect { api: ApiKey::InitProducerId, version: 4 };
pub(super) const FIND_COORDINATOR: Dialect = Dialect { api: ApiKey::FindCoordinator, version: 3 };
pub(super) const JOIN_GROUP: Dialect = Dialect { api: ApiKey::JoinGroup, version: 5 };
pub(super) const SYNC_GROUP: Dialect = Dialect { api: ApiKey::SyncGroup, version: 3 };
pub(super) const HEARTBEAT: Dialect = Dialect { api: ApiKey::Heartbeat, version: 3 };
pub(super) const LEAVE_GROUP: Dialect = Dialect { api: ApiKey::LeaveGroup, version: 2 };
pub(super) const OFFSET_FETCH: Dialect = Dialect { api: ApiKey::OffsetFetch, version: 5 };
pub(super) const OFFSET_COMMIT: Dialect = Dialect { api: ApiKey::OffsetCommit, version: 7 };

impl Dialect {
    /// A frame without its length.
    pub(super) fn request<'m>(
        self,
        correlation_id: i32,
        message: &impl Message<'m>,
    ) -> Result<BytesMut, String> {
        let mut writer = Writer::appending_to(Vec::with_capacity(SMALL_REQUEST_BYTES));
        let header = RequestHeader {
            request_api_key: self.api.code(),
            request_api_version: self.version,
            correlation_id,
            client_id: Some("simulated"),
            ..Default::default()
        };
        encode_request_header(&mut writer, self.api, &header)
            .and_then(|()| message.encode(&mut writer, self.version))
            .map_err(|error| error.to_string())?;
        Ok(BytesMut::from(Bytes::from(writer.bytes)))
    }

    /// The answer's message, from the bytes behind the length.
    pub(super) fn answer<'a, M: Message<'a>>(self, bytes: &'a [u8]) -> Result<M, String> {
        let mut reader = Reader::new(bytes);
        decode_response_header(&mut reader, self.api, self.version)
            .map_err(|error| error.to_string())?;
        let message = M::decode(&mut reader, self.version).map_err(|error| error.to_string())?;
        reader.finish().map_err(|error| error.to_string())?;
        Ok(message)
    }
}

/// A frame in words: which API, which question of its connection, how long.
pub(in crate::world) fn describe(frame: &[u8]) -> String {
    let number = |at: usize, length: usize| -> i32 {
        let bytes = frame.get(at..at + length).unwrap_or_default();
        bytes.iter().fold(0, |number, byte| number << 8 | i32::from(*byte))
    };
    let (code, version) = (number(0, 2) as i16, number(2, 2));
    let api = ApiKey::from_code(code).map_or(format!("api {code}"), |api| format!("{api:?}"));
    format!("{api} v{version} #{}, {} bytes", number(4, 4), frame.len())
}

/// Calls back with each record of a fetched slice: its offset and its mark. Whether all of it could be
/// read: where the disk may be read wrong, a batch may not fit its checksum, and is asked for again.
pub(super) fn each_record(
    place: Place,
    (bytes, may_be_wrong): (&[u8], bool),
    mut on_record: impl FnMut((i64, i64), Mark) -> Result<(), String>,
) -> Result<bool, String> {
    for batch in batches(bytes) {
        // The last batch may be cut where the slice ends.
        let Ok(batch) = batch else { break };
        if !verify_crc(batch.bytes) {
            let reason = format!("{place:?}: a checksum is wrong");
            return if may_be_wrong { Ok(false) } else { Err(reason) };
        }
        let body = body_of(&batch.header, batch.bytes, &mut Codecs::new(), BODY_BYTES_MAX)
            .map_err(|error| format!("{place:?}: {error}"))?;
        for record in batch.header.records(&body) {
            let record = record.map_err(|error| format!("{place:?}: {error}"))?;
            let offset = batch.header.offset_of(&record);
            let mark = record.key.and_then(Mark::read);
            let mark = mark.ok_or_else(|| format!("{place:?} offset {offset}: no key of ours"))?;
            if !record.value.is_some_and(|value| value.starts_with(&identity(place, mark))) {
                return Err(format!("{place:?} offset {offset}: {mark:?} does not belong there"));
            }
            on_record((offset, batch.header.timestamp_of(&record)), mark)?;
        }
    }
    Ok(true)
}

/// A request that changes nothing, about so many topics.
pub(in crate::world) fn harmless(names: u64, random: &mut Random) -> Result<BytesMut, String> {
    let number = random.below(1 << 30) as i32;
    if random.one_in(4) {
        // It waits for records that do not come.
        let partitions = vec![FetchPartition { partition: 0, ..Default::default() }];
        let topic = FetchTopic { topic: "orders", partitions, ..Default::default() };
        let request = FetchRequest {
            max_wait_ms: random.below(1000) as i32,
            min_bytes: 1 << 20,
            max_bytes: 2 << 20,
            session_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        return FETCH.request(number, &request);
    }
    if names > 500 && random.one_in(2) {
        // There is no such topic.
        let records = vec![0; 40 * names as usize];
        let data =
            PartitionProduceData { records: Some(Records::Inline(&records)), ..Default::default() };
        let topic =
            TopicProduceData { name: "nowhere", partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest { acks: 1, topic_data: vec![topic], ..Default::default() };
        return PRODUCE.request(number, &request);
    }
    let topic = || MetadataRequestTopic { name: Some("driver-location"), ..Default::default() };
    let request = MetadataRequest {
        topics: Some((0..names).map(|_| topic()).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    METADATA.request(number, &request)
}
