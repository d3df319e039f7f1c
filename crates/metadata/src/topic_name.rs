//! The names a topic may have, by Apache Kafka's rules.

pub const LENGTH_MAX: usize = 249;
/// The metadata log's name, which no topic may have.
pub const METADATA: &str = "__cluster_metadata";

/// # Errors
/// Kafka's words for what is wrong.
pub fn check(name: &str) -> Result<(), String> {
    let reason = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > LENGTH_MAX {
        format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and \
             '-'"
        )
    } else {
        return Ok(());
    };
    Err(format!("Topic name is invalid: {reason}"))
}

#[must_use]
pub fn is_valid(name: &str) -> bool {
    check(name).is_ok()
}

/// Metric names know no dots: two topics that differ only in '.' and '_' would share theirs.
#[must_use]
pub fn collides(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left.bytes().zip(right.bytes()).all(|(l, r)| l == r || (is_dot(l) && is_dot(r)))
}

fn is_dot(byte: u8) -> bool {
    byte == b'.' || byte == b'_'
}

/// Whether a name can collide with another one at all.
#[must_use]
pub fn may_collide(name: &str) -> bool {
    name.bytes().any(is_dot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        assert!(is_valid("driver-location_1.x"));
        for wrong in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(!is_valid(wrong), "{wrong}");
        }
        assert!(collides("a.b", "a_b"));
        assert!(!collides("a.b", "a-b"));
    }
}
