//! The TLS configurations of the node's listeners: made before anything is touched, made anew when the
//! settings change, and tried when somebody asks for a change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use strom_base::config::{BrokerConfigLayers, Listener, SecurityProtocol};
use strom_broker::settings::{BrokerSettings, ListenerCheck};
use strom_tls::TlsSettings;
use strom_tls::server::{Configuration, configuration};

type ByListener = BTreeMap<usize, Configuration>;

/// What new connections of each TLS listener are made with, by its place among the node's listeners.
///
/// Behind a lock because the broker asks, through its settings, on whatever thread it runs; it is taken
/// when settings change and when a connection comes, and nobody waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsListeners(Arc<Mutex<ByListener>>);

impl TlsListeners {
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn new(settings: &BrokerSettings) -> Result<Self, String> {
        Ok(Self(Arc::new(Mutex::new(load(settings)?))))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.with(|it| it.is_empty())
    }

    /// `None` for a listener without TLS.
    pub(crate) fn of(&self, listener: usize) -> Option<Arc<ServerConfig>> {
        self.with(|it| it.get(&listener).map(|it| Arc::clone(&it.rustls)))
    }

    /// Reads the stores again. What fails leaves all as it was: connections go on with what they had.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn reload(&self, settings: &BrokerSettings) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        let loaded = load(settings)?;
        self.with(|it| *it = loaded);
        Ok(())
    }

    fn with<T>(&self, act: impl FnOnce(&mut ByListener) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ListenerCheck for TlsListeners {
    fn check(&self, settings: &BrokerSettings) -> Result<(), String> {
        for (index, listener) in tls_listeners(settings) {
            let tls = tls_settings(&settings.layers(), listener)?;
            let new = read(&tls)?;
            let before = self.with(|it| it.get(&index).cloned());
            if let Some(before) = before {
                new.may_replace(&before, &tls)?;
            }
        }
        Ok(())
    }
}

fn load(settings: &BrokerSettings) -> Result<ByListener, String> {
    let mut by_listener = ByListener::new();
    for (index, listener) in tls_listeners(settings) {
        let tls = tls_settings(&settings.layers(), listener)?;
        let loaded = read(&tls).map_err(|why| format!("listener {}: {why}", listener.name))?;
        by_listener.insert(index, loaded);
    }
    Ok(by_listener)
}

fn tls_listeners(settings: &BrokerSettings) -> impl Iterator<Item = (usize, &Listener)> {
    let numbered = settings.node.open_listeners().enumerate();
    numbered.filter(|(_, it)| it.protocol == SecurityProtocol::Ssl)
}

/// A listener's own keys, and those of all where it has none.
fn tls_settings(
    layers: &BrokerConfigLayers<'_>,
    listener: &Listener,
) -> Result<TlsSettings, String> {
    let prefix = format!("listener.name.{}.", listener.name.to_lowercase());
    let look_up = |key: &str| {
        let own = layers.text(&format!("{prefix}{key}"));
        own.or_else(|| layers.text(key)).map(str::to_owned)
    };
    TlsSettings::read(&prefix, &look_up)
}

fn read(settings: &TlsSettings) -> Result<Configuration, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    configuration(settings, &|path| std::fs::read(path), now_s)
}
