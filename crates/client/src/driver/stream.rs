//! What a connection is made of: a socket, or TLS above one.

use super::connection::lost;
use crate::error::{ClientError, Result};
use crate::settings::{Endpoint, Settings};
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use strom_tls::{TlsSettings, client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Stream for T {}

/// Connects, with a handshake where the settings ask for TLS.
pub(super) async fn open(endpoint: &Endpoint, settings: &Settings) -> Result<Box<dyn Stream>> {
    let tls = if settings.has_tls { Some(configuration(settings)?) } else { None };
    let was_lost = |error: io::Error| lost(endpoint, &error.to_string());
    let address = (endpoint.host.as_str(), endpoint.port);
    let socket = TcpStream::connect(address).await.map_err(was_lost)?;
    // Requests are written whole: waiting for more to send only costs time.
    socket.set_nodelay(true).map_err(was_lost)?;
    let Some(tls) = tls else { return Ok(Box::new(socket)) };
    let failed = |reason: String| ClientError::Tls { endpoint: endpoint.clone(), reason };
    let name =
        ServerName::try_from(endpoint.host.clone()).map_err(|error| failed(error.to_string()))?;
    let shaken = TlsConnector::from(tls).connect(name, socket).await;
    Ok(Box::new(shaken.map_err(|error| failed(sentence(&error)))?))
}

/// Read anew for each connection: they are few, and a store that was replaced counts.
fn configuration(settings: &Settings) -> Result<Arc<ClientConfig>> {
    let look_up = |key: &str| settings.tls.0.get(key).cloned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    TlsSettings::read("", &look_up)
        .and_then(|tls| client::configuration(&tls, &|path| std::fs::read(path), now_s))
        .map_err(ClientError::Settings)
}

fn sentence(error: &io::Error) -> String {
    use rustls::{CertificateError, Error};
    let cause = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!(
            "{error}: connect by a name that is in the certificate, or set \
             ssl.endpoint.identification.algorithm to nothing"
        ),
        Some(Error::InvalidCertificate(_)) => {
            format!("{error}: does the trust store hold the node's certificate, or its signer's?")
        }
        Some(Error::InvalidMessage(_)) => format!("{error}: is this a TLS listener?"),
        _ => error.to_string(),
    }
}
