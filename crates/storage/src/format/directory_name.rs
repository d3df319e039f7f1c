//! Names of partition folders below a log directory.

use strom_base::Uuid;

/// Longest file name that Kafka gives a folder.
const LENGTH_MAX: usize = 255;

/// What a folder's name says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryName {
    /// `topic-partition`
    Partition { topic: String, partition: i32 },
    /// `topic-partition.<32 hex>-future`: a replica on its way to another log directory.
    Future { topic: String, partition: i32 },
    /// `….<32 hex>-delete`: waiting to be removed.
    Delete,
    /// `….<32 hex>-stray`: a replica that is not ours any more.
    Stray,
}

#[must_use]
pub fn format(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The name a deleted partition's folder gets; the topic is cut to fit.
#[must_use]
pub fn format_delete(topic: &str, partition: i32, unique: Uuid) -> String {
    with_cut_topic(topic, &format!("-{partition}.{}-delete", hex(unique)))
}

/// The name of a folder whose partition is not ours any more; the topic is cut to fit.
#[must_use]
pub fn format_stray(topic: &str, partition: i32, unique: Uuid) -> String {
    with_cut_topic(topic, &format!("-{partition}.{}-stray", hex(unique)))
}

fn with_cut_topic(topic: &str, suffix: &str) -> String {
    let room = LENGTH_MAX.saturating_sub(suffix.len());
    // Topic names are ASCII; anything else is cut at a character.
    let end = (0..=room.min(topic.len())).rev().find(|end| topic.is_char_boundary(*end));
    let topic = end.and_then(|end| topic.get(..end)).unwrap_or_default();
    format!("{topic}{suffix}")
}

fn hex(id: Uuid) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None` for folders that hold no partition.
#[must_use]
pub fn parse(name: &str) -> Option<DirectoryName> {
    if is_marked(name, "-delete") {
        return Some(DirectoryName::Delete);
    }
    if is_marked(name, "-stray") {
        return Some(DirectoryName::Stray);
    }
    if is_marked(name, "-future") {
        let (topic, partition) = topic_and_partition(name.rsplit_once('.')?.0)?;
        return Some(DirectoryName::Future { topic, partition });
    }
    let (topic, partition) = topic_and_partition(name)?;
    Some(DirectoryName::Partition { topic, partition })
}

/// Kafka's pattern `^(\S+)-(\S+)\.(\S+)-<mark>`.
fn is_marked(name: &str, mark: &str) -> bool {
    let parts = name.strip_suffix(mark).and_then(|rest| rest.rsplit_once('.'));
    parts.is_some_and(|(partition, unique)| partition.contains('-') && !unique.is_empty())
}

fn topic_and_partition(name: &str) -> Option<(String, i32)> {
    let (topic, digits) = name.rsplit_once('-')?;
    if topic.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some((topic.to_owned(), digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dash_parts_topic_and_partition() {
        let found = DirectoryName::Partition { topic: "a-b.c".to_owned(), partition: 12 };
        assert_eq!(parse("a-b.c-12"), Some(found));
        for name in ["a", "a-", "-1", "a-x", "a--1x", "", "remote-log-index-cache"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn marked_folders_are_told_apart_and_fit() {
        let unique = strom_base::Random::new(1).uuid();
        let topic = "t".repeat(249);
        let name = format_delete(&topic, 7, unique);
        assert_eq!(name.len(), 255);
        assert_eq!(parse(&name), Some(DirectoryName::Delete));
        assert_eq!(parse(&format_stray("a", 0, unique)), Some(DirectoryName::Stray));
        let future = DirectoryName::Future { topic: "a.b".to_owned(), partition: 3 };
        assert_eq!(parse("a.b-3.0123456789abcdef0123456789abcdef-future"), Some(future));
        // A topic may be called like a mark.
        let plain = DirectoryName::Partition { topic: "x-delete".to_owned(), partition: 0 };
        assert_eq!(parse("x-delete-0"), Some(plain));
    }
}
