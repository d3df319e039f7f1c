//! What the operator is told of a disk without room: that it is so, now and then how much was refused since,
//! and that it is over. Not each of the thousands of operations a second that find no room.

use crate::effect::{Effects, Severity};

/// From one line to the next while operations are refused; after as long without one it is over.
const INTERVAL_MS: u64 = 10_000;

#[derive(Debug, Default)]
pub(crate) struct FullDisk {
    /// `None` while there is room.
    due_ms: Option<u64>,
    /// Refused since the last line.
    refused: u64,
    /// The last of them.
    last: String,
}

impl FullDisk {
    /// An operation found no room; `what` says which. Monotonic milliseconds.
    pub(crate) fn on_refused(
        &mut self,
        now_ms: u64,
        what: impl FnOnce() -> String,
        out: &mut Effects,
    ) {
        if self.due_ms.is_some() {
            self.refused += 1;
            if self.refused == 1 {
                self.last = what();
            }
            return;
        }
        self.due_ms = Some(now_ms + INTERVAL_MS);
        out.notice(Severity::Error, what());
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.due_ms
    }

    pub(crate) fn on_deadline(&mut self, now_ms: u64, out: &mut Effects) {
        if self.due_ms.is_none_or(|due_ms| now_ms < due_ms) {
            return;
        }
        match std::mem::take(&mut self.refused) {
            0 => {
                self.due_ms = None;
                let text = "for 10 s no operation was refused for want of room on a disk";
                out.notice(Severity::Info, text);
            }
            refused => {
                self.due_ms = Some(now_ms + INTERVAL_MS);
                let what = std::mem::take(&mut self.last);
                let text = format!("{refused} more operations found no room on a disk, as: {what}");
                out.notice(Severity::Error, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(out: &mut Effects) -> Vec<String> {
        out.notices.drain(..).map(|it| it.text).collect()
    }

    #[test]
    fn thousands_of_refusals_are_few_lines() {
        let (mut disk, mut out) = (FullDisk::default(), Effects::default());
        assert_eq!(disk.next_deadline(), None);
        for number in 0..1000 {
            disk.on_refused(5, || format!("t-{number}"), &mut out);
        }
        assert_eq!(said(&mut out), ["t-0"]);
        assert_eq!(disk.next_deadline(), Some(5 + INTERVAL_MS));
        disk.on_deadline(4 + INTERVAL_MS, &mut out);
        assert_eq!(said(&mut out).len(), 0);
        disk.on_deadline(5 + INTERVAL_MS, &mut out);
        assert_eq!(said(&mut out), ["999 more operations found no room on a disk, as: t-1"]);
        disk.on_deadline(5 + 2 * INTERVAL_MS, &mut out);
        assert_eq!((said(&mut out).len(), disk.next_deadline()), (1, None));
        // A full disk another time is told at once.
        disk.on_refused(100_000, || "again".to_owned(), &mut out);
        assert_eq!(said(&mut out), ["again"]);
    }
}
