//! `ssl.*` as Kafka reads it: which stores, which versions, who must show a certificate.

use std::fmt;

/// Gives a key's value in force, by its name without a listener's prefix.
pub type LookUp<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A password or private key, which nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[hidden]")
    }
}

/// Whether clients show a certificate: `ssl.client.auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Requested,
    Required,
}

/// The format of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    Pem,
    /// JKS and PKCS12: told apart by their first bytes, as Java does by default.
    Java,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File {
        kind: StoreKind,
        path: String,
        password: Option<Secret>,
    },
    /// PEM inside the configuration: certificates, and of a key store the private key.
    Inline {
        certificates: String,
        key: Option<Secret>,
    },
}

/// All that one side of a TLS connection goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// What stands before the keys' names: `listener.name.<name>.` or nothing.
    pub prefix: String,
    pub key_store: Option<Source>,
    /// `ssl.key.password`
    pub key_password: Option<Secret>,
    pub trust_store: Option<Source>,
    pub client_auth: ClientAuth,
    pub has_tls12: bool,
    pub has_tls13: bool,
    /// Empty: all.
    pub cipher_suites: Vec<String>,
    /// Whether a client compares a node's name with its certificate.
    pub checks_names: bool,
    /// A new key store may have another distinguished name, fewer alternative names.
    pub may_change_name: bool,
    pub may_drop_names: bool,
}

impl TlsSettings {
    /// # Errors
    /// One sentence that names the key.
    pub fn read(prefix: &str, look_up: LookUp<'_>) -> Result<Self, String> {
        let keys = Keys { prefix, look_up };
        for plug_in in ["ssl.engine.factory.class", "ssl.provider"] {
            if keys.text(plug_in).is_some() {
                return Err(keys.wrong(plug_in, "names a plug-in of Java: take it out"));
            }
        }
        let (has_tls12, has_tls13) = keys.versions()?;
        keys.check_mapping_rules()?;
        let names = keys.look_up("ssl.endpoint.identification.algorithm");
        let is_true =
            |key| keys.text(key).is_some_and(|text: String| text.eq_ignore_ascii_case("true"));
        Ok(Self {
            prefix: prefix.to_owned(),
            key_store: keys.key_store()?,
            key_password: keys.secret("ssl.key.password"),
            trust_store: keys.trust_store()?,
            client_auth: keys.client_auth()?,
            has_tls12,
            has_tls13,
            cipher_suites: keys.list("ssl.cipher.suites"),
            checks_names: names.is_none_or(|it| it.trim().eq_ignore_ascii_case("https")),
            may_change_name: is_true("ssl.allow.dn.changes"),
            may_drop_names: is_true("ssl.allow.san.changes"),
        })
    }

    /// A sentence about one of the keys.
    #[must_use]
    pub(crate) fn wrong(&self, key: &str, what: &str) -> String {
        format!("{}{key} {what}", self.prefix)
    }
}

struct Keys<'a> {
    prefix: &'a str,
    look_up: LookUp<'a>,
}

