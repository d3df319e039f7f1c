//! What --add-config and --delete-config say.

use super::Arguments;
use crate::failure::{Failure, Outcome};
use crate::properties;
use strom_client::driver::admin::configs::Change;

pub(super) fn from_options(arguments: &Arguments) -> Outcome<Vec<Change>> {
    let mut added = match &arguments.add_config {
        Some(text) => added(text)?,
        None => Vec::new(),
    };
    if let Some(path) = &arguments.add_config_file {
        added.extend(properties::read(path)?);
    }
    let deleted: Vec<String> = arguments
        .delete_config
        .iter()
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let mut changes: Vec<Change> =
        added.into_iter().map(|(name, value)| Change::Set { name, value }).collect();
    changes.extend(deleted.into_iter().map(|name| Change::Delete { name }));
    Ok(changes)
}

/// Parses `k1=v1,k2=[v1,v2]`: brackets keep commas in a value.
fn added(text: &str) -> Outcome<Vec<(String, String)>> {
    let mut entries = vec![String::new()];
    let mut depth = 0u32;
    for character in text.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                entries.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(entry) = entries.last_mut() {
            entry.push(character);
        }
    }
    let wanted = entries.iter().filter(|entry| !entry.trim().is_empty());
    wanted
        .map(|entry| match entry.split_once('=') {
            Some((name, value)) => {
                let value = value.trim();
                let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
                Ok((name.trim().to_owned(), inner.unwrap_or(value).to_owned()))
            }
            None => Err(Failure::said(
                "requirement failed: Invalid entity config: all configs to be added must be in \
                 the format \"key=val\" or  \"key=[val1,val2]\" to group values which contain \
                 commas.",
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_keep_commas_together() {
        let parsed = added("retention.ms=1000, cleanup.policy=[compact,delete],a=").unwrap();
        let expected = [("retention.ms", "1000"), ("cleanup.policy", "compact,delete"), ("a", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed, expected);
        assert!(added("nosuch").is_err());
    }
}
