//! Versions and cipher suites: Kafka's names, which are Java's, and those that rustls has.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};

use crate::settings::TlsSettings;

/// The one provider of cryptography, with the suites that the settings allow.
///
/// # Errors
/// One sentence: a suite is not known, or none is left.
pub(crate) fn provider(settings: &TlsSettings) -> Result<Arc<CryptoProvider>, String> {
    const KEY: &str = "ssl.cipher.suites";
    let mut provider = aws_lc_rs::default_provider();
    if settings.cipher_suites.is_empty() {
        return Ok(Arc::new(provider));
    }
    let known: Vec<String> = provider.cipher_suites.iter().map(java_name).collect();
    if let Some(other) = settings.cipher_suites.iter().find(|it| !known.contains(it)) {
        let what = format!("has {other}, which is not offered: use {}", known.join(", "));
        return Err(settings.wrong(KEY, &what));
    }
    provider.cipher_suites.retain(|suite| settings.cipher_suites.contains(&java_name(suite)));
    let fits = |suite: &rustls::SupportedCipherSuite| {
        versions(settings).iter().any(|version| suite.version() == *version)
    };
    if !provider.cipher_suites.iter().any(fits) {
        return Err(settings.wrong(KEY, "has no suite for the versions in ssl.enabled.protocols"));
    }
    Ok(Arc::new(provider))
}

fn java_name(suite: &rustls::SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

/// The versions that the settings allow; at least one.
pub(crate) fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::new();
    if settings.has_tls13 {
        versions.push(&TLS13);
    }
    if settings.has_tls12 {
        versions.push(&TLS12);
    }
    versions
}
