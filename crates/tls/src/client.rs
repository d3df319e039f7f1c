//! A client's side.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::settings::TlsSettings;
use crate::store::{self, KeyStore, ReadFile};
use crate::suites::{provider, versions};
use crate::trust::TrustedNodes;

/// Reads the stores. `now_s` is seconds since 1970.
///
/// # Errors
/// One sentence for whoever runs the client.
pub fn configuration(
    settings: &TlsSettings,
    read: ReadFile<'_>,
    now_s: i64,
) -> Result<Arc<ClientConfig>, String> {
    let trusted = store::trust_store(settings, read)?.ok_or_else(|| {
        settings.wrong(
            "ssl.truststore.location",
            "is missing: name a trust store with the certificate of the node, or of who signed it",
        )
    })?;
    let provider = provider(settings)?;
    let verifier = TrustedNodes::new(trusted, settings.checks_names, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(settings))
        .map_err(|error| settings.wrong("ssl.enabled.protocols", &format!("fails: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match store::key_store(settings, read, now_s)? {
        None => builder.with_no_client_auth(),
        Some(KeyStore { key, chain, .. }) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                settings.wrong("ssl.keystore", &format!("cannot be used ({error}): replace it"))
            })?
        }
    };
    Ok(Arc::new(config))
}
