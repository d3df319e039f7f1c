//! Who may do what. No ACL is enforced yet, and a node that is told to enforce them says so
//! instead of letting everybody in.

use strom_base::config::BrokerConfigLayers;

/// What the operator is told where an authorizer without any ACL is configured.
pub(crate) const NOTE: &str = "authorizer.class.name is set, but ACLs cannot be made in this \
                               version: everybody may do everything, as \
                               allow.everyone.if.no.acl.found=true says";

/// Whether an authorizer is configured.
///
/// # Errors
/// When it would have to keep somebody out even where there are no ACLs.
pub(super) fn read(layers: &BrokerConfigLayers<'_>) -> Result<bool, String> {
    if layers.effective().text("authorizer.class.name").is_none() {
        return Ok(false);
    }
    let lets_everybody_in = layers.text("allow.everyone.if.no.acl.found");
    if lets_everybody_in.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
        return Ok(true);
    }
    Err("authorizer.class.name is set, but this version enforces no ACLs: take it out, or set \
         allow.everyone.if.no.acl.found=true, if everybody may do everything"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use crate::settings::BrokerSettings;

    fn read(pairs: &[(&str, &str)]) -> Result<bool, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        BrokerSettings::read(pairs.iter().map(owned).collect()).map(|it| it.has_authorizer)
    }

    #[test]
    fn a_node_that_cannot_keep_anybody_out_does_not_pretend() {
        let authorizer = ("authorizer.class.name", "a.b.C");
        assert!(read(&[authorizer]).expect_err("refused").contains("authorizer.class.name"));
        assert_eq!(read(&[authorizer, ("allow.everyone.if.no.acl.found", "true")]), Ok(true));
        assert_eq!(read(&[]), Ok(false));
    }
}
