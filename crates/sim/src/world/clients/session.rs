//! A client's side of an incremental fetch session (KIP-227).

use crate::world::committed::Offsets;
use crate::world::places::Place;

#[derive(Debug, Default)]
pub(super) struct FetchSession {
    id: i32,
    /// 0: the next request opens a session, and closes the one of this id.
    epoch: i32,
    /// What the node was told last.
    told: Offsets,
}

impl FetchSession {
    /// The session is over: the next request opens another.
    pub(super) fn close(&mut self) {
        self.epoch = 0;
        self.told.clear();
    }

    pub(super) fn id(&self) -> (i32, i32) {
        (self.id, self.epoch)
    }

    /// What the node has to be told: all at first, then what has changed.
    pub(super) fn news(
        &mut self,
        offsets: impl Iterator<Item = (Place, i64)>,
    ) -> Vec<(Place, i64)> {
        let told = &mut self.told;
        offsets.filter(|(place, offset)| told.insert(*place, *offset) != Some(*offset)).collect()
    }

    pub(super) fn on_answer(&mut self, id: i32) -> Result<(), String> {
        if self.epoch > 0 && id != self.id {
            return Err(format!("session {} was answered as {id}", self.id));
        }
        self.id = id;
        if id == 0 {
            self.close();
        } else {
            self.epoch += 1;
        }
        Ok(())
    }
}
