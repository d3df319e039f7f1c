//! Key and value pairs: from Java property files and from `key=value` options.

use crate::failure::{Failure, Outcome};
use std::path::Path;

/// Reads a property file, in its order.
pub(crate) fn read(path: &Path) -> Outcome<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::said(format!("{} cannot be read: {error}", path.display())))?;
    let properties = strom_base::properties::parse(&text)
        .map_err(|error| Failure::said(format!("{}, {error}", path.display())))?;
    Ok(properties.into_iter().map(|property| (property.key, property.value)).collect())
}

/// Parses `key=value` options.
pub(crate) fn pairs(options: &[String]) -> Outcome<Vec<(String, String)>> {
    options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Failure::said(format!("Invalid command line properties: {option}"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_without_equals_sign_is_refused() {
        assert!(pairs(&["a=b=c".to_owned()]).is_ok_and(|pairs| pairs[0].1 == "b=c"));
        assert!(pairs(&["nothing".to_owned()]).is_err());
    }
}
