//! Key stores and trust stores of every format, as files and inside the configuration.
//!
//! What must hold: reading is total; what is refused is refused in one sentence, which has no secret in
//! it.
#![no_main]

use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strom_fuzz::choices::Choices;
use strom_tls::{TlsSettings, client, server};

/// 2027-01-01
const NOW_S: i64 = 1_798_761_600;
const PASSWORDS: [&str; 3] = ["storepass", "keypass", "trustpass"];

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let shape = choices.byte();
    let of_store = *choices.one_of(&PASSWORDS).expect("passwords");
    let of_key = *choices.one_of(&PASSWORDS).expect("passwords");
    let bytes = choices.rest();
    let text = String::from_utf8_lossy(bytes).into_owned();
    let kind = ["JKS", "PKCS12", "PEM"][usize::from(shape >> 4) % 3];
    let look_up = |key: &str| {
        let value = match (key, shape & 3) {
            ("ssl.keystore.type" | "ssl.truststore.type", 2) => "PEM",
            ("ssl.keystore.type" | "ssl.truststore.type", _) => kind,
            ("ssl.keystore.location", 0) | ("ssl.truststore.location", 1) => "store",
            ("ssl.keystore.password" | "ssl.truststore.password", 0 | 1) => of_store,
            ("ssl.key.password", 0 | 2) => of_key,
            ("ssl.keystore.key" | "ssl.keystore.certificate.chain", 2) => &text,
            ("ssl.truststore.certificates", 3) => &text,
            _ => return None,
        };
        Some(value.to_owned())
    };
    let read = |_: &Path| -> io::Result<Vec<u8>> { Ok(bytes.to_vec()) };
    let Ok(settings) = TlsSettings::read("", &look_up) else { return };
    let said = [
        server::configuration(&settings, &read, NOW_S).err(),
        client::configuration(&settings, &read, NOW_S).err(),
    ];
    for sentence in said.into_iter().flatten() {
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        assert!(PASSWORDS.iter().all(|it| !sentence.contains(it)), "{sentence}");
    }
});
