//! Hundreds of files that wait to be safe, of a node that stops or of logs that are brought forward
//! together: synced with their whole volume, not one after the other.
//!
//! What is promised is the same: a replacement gets its name when all that was asked before it is
//! safe, and whoever waits is told when all of the round is. Should such a sync fail, it fails for
//! everybody in the round.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use strom_storage::disk::{Completion, DirectoryId, Disk, DiskError, DiskPath, replace_with_all};

use crate::engine::FlushProgress;
use crate::file_disk::FileDisk;
use crate::sync_worker::{
    OpenFile, Ordered, SlowResult, SlowWork, Synced, forget_files, identity_of,
};

/// From so many on they are taken together. The volume may hold much that is not ours.
const TOGETHER_MIN: usize = 128;

/// Flushes, syncs, replacements and removals at the front of the queue, if they are many.
pub(crate) fn take_many(batch: &mut VecDeque<Ordered>) -> Vec<Ordered> {
    if batch.len() < TOGETHER_MIN {
        return Vec::new();
    }
    let mut paths = BTreeSet::new();
    let mut may_join = |item: &&Ordered| match &item.work {
        SlowWork::Sync { .. } | SlowWork::Flush(_) => true,
        // On one path they are done in their order.
        SlowWork::Replace { path, .. } | SlowWork::RemoveFile { path } => {
            paths.insert(path.clone())
        }
        _ => false,
    };
    let count = batch.iter().take_while(&mut may_join).count();
    if count < TOGETHER_MIN { Vec::new() } else { batch.drain(..count).collect() }
}

/// Does them all. `synced` is of the round: what failed in it stays failed.
pub(crate) fn perform_many(
    disk: &mut FileDisk,
    directory: DirectoryId,
    items: Vec<Ordered>,
    (synced, flushes): (&mut Synced, &FlushProgress),
) -> Vec<SlowResult> {
    flushes.wait_for(items.iter().map(|item| item.behind).max().unwrap_or(0));
    let (mut items, mut results) = (items, Vec::new());
    for item in items.extract_if(.., |item| matches!(item.work, SlowWork::Flush(_))) {
        if let SlowWork::Flush(work) = item.work {
            results.push(flushes.flush(work));
        }
    }
    synced.retain(|_, outcome| outcome.is_err());
    let owed: Vec<Result<(), DiskError>> =
        items.iter().map(|item| check(&item.work, synced, flushes)).collect();
    let replacements: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.work {
            SlowWork::Replace { path, bytes, .. } => Some((path.clone(), bytes.clone())),
            _ => None,
        })
        .collect();
    let (failure, replaced) = match replace_with_all(disk, directory, &replacements) {
        Ok(outcomes) => (Ok(()), outcomes),
        Err(error) => (Err(error), Vec::new()),
    };
    let mut replaced = replaced.into_iter();
    let settled = items.into_iter().zip(owed);
    results.extend(
        settled.map(|(item, owed)| {
            conclude(disk, item.work, failure.clone().and(owed), &mut replaced)
        }),
    );
    results
}

/// Does the flushes among the syncs at the front of the queue: a file that several wait for, each for
/// bytes of its own, is synced once for all. How many syncs are left there; they have nothing to wait
/// for any more.
pub(crate) fn flush_ahead(
    batch: &mut VecDeque<Ordered>,
    (synced, flushes): (&mut Synced, &FlushProgress),
    done: &mut Vec<SlowResult>,
) -> usize {
    let may_join =
        |item: &&Ordered| matches!(item.work, SlowWork::Sync { .. } | SlowWork::Flush(_));
    let count = batch.iter().take_while(may_join).count();
    let mut syncs: Vec<Ordered> = Vec::with_capacity(count);
    let mut behind = 0;
    for item in batch.drain(..count) {
        // What is written now, or was by a flush, is not covered by earlier syncs of its file.
        if item.behind > 0 || matches!(item.work, SlowWork::Flush(_)) {
            forget_files(&item.work, synced);
        }
        behind = behind.max(item.behind);
        match item.work {
            SlowWork::Flush(work) => done.push(flushes.flush(work)),
            work => syncs.push(Ordered { behind: 0, work }),
        }
    }
    flushes.wait_for(behind);
    let left = syncs.len();
    syncs.into_iter().rev().for_each(|item| batch.push_front(item));
    left
}

