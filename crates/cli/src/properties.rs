//! Key and value pairs: from Java property files and from `key=value` options.

use crate::failure::{Failure, Outcome};
use std::path::Path;

/// Reads a property file, in its order.
pub(crate) fn read(path: &Path) -> Outcome<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::said(format!("{} cannot be read: {error}", path.display())))?;
    Ok(parse(&text))
}

/// Parses `key=value` options.
pub(crate) fn pairs(options: &[String]) -> Outcome<Vec<(String, String)>> {
    options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Failure::said(format!("Invalid command line properties: {option}"))),
        })
        .collect()
}

/// Parses the text of a Java property file (java.util.Properties, load).
fn parse(text: &str) -> Vec<(String, String)> {
    logical_lines(text).iter().map(|line| split(line)).collect()
}

/// Lines without comments; one that ends in an odd number of backslashes goes on in the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start();
        let (mut whole, continued) = match current.take() {
            Some(begun) => (begun, true),
            None => (String::new(), false),
        };
        if !continued && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 1 {
            whole.push_str(line.strip_suffix('\\').unwrap_or(line));
            current = Some(whole);
        } else {
            whole.push_str(line);
            lines.push(whole);
        }
    }
    lines.extend(current);
    lines
}

/// The key ends at the first `=`, `:` or blank that is not escaped.
fn split(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.find(|character| {
        let ends = !escaped && matches!(character, '=' | ':' | ' ' | '\t');
        escaped = character == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (unescape(key), unescape(rest.trim_start_matches([' ', '\t'])).trim_end().to_owned())
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                plain.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_files_are_read_as_java_does() {
        let text = "# comment\n! too\n a = b \nc:d\ne f\nlong=1,\\\n   2\nkey\\ with=\\u0041\\t.\n";
        let parsed = parse(text);
        let expected = [("a", "b"), ("c", "d"), ("e", "f"), ("long", "1,2"), ("key with", "A\t.")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parsed, expected);
    }

    #[test]
    fn an_option_without_equals_sign_is_refused() {
        assert!(pairs(&["a=b=c".to_owned()]).is_ok_and(|pairs| pairs[0].1 == "b=c"));
        assert!(pairs(&["nothing".to_owned()]).is_err());
    }
}
