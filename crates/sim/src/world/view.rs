//! What the cluster is, as far as a restart must not change it.

use std::collections::BTreeMap;

use strom_base::Uuid;
use strom_broker::Broker;

/// Topics by name, with their ids and partitions, and all configurations as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    topics: BTreeMap<String, (Uuid, usize)>,
    configs: Vec<String>,
}

pub(super) fn view(broker: &Broker) -> View {
    let image = broker.image();
    let topics = image.topics.iter();
    let mut configs: Vec<String> = image.configs.iter().map(|it| format!("{it:?}")).collect();
    configs.sort();
    View {
        topics: topics.map(|it| (it.name.to_string(), (it.id, it.partitions.len()))).collect(),
        configs,
    }
}

/// Internal topics may have come into being meanwhile.
pub(super) fn compare(before: &View, after: &View) -> Result<(), String> {
    let is_internal = |name: &String| name.starts_with("__");
    for (name, topic) in &before.topics {
        if after.topics.get(name) != Some(topic) {
            let found = after.topics.get(name);
            return Err(format!("topic {name} was {topic:?} before the restart, is {found:?}"));
        }
    }
    let stranger = after.topics.keys().find(|name| !before.topics.contains_key(*name));
    if let Some(stranger) = stranger.filter(|name| !is_internal(name)) {
        return Err(format!("topic {stranger} was not there before the restart"));
    }
    match before.configs.iter().find(|config| !after.configs.contains(*config)) {
        Some(lost) => Err(format!("the restart lost {lost}")),
        None => Ok(()),
    }
}
