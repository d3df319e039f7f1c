//! Whatever is written as a property file escapes it is read back.

use proptest::prelude::*;
use strom_base::properties::parse;

/// As `java.util.Properties.store` writes a key or a value.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            ' ' | '=' | ':' | '#' | '!' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn what_java_writes_is_read_back(pairs in prop::collection::vec((".{0,9}", ".{0,9}"), 0..9)) {
        let mut text = String::new();
        for (key, value) in &pairs {
            text.push_str(&format!("{}={}\n", escaped(key), escaped(value)));
        }
        let read = parse(&text).expect("a file");
        let read: Vec<(String, String)> = read.into_iter().map(|it| (it.key, it.value)).collect();
        prop_assert_eq!(read, pairs);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,99}") {
        let _ = parse(&text);
    }
}
