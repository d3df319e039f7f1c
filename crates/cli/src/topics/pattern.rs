//! Names as regular expressions, the way Kafka's tools take them: a comma is an "or", and the
//! whole name has to match.

use crate::failure::{Failure, Outcome};
use regex_lite::Regex;

#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// # Errors
    /// A sentence when the expression is malformed.
    pub(crate) fn new(text: &str) -> Outcome<Pattern> {
        let list = text.trim().replace(',', "|").replace(' ', "");
        let list = list.trim_matches(|quote| quote == '"' || quote == '\'');
        let regex = Regex::new(&format!("^(?:{list})$"))
            .map_err(|_| Failure::said(format!("{text} is an invalid regex.")))?;
        Ok(Pattern { regex })
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_has_to_match_one_of_the_alternatives() {
        let pattern = Pattern::new("orders, pay.*").unwrap();
        assert!(pattern.matches("orders") && pattern.matches("payments"));
        assert!(!pattern.matches("orders2") && !pattern.matches("old-orders"));
        assert!(Pattern::new("(").is_err());
    }
}
