//! Samples of every message in every version, for tests and fuzzing: valid bytes, written by
//! interpreting the schemas, and the two halves of the generated code as plain functions.
//!
//! Only with the feature `sample`: no product asks for it.

use strom_base::Random;

use crate::{DecodeError, EncodeError, Message};

mod sampler;
#[expect(dead_code, reason = "the generator needs more of it than a sample does")]
#[path = "../build/schema.rs"]
mod schema;

use schema::Schema;

/// Where a sample's choices come from: a generator, or the bytes of a fuzzer.
pub trait Draw {
    /// Any number.
    fn next_u64(&mut self) -> u64;

    /// A number in `0..bound`; 0 for a bound of 0.
    fn below(&mut self, bound: u64) -> u64;

    /// True once in `n` draws on average.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Draw for Random {
    fn next_u64(&mut self) -> u64 {
        Random::next_u64(self)
    }

    fn below(&mut self, bound: u64) -> u64 {
        Random::below(self, bound)
    }
}

/// The two halves of a message's generated code.
#[derive(Clone, Copy)]
struct Code {
    name: &'static str,
    decode: fn(&[u8], i16) -> Result<(), DecodeError>,
    round_trip: fn(&[u8], i16) -> Result<Vec<u8>, Fault>,
    encode_default: fn(i16) -> Result<(), EncodeError>,
}

/// Why a message did not make its round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Decode(DecodeError),
    Encode(EncodeError),
}

macro_rules! entry {
    ($module:ident::$name:ident) => {
        Code {
            name: stringify!($name),
            decode: |bytes, version| crate::$module::$name::from_bytes(bytes, version).map(drop),
            round_trip: |bytes, version| {
                let message = crate::$module::$name::from_bytes(bytes, version);
                message.map_err(Fault::Decode)?.to_bytes(version).map_err(Fault::Encode)
            },
            encode_default: |version| crate::$module::$name::default().to_bytes(version).map(drop),
        }
    };
}

const CODES: &[Code] = &include!(concat!(env!("OUT_DIR"), "/every_message.rs"));
const SCHEMAS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/every_schema.rs"));

/// One message with its schema.
pub struct Kind {
    schema: Schema,
    code: Code,
}

/// Every message, in the order of its schema's folder and name.
///
/// # Panics
/// When a schema cannot be read: the build would have failed before.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    let schemas = schema::read_texts(SCHEMAS.iter().copied());
    assert_eq!(schemas.len(), CODES.len());
    let kinds = schemas.into_iter().zip(CODES.iter().copied());
    let kinds: Vec<Kind> = kinds.map(|(schema, code)| Kind { schema, code }).collect();
    assert!(kinds.iter().all(|kind| kind.schema.name == kind.code.name));
    kinds
}

impl Kind {
    /// The schema's name, such as `ProduceRequest`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.code.name
    }

    /// What the schema says that it is: `request`, `response`, `header`, `data`, `metadata`,
    /// `coordinator-key`, `coordinator-value`.
    #[must_use]
    pub fn family(&self) -> &str {
        &self.schema.kind
    }

    /// The api key of a request or response, the type of a record.
    #[must_use]
    pub fn api_key(&self) -> Option<i16> {
        self.schema.api_key
    }

    /// The first and the last version.
    #[must_use]
    pub fn versions(&self) -> (i16, i16) {
        (self.schema.versions.low, self.schema.versions.high)
    }

    /// A valid message of this version, without a header, as Kafka would write it: tags in order, no
    /// tagged field that holds its default.
    #[must_use]
    pub fn sample(&self, version: i16, source: &mut impl Draw) -> Vec<u8> {
        sampler::message(&self.schema, version, source)
    }

    /// # Errors
    /// Bytes that are no message of this version, or more than one.
    pub fn decode(&self, bytes: &[u8], version: i16) -> Result<(), DecodeError> {
        (self.code.decode)(bytes, version)
    }

    /// The message that `bytes` are, encoded again.
    ///
    /// # Errors
    /// The half that failed.
    pub fn round_trip(&self, bytes: &[u8], version: i16) -> Result<Vec<u8>, Fault> {
        (self.code.round_trip)(bytes, version)
    }

    /// Encodes the message without any field set.
    ///
    /// # Errors
    /// A version that the schema does not have.
    pub fn encode_default(&self, version: i16) -> Result<(), EncodeError> {
        (self.code.encode_default)(version)
    }
}
