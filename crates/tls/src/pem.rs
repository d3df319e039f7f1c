//! PEM, as Kafka takes it: blocks between text of any kind, also with blanks for the ends of lines, as
//! they come out of a file of properties.

/// One block: what stands after BEGIN, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) bytes: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// The longest that there is has half as many letters.
const LABEL_LENGTH_MAX: usize = 64;

/// All blocks in their order.
///
/// # Errors
/// What is wrong, to be put behind the name of the text.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let (label, body) = begun
            .split_once(DASHES)
            .filter(|(label, _)| is_label(label))
            .ok_or("has a line BEGIN that does not end")?;
        let end = format!("-----END {label}-----");
        let (body, after) =
            body.split_once(&end).ok_or_else(|| format!("has a {label} that does not end"))?;
        if body.contains(':') {
            return Err(format!(
                "has a {label} encrypted as OpenSSL did long ago: convert it with openssl pkcs8 \
                 -topk8"
            ));
        }
        let bytes = base64(body).ok_or_else(|| format!("has a {label} that is not base64"))?;
        blocks.push(Block { label: label.to_owned(), bytes });
        rest = after;
    }
    Ok(blocks)
}

/// A label becomes a part of the sentences about it: it is of one line and short.
fn is_label(text: &str) -> bool {
    text.len() <= LABEL_LENGTH_MAX && text.bytes().all(|it| it.is_ascii_graphic() || it == b' ')
}

/// `None` where other characters stand between the blanks.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches(|it: char| it.is_whitespace() || it == '=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for character in text.bytes().filter(|it| !it.is_ascii_whitespace()) {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text_and_on_one_line() {
        let text = "Bag Attributes\n-----BEGIN A KEY-----\nSGVs\nbG8=\n-----END A KEY-----\nx \
                    -----BEGIN B----- SGVsbG8h -----END B-----";
        let found = blocks(text).expect("well-formed");
        let labels: Vec<_> = found.iter().map(|it| (it.label.as_str(), &it.bytes[..])).collect();
        assert_eq!(labels, [("A KEY", &b"Hello"[..]), ("B", b"Hello!")]);
    }

    #[test]
    fn a_label_is_part_of_one_line() {
        for label in ["A\nB", "\r", "A\u{7}", "Ä", &"A".repeat(65)] {
            let said = blocks(&format!("-----BEGIN {label}-----\nSGVs")).expect_err("broken");
            assert_eq!(said, "has a line BEGIN that does not end", "{label:?}");
        }
    }

    #[test]
    fn what_is_broken_is_said() {
        assert!(blocks("-----BEGIN A-----\nSGVs").is_err_and(|it| it.contains("does not end")));
        assert!(blocks("-----BEGIN A-----\nS?\n-----END A-----").is_err());
        assert!(blocks("-----BEGIN A-----\nProc-Type: 4\n-----END A-----").is_err());
        assert_eq!(blocks("nothing"), Ok(Vec::new()));
    }
}
