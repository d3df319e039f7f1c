//! Java's `.properties` files, read exactly as `java.util.Properties.load` reads them.

use thiserror::Error;

/// One `key=value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PropertiesError {
    #[error("line {line}: \\u is not followed by four hexadecimal digits")]
    MalformedEscape { line: usize },
    #[error("line {line}: an escaped surrogate stands alone")]
    LoneSurrogate { line: usize },
}

/// Reads a file's text. The order is kept, and so is a key that is given twice: the last one counts.
///
/// # Errors
/// When an escape is malformed.
pub fn parse(text: &str) -> Result<Vec<Property>, PropertiesError> {
    let mut properties = Vec::new();
    let mut lines = natural_lines(text).enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_escaped(&logical) {
            logical.pop();
            // An escape at the very end of the file escapes nothing.
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(BLANKS));
        }
        properties.push(split(&logical, index + 1)?);
    }
    Ok(properties)
}

/// What Java's reader skips; its other white space counts.
const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// Lines end in `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = current.find(['\n', '\r']) else {
            rest = None;
            return Some(current);
        };
        let (line, tail) = current.split_at(end);
        rest = Some(tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or_default());
        Some(line)
    })
}

fn ends_escaped(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped; one `=` or `:` may follow blanks.
fn split(logical: &str, line: usize) -> Result<Property, PropertiesError> {
    let mut is_escaped = false;
    let end = logical.find(|character| {
        let ends = !is_escaped && (BLANKS.contains(&character) || matches!(character, '=' | ':'));
        is_escaped = character == '\\' && !is_escaped;
        ends
    });
    let (key, rest) = logical.split_at(end.unwrap_or(logical.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    let value = rest.trim_start_matches(BLANKS);
    Ok(Property { key: unescape(key, line)?, value: unescape(value, line)?, line })
}

fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    // Java's strings are UTF-16; two escapes may make one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut buffer = [0; 2];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    units.push(code_unit(&mut characters, line)?);
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            plain => plain,
        };
        units.extend_from_slice(character.encode_utf16(&mut buffer));
    }
    String::from_utf16(&units).map_err(|_| PropertiesError::LoneSurrogate { line })
}

fn code_unit(characters: &mut std::str::Chars<'_>, line: usize) -> Result<u16, PropertiesError> {
    let malformed = PropertiesError::MalformedEscape { line };
    let digits = characters.as_str().get(..4).ok_or_else(|| malformed.clone())?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed);
    }
    *characters = characters.as_str().get(4..).unwrap_or_default().chars();
    u16::from_str_radix(digits, 16).map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse(text).expect("a file");
        properties.into_iter().map(|it| (it.key, it.value)).collect()
    }

    fn is_read_as(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(pairs(text), expected, "{text:?}");
    }

    #[test]
    fn keys_end_at_the_first_separator() {
        is_read_as("a=b\nc:d\ne f\ng", &[("a", "b"), ("c", "d"), ("e", "f"), ("g", "")]);
        is_read_as("a = b \n  c  :=d", &[("a", "b "), ("c", "=d")]);
        is_read_as("=b\n:\n", &[("", "b"), ("", "")]);
        is_read_as("a\\ b\\=c\\:=d\\=", &[("a b=c:", "d=")]);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        is_read_as("# a=b\n!c=d\n \t\n\r\n   # x\ne=f # not one", &[("e", "f # not one")]);
    }

    #[test]
    fn a_line_that_ends_in_an_odd_number_of_backslashes_goes_on() {
        is_read_as("a=1,\\\n   2,\\\r\n\t3\nb=c", &[("a", "1,2,3"), ("b", "c")]);
        is_read_as("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]);
        is_read_as("a=b\\", &[("a", "b")]);
        is_read_as("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]);
        is_read_as("a=b\\\n# c\nd=e", &[("a", "b# c"), ("d", "e")]);
    }

    #[test]
    fn escapes_are_javas() {
        is_read_as("a=\\t\\n\\r\\f\\q\\\"\\u00e4\\uD83D\\uDE00z", &[("a", "\t\n\r\u{c}q\"ä😀z")]);
        assert_eq!(parse("\na=\\u00g0"), Err(PropertiesError::MalformedEscape { line: 2 }));
        assert_eq!(parse("a=\\u12"), Err(PropertiesError::MalformedEscape { line: 1 }));
        assert_eq!(parse("a=\\ud800"), Err(PropertiesError::LoneSurrogate { line: 1 }));
    }

    #[test]
    fn the_order_and_the_lines_are_kept() {
        let properties = parse("b=1\n\na=\\\n2\nb=3").expect("a file");
        let seen: Vec<(&str, usize)> =
            properties.iter().map(|it| (it.key.as_str(), it.line)).collect();
        assert_eq!(seen, [("b", 1), ("a", 3), ("b", 5)]);
    }
}
