//! Of a log directory that has failed a broker asks nothing any more in this life, but to note failed syncs.

use std::collections::BTreeSet;

use strom_storage::disk::{DirectoryId, DiskEffect, FileKind};

use crate::engine::Engine;

/// The directories whose failure a broker was told while it served.
#[derive(Debug, Default)]
pub(super) struct OutOfService(BTreeSet<DirectoryId>);

impl OutOfService {
    pub(super) fn add(&mut self, directory: DirectoryId) {
        self.0.insert(directory);
    }

    /// What is asked of one of them, in words.
    pub(super) fn find_in(&self, effects: &[DiskEffect], engine: &Engine) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let is_forbidden = |effect: &&DiskEffect| {
            !is_note(effect) && self.0.contains(&engine.directory_of(effect))
        };
        let found = effects.iter().find(is_forbidden)?;
        let directory = engine.directory_of(found).0;
        let words = engine.in_words(found);
        Some(format!("the log directory {directory} has failed, and yet the node {words}"))
    }
}

fn is_note(effect: &DiskEffect) -> bool {
    matches!(effect, DiskEffect::Write { file, .. } if file.kind == FileKind::FailedSync)
}
