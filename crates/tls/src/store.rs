//! Key stores and trust stores, from bytes to keys and certificates.

use std::io;
use std::path::Path;

use p12_keystore::{KeyStore as Pkcs12, KeyStoreEntry, Pkcs12ImportPolicy};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::certificate::{Identity, identity};
use crate::jks::{self, Entry, JksError};
use crate::pem::{self, Block};
use crate::settings::{Secret, Source, StoreKind, TlsSettings};

/// How a file is read: handed in, as this crate opens none.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// Who one is: a private key and the chain of its certificate, that one first.
#[derive(Debug)]
pub(crate) struct KeyStore {
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) identity: Identity,
}

/// Reads the key store of these settings, if they name one. `now_s` is seconds since 1970.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn key_store(
    settings: &TlsSettings,
    read: ReadFile<'_>,
    now_s: i64,
) -> Result<Option<KeyStore>, String> {
    let Some(source) = &settings.key_store else { return Ok(None) };
    let password = settings.key_password.as_ref();
    let (name, found) = match source {
        Source::Inline { certificates, key } => {
            let name = settings.wrong("ssl.keystore.certificate.chain", "");
            let key = key.as_ref().map(|it| it.0.as_str()).unwrap_or_default();
            (name.trim_end().to_owned(), pem_key_store(&format!("{key}\n{certificates}"), password))
        }
        Source::File { kind, path, password: of_store } => {
            let bytes = file(settings, "ssl.keystore.location", path, read)?;
            let found = match kind {
                StoreKind::Pem => pem_key_store(&text(bytes), password),
                StoreKind::Java => java_key_store(&bytes, of_store.as_ref(), password),
            };
            (format!("the key store {path}"), found)
        }
    };
    let (key, chain) = found.map_err(|why| format!("{name} {why}"))?;
    let first = chain.first().and_then(|it| identity(it));
    let identity = first.ok_or_else(|| {
        format!("{name} has no certificate that can be read: put the chain into it, its own first")
    })?;
    if identity.valid_to_s < now_s {
        let Identity { subject, valid_to, .. } = &identity;
        return Err(format!(
            "{name} has a certificate ({subject}) that expired on {valid_to}: replace it"
        ));
    }
    if identity.valid_from_s > now_s {
        let subject = &identity.subject;
        return Err(format!(
            "{name} has a certificate ({subject}) that is not valid yet: set the clock or replace it"
        ));
    }
    Ok(Some(KeyStore { key, chain, identity }))
}

/// Reads the trusted certificates of these settings, if they name any.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn trust_store(
    settings: &TlsSettings,
    read: ReadFile<'_>,
) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
    let Some(source) = &settings.trust_store else { return Ok(None) };
    let (name, found) = match source {
        Source::Inline { certificates, .. } => {
            let name = settings.wrong("ssl.truststore.certificates", "");
            (name.trim_end().to_owned(), pem_certificates(certificates))
        }
        Source::File { kind, path, password } => {
            let bytes = file(settings, "ssl.truststore.location", path, read)?;
            let found = match kind {
                StoreKind::Pem => pem_certificates(&text(bytes)),
                StoreKind::Java => java_certificates(&bytes, password.as_ref()),
            };
            (format!("the trust store {path}"), found)
        }
    };
    let certificates = found.map_err(|why| format!("{name} {why}"))?;
    if certificates.is_empty() {
        return Err(format!(
            "{name} has no trusted certificates: put one in, with keytool -importcert into one of \
             Java's"
        ));
    }
    Ok(Some(certificates))
}

fn file(
    settings: &TlsSettings,
    key: &str,
    path: &str,
    read: ReadFile<'_>,
) -> Result<Vec<u8>, String> {
    read(Path::new(path)).map_err(|error| {
        settings.wrong(key, &format!("names {path}, which cannot be read ({error}): correct it"))
    })
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

type Found = (PrivateKeyDer<'static>, Vec<CertificateDer<'static>>);

fn pem_key_store(text: &str, password: Option<&Secret>) -> Result<Found, String> {
    let blocks = pem::blocks(text)?;
    let key = blocks
        .iter()
        .find(|it| it.label.ends_with("PRIVATE KEY"))
        .ok_or("has no private key: put it in, as PEM beginning with BEGIN PRIVATE KEY")?;
    Ok((private_key(key, password)?, certificates(blocks)))
}

fn private_key(block: &Block, password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = block.bytes.clone();
    match block.label.as_str() {
        "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(bytes.into())),
        "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(bytes.into())),
        "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(bytes.into())),
        "ENCRYPTED PRIVATE KEY" => {
            let password = password.ok_or("has an encrypted key: set ssl.key.password")?;
            let sealed = EncryptedPrivateKeyInfoRef::try_from(bytes.as_slice())
                .map_err(|error| format!("has an encrypted key of an unknown kind ({error})"))?;
            let opened = sealed.decrypt(&password.0).map_err(|_| {
                "has an encrypted key that ssl.key.password does not open: correct it, or convert \
                 the key with openssl pkcs8 -topk8 -v2 aes-256-cbc"
            })?;
            Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec())))
        }
        other => Err(format!("has a {other}, which is not understood: convert it to PKCS#8")),
    }
}

