//! The generations of a group: whoever belongs to an old one is fenced, and nobody is shut out who is heard
//! of in time.

/// A generation as somebody was told it: by which life of the node, and its number.
type Told = (u32, i32);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Generations {
    /// What a member was told last when it joined.
    newest: Option<Told>,
}

impl Generations {
    pub(super) fn join(&mut self, life: u32, generation: i32) {
        self.newest = Some((life, generation));
    }

    /// Whether a commit that is sent now is one of the past: the coordinator has told a member of a later
    /// generation. What a node knew of a group that was not written yet is gone with it.
    pub(super) fn is_fenced(&self, life: u32, generation: i32) -> bool {
        self.newest.is_some_and(|(told_in, newest)| told_in == life && newest > generation)
    }
}

/// When a member was heard of last: the node's life, and when it sent what was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard(Option<(u32, u64)>);

impl Heard {
    pub(super) fn note(&mut self, life: u32, sent_ms: u64) {
        self.0 = Some((life, sent_ms));
    }

    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// Whether its session cannot have come to an end by now; clocks show whole milliseconds.
    pub(super) fn is_in_time(&self, life: u32, now_ms: u64, session_ms: i32) -> bool {
        self.0.is_some_and(|(in_life, sent_ms)| {
            in_life == life && now_ms + 2 < sent_ms + session_ms.unsigned_abs() as u64
        })
    }
}
