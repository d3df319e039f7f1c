//! Every message by name, with its two halves as plain functions.

use std::path::Path;

use strom_protocol::{DecodeError, EncodeError, Message};

use crate::schema::{Schema, read_all};

#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) decode: fn(&[u8], i16) -> Result<(), DecodeError>,
    pub(crate) round_trip: fn(&[u8], i16) -> Result<Vec<u8>, Fault>,
    pub(crate) encode_default: fn(i16) -> Result<(), EncodeError>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "read by the Debug of a failed test")]
pub(crate) enum Fault {
    Decode(DecodeError),
    Encode(EncodeError),
}

macro_rules! entry {
    ($module:ident::$name:ident) => {
        Entry {
            name: stringify!($name),
            decode: |bytes, version| {
                strom_protocol::$module::$name::from_bytes(bytes, version).map(drop)
            },
            round_trip: |bytes, version| {
                let message = strom_protocol::$module::$name::from_bytes(bytes, version);
                message.map_err(Fault::Decode)?.to_bytes(version).map_err(Fault::Encode)
            },
            encode_default: |version| {
                strom_protocol::$module::$name::default().to_bytes(version).map(drop)
            },
        }
    };
}

const ENTRIES: &[Entry] = &include!(concat!(env!("OUT_DIR"), "/every_message.rs"));

/// Every message with its schema.
pub(crate) fn catalog() -> Vec<(Schema, Entry)> {
    let schemas = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schema"));
    assert_eq!(schemas.len(), ENTRIES.len());
    let pairs: Vec<_> = schemas.into_iter().zip(ENTRIES.iter().copied()).collect();
    assert!(pairs.iter().all(|(schema, entry)| schema.name == entry.name));
    pairs
}
