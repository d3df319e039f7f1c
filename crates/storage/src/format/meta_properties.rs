//! `meta.properties` of a log directory: which cluster, node and directory it belongs to.

use strom_base::Uuid;
use strom_base::properties::{self, Property};

use super::FormatError;

pub const FILE_NAME: &str = "meta.properties";

/// Version 1 of the file. Version 0 (`broker.id`, no directory id) is read as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub version: i32,
    pub cluster_id: Option<String>,
    pub node_id: Option<i32>,
    pub directory_id: Option<Uuid>,
}

pub fn parse(bytes: &[u8]) -> Result<MetaProperties, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::new("not UTF-8"))?;
    let lines = properties::parse(text).map_err(|error| FormatError::new(error.to_string()))?;
    let mut version = None;
    let mut found =
        MetaProperties { version: 0, cluster_id: None, node_id: None, directory_id: None };
    for Property { key, value, .. } in lines {
        match key.as_str() {
            "version" => version = Some(number(&key, &value)?),
            "cluster.id" => found.cluster_id = Some(value),
            "node.id" | "broker.id" => found.node_id = Some(number(&key, &value)?),
            "directory.id" => {
                let id = value
                    .parse()
                    .map_err(|_| FormatError::new(format!("directory.id '{value}' is no id")))?;
                found.directory_id = Some(id);
            }
            _ => {}
        }
    }
    found.version = version.ok_or_else(|| FormatError::new("version is missing"))?;
    check(found)
}

fn check(found: MetaProperties) -> Result<MetaProperties, FormatError> {
    if !(0..=1).contains(&found.version) {
        return Err(FormatError::new(format!("unknown version {}", found.version)));
    }
    if found.version == 1 && (found.cluster_id.is_none() || found.node_id.is_none()) {
        return Err(FormatError::new("cluster.id or node.id is missing"));
    }
    Ok(found)
}

fn number(key: &str, value: &str) -> Result<i32, FormatError> {
    value.trim().parse().map_err(|_| FormatError::new(format!("{key} '{value}' is no number")))
}

#[must_use]
pub fn format(properties: &MetaProperties) -> Vec<u8> {
    let mut text = String::from("#\n");
    if let Some(cluster_id) = &properties.cluster_id {
        text.push_str(&format!("cluster.id={cluster_id}\n"));
    }
    if let Some(directory_id) = properties.directory_id {
        text.push_str(&format!("directory.id={directory_id}\n"));
    }
    if let Some(node_id) = properties.node_id {
        let key = if properties.version == 0 { "broker.id" } else { "node.id" };
        text.push_str(&format!("{key}={node_id}\n"));
    }
    text.push_str(&format!("version={}\n", properties.version));
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_file_is_read() {
        let text =
            b"#\n#Fri Nov 21 07:00:00 UTC 2026\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n\
                     version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\n";
        let found = parse(text).unwrap();
        assert_eq!(found.node_id, Some(1));
        assert_eq!(found.directory_id, Some(Uuid::ONE));
        assert_eq!(parse(&format(&found)), Ok(found));
    }

    #[test]
    fn an_incomplete_file_is_an_error() {
        for text in ["version=1\n", "version=2\nnode.id=1\ncluster.id=x\n", "version=x", "what"] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
