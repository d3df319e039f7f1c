//! The layers of a broker's configuration (KIP-226): what was set for this broker while it runs, what was
//! set for all, its file, and the defaults. The first that has a key counts.

use super::describe::{ConfigSource, ConfigSynonym};
use super::effective::Effective;
use super::key::{ConfigKind, Synonym};
use super::{ConfigMap, names, table};

/// What one broker's configuration is made of.
#[derive(Clone, Copy, Debug)]
pub struct BrokerConfigLayers<'a> {
    pub file: &'a ConfigMap,
    pub dynamic_broker: Option<&'a ConfigMap>,
    pub dynamic_default: Option<&'a ConfigMap>,
}

impl<'a> BrokerConfigLayers<'a> {
    /// Of a broker for which nothing was set while it runs.
    #[must_use]
    pub fn of_file(file: &'a ConfigMap) -> Self {
        Self { file, dynamic_broker: None, dynamic_default: None }
    }

    /// The value in force, before parsing; `None` is null.
    ///
    /// What is set at one layer takes the place of all that says the same at the layers below: with
    /// `log.retention.ms` set dynamically, `log.retention.hours` of the file is its default again.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let key = table::find(ConfigKind::Broker, name);
        let synonyms = key.map(|key| key.synonyms.as_slice()).unwrap_or_default();
        let layers = [self.dynamic_broker, self.dynamic_default, Some(self.file)];
        for layer in layers.into_iter().flatten() {
            if let Some(value) = layer.get(name) {
                return Some(value);
            }
            // Itself is not there.
            if synonyms.iter().any(|synonym| layer.contains_key(synonym.name)) {
                break;
            }
        }
        key.and_then(|key| key.default_text())
    }

    /// Typed look-ups of the values in force.
    #[must_use]
    pub fn effective(self) -> Effective<'a> {
        Effective::new(self)
    }

    /// Of keys that say the same, the first that has a value, in the unit of the factors.
    #[must_use]
    pub fn first_of(&self, synonyms: &[Synonym]) -> Option<String> {
        synonyms.iter().find_map(|synonym| {
            let text = self.text(synonym.name)?.trim();
            let number = text.parse::<i64>().ok().filter(|_| synonym.factor != 1);
            let scaled = number.map(|number| number.saturating_mul(synonym.factor).to_string());
            Some(scaled.unwrap_or_else(|| text.to_owned()))
        })
    }

    /// Everything that speaks for a broker key's value, the strongest first, from the key itself on.
    pub(super) fn synonyms(&self, name: &str, is_sensitive: bool) -> Vec<ConfigSynonym> {
        let names = described_synonyms(name);
        let layers = [
            (self.dynamic_broker, ConfigSource::DynamicBroker),
            (self.dynamic_default, ConfigSource::DynamicDefaultBroker),
            (Some(self.file), ConfigSource::StaticBroker),
        ];
        let mut synonyms = Vec::new();
        for (layer, source) in layers {
            let Some(layer) = layer else { continue };
            for name in &names {
                let value = layer.get(*name).map(String::as_str);
                synonyms.extend(synonym(name, value, source));
            }
        }
        for name in &names {
            let key = table::find(ConfigKind::Broker, name);
            let default = key.and_then(|key| key.default_text());
            synonyms.extend(synonym(name, default, ConfigSource::Default));
        }
        for synonym in synonyms.iter_mut().filter(|_| is_sensitive) {
            synonym.value = None;
        }
        synonyms.into_iter().skip_while(|synonym| synonym.name != name).collect()
    }
}

fn synonym(name: &str, value: Option<&str>, source: ConfigSource) -> Option<ConfigSynonym> {
    let value = Some(value?.to_owned());
    Some(ConfigSynonym { name: name.to_owned(), value, source })
}

/// The keys that are shown as synonyms, itself among them. A listener's own key has the general one.
fn described_synonyms(name: &str) -> Vec<&str> {
    let key = table::find(ConfigKind::Broker, name);
    let known = key.map(|key| key.synonyms.as_slice()).unwrap_or_default();
    if !known.is_empty() {
        return known.iter().map(|synonym| synonym.name).collect();
    }
    let base = names::listener_base(name);
    [Some(name), base].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_strongest_layer_counts() {
        let file = map(&[("log.retention.hours", "5"), ("compression.type", "lz4")]);
        let all = map(&[("log.retention.ms", "7"), ("log.segment.bytes", "6000000")]);
        let own = map(&[("log.segment.bytes", "5000000")]);
        let layers = BrokerConfigLayers {
            file: &file,
            dynamic_broker: Some(&own),
            dynamic_default: Some(&all),
        };
        assert_eq!(layers.text("log.segment.bytes"), Some("5000000"));
        assert_eq!(layers.text("compression.type"), Some("lz4"));
        assert_eq!(layers.text("log.retention.ms"), Some("7"));
        assert_eq!(layers.text("log.retention.hours"), Some("168"));
        assert_eq!(layers.text("log.retention.minutes"), None);
        assert_eq!(layers.text("num.io.threads"), Some("8"));
    }
}
