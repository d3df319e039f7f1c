//! One file per API: wire types in, calls of the cores, wire types out.
//!
//! [`SERVED`] is the one list of what this node serves: the gate admits by it and ApiVersions
//! advertises it, so that nothing is promised that is not here.

use std::ops::RangeInclusive;

use strom_protocol::{ApiKey, Reader};

use crate::Broker;
use crate::call::{Call, Outcome, RequestError};
use crate::effect::Turn;

pub(crate) mod api_versions;
pub(crate) mod fetch;
pub(crate) mod produce;

/// What a handler tells the gate.
#[derive(Debug)]
pub(crate) enum Handled {
    Outcome(Outcome),
    /// The request has started something in the metadata log; run it again when the record at this
    /// offset is committed. The handler must not ask for the same thing twice.
    AfterCommit(i64),
}

impl From<Outcome> for Handled {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

type Handler =
    fn(&mut Broker, &mut Turn<'_>, &Call<'_>, &mut Reader<'_>) -> Result<Handled, RequestError>;

/// An API with the versions that are implemented and tested.
pub(crate) struct Served {
    pub(crate) api: ApiKey,
    pub(crate) versions: RangeInclusive<i16>,
    handler: Handler,
}

const fn serve(api: ApiKey, versions: RangeInclusive<i16>, handler: Handler) -> Served {
    Served { api, versions, handler }
}

/// The busiest first: the list is searched from the front.
pub(crate) const SERVED: &[Served] = &[
    serve(ApiKey::Fetch, 4..=18, fetch::handle),
    serve(ApiKey::ApiVersions, 0..=4, api_versions::handle),
];

/// Whether this version of the API is served. Produce has a path of its own through the gate:
/// its handler takes the frame apart.
pub(crate) fn serves(api: ApiKey, version: i16) -> bool {
    if api == ApiKey::Produce {
        return produce::VERSIONS.contains(&version);
    }
    SERVED.iter().any(|served| served.api == api && served.versions.contains(&version))
}

/// Runs the handler of an API that is served.
pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let served = SERVED.iter().find(|served| served.api == call.address.api);
    match served {
        Some(served) => (served.handler)(broker, turn, call, reader),
        None => Err(RequestError::Refused(format!("{} is not served", call.address.api.name()))),
    }
}