/// What no sync can make good.
fn check(work: &SlowWork, synced: &Synced, flushes: &FlushProgress) -> Result<(), DiskError> {
    let SlowWork::Sync { files, .. } = work else { return Ok(()) };
    for OpenFile { file, path, .. } in files {
        if !synced.is_empty() {
            let key = (path.clone(), identity_of(file.as_ref()));
            synced.get(&key).cloned().unwrap_or(Ok(()))?;
        }
        flushes.check(file.as_deref(), path)?;
    }
    Ok(())
}

/// `outcome` is of the syncs; `replaced` is of the replacements, in their order.
fn conclude(
    disk: &mut FileDisk,
    work: SlowWork,
    outcome: Result<(), DiskError>,
    replaced: &mut impl Iterator<Item = Result<(), DiskError>>,
) -> SlowResult {
    let paths: Vec<DiskPath> = work.paths();
    let (mut completion, mut released, mut failure) = (None, 0, None);
    match work {
        SlowWork::Sync { files, ticket } => {
            for OpenFile { file, name_is_synced, .. } in &files {
                released += usize::from(file.is_some());
                name_is_synced.fetch_or(outcome.is_ok(), Ordering::Relaxed);
            }
            completion = Some(Completion { ticket, result: outcome });
        }
        SlowWork::Replace { ticket, .. } => {
            let result = outcome.and(replaced.next().unwrap_or(Ok(())));
            completion = Some(Completion { ticket, result });
        }
        SlowWork::RemoveFile { path } => failure = disk.remove_file(&path).err(),
        _ => {}
    }
    SlowResult { paths, completion, flushed: None, released, failure }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use bytes::Bytes;
    use strom_storage::disk::{LogId, Ticket};

    use super::*;

    fn ticket(sequence: usize) -> Ticket {
        Ticket { log: LogId(0), sequence: sequence as u64 }
    }

    fn path(text: String) -> DiskPath {
        DiskPath { directory: DirectoryId(0), path: text }
    }

    fn sync(root: &Path, number: usize) -> Ordered {
        let name_is_synced = Arc::new(AtomicBool::new(false));
        let file = OpenFile { file: None, path: root.join(number.to_string()), name_is_synced };
        let work = SlowWork::Sync { files: vec![file], ticket: ticket(2 * number) };
        Ordered { behind: 0, work }
    }

    fn replace(number: usize) -> Ordered {
        let (path, bytes) = (path(format!("state-{number}")), Bytes::from_static(b"new"));
        Ordered {
            behind: 0,
            work: SlowWork::Replace { path, bytes, ticket: ticket(2 * number + 1) },
        }
    }

    #[test]
    fn many_are_safe_together_and_told_in_their_order() {
        let root = tempfile::tempdir_in(".").expect("a folder");
        std::fs::write(root.path().join("old"), "").expect("written");
        let mut disk = FileDisk::new(vec![root.path().to_owned()]);
        disk.open_volume(DirectoryId(0));
        let pairs = (0..TOGETHER_MIN).flat_map(|it| [sync(root.path(), it), replace(it)]);
        let mut batch: VecDeque<Ordered> = pairs.collect();
        let removed = SlowWork::RemoveFile { path: path("old".into()) };
        batch.push_back(Ordered { behind: 0, work: removed });
        // The second one of a path has to wait for the first.
        batch.push_back(replace(0));
        let items = take_many(&mut batch);
        assert_eq!((items.len(), batch.len()), (2 * TOGETHER_MIN + 1, 1));
        let round = (&mut Synced::new(), &FlushProgress::default());
        let results = perform_many(&mut disk, DirectoryId(0), items, round);
        let told: Vec<_> = results.iter().filter_map(|it| it.completion.as_ref()).collect();
        let has_step = disk.syncs_all(DirectoryId(0));
        assert!(told.iter().all(|it| it.result.is_ok() == has_step), "{told:?}");
        let sequences: Vec<u64> = told.iter().map(|it| it.ticket.sequence).collect();
        assert!(sequences.is_sorted() && sequences.len() == 2 * TOGETHER_MIN);
        assert!(!root.path().join("old").exists());
        let last = format!("state-{}", TOGETHER_MIN - 1);
        assert_eq!(root.path().join(last).exists(), has_step);
    }

    #[test]
    fn few_are_left_in_the_queue() {
        let mut batch: VecDeque<Ordered> = (0..TOGETHER_MIN - 1).map(replace).collect();
        assert!(take_many(&mut batch).is_empty());
        assert_eq!(batch.len(), TOGETHER_MIN - 1);
    }
}
