//! What is looked at in a certificate: how long it is valid, and whose it is.

use std::collections::BTreeSet;

use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) subject: String,
    /// Seconds since 1970.
    pub(crate) valid_from_s: i64,
    pub(crate) valid_to_s: i64,
    pub(crate) valid_to: String,
    pub(crate) alternative_names: BTreeSet<String>,
    pub(crate) common_name: Option<String>,
}

/// `None` where it is no certificate.
pub(crate) fn identity(der: &[u8]) -> Option<Identity> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    let common_name = certificate.subject().iter_common_name().next();
    Some(Identity {
        subject: certificate.subject().to_string(),
        valid_from_s: validity.not_before.timestamp(),
        valid_to_s: validity.not_after.timestamp(),
        valid_to: validity.not_after.to_string(),
        alternative_names: alternative_names(&certificate),
        common_name: common_name.and_then(|it| it.as_str().ok()).map(str::to_owned),
    })
}

fn alternative_names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.into_iter().flat_map(|it| &it.value.general_names);
    names.map(GeneralName::to_string).collect()
}
