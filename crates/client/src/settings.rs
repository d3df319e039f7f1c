//! What a client is told: where to begin, and how patient to be.

use crate::error::{ClientError, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || ClientError::Settings(format!("'{text}' is not HOST:PORT"));
        // Kafka allows a protocol in front of the address: PLAINTEXT://host:port.
        let address = text.rsplit_once("://").map_or(text, |(_, address)| address);
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Endpoint { host: host.to_owned(), port })
    }
}

/// Settings of one client. Keys and defaults are those of Kafka's client configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    pub bootstrap: Vec<Endpoint>,
    pub client_id: String,
    pub request_timeout_ms: u64,
    pub connect_timeout_ms: u64,
    pub retry_backoff_ms: u64,
    /// How long a call with its retries may take in all.
    pub api_timeout_ms: u64,
    /// The longest answer that is read.
    pub frame_bytes_max: usize,
    /// `security.protocol=SSL`
    pub has_tls: bool,
    /// The keys `ssl.*`, passwords among them.
    pub(crate) tls: TlsKeys,
}

/// The keys `ssl.*` as they were given; nothing prints them.
#[derive(Clone, Default)]
pub(crate) struct TlsKeys(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    #[must_use]
    pub fn new(bootstrap: Vec<Endpoint>) -> Self {
        Settings {
            bootstrap,
            client_id: "strom".to_owned(),
            request_timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
            retry_backoff_ms: 100,
            api_timeout_ms: 60_000,
            frame_bytes_max: 512 << 20,
            has_tls: false,
            tls: TlsKeys::default(),
        }
    }

    /// Takes a list as `--bootstrap-server` has it: `host:port,host:port`.
    ///
    /// # Errors
    /// `Settings` when an entry is not an address.
    pub fn from_bootstrap(list: &str) -> Result<Self> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let bootstrap = entries.map(str::parse).collect::<Result<Vec<Endpoint>>>()?;
        if bootstrap.is_empty() {
            return Err(ClientError::Settings("no bootstrap server is named".to_owned()));
        }
        Ok(Settings::new(bootstrap))
    }

    /// Applies one key of a Kafka client configuration; keys of other layers are ignored.
    ///
    /// # Errors
    /// `Settings` for a malformed value and for security that this client does not speak.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let number = || {
            value.trim().parse::<u64>().map_err(|_| {
                ClientError::Settings(format!(
                    "Invalid value {value} for configuration {key}: a number is expected"
                ))
            })
        };
        match key {
            "bootstrap.servers" => self.bootstrap = Settings::from_bootstrap(value)?.bootstrap,
            "client.id" => self.client_id = value.to_owned(),
            "request.timeout.ms" => self.request_timeout_ms = number()?,
            "socket.connection.setup.timeout.ms" => self.connect_timeout_ms = number()?,
            "retry.backoff.ms" => self.retry_backoff_ms = number()?,
            "default.api.timeout.ms" => self.api_timeout_ms = number()?,
            "security.protocol" => {
                self.has_tls = match value.trim().to_ascii_uppercase().as_str() {
                    "PLAINTEXT" => false,
                    "SSL" => true,
                    _ => {
                        return Err(ClientError::Settings(format!(
                            "security.protocol={value} is not supported yet: use a PLAINTEXT or \
                             SSL listener"
                        )));
                    }
                };
            }
            key if key.starts_with("ssl.") => {
                self.tls.0.insert(key.to_owned(), value.to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let endpoint: Endpoint = "localhost:9092".parse().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("localhost", 9092));
        assert_eq!("[::1]:9092".parse::<Endpoint>().unwrap().to_string(), "[::1]:9092");
        assert_eq!("PLAINTEXT://a:1".parse::<Endpoint>().unwrap().to_string(), "a:1");
        for wrong in ["localhost", ":9092", "a:b", "a:70000"] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn security_that_is_not_spoken_is_refused() {
        let mut settings = Settings::from_bootstrap("a:1,b:2").unwrap();
        assert!(settings.set("security.protocol", "SASL_SSL").is_err());
        assert!(settings.set("security.protocol", "PLAINTEXT").is_ok() && !settings.has_tls);
        assert!(settings.set("security.protocol", "ssl").is_ok() && settings.has_tls);
        assert!(settings.set("ssl.key.password", "hush").is_ok());
        assert!(!format!("{settings:?}").contains("hush"));
        assert!(settings.set("request.timeout.ms", "soon").is_err());
    }
}
