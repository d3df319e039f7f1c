//! The floor of a synced record: its bytes written over zeros and synced, by a program that does nothing
//! else, with no socket and no other thread.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::sample::Figure;

/// About what a batch of one small record takes in a log.
const RECORD_BYTES: usize = 180;

/// # Errors
/// When the file cannot be written.
pub(super) fn figures(folder: &Path, count: usize) -> Result<Vec<Figure>> {
    let path = folder.join("bare-sync");
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; RECORD_BYTES * count], 0)?;
    file.sync_all()?;
    let mut latencies = Vec::with_capacity(count);
    for index in 0..count {
        let begin = Instant::now();
        file.write_all_at(&[1; RECORD_BYTES], (RECORD_BYTES * index) as u64)?;
        file.sync_data()?;
        latencies.push(begin.elapsed());
    }
    std::fs::remove_file(&path)?;
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (count.saturating_sub(1) as f64 * part) as usize;
        latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    };
    Ok(vec![
        Figure { name: "bare sync p50 µs", value: at(0.5) },
        Figure { name: "bare sync p99 µs", value: at(0.99) },
    ])
}
