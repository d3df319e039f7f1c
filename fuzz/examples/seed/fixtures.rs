//! The fixtures of the tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::inputs::Inputs;

pub(crate) fn run(folder: &Path) -> io::Result<()> {
    let inputs = Inputs::new(folder);
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    for entry in fs::read_dir(crates)? {
        let tests = entry?.path().join("tests");
        for folder in [tests.join("fixtures"), tests.join("data")] {
            each_file(&folder, &mut |path, bytes| one(&inputs, path, bytes))?;
        }
    }
    Ok(())
}

fn one(inputs: &Inputs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    const SMALL_FILE: u8 = 0;
    const NAME: u8 = 1;
    const PROPERTIES: u8 = 2;
    /// Key store or trust store, by the first byte; its password and the key's by the others.
    const STORES: [[u8; 3]; 6] =
        [[0, 0, 1], [1, 2, 2], [0x10, 0, 0], [0x21, 0, 0], [2, 0, 1], [3, 0, 0]];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    inputs.write("files", &[&[NAME], name.as_bytes()])?;
    match path.extension().unwrap_or_default().to_string_lossy().as_ref() {
        "log" | "checkpoint" => {
            inputs.batches(bytes)?;
            let begin = bytes.len().min(2500);
            inputs.write("metadata", &[&[0], &bytes[..begin]])
        }
        "p12" | "jks" | "pem" => {
            STORES.iter().try_for_each(|shape| inputs.write("tls_stores", &[shape, bytes]))
        }
        "properties" => inputs.write("files", &[&[PROPERTIES], bytes]).and_then(|()| {
            if name == "meta.properties" {
                inputs.write("files", &[&[SMALL_FILE], bytes])
            } else {
                Ok(())
            }
        }),
        _ => inputs.write("files", &[&[SMALL_FILE], bytes]),
    }
}

fn each_file(
    folder: &Path,
    take: &mut dyn FnMut(&Path, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            each_file(&path, take)?;
        } else {
            take(&path, &fs::read(&path)?)?;
        }
    }
    Ok(())
}