impl Keys<'_> {
    fn look_up(&self, key: &str) -> Option<String> {
        (self.look_up)(key)
    }

    fn text(&self, key: &str) -> Option<String> {
        let text = self.look_up(key)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn secret(&self, key: &str) -> Option<Secret> {
        self.look_up(key).map(Secret)
    }

    fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        let elements = text.split(',').map(|it| it.trim().to_owned());
        elements.filter(|it| !it.is_empty()).collect()
    }

    fn wrong(&self, key: &str, what: &str) -> String {
        format!("{}{key} {what}", self.prefix)
    }

    fn kind(&self, key: &str) -> Result<StoreKind, String> {
        match self.text(key).as_deref() {
            Some("PEM") => Ok(StoreKind::Pem),
            None | Some("JKS" | "PKCS12") => Ok(StoreKind::Java),
            Some(other) => Err(self.wrong(key, &format!("is {other}: use PEM, PKCS12 or JKS"))),
        }
    }

    fn key_store(&self) -> Result<Option<Source>, String> {
        let kind = self.kind("ssl.keystore.type")?;
        let key = self.secret("ssl.keystore.key");
        let chain = self.look_up("ssl.keystore.certificate.chain");
        let (key, certificates) = match (key, chain) {
            (None, None) => return self.file("ssl.keystore", kind),
            (Some(_), None) => {
                return Err(self.wrong(
                    "ssl.keystore.key",
                    "is given without ssl.keystore.certificate.chain: give both",
                ));
            }
            (None, Some(_)) => {
                return Err(self.wrong(
                    "ssl.keystore.certificate.chain",
                    "is given without ssl.keystore.key: give both",
                ));
            }
            (Some(key), Some(chain)) => (key, chain),
        };
        self.check_inline("ssl.keystore", "ssl.keystore.key", kind)?;
        Ok(Some(Source::Inline { certificates, key: Some(key) }))
    }

    fn trust_store(&self) -> Result<Option<Source>, String> {
        let kind = self.kind("ssl.truststore.type")?;
        match self.look_up("ssl.truststore.certificates") {
            None => self.file("ssl.truststore", kind),
            Some(certificates) => {
                self.check_inline("ssl.truststore", "ssl.truststore.certificates", kind)?;
                Ok(Some(Source::Inline { certificates, key: None }))
            }
        }
    }

    /// What is given inside the configuration is PEM, and nothing else is given.
    fn check_inline(&self, store: &str, key: &str, kind: StoreKind) -> Result<(), String> {
        if kind != StoreKind::Pem {
            return Err(self.wrong(key, &format!("is PEM: set {store}.type=PEM")));
        }
        for other in ["location", "password"] {
            let other = format!("{store}.{other}");
            if self.text(&other).is_some() {
                return Err(self.wrong(key, &format!("and {other} are both given: keep one")));
            }
        }
        Ok(())
    }

    fn file(&self, store: &str, kind: StoreKind) -> Result<Option<Source>, String> {
        let location = format!("{store}.location");
        let password_key = format!("{store}.password");
        let Some(path) = self.text(&location) else { return Ok(None) };
        let password = self.secret(&password_key);
        match (kind, &password) {
            (StoreKind::Pem, Some(_)) => {
                let hint = match store {
                    "ssl.keystore" => "use ssl.key.password for its key",
                    _ => "take it out",
                };
                Err(self.wrong(&password_key, &format!("does not go with a PEM store: {hint}")))
            }
            (StoreKind::Java, None) if store == "ssl.keystore" => {
                Err(self.wrong(&password_key, &format!("is missing: give {path}'s password")))
            }
            _ => Ok(Some(Source::File { kind, path, password })),
        }
    }

    fn client_auth(&self) -> Result<ClientAuth, String> {
        const KEY: &str = "ssl.client.auth";
        match self.text(KEY).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "none" => Ok(ClientAuth::None),
            "requested" => Ok(ClientAuth::Requested),
            "required" => Ok(ClientAuth::Required),
            other => Err(self.wrong(KEY, &format!("is {other}: use none, requested or required"))),
        }
    }

    /// Whether TLS 1.2 and 1.3 are to be spoken.
    fn versions(&self) -> Result<(bool, bool), String> {
        const ENABLED: &str = "ssl.enabled.protocols";
        const PROTOCOL: &str = "ssl.protocol";
        const KNOWN: [&str; 2] = ["TLSv1.2", "TLSv1.3"];
        let protocol = self.text(PROTOCOL);
        if let Some(other) = protocol.filter(|it| it != "TLS" && !KNOWN.contains(&it.as_str())) {
            let what = format!("is {other}, which is broken or unknown: use TLSv1.3 or TLSv1.2");
            return Err(self.wrong(PROTOCOL, &what));
        }
        let enabled = self.list(ENABLED);
        if let Some(other) = enabled.iter().find(|it| !KNOWN.contains(&it.as_str())) {
            let what = format!("has {other}, which is broken or unknown: use TLSv1.2 and TLSv1.3");
            return Err(self.wrong(ENABLED, &what));
        }
        let has = |version: &str| enabled.is_empty() || enabled.iter().any(|it| it == version);
        Ok((has(KNOWN[0]), has(KNOWN[1])))
    }

    /// Rules have their form checked; nobody is called by a name yet (there are no ACLs).
    fn check_mapping_rules(&self) -> Result<(), String> {
        const KEY: &str = "ssl.principal.mapping.rules";
        let text = self.text(KEY).unwrap_or_default();
        let is_rule = |rule: &str| {
            rule.trim() == "DEFAULT"
                || rule.trim().strip_prefix("RULE:").is_some_and(|it| it.matches('/').count() >= 2)
        };
        // A comma may stand inside a rule, so only the whole is looked at.
        if text.is_empty() || is_rule(text.split(", RULE:").next().unwrap_or_default()) {
            return Ok(());
        }
        Err(self.wrong(KEY, "must be DEFAULT or RULE:pattern/replacement/[LU]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<TlsSettings, String> {
        let find = |key: &str| pairs.iter().find(|it| it.0 == key).map(|it| it.1.to_owned());
        TlsSettings::read("listener.name.x.", &find)
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_its_whole_name() {
        let refused = |pairs: &[(&str, &str)]| read(pairs).expect_err("refused");
        let alone = refused(&[("ssl.keystore.type", "PEM"), ("ssl.keystore.key", "secret")]);
        assert!(alone.starts_with("listener.name.x.ssl.keystore.key is given without"), "{alone}");
        assert!(!alone.contains("secret"));
        let no_password = refused(&[("ssl.keystore.location", "/a")]);
        assert!(no_password.contains("ssl.keystore.password is missing"), "{no_password}");
        let old = refused(&[("ssl.enabled.protocols", "TLSv1.1,TLSv1.2")]);
        assert!(old.contains("has TLSv1.1"), "{old}");
        refused(&[("ssl.keystore.type", "BCFKS")]);
        refused(&[("ssl.client.auth", "maybe")]);
        refused(&[("ssl.principal.mapping.rules", "CN")]);
        refused(&[("ssl.engine.factory.class", "a.B")]);
        let pem = ("ssl.truststore.type", "PEM");
        let path = ("ssl.truststore.location", "/a");
        refused(&[pem, path, ("ssl.truststore.password", "p")]);
        refused(&[pem, path, ("ssl.truststore.certificates", "x")]);
    }

    #[test]
    fn defaults_are_kafkas() {
        let found = read(&[]).expect("nothing is wrong");
        assert_eq!((found.has_tls12, found.has_tls13), (true, true));
        assert_eq!(found.client_auth, ClientAuth::None);
        assert!(found.checks_names && found.key_store.is_none());
        let one = read(&[("ssl.enabled.protocols", "TLSv1.3")]).expect("one version");
        assert_eq!((one.has_tls12, one.has_tls13), (false, true));
        let unchecked = read(&[("ssl.endpoint.identification.algorithm", "")]);
        assert!(!unchecked.expect("allowed").checks_names);
    }

    #[test]
    fn secrets_are_not_printed() {
        let pairs = [
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", "hush"),
            ("ssl.keystore.certificate.chain", "c"),
            ("ssl.key.password", "hush"),
        ];
        assert!(!format!("{:?}", read(&pairs)).contains("hush"));
    }
}
