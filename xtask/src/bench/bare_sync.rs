//! The floor of a synced record: its bytes written over zeros and synced, by a program that does nothing
//! else; and the same by a thread that is asked for it over a socket and answers. The records go round
//! about as many files as the workload has partitions: a sync takes longer where the one before was of
//! another file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::sample::Figure;
use crate::load::target::PARTITIONS;

/// About what a batch of one small record takes in a log.
const RECORD_BYTES: usize = 180;

/// # Errors
/// When the file cannot be written.
pub(super) fn figures(folder: &Path, count: usize) -> Result<Vec<Figure>> {
    let folder = folder.join("bare-sync");
    fs::create_dir(&folder)?;
    let files = (0..PARTITIONS).map(|index| {
        let file = File::create(folder.join(index.to_string()))?;
        file.write_all_at(&vec![0; 2 * RECORD_BYTES * count], 0)?;
        file.sync_all()?;
        Ok(file)
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let mut bare = Vec::with_capacity(count);
    for index in 0..count {
        let begin = Instant::now();
        sync_record(&files, index)?;
        bare.push(begin.elapsed());
    }
    let mut asked = asked_over_a_socket(&files, count)?;
    fs::remove_dir_all(&folder)?;
    bare.sort_unstable();
    asked.sort_unstable();
    Ok(vec![
        Figure { name: "bare sync p50 µs", value: at(&bare, 0.5) },
        Figure { name: "bare sync p99 µs", value: at(&bare, 0.99) },
        Figure { name: "by socket p50 µs", value: at(&asked, 0.5) },
        Figure { name: "by socket p99 µs", value: at(&asked, 0.99) },
    ])
}

fn sync_record(files: &[File], index: usize) -> Result<()> {
    let file = &files[index % files.len()];
    file.write_all_at(&[1; RECORD_BYTES], (RECORD_BYTES * index) as u64)?;
    Ok(file.sync_data()?)
}

fn asked_over_a_socket(files: &[File], count: usize) -> Result<Vec<Duration>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    client.set_nodelay(true)?;
    thread::scope(|scope| {
        let server = scope.spawn(|| -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut record = [0; RECORD_BYTES];
            for index in count..2 * count {
                stream.read_exact(&mut record)?;
                sync_record(files, index)?;
                stream.write_all(&[0; 50])?;
            }
            Ok(())
        });
        let mut latencies = Vec::with_capacity(count);
        for _ in 0..count {
            let begin = Instant::now();
            client.write_all(&[1; RECORD_BYTES])?;
            client.read_exact(&mut [0; 50])?;
            latencies.push(begin.elapsed());
        }
        server.join().map_err(|_| anyhow!("the syncing thread has ended"))??;
        Ok(latencies)
    })
}

fn at(latencies: &[Duration], part: f64) -> f64 {
    let index = (latencies.len().saturating_sub(1) as f64 * part) as usize;
    latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}
