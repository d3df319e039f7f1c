//! Whom a trust store trusts: who is signed by one of its certificates, as everywhere, and as in Java
//! who shows one of these very certificates, whatever it says it may be used for.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::certificate::identity;

type Certificates = Vec<CertificateDer<'static>>;
type Checked = Result<HandshakeSignatureValid, Error>;

fn roots(trusted: &Certificates) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).map_err(|error| {
            format!("the trust store has a certificate that cannot be read ({error}): replace it")
        })?;
    }
    Ok(roots)
}

/// Looks at what clients show.
#[derive(Debug)]
pub(crate) struct TrustedClients {
    trusted: Certificates,
    of_roots: Arc<dyn ClientCertVerifier>,
}

impl TrustedClients {
    pub(crate) fn new(
        trusted: Certificates,
        is_required: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let roots = Arc::new(roots(&trusted)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        let builder = if is_required { builder } else { builder.allow_unauthenticated() };
        let of_roots = builder
            .build()
            .map_err(|error| format!("the trust store cannot be used ({error}): replace it"))?;
        Ok(Self { trusted, of_roots })
    }
}

impl ClientCertVerifier for TrustedClients {
    fn client_auth_mandatory(&self) -> bool {
        self.of_roots.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.of_roots.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.trusted.contains(end_entity) {
            return Ok(ClientCertVerified::assertion());
        }
        self.of_roots.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked {
        self.of_roots.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked {
        self.of_roots.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.of_roots.supported_verify_schemes()
    }
}

/// Looks at what a node shows.
#[derive(Debug)]
pub(crate) struct TrustedNodes {
    trusted: Certificates,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    checks_names: bool,
}

impl TrustedNodes {
    pub(crate) fn new(
        trusted: Certificates,
        checks_names: bool,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let roots = roots(&trusted)?;
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { trusted, roots, algorithms, checks_names })
    }
}

impl ServerCertVerifier for TrustedNodes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.trusted.contains(end_entity) {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.checks_names && !has_common_name(end_entity, server_name) {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Where a certificate has no alternative names, Java's clients go by its common name.
fn has_common_name(certificate: &CertificateDer<'_>, server_name: &ServerName<'_>) -> bool {
    identity(certificate).is_some_and(|it| {
        it.alternative_names.is_empty()
            && it
                .common_name
                .is_some_and(|name| name.eq_ignore_ascii_case(server_name.to_str().as_ref()))
    })
}
