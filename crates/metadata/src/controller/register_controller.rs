//! ControllerRegistration: a controller tells the active one where it is reached and what it can
//! run with (KIP-919).

use super::{Controller, Decision};
use crate::image::ControllerRegistration;
use crate::image::snapshot::controller_record;

impl Controller {
    /// No records when this incarnation is registered, or when the cluster does not know the record.
    #[must_use]
    pub fn register_controller(&self, asked: &ControllerRegistration) -> Decision<()> {
        let known = self.image.cluster.controller(asked.id);
        let is_needed = self.versions().has_controllers() && known != Some(asked);
        let records = if is_needed { vec![controller_record(asked)] } else { Vec::new() };
        Decision { records, reply: () }
    }
}
