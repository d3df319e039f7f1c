//! `partition.metadata` in a partition's folder: the id of its topic (KIP-516).

use strom_base::Uuid;

use super::FormatError;

pub const FILE_NAME: &str = "partition.metadata";

pub fn parse(bytes: &[u8]) -> Result<Uuid, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::new("not UTF-8"))?;
    let mut lines = text.lines();
    let version = value(lines.next(), "version")?;
    if version != "0" {
        return Err(FormatError::new(format!("unknown version {version}")));
    }
    let id: Uuid = value(lines.next(), "topic_id")?
        .parse()
        .map_err(|error: strom_base::uuid::UuidError| FormatError::new(error.to_string()))?;
    if id.is_zero() {
        return Err(FormatError::new("the topic id is zero"));
    }
    Ok(id)
}

fn value<'a>(line: Option<&'a str>, name: &str) -> Result<&'a str, FormatError> {
    let line = line.ok_or_else(|| FormatError::new(format!("no line for {name}")))?;
    match line.split_once(':') {
        Some((key, value)) if key.trim() == name => Ok(value.trim()),
        _ => Err(FormatError::new(format!("'{line}' does not name {name}"))),
    }
}

/// Whether these are no whole file, but what a loss of power may leave of one.
#[must_use]
pub fn is_torn(bytes: &[u8]) -> bool {
    bytes.len() < format(Uuid::ONE).len() || bytes.contains(&0)
}

#[must_use]
pub fn format(topic_id: Uuid) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic_id}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_id_survives_the_file() {
        let id = strom_base::Random::new(3).uuid();
        assert_eq!(parse(&format(id)), Ok(id));
        assert!(parse(b"version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ").is_err());
        assert!(parse(b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA").is_err());
        assert!(parse(b"").is_err());
        let whole = format(id);
        assert!(!is_torn(&whole) && is_torn(&whole[..42]) && is_torn(&[0; 43]) && is_torn(b""));
    }
}
