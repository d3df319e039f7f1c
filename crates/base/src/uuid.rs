//! Kafka's 128-bit ids: topic ids, directory ids, cluster ids. Text form: URL-safe base64, 22 characters.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const RESERVED_BELOW: u64 = 100;

impl Uuid {
    /// No id; as a directory id: unassigned.
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// The topic id of `__cluster_metadata`; as a directory id: lost.
    pub const ONE: Uuid = Uuid::from_low(1);

    const fn from_low(low: u8) -> Uuid {
        let mut bytes = [0; 16];
        bytes[15] = low;
        Uuid(bytes)
    }

    /// The first hundred ids are reserved by Kafka (KIP-516, KIP-858).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let (high, low) = self.0.split_at(8);
        high == [0; 8] && u64::from_be_bytes(low.try_into().unwrap_or([0xff; 8])) < RESERVED_BELOW
    }

    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 22];
        let value = u128::from_be_bytes(self.0);
        for (index, character) in text.iter_mut().enumerate() {
            // 22 characters carry 132 bits: the last one holds only two bits of the id, left-aligned.
            let shift = 122 - 6 * index as i32;
            let bits = if shift >= 0 { value >> shift } else { value << -shift };
            *character = ALPHABET[(bits & 63) as usize];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id: 22 characters of URL-safe base64 are expected")]
pub struct UuidError(pub String);

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let wrong = || UuidError(text.to_owned());
        let digits = text.trim_end_matches('=').as_bytes();
        if digits.len() != 22 {
            return Err(wrong());
        }
        let mut value: u128 = 0;
        for (index, digit) in digits.iter().enumerate() {
            let bits = ALPHABET.iter().position(|c| c == digit).ok_or_else(wrong)? as u128;
            value = if index < 21 { value << 6 | bits } else { value << 2 | bits >> 4 };
        }
        Ok(Uuid(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[test]
    fn text_form_is_kafkas() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::ONE.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(Uuid::ONE));
        assert!("short".parse::<Uuid>().is_err());
    }

    #[test]
    fn every_id_survives_its_text_form() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            let id = random.uuid();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
