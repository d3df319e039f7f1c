//! Typed look-ups of a broker's values in force.
//!
//! Values are checked before they are looked up, so that a look-up cannot fail: see
//! [`super::check::broker_file`]. One that was not is answered with the key's default.

use super::key::ConfigKind;
use super::value::ConfigValue;
use super::{BrokerConfigLayers, table};

/// Reads values of broker keys, named as in the table.
#[derive(Clone, Copy, Debug)]
pub struct Effective<'a> {
    layers: BrokerConfigLayers<'a>,
}

impl<'a> Effective<'a> {
    pub(super) fn new(layers: BrokerConfigLayers<'a>) -> Self {
        Self { layers }
    }

    fn value(&self, name: &str) -> Option<ConfigValue> {
        let key = table::find(ConfigKind::Broker, name)?;
        let parsed = ConfigValue::parse(key, self.layers.text(name)?);
        parsed.or_else(|_| ConfigValue::parse(key, key.default_text().unwrap_or_default())).ok()
    }

    #[must_use]
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(ConfigValue::Boolean(true)))
    }

    /// `None` is null.
    #[must_use]
    pub fn optional_number(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            ConfigValue::Number(number) => Some(number),
            _ => None,
        }
    }

    #[must_use]
    pub fn long(&self, name: &str) -> i64 {
        self.optional_number(name).unwrap_or_default()
    }

    #[must_use]
    pub fn int(&self, name: &str) -> i32 {
        i32::try_from(self.long(name)).unwrap_or(i32::MAX)
    }

    /// For keys whose limits allow no negative values.
    #[must_use]
    pub fn size(&self, name: &str) -> u32 {
        u32::try_from(self.long(name)).unwrap_or_default()
    }

    #[must_use]
    pub fn short(&self, name: &str) -> i16 {
        i16::try_from(self.long(name)).unwrap_or(i16::MAX)
    }

    #[must_use]
    pub fn double(&self, name: &str) -> f64 {
        self.value(name).and_then(|value| value.as_double()).unwrap_or_default()
    }

    /// `None` for null and for an empty text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            ConfigValue::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(ConfigValue::List(elements)) => elements,
            _ => Vec::new(),
        }
    }

    /// Whether anything but the default speaks for the key.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        let BrokerConfigLayers { file, dynamic_broker, dynamic_default } = self.layers;
        let mut layers = [Some(file), dynamic_broker, dynamic_default].into_iter().flatten();
        layers.any(|layer| layer.contains_key(name))
    }
}
