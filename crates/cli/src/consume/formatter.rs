//! How a record is printed: the built-in formatters of Kafka's console consumer.

use crate::failure::{Failure, Outcome};
use std::io::{self, Write};
use strom_client::ConsumedRecord;
use strom_client::core::record::TimestampKind;

/// What a key, value or header is read as, by the name of Kafka's deserializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Bytes,
    Integer,
    Long,
    Short,
    Float,
    Double,
}

impl Content {
    fn of_class(class: &str) -> Outcome<Content> {
        let name = class.rsplit('.').next().unwrap_or(class);
        match name {
            "StringDeserializer" | "ByteArrayDeserializer" | "BytesDeserializer" => {
                Ok(Content::Bytes)
            }
            "IntegerDeserializer" => Ok(Content::Integer),
            "LongDeserializer" => Ok(Content::Long),
            "ShortDeserializer" => Ok(Content::Short),
            "FloatDeserializer" => Ok(Content::Float),
            "DoubleDeserializer" => Ok(Content::Double),
            _ => Err(Failure::said(format!("there is no deserializer {class} in this tool"))),
        }
    }

    /// Bytes as they are; numbers as text; what has a wrong length as it is.
    fn write(self, output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        let text = match self {
            Content::Bytes => None,
            Content::Integer => fixed(bytes).map(|bytes| i32::from_be_bytes(bytes).to_string()),
            Content::Long => fixed(bytes).map(|bytes| i64::from_be_bytes(bytes).to_string()),
            Content::Short => fixed(bytes).map(|bytes| i16::from_be_bytes(bytes).to_string()),
            Content::Float => fixed(bytes).map(|bytes| format!("{:?}", f32::from_be_bytes(bytes))),
            Content::Double => fixed(bytes).map(|bytes| format!("{:?}", f64::from_be_bytes(bytes))),
        };
        match text {
            Some(text) => output.write_all(text.as_bytes()),
            None => output.write_all(bytes),
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Default,
    /// Prints nothing.
    Silent,
    Logging,
}

#[derive(Debug)]
pub(crate) struct Formatter {
    style: Style,
    print_timestamp: bool,
    print_key: bool,
    print_value: bool,
    print_partition: bool,
    print_offset: bool,
    print_epoch: bool,
    print_headers: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null_literal: Vec<u8>,
    key: Content,
    value: Content,
    header: Content,
}

impl Formatter {
    /// # Errors
    /// A sentence for a class that this tool does not have.
    pub(crate) fn new(class: Option<&str>, properties: &[(String, String)]) -> Outcome<Formatter> {
        let style = match class.map(|class| class.rsplit('.').next().unwrap_or(class)) {
            None | Some("DefaultMessageFormatter") => Style::Default,
            Some("NoOpMessageFormatter") => Style::Silent,
            Some("LoggingMessageFormatter") => Style::Logging,
            Some(name) => {
                return Err(Failure::said(format!("there is no formatter {name} in this tool")));
            }
        };
        let mut formatter = Formatter {
            style,
            print_timestamp: false,
            print_key: false,
            print_value: true,
            print_partition: false,
            print_offset: false,
            print_epoch: false,
            print_headers: false,
            key_separator: b"\t".to_vec(),
            line_separator: b"\n".to_vec(),
            headers_separator: b",".to_vec(),
            null_literal: b"null".to_vec(),
            key: Content::Bytes,
            value: Content::Bytes,
            header: Content::Bytes,
        };
        for (key, value) in properties {
            formatter.set(key, value)?;
        }
        Ok(formatter)
    }

    fn set(&mut self, key: &str, value: &str) -> Outcome {
        let truth = value.trim().eq_ignore_ascii_case("true");
        let bytes = || value.as_bytes().to_vec();
        match key {
            "print.timestamp" => self.print_timestamp = truth,
            "print.key" => self.print_key = truth,
            "print.value" => self.print_value = truth,
            "print.partition" => self.print_partition = truth,
            "print.offset" => self.print_offset = truth,
            "print.epoch" => self.print_epoch = truth,
            "print.headers" => self.print_headers = truth,
            "key.separator" => self.key_separator = bytes(),
            "line.separator" => self.line_separator = bytes(),
            "headers.separator" => self.headers_separator = bytes(),
            "null.literal" => self.null_literal = bytes(),
            "key.deserializer" => self.key = Content::of_class(value)?,
            "value.deserializer" => self.value = Content::of_class(value)?,
            "header.deserializer" | "headers.deserializer" => {
                self.header = Content::of_class(value)?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn write(&self, output: &mut impl Write, record: &ConsumedRecord) -> io::Result<()> {
        if self.style == Style::Silent {
            return Ok(());
        }
        let mut columns = Columns { separator: &self.key_separator, first: true };
        if self.print_timestamp || self.style == Style::Logging {
            columns.next(output)?;
            match record.timestamp_kind {
                TimestampKind::None => write!(output, "NO_TIMESTAMP")?,
                TimestampKind::CreateTime => write!(output, "CreateTime:{}", record.timestamp_ms)?,
                TimestampKind::LogAppendTime => {
                    write!(output, "LogAppendTime:{}", record.timestamp_ms)?;
                }
            }
        }
        if self.print_partition {
            columns.next(output)?;
            write!(output, "Partition:{}", record.partition)?;
        }
        if self.print_offset {
            columns.next(output)?;
            write!(output, "Offset:{}", record.offset)?;
        }
        if self.print_epoch {
            columns.next(output)?;
            match record.leader_epoch {
                Some(epoch) => write!(output, "Epoch:{epoch}")?,
                None => write!(output, "Epoch:NOT_PRESENT")?,
            }
        }
        if self.print_headers {
            columns.next(output)?;
            self.write_headers(output, record)?;
        }
        if self.print_key || self.style == Style::Logging {
            columns.next(output)?;
            self.write_content(output, self.key, record.key.as_deref())?;
        }
        if self.print_value {
            columns.next(output)?;
            self.write_content(output, self.value, record.value.as_deref())?;
        }
        output.write_all(&self.line_separator)
    }

    fn write_headers(&self, output: &mut impl Write, record: &ConsumedRecord) -> io::Result<()> {
        if record.headers.is_empty() {
            return output.write_all(b"NO_HEADERS");
        }
        for (index, (name, value)) in record.headers.iter().enumerate() {
            if index > 0 {
                output.write_all(&self.headers_separator)?;
            }
            write!(output, "{name}:")?;
            self.write_content(output, self.header, value.as_deref())?;
        }
        Ok(())
    }

    fn write_content(
        &self,
        output: &mut impl Write,
        content: Content,
        bytes: Option<&[u8]>,
    ) -> io::Result<()> {
        match bytes {
            Some(bytes) => content.write(output, bytes),
            None => output.write_all(&self.null_literal),
        }
    }
}

struct Columns<'a> {
    separator: &'a [u8],
    first: bool,
}

impl Columns<'_> {
    fn next(&mut self, output: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.first) {
            return Ok(());
        }
        output.write_all(self.separator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn printed(properties: &[(&str, &str)], record: &ConsumedRecord) -> String {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let properties: Vec<_> = properties.iter().map(owned).collect();
        let mut output = Vec::new();
        Formatter::new(None, &properties).unwrap().write(&mut output, record).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn record() -> ConsumedRecord {
        ConsumedRecord {
            topic: "t".to_owned(),
            partition: 0,
            offset: 7,
            leader_epoch: Some(2),
            timestamp_kind: TimestampKind::CreateTime,
            timestamp_ms: 9,
            key: Some(Bytes::from_static(b"k")),
            value: None,
            headers: vec![("h".to_owned(), Some(Bytes::from_static(b"a")))],
        }
    }

    #[test]
    fn columns_come_in_kafkas_order() {
        let all = ["print.key", "print.headers", "print.offset", "print.partition", "print.epoch"];
        let mut properties: Vec<(&str, &str)> = all.iter().map(|key| (*key, "true")).collect();
        properties.push(("print.timestamp", "true"));
        let expected = "CreateTime:9\tPartition:0\tOffset:7\tEpoch:2\th:a\tk\tnull\n";
        assert_eq!(printed(&properties, &record()), expected);
        assert_eq!(printed(&[], &record()), "null\n");
    }

    #[test]
    fn numbers_are_read_by_kafkas_deserializers() {
        let mut record = record();
        record.value = Some(Bytes::copy_from_slice(&42i64.to_be_bytes()));
        let class = "org.apache.kafka.common.serialization.LongDeserializer";
        assert_eq!(printed(&[("value.deserializer", class)], &record), "42\n");
        record.headers.clear();
        let printed = printed(&[("print.headers", "true"), ("print.value", "false")], &record);
        assert_eq!(printed, "NO_HEADERS\n");
    }
}
