//! Any request, chosen by the api key of its header.

use crate::api_key::ApiKey;
use crate::error::DecodeError;
use crate::message::Message;
use crate::reader::Reader;
use crate::wire::from_variant;

include!(concat!(env!("OUT_DIR"), "/request.rs"));
