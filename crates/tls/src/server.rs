//! A listener's side.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::{Error, InconsistentKeys, ServerConfig};

use crate::certificate::Identity;
use crate::settings::{ClientAuth, TlsSettings};
use crate::store::{self, KeyStore, ReadFile};
use crate::suites::{provider, versions};
use crate::trust::TrustedClients;

/// What connections of a listener are made with, and who the node says it is.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub rustls: Arc<ServerConfig>,
    identity: Identity,
}

/// Reads the stores. `now_s` is seconds since 1970.
///
/// # Errors
/// One sentence for the operator.
pub fn configuration(
    settings: &TlsSettings,
    read: ReadFile<'_>,
    now_s: i64,
) -> Result<Configuration, String> {
    let KeyStore { key, chain, identity } =
        store::key_store(settings, read, now_s)?.ok_or_else(|| {
            settings.wrong(
                "ssl.keystore.location",
                "is missing: a TLS listener needs a key store with its private key and certificate",
            )
        })?;
    let provider = provider(settings)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(settings))
        .map_err(|error| settings.wrong("ssl.enabled.protocols", &format!("fails: {error}")))?;
    let builder = match settings.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        asked => {
            let trusted = store::trust_store(settings, read)?.ok_or_else(|| {
                settings.wrong(
                    "ssl.truststore.location",
                    "is missing: ssl.client.auth asks clients for a certificate, so name a trust \
                     store with those to trust",
                )
            })?;
            let is_required = asked == ClientAuth::Required;
            let verifier = TrustedClients::new(trusted, is_required, &provider)?;
            builder.with_client_cert_verifier(Arc::new(verifier))
        }
    };
    let mut rustls = builder.with_single_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => settings.wrong(
            "ssl.keystore",
            "has a private key that does not belong to its certificate: put both of one pair in",
        ),
        other => settings.wrong("ssl.keystore", &format!("cannot be used ({other}): replace it")),
    })?;
    // Sessions are resumed from what clients keep: the node holds nothing for them.
    if let Ok(ticketer) = Ticketer::new() {
        rustls.ticketer = ticketer;
    }
    Ok(Configuration { rustls: Arc::new(rustls), identity })
}

impl Configuration {
    /// Whether this one may take the place of another while the node runs: clients know the node by its
    /// names.
    ///
    /// # Errors
    /// Kafka's words.
    pub fn may_replace(&self, before: &Self, settings: &TlsSettings) -> Result<(), String> {
        let (old, new) = (&before.identity, &self.identity);
        if !settings.may_change_name && old.subject != new.subject {
            return Err(format!(
                "Keystore DistinguishedName does not match:  existing={{DN={}}}, \
                 new={{DN={}}}",
                old.subject, new.subject
            ));
        }
        if !settings.may_drop_names && !new.alternative_names.is_superset(&old.alternative_names) {
            return Err(format!(
                "Keystore SubjectAltNames do not match:  existing={:?}, new={:?}",
                old.alternative_names, new.alternative_names
            ));
        }
        Ok(())
    }
}
