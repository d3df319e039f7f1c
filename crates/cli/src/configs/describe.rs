//! What --describe prints: a headline per entity, a line per configuration.

use super::entity::Entity;
use crate::failure::Outcome;
use std::collections::BTreeSet;
use std::io::Write;
use strom_client::Cluster;
use strom_client::driver::admin::configs::{ConfigEntry, ConfigSource, ResourceKind};

pub(super) async fn perform(cluster: &mut Cluster, entity: &Entity, all: bool) -> Outcome {
    let names = match &entity.name {
        Some(name) => {
            if !all && !exists(cluster, entity, name).await? {
                let mut output = std::io::stdout().lock();
                let kind = entity.singular();
                writeln!(
                    output,
                    "The {kind} '{name}' doesn't exist and doesn't have dynamic config."
                )?;
                return Ok(());
            }
            vec![name.clone()]
        }
        None => known(cluster, entity.kind).await?,
    };
    for name in names {
        let mut entries = cluster.describe_configs(entity.kind, &name).await?;
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        let mut output = std::io::stdout().lock();
        if name.is_empty() && entity.kind == ResourceKind::Broker {
            writeln!(output, "Default configs for {} in the cluster are:", entity.plural)?;
        } else {
            let which = if all { "All" } else { "Dynamic" };
            writeln!(output, "{which} configs for {} {name} are:", entity.singular())?;
        }
        let wanted = source_of(entity.kind, &name);
        for entry in entries.iter().filter(|entry| all || entry.source == wanted) {
            print_entry(&mut output, entry)?;
        }
    }
    Ok(())
}

/// The source of what was set on the entity itself.
fn source_of(kind: ResourceKind, name: &str) -> ConfigSource {
    match kind {
        ResourceKind::Topic => ConfigSource::DynamicTopic,
        ResourceKind::Broker if name.is_empty() => ConfigSource::DynamicDefaultBroker,
        ResourceKind::Broker => ConfigSource::DynamicBroker,
        ResourceKind::BrokerLogger => ConfigSource::DynamicBrokerLogger,
        ResourceKind::ClientMetrics => ConfigSource::DynamicClientMetrics,
        ResourceKind::Group => ConfigSource::DynamicGroup,
    }
}

async fn exists(cluster: &mut Cluster, entity: &Entity, name: &str) -> Outcome<bool> {
    // The default of all brokers is always there.
    Ok(name.is_empty() || known(cluster, entity.kind).await?.iter().any(|known| known == name))
}

async fn known(cluster: &mut Cluster, kind: ResourceKind) -> Outcome<Vec<String>> {
    let nodes = |cluster: &Cluster| -> Vec<String> {
        cluster.metadata().nodes.keys().map(ToString::to_string).collect()
    };
    Ok(match kind {
        ResourceKind::Topic => cluster.topic_names(true).await?,
        ResourceKind::Broker => {
            let mut names = nodes(cluster);
            names.push(String::new());
            names
        }
        ResourceKind::BrokerLogger => nodes(cluster),
        ResourceKind::ClientMetrics => cluster.config_resources(kind).await?,
        ResourceKind::Group => {
            let mut names: BTreeSet<String> =
                cluster.config_resources(kind).await?.into_iter().collect();
            names.extend(cluster.list_groups().await?.into_iter().map(|group| group.group_id));
            names.into_iter().collect()
        }
    })
}

fn print_entry(output: &mut impl Write, entry: &ConfigEntry) -> std::io::Result<()> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<String> = entry
        .synonyms
        .iter()
        .map(|synonym| {
            format!("{}:{}={}", synonym.source.name(), synonym.name, text(&synonym.value))
        })
        .collect();
    writeln!(
        output,
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        text(&entry.value),
        entry.is_sensitive,
        synonyms.join(", "),
    )
}