fn pem_certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    Ok(certificates(pem::blocks(text)?))
}

fn certificates(blocks: Vec<Block>) -> Vec<CertificateDer<'static>> {
    let of_kind = blocks.into_iter().filter(|it| it.label.ends_with("CERTIFICATE"));
    of_kind.map(|it| CertificateDer::from(it.bytes)).collect()
}

const WRONG_PASSWORD: &str = "is not opened by its password: correct it";
const BROKEN: &str =
    "is neither PKCS12 nor JKS, or is damaged: make it anew, or set the type to PEM";

fn java_key_store(
    bytes: &[u8],
    password: Option<&Secret>,
    key_password: Option<&Secret>,
) -> Result<Found, String> {
    const NO_KEY: &str = "has no private key with a certificate: put them in";
    let password = password.map(|it| it.0.as_str()).unwrap_or_default();
    if !bytes.starts_with(&jks::MAGIC) {
        let store = pkcs12(bytes, password)?;
        let (_, entry) = store.private_key_chain().ok_or(NO_KEY)?;
        let chain = entry.certs().iter().map(|it| it.as_der().to_vec().into()).collect();
        let key = PrivatePkcs8KeyDer::from(entry.key().as_der().to_vec());
        return Ok((PrivateKeyDer::Pkcs8(key), chain));
    }
    let entries = jks::entries(bytes, Some(password)).map_err(jks_sentence)?;
    let key = entries.into_iter().find_map(|it| match it {
        Entry::Key { protected, chain } => Some((protected, chain)),
        Entry::Certificate(_) => None,
    });
    let (protected, chain) = key.ok_or(NO_KEY)?;
    let password = key_password.map_or(password, |it| &it.0);
    let key = jks::unprotect(&protected, password).map_err(|error| match error {
        JksError::Password => "has a key that its password does not open: set ssl.key.password",
        JksError::Broken => BROKEN,
    })?;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    Ok((PrivateKeyDer::Pkcs8(key.into()), chain))
}

/// Certificates that are there to be trusted, and as in Java those of the store's own keys.
fn java_certificates(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let password = password.map(|it| it.0.as_str());
    if !bytes.starts_with(&jks::MAGIC) {
        let store = pkcs12(bytes, password.unwrap_or_default())?;
        let trusted = store.entries().filter_map(|(_, entry)| match entry {
            KeyStoreEntry::Certificate(certificate) => Some(certificate),
            KeyStoreEntry::PrivateKeyChain(chain) => chain.certs().first(),
            KeyStoreEntry::Secret(_) => None,
        });
        return Ok(trusted.map(|it| it.as_der().to_vec().into()).collect());
    }
    let entries = jks::entries(bytes, password).map_err(jks_sentence)?;
    let trusted = entries.into_iter().filter_map(|entry| match entry {
        Entry::Certificate(certificate) => Some(certificate),
        Entry::Key { chain, .. } => chain.into_iter().next(),
    });
    Ok(trusted.map(CertificateDer::from).collect())
}

fn jks_sentence(error: JksError) -> String {
    match error {
        JksError::Password => WRONG_PASSWORD.to_owned(),
        JksError::Broken => BROKEN.to_owned(),
    }
}

fn pkcs12(bytes: &[u8], password: &str) -> Result<Pkcs12, String> {
    use p12_keystore::error::Error;
    Pkcs12::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict).map_err(|error| match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => WRONG_PASSWORD.to_owned(),
        Error::DerError(_) | Error::InvalidVersion => BROKEN.to_owned(),
        other => format!("is not understood ({other}): make it anew with keytool"),
    })
}
