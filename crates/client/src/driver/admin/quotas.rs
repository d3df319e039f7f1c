//! Client quotas: describe and alter (KIP-546).

use crate::Cluster;
use crate::error::{Refusal, Result};
use std::collections::BTreeMap;
use strom_protocol::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use strom_protocol::alter_client_quotas_response::AlterClientQuotasResponse;
use strom_protocol::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use strom_protocol::describe_client_quotas_response::DescribeClientQuotasResponse;

/// What a quota counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaType {
    User,
    ClientId,
    Ip,
}

impl QuotaType {
    /// As the protocol writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            QuotaType::User => "user",
            QuotaType::ClientId => "client-id",
            QuotaType::Ip => "ip",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [QuotaType::User, QuotaType::ClientId, QuotaType::Ip]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// Whom a quota limits: a name of each type, or `None`, all that have no quota of their own.
pub type QuotaEntity = BTreeMap<QuotaType, Option<String>>;

/// What is asked of an entity's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    Name(String),
    Default,
    /// A name or the default.
    Any,
}

impl Cluster {
    /// The quotas of entities that have all of these types, and no other.
    ///
    /// # Errors
    /// `Refused` with the node's words.
    pub async fn describe_client_quotas(
        &mut self,
        filter: &BTreeMap<QuotaType, QuotaMatch>,
    ) -> Result<BTreeMap<QuotaEntity, BTreeMap<String, f64>>> {
        let components = filter.iter().map(|(entity_type, wanted)| {
            let (match_type, match_) = match wanted {
                QuotaMatch::Name(name) => (0, Some(name.as_str())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            let entity_type = entity_type.name();
            ComponentData { entity_type, match_type, match_, ..Default::default() }
        });
        let request = DescribeClientQuotasRequest {
            components: components.collect(),
            strict: true,
            ..Default::default()
        };
        let answer = self.call_any(&request).await?;
        let response: DescribeClientQuotasResponse<'_> = answer.decode()?;
        Refusal::check(response.error_code, response.error_message)?;
        let entries = response.entries.iter().flatten().map(|entry| {
            let parts = entry.entity.iter().filter_map(|part| {
                let entity_type = QuotaType::from_name(part.entity_type)?;
                Some((entity_type, part.entity_name.map(str::to_owned)))
            });
            let values = entry.values.iter().map(|it| (it.key.to_owned(), it.value));
            (parts.collect(), values.collect())
        });
        Ok(entries.collect())
    }

    /// Sets quotas of an entity; `None` takes one back.
    ///
    /// # Errors
    /// `Refused` with the node's words.
    pub async fn alter_client_quotas(
        &mut self,
        entity: &QuotaEntity,
        changes: &[(String, Option<f64>)],
    ) -> Result<()> {
        let parts = entity.iter().map(|(entity_type, entity_name)| EntityData {
            entity_type: entity_type.name(),
            entity_name: entity_name.as_deref(),
            ..Default::default()
        });
        let ops = changes.iter().map(|(key, value)| OpData {
            key,
            value: value.unwrap_or_default(),
            remove: value.is_none(),
            ..Default::default()
        });
        let entry = EntryData { entity: parts.collect(), ops: ops.collect(), ..Default::default() };
        let request = AlterClientQuotasRequest { entries: vec![entry], ..Default::default() };
        let answer = self.call_any(&request).await?;
        let response: AlterClientQuotasResponse<'_> = answer.decode()?;
        for entry in &response.entries {
            Refusal::check(entry.error_code, entry.error_message)?;
        }
        Ok(())
    }
}
