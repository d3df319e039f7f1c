//! Hundreds of files that wait to be safe, of a node that stops or of logs that are brought forward
//! together: synced with their whole volume, not one after the other.
//!
//! What is promised is the same: a replacement gets its name when all that was asked before it is
//! safe, and whoever waits is told when all of the round is. Should such a sync fail, all of the round
//! is done again, one by one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use strom_storage::disk::{Completion, DirectoryId, Disk, DiskError, DiskPath, replace_with_all};

use crate::engine::FlushProgress;
use crate::file_disk::FileDisk;
use crate::sync_worker::{
    OpenFile, Ordered, SlowResult, SlowWork, Synced, forget_files, identity_of,
};

/// From so many files on they are taken together. The volume may hold much that is not ours.
const TOGETHER_MIN: usize = 128;

/// Flushes, syncs, replacements and removals at the front of the queue, if they are many.
pub(crate) fn take_many(batch: &mut VecDeque<Ordered>) -> Vec<Ordered> {
    if batch.len() < TOGETHER_MIN {
        return Vec::new();
    }
    // Many who wait for one file need one sync of it.
    let (mut paths, mut synced) = (BTreeSet::new(), BTreeSet::new());
    let mut count = 0;
    for item in batch.iter() {
        let may_join = match &item.work {
            SlowWork::Sync { files, .. } => {
                synced.extend(files.iter().map(|file| &file.path));
                true
            }
            SlowWork::Flush(_) => true,
            // On one path they are done in their order.
            SlowWork::Replace { path, .. } | SlowWork::RemoveFile { path } => paths.insert(path),
            _ => false,
        };
        if !may_join {
            break;
        }
        count += 1;
    }
    let files = paths.len() + synced.len();
    if files < TOGETHER_MIN { Vec::new() } else { batch.drain(..count).collect() }
}

/// What came of many taken together.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) done: Vec<SlowResult>,
    /// To be done one by one after all.
    pub(crate) left: Vec<Ordered>,
}

/// Does them all, or none but the flushes: the system tells of a lost write to the volume once, whosever
/// it was, and does not say whose. Then each file is asked by itself, from now on.
pub(crate) fn perform_many(
    disk: &mut FileDisk,
    directory: DirectoryId,
    mut items: Vec<Ordered>,
    (synced, flushes): (&mut Synced, &FlushProgress),
) -> Round {
    flushes.wait_for(items.iter().map(|item| item.behind).max().unwrap_or(0));
    let mut done = Vec::new();
    for item in items.extract_if(.., |item| matches!(item.work, SlowWork::Flush(_))) {
        if let SlowWork::Flush(work) = item.work {
            done.push(flushes.flush(work));
        }
    }
    // What has failed in this round of the worker stays failed.
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
    let replaced = match replace_with_all(disk, directory, &replacements) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            tracing::error!(%error, "files are synced one by one from now on");
            disk.close_volume();
            return Round { done, left: items };
        }
    };
    let mut replaced = replaced.into_iter();
    let confirmed: Vec<_> = items
        .iter()
        .zip(owed)
        .map(|(item, owed)| owed.and_then(|()| confirm(&item.work, flushes)))
        .collect();
    let settled = items.into_iter().zip(confirmed);
    done.extend(settled.map(|(item, owed)| conclude(disk, item.work, owed, &mut replaced)));
    Round { done, left: Vec::new() }
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

/// Whether what somebody else was told of these files is no loss.
fn confirm(work: &SlowWork, flushes: &FlushProgress) -> Result<(), DiskError> {
    let SlowWork::Sync { files, .. } = work else { return Ok(()) };
    files.iter().try_for_each(|it| flushes.confirm(it.file.as_deref(), &it.path))
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
    SlowResult { paths, bytes_apart: 0, completion, flushed: None, released, failure }
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
        let Round { done, left } = perform_many(&mut disk, DirectoryId(0), items, round);
        if !disk.syncs_all(DirectoryId(0)) {
            // A file system that has no such sync.
            assert_eq!((done.len(), left.len()), (0, 2 * TOGETHER_MIN + 1));
            return;
        }
        let told: Vec<_> = done.iter().filter_map(|it| it.completion.as_ref()).collect();
        assert!(told.iter().all(|it| it.result.is_ok()), "{told:?}");
        let sequences: Vec<u64> = told.iter().map(|it| it.ticket.sequence).collect();
        assert!(sequences.is_sorted() && sequences.len() == 2 * TOGETHER_MIN);
        assert!(!root.path().join("old").exists());
        let last = format!("state-{}", TOGETHER_MIN - 1);
        assert!(root.path().join(last).exists());
    }

    #[test]
    fn where_all_cannot_be_synced_together_each_is_asked_by_itself() {
        let root = tempfile::tempdir().expect("a folder");
        let mut disk = FileDisk::new(vec![root.path().to_owned()]);
        let items: Vec<Ordered> = (0..TOGETHER_MIN).map(replace).collect();
        let round = (&mut Synced::new(), &FlushProgress::default());
        let Round { done, left } = perform_many(&mut disk, DirectoryId(0), items, round);
        assert_eq!((done.len(), left.len()), (0, TOGETHER_MIN));
        assert!(!root.path().join("state-0").exists());
    }

    #[test]
    fn many_who_wait_for_one_file_do_not_sync_the_volume() {
        let root = tempfile::tempdir().expect("a folder");
        let mut batch: VecDeque<_> = (0..2 * TOGETHER_MIN).map(|_| sync(root.path(), 0)).collect();
        assert!(take_many(&mut batch).is_empty());
    }

    #[test]
    fn few_are_left_in_the_queue() {
        let mut batch: VecDeque<Ordered> = (0..TOGETHER_MIN - 1).map(replace).collect();
        assert!(take_many(&mut batch).is_empty());
        assert_eq!(batch.len(), TOGETHER_MIN - 1);
    }
}
