//! `.kafka_cleanshutdown` of a log directory: written last on a clean stop, read and removed at
//! the start. Its broker epoch lets a controller trust what this broker held (KIP-966).

pub const FILE_NAME: &str = ".kafka_cleanshutdown";

#[must_use]
pub fn format(broker_epoch: i64) -> Vec<u8> {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}").into_bytes()
}

/// The broker epoch; `None` when the file, though present, does not tell. Presence alone already
/// says that the stop was clean.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let body = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut broker_epoch = None;
    for field in body.split(',') {
        let (name, value) = field.split_once(':')?;
        match (name.trim(), value.trim()) {
            ("\"version\"", "0") => {}
            ("\"version\"", _) => return None,
            ("\"brokerEpoch\"", value) => broker_epoch = value.parse().ok(),
            _ => {}
        }
    }
    broker_epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_epoch_survives_the_file() {
        assert_eq!(parse(&format(42)), Some(42));
        assert_eq!(parse(b"{ \"brokerEpoch\" : 7, \"version\" : 0 }\n"), Some(7));
        for bytes in ["", "{}", "{\"version\":1,\"brokerEpoch\":7}", "nonsense", "{\"a\"}"] {
            assert_eq!(parse(bytes.as_bytes()), None, "{bytes:?}");
        }
    }
}
