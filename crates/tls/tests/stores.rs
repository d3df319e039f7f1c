//! Key stores of each format, as keytool and openssl made them (`fixtures`, valid for a hundred years),
//! and the mistakes that operators make with them.

use std::collections::BTreeMap;
use std::path::Path;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use strom_tls::server::{Configuration, configuration};
use strom_tls::{TlsSettings, client};

/// 2027-01-01
const NOW_S: i64 = 1_798_761_600;

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn settings(pairs: &[(&str, &str)]) -> Result<TlsSettings, String> {
    let keys: BTreeMap<&str, &str> = pairs.iter().copied().collect();
    let look_up = |key: &str| keys.get(key).map(|it| (*it).to_owned());
    TlsSettings::read("listener.name.tls.", &look_up)
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

fn node(pairs: &[(&str, &str)]) -> Result<Configuration, String> {
    configuration(&settings(pairs)?, &read_file, NOW_S)
}

fn refused(pairs: &[(&str, &str)]) -> String {
    let said = node(pairs).expect_err("refused");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains("storepass") && !said.contains("keypass"), "{said}");
    said
}

fn inline<'a>(key: &'a str, chain: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.key", key),
        ("ssl.keystore.certificate.chain", chain),
    ]
}

fn pair() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (signing_key.serialize_pem(), cert.pem())
}

#[test]
fn each_format_of_key_store_is_read() {
    let (jks, p12, legacy, pem) =
        (fixture("node.jks"), fixture("node.p12"), fixture("legacy.p12"), fixture("node.pem"));
    let store = ("ssl.keystore.password", "storepass");
    let key = ("ssl.key.password", "keypass");
    // The default type is JKS, and Java reads PKCS12 by it too.
    for (kind, path) in [("JKS", &jks), ("PKCS12", &p12), ("JKS", &p12), ("PKCS12", &legacy)] {
        let found =
            node(&[("ssl.keystore.type", kind), ("ssl.keystore.location", path), store, key]);
        assert!(found.is_ok(), "{path}: {found:?}");
    }
    let found = node(&[("ssl.keystore.type", "PEM"), ("ssl.keystore.location", &pem), key]);
    assert!(found.is_ok(), "{found:?}");
}

#[test]
fn each_format_of_trust_store_is_read() {
    for (path, password) in [
        ("trust.jks", Some("trustpass")),
        ("trust.jks", None),
        ("trust.p12", Some("trustpass")),
        ("node.p12", Some("storepass")),
    ] {
        let path = fixture(path);
        let mut pairs = vec![("ssl.truststore.location", path.as_str())];
        pairs.extend(password.map(|it| ("ssl.truststore.password", it)));
        let settings = settings(&pairs).expect("fits");
        let found = client::configuration(&settings, &read_file, NOW_S);
        assert!(found.is_ok(), "{path}: {found:?}");
    }
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    let (jks, p12, pem) = (fixture("node.jks"), fixture("node.p12"), fixture("node.pem"));
    for path in [&jks, &p12] {
        let said =
            refused(&[("ssl.keystore.location", path), ("ssl.keystore.password", "storepass2")]);
        assert!(said.contains("is not opened by its password"), "{said}");
    }
    let said = refused(&[("ssl.keystore.location", &jks), ("ssl.keystore.password", "storepass")]);
    assert!(said.contains("set ssl.key.password"), "{said}");
    let pem = [("ssl.keystore.type", "PEM"), ("ssl.keystore.location", pem.as_str())];
    assert!(refused(&pem).contains("set ssl.key.password"));
    let wrong = [pem[0], pem[1], ("ssl.key.password", "keypass2")];
    assert!(refused(&wrong).contains("that ssl.key.password does not open"));
}

#[test]
fn what_is_missing_or_does_not_fit_is_said() {
    assert!(refused(&[]).contains("listener.name.tls.ssl.keystore.location is missing"));
    let password = ("ssl.keystore.password", "storepass");
    let said = refused(&[("ssl.keystore.location", "/nowhere"), password]);
    assert!(said.contains("names /nowhere, which cannot be read"), "{said}");
    let pem = fixture("node.pem");
    let said = refused(&[("ssl.keystore.location", &pem), password]);
    assert!(said.contains("set the type to PEM"), "{said}");
    let (key, chain) = pair();
    let (_, other) = pair();
    assert!(refused(&inline(&key, &other)).contains("does not belong to its certificate"));
    assert!(refused(&inline(&key, "nothing")).contains("no certificate"));
    assert!(refused(&inline("nothing", &chain)).contains("has no private key"));
    let [kind, key, chain] = inline(&key, &chain);
    let said = refused(&[kind, key, chain, ("ssl.client.auth", "required")]);
    assert!(said.contains("ssl.truststore.location is missing"), "{said}");
    let said = refused(&[kind, key, chain, ("ssl.cipher.suites", "TLS_RSA_WITH_AES_128_CBC_SHA")]);
    assert!(said.contains("TLS_AES_256_GCM_SHA384"), "{said}");
    let suite = ("ssl.cipher.suites", "TLS_AES_256_GCM_SHA384");
    assert!(node(&[kind, key, chain, suite]).is_ok());
    let said = refused(&[kind, key, chain, suite, ("ssl.enabled.protocols", "TLSv1.2")]);
    assert!(said.contains("no suite for the versions"), "{said}");
}

#[test]
fn an_expired_or_future_certificate_is_refused() {
    let with_years = |from: i32, to: i32| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        (key.serialize_pem(), params.self_signed(&key).expect("signed").pem())
    };
    let (key, chain) = with_years(2020, 2021);
    assert!(refused(&inline(&key, &chain)).contains("that expired on"));
    let (key, chain) = with_years(2030, 2031);
    assert!(refused(&inline(&key, &chain)).contains("not valid yet"));
}

#[test]
fn a_key_store_with_other_names_does_not_take_the_place_of_another() {
    let with_names = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let made = generate_simple_self_signed(names).expect("a certificate");
        let (key, chain) = (made.signing_key.serialize_pem(), made.cert.pem());
        node(&inline(&key, &chain)).expect("a pair")
    };
    let [less, more] = [with_names(&["a"]), with_names(&["a", "b"])];
    let strict = settings(&[]).expect("nothing is wrong");
    assert_eq!(more.may_replace(&less, &strict), Ok(()));
    let said = less.may_replace(&more, &strict).expect_err("a name is gone");
    assert!(said.contains("SubjectAltNames do not match"), "{said}");
    let lax = settings(&[("ssl.allow.san.changes", "true")]).expect("nothing is wrong");
    assert_eq!(less.may_replace(&more, &lax), Ok(()));
}
