//! The shape all checkpoint files share: a version line, a count line, one line an entry.

use super::FormatError;

/// The entries' lines of a version 0 checkpoint; none for an empty file. Missing or wrong version,
/// a count that does not match and bytes that are no text are errors, as Kafka has it.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<&str>, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::new("not UTF-8"))?;
    // Kafka creates its checkpoints empty.
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = text.lines();
    match lines.next().map(str::trim).map(str::parse::<i32>) {
        Some(Ok(0)) => {}
        Some(Ok(version)) => return Err(FormatError::new(format!("unknown version {version}"))),
        _ => return Err(FormatError::new("no version line")),
    }
    let count = match lines.next().map(str::trim).map(str::parse::<u32>) {
        Some(Ok(count)) => count,
        _ => return Err(FormatError::new("no count line")),
    };
    let entries: Vec<&str> = lines.collect();
    if u32::try_from(entries.len()) != Ok(count) {
        let reason = format!("{count} entries announced, {} found", entries.len());
        return Err(FormatError::new(reason));
    }
    Ok(entries)
}

pub(super) fn format(entries: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text.into_bytes()
}

/// The numbers and words of one line, exactly `N` of them.
pub(super) fn fields<const N: usize>(line: &str) -> Result<[&str; N], FormatError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.try_into().map_err(|_| FormatError::new(format!("malformed line '{line}'")))
}

pub(super) fn number<T: std::str::FromStr>(word: &str) -> Result<T, FormatError> {
    word.parse().map_err(|_| FormatError::new(format!("'{word}' is no number")))
}
