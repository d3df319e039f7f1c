//! What a group has committed: never less than was acknowledged, never more than anybody sent.

use std::collections::BTreeMap;

use super::places::Place;

pub(super) type Offsets = BTreeMap<Place, i64>;

#[derive(Clone, Debug, Default)]
pub(super) struct Committed {
    sent: Offsets,
    acknowledged: Offsets,
    /// Offsets are synced before they are acknowledged.
    pub(super) is_strict: bool,
    /// The node's clock was wrong at some time: it may take an offset for one of long ago.
    pub(super) may_expire: bool,
    /// How often a commit was acknowledged, for reports.
    pub(super) commits: u64,
}

impl Committed {
    pub(super) fn on_power_failure(&mut self) {
        if !self.is_strict {
            self.acknowledged.clear();
        }
    }

    /// Somebody reads there from the start again, as the log ends before the offset that it had: what
    /// was read and not synced is gone. It may commit less than before.
    pub(super) fn begin_anew(&mut self, place: Place) {
        self.acknowledged.remove(&place);
    }

    pub(super) fn send(&mut self, offsets: &Offsets) {
        raise(&mut self.sent, offsets);
    }

    pub(super) fn acknowledge(&mut self, offsets: &Offsets) {
        self.commits += 1;
        self.raise(offsets);
    }

    pub(super) fn raise(&mut self, offsets: &Offsets) {
        raise(&mut self.acknowledged, offsets);
    }

    /// What a fetch that is sent now has to find at least.
    pub(super) fn floor(&self) -> Offsets {
        self.acknowledged.clone()
    }

    /// A member was told this offset, -1 for none. `floor` is from when it asked.
    pub(super) fn check(&self, place: Place, offset: i64, floor: &Offsets) -> Result<(), String> {
        let least = floor.get(&place).copied().unwrap_or(-1);
        let most = self.sent.get(&place).copied().unwrap_or(-1);
        // The power may have failed between the question and the answer.
        let is_expired = offset < 0 && self.may_expire;
        let is_kept = offset >= least || is_expired || !self.acknowledged.contains_key(&place);
        if is_kept && offset <= most {
            return Ok(());
        }
        Err(format!("{place:?}: the group stands at {offset}, committed were {least} to {most}"))
    }
}

fn raise(into: &mut Offsets, offsets: &Offsets) {
    for (place, offset) in offsets {
        let known = into.entry(*place).or_default();
        *known = (*known).max(*offset);
    }
}
