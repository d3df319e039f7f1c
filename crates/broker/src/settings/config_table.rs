//! The table of configuration keys as Apache Kafka 4.3.1 has them: types, defaults, limits, and which
//! can be changed while a node runs. Read where a client asks; nothing on a hot path.

use strom_metadata::image::ResourceType;

const TABLE: &str = include_str!("config_keys.tsv");
const NULL: &str = "\\N";

/// Types of values, by Kafka's codes in DescribeConfigs (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigKey {
    pub name: &'static str,
    pub value_type: ValueType,
    /// Can be changed by AlterConfigs.
    pub is_dynamic: bool,
    /// `None`: null.
    pub default: Option<&'static str>,
    /// `1..` or `1..9` for numbers, `a|b` for texts and lists; empty: none.
    limits: &'static str,
}

/// The keys of a kind of resource, in the order of their names.
pub fn keys(kind: ResourceType) -> impl Iterator<Item = ConfigKey> {
    let label = match kind {
        ResourceType::Topic => "topic",
        ResourceType::Broker => "broker",
        ResourceType::Group => "group",
        ResourceType::ClientMetrics => "metrics",
        ResourceType::BrokerLogger | ResourceType::Other(_) => "",
    };
    TABLE.lines().filter_map(move |line| parse(line).filter(|(of, _)| *of == label)).map(|it| it.1)
}

#[must_use]
pub fn find(kind: ResourceType, name: &str) -> Option<ConfigKey> {
    keys(kind).find(|key| key.name == name)
}

fn parse(line: &'static str) -> Option<(&'static str, ConfigKey)> {
    let mut fields = line.split('\t');
    let resource = fields.next()?;
    let name = fields.next()?;
    let value_type = match fields.next()? {
        "boolean" => ValueType::Boolean,
        "int" => ValueType::Int,
        "short" => ValueType::Short,
        "long" => ValueType::Long,
        "double" => ValueType::Double,
        "list" => ValueType::List,
        "class" => ValueType::Class,
        "password" => ValueType::Password,
        _ => ValueType::String,
    };
    let is_dynamic = fields.next()? == "dynamic";
    let default = fields.next().filter(|text| *text != NULL);
    let limits = fields.next().unwrap_or_default();
    Some((resource, ConfigKey { name, value_type, is_dynamic, default, limits }))
}

impl ConfigKey {
    /// # Errors
    /// Kafka's words for what is wrong with the value.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let wrong =
            |why: String| format!("Invalid value {value} for configuration {}: {why}", self.name);
        let text = value.trim();
        match self.value_type {
            ValueType::Boolean => {
                let is_boolean =
                    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
                let why = "Expected value to be either true or false";
                if is_boolean { Ok(()) } else { Err(wrong(why.into())) }
            }
            ValueType::Int | ValueType::Short | ValueType::Long => {
                let (name, least, most) = match self.value_type {
                    ValueType::Short => ("SHORT", i64::from(i16::MIN), i64::from(i16::MAX)),
                    ValueType::Int => ("INT", i64::from(i32::MIN), i64::from(i32::MAX)),
                    _ => ("LONG", i64::MIN, i64::MAX),
                };
                match text.parse::<i64>() {
                    Ok(number) if (least..=most).contains(&number) => {
                        self.check_range(number).map_err(wrong)
                    }
                    _ => Err(wrong(format!("Not a number of type {name}"))),
                }
            }
            ValueType::Double => {
                let number = text.parse::<f64>();
                number.map(|_| ()).map_err(|_| wrong("Not a number of type DOUBLE".into()))
            }
            ValueType::String => self.check_choice(text).map_err(wrong),
            ValueType::List => {
                let mut elements = text.split(',').map(str::trim).filter(|it| !it.is_empty());
                elements.try_for_each(|element| self.check_choice(element)).map_err(wrong)
            }
            ValueType::Class | ValueType::Password => Ok(()),
        }
    }

    fn check_range(&self, number: i64) -> Result<(), String> {
        let Some((least, most)) = self.limits.split_once("..") else { return Ok(()) };
        if least.parse().is_ok_and(|least: i64| number < least) {
            return Err(format!("Value must be at least {least}"));
        }
        if most.parse().is_ok_and(|most: i64| number > most) {
            return Err(format!("Value must be no more than {most}"));
        }
        Ok(())
    }

    fn check_choice(&self, text: &str) -> Result<(), String> {
        let mut choices = self.limits.split('|');
        if self.limits.is_empty() || choices.any(|choice| choice.eq_ignore_ascii_case(text)) {
            return Ok(());
        }
        Err(format!("String must be one of: {}", self.limits.replace('|', ", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_with_kafkas_types_and_defaults() {
        let hours = find(ResourceType::Broker, "log.retention.hours").expect("a key");
        assert_eq!((hours.value_type, hours.default), (ValueType::Int, Some("168")));
        assert!(!hours.is_dynamic);
        let rack = find(ResourceType::Broker, "broker.rack").expect("a key");
        assert_eq!(rack.default, None);
        assert!(find(ResourceType::Topic, "log.retention.hours").is_none());
        assert_eq!(keys(ResourceType::Group).count(), 17);
    }

    #[test]
    fn every_default_is_a_value() {
        for kind in [ResourceType::Topic, ResourceType::Group, ResourceType::ClientMetrics] {
            for key in keys(kind) {
                assert_eq!(key.default.map_or(Ok(()), |it| key.check(it)), Ok(()), "{}", key.name);
            }
        }
    }

    #[test]
    fn values_outside_the_limits_are_refused_in_kafkas_words() {
        let key = find(ResourceType::Group, "consumer.session.timeout.ms").expect("a key");
        let said = |value| key.check(value).expect_err("refused");
        let start = "Invalid value x for configuration consumer.session.timeout.ms: ";
        assert_eq!(said("x"), format!("{start}Not a number of type INT"));
        assert!(said("0").ends_with("Value must be at least 1"));
        assert_eq!(key.check("50000"), Ok(()));
    }
}
