//! How a line becomes a record: optional headers, key and value, apart by separators.

use crate::failure::{Failure, Outcome};
use bytes::Bytes;
use strom_client::ProducerRecord;

#[derive(Debug)]
pub(super) struct LineReader {
    topic: String,
    parse_key: bool,
    parse_headers: bool,
    ignore_error: bool,
    key_separator: Vec<u8>,
    headers_delimiter: Vec<u8>,
    headers_separator: Vec<u8>,
    headers_key_separator: Vec<u8>,
    null_marker: Option<Vec<u8>>,
    line_number: u64,
}

impl LineReader {
    /// # Errors
    /// A sentence when separators could not be told apart.
    pub(super) fn new(topic: &str, properties: &[(String, String)]) -> Outcome<LineReader> {
        let mut reader = LineReader {
            topic: topic.to_owned(),
            parse_key: false,
            parse_headers: false,
            ignore_error: false,
            key_separator: b"\t".to_vec(),
            headers_delimiter: b"\t".to_vec(),
            headers_separator: b",".to_vec(),
            headers_key_separator: b":".to_vec(),
            null_marker: None,
            line_number: 0,
        };
        for (key, value) in properties {
            let truth = value.trim().eq_ignore_ascii_case("true");
            let bytes = || value.clone().into_bytes();
            match key.as_str() {
                "parse.key" => reader.parse_key = truth,
                "parse.headers" => reader.parse_headers = truth,
                "ignore.error" => reader.ignore_error = truth,
                "key.separator" => reader.key_separator = bytes(),
                "headers.delimiter" => reader.headers_delimiter = bytes(),
                "headers.separator" => reader.headers_separator = bytes(),
                "headers.key.separator" => reader.headers_key_separator = bytes(),
                "null.marker" => reader.null_marker = Some(bytes()),
                _ => {}
            }
        }
        reader.check()?;
        Ok(reader)
    }

    fn check(&self) -> Outcome {
        let pairs = [
            (
                &self.headers_delimiter,
                "headers.delimiter",
                &self.headers_separator,
                "headers.separator",
            ),
            (
                &self.headers_delimiter,
                "headers.delimiter",
                &self.headers_key_separator,
                "headers.key.separator",
            ),
            (
                &self.headers_separator,
                "headers.separator",
                &self.headers_key_separator,
                "headers.key.separator",
            ),
        ];
        for (left, left_name, right, right_name) in pairs {
            if self.parse_headers && left == right {
                return Err(Failure::said(format!(
                    "{left_name} and {right_name} may not be equal"
                )));
            }
        }
        let separators = [&self.key_separator, &self.headers_delimiter, &self.headers_separator];
        let marker = self.null_marker.as_ref();
        if separators.iter().any(|separator| Some(*separator) == marker) {
            return Err(Failure::said("null.marker and a separator may not be equal"));
        }
        Ok(())
    }

    /// # Errors
    /// A sentence in Kafka's words when a separator is missing, unless `ignore.error`.
    pub(super) fn record(&mut self, line: &[u8], timestamp_ms: i64) -> Outcome<ProducerRecord> {
        self.line_number += 1;
        let mut rest = line;
        let mut headers = Vec::new();
        if self.parse_headers {
            let text = self.cut(&mut rest, &self.headers_delimiter, "headers delimiter", line)?;
            if let Some(text) = text.and_then(|text| self.unless_null(text)) {
                headers = self.headers(text)?;
            }
        }
        let mut key = None;
        if self.parse_key {
            key = self.cut(&mut rest, &self.key_separator, "key separator", line)?;
        }
        Ok(ProducerRecord {
            topic: self.topic.clone(),
            partition: None,
            key: key.and_then(|key| self.owned(key)),
            value: self.owned(rest),
            headers,
            timestamp_ms,
        })
    }

    /// What stands before the separator; `rest` is left with what stands behind it.
    fn cut<'a>(
        &self,
        rest: &mut &'a [u8],
        separator: &[u8],
        what: &str,
        line: &[u8],
    ) -> Outcome<Option<&'a [u8]>> {
        match split(rest, separator) {
            Some((before, after)) => {
                *rest = after;
                Ok(Some(before))
            }
            None if self.ignore_error => Ok(None),
            None => Err(Failure::said(format!(
                "org.apache.kafka.common.KafkaException: No {what} found on line number {}: '{}'",
                self.line_number,
                String::from_utf8_lossy(line)
            ))),
        }
    }

    fn headers(&self, text: &[u8]) -> Outcome<Vec<(String, Option<Bytes>)>> {
        let mut headers = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let (pair, after) = match split(text, &self.headers_separator) {
                Some((pair, after)) => (pair, Some(after)),
                None => (text, None),
            };
            rest = after;
            let (key, value) = match split(pair, &self.headers_key_separator) {
                Some((key, value)) => (key, self.owned(value)),
                None if self.ignore_error => (pair, None),
                None => {
                    return Err(Failure::said(format!(
                        "org.apache.kafka.common.KafkaException: No header key separator found in \
                         pair '{}' on line number {}",
                        String::from_utf8_lossy(pair),
                        self.line_number
                    )));
                }
            };
            headers.push((String::from_utf8_lossy(key).into_owned(), value));
        }
        Ok(headers)
    }

    fn unless_null<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        (self.null_marker.as_deref() != Some(bytes)).then_some(bytes)
    }

    fn owned(&self, bytes: &[u8]) -> Option<Bytes> {
        self.unless_null(bytes).map(Bytes::copy_from_slice)
    }
}

fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return None;
    }
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> LineReader {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        LineReader::new("t", &properties.iter().map(owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_line_is_the_value_unless_told_otherwise() {
        let record = reader(&[]).record(b"k\tv", 1).unwrap();
        assert_eq!((record.key, record.value), (None, Some(Bytes::from_static(b"k\tv"))));
    }

    #[test]
    fn headers_and_key_stand_before_the_value() {
        let mut reader = reader(&[
            ("parse.key", "true"),
            ("parse.headers", "true"),
            ("key.separator", ":"),
            ("null.marker", "NULL"),
        ]);
        let record = reader.record(b"h1:a,h2:NULL\tk:v:w", 1).unwrap();
        let expected = [("h1", Some(Bytes::from_static(b"a"))), ("h2", None)];
        assert_eq!(record.headers, expected.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(record.key.unwrap(), "k");
        assert_eq!(record.value.unwrap(), "v:w");
        let record = reader.record(b"NULL\tNULL:NULL", 1).unwrap();
        assert_eq!((record.key, record.value, record.headers.len()), (None, None, 0));
    }

    #[test]
    fn a_line_without_separator_is_a_mistake_unless_ignored() {
        let mut strict = reader(&[("parse.key", "true")]);
        let Err(Failure::Said(text)) = strict.record(b"nokey", 1) else { panic!("it is refused") };
        assert!(text.ends_with("No key separator found on line number 1: 'nokey'"), "{text}");
        let mut lax = reader(&[("parse.key", "true"), ("ignore.error", "true")]);
        assert_eq!(lax.record(b"nokey", 1).unwrap().value.unwrap(), "nokey");
    }
}
