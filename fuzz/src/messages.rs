//! Messages by choice: which one, in which version, and its bytes.

use std::sync::LazyLock;

use strom_protocol::sample::{Draw, Kind, kinds};

use crate::choices::Choices;
use crate::damage::damage;

/// Families in the order in which an input names them.
pub const FAMILIES: [&str; 7] =
    ["request", "response", "metadata", "header", "data", "coordinator-key", "coordinator-value"];

static KINDS: LazyLock<Vec<Vec<Kind>>> = LazyLock::new(|| {
    let mut families: Vec<Vec<Kind>> = FAMILIES.iter().map(|_| Vec::new()).collect();
    for kind in kinds() {
        let family = FAMILIES.iter().position(|family| *family == kind.family());
        families[family.expect("a family of the schemas")].push(kind);
    }
    families.iter_mut().for_each(|kinds| kinds.sort_by_key(|kind| kind.api_key()));
    families
});

/// All messages of a family, in the order of their api keys.
#[must_use]
pub fn family(index: usize) -> &'static [Kind] {
    &KINDS[index]
}

/// The place of an api's message in its family, for who writes inputs.
#[must_use]
pub fn index_of(family_index: usize, api_key: i16) -> Option<usize> {
    family(family_index).iter().position(|kind| kind.api_key() == Some(api_key))
}

/// A message of a family and one of its versions: a byte each.
pub fn choose(family_index: usize, choices: &mut Choices<'_>) -> (&'static Kind, i16) {
    let kind = choices.one_of(family(family_index)).expect("a family has messages");
    let (low, high) = kind.versions();
    (kind, low + choices.below((high - low + 1) as u64) as i16)
}

/// Bytes for a message: those of the input as they are, or a valid sample that was damaged.
pub fn bytes_for(kind: &Kind, version: i16, choices: &mut Choices<'_>) -> Vec<u8> {
    if choices.byte() == 0 {
        return choices.rest().to_vec();
    }
    let mut bytes = kind.sample(version, choices);
    damage(&mut bytes, choices);
    bytes
}
