//! What making bytes durable costs in a folder.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use tokio::time::Instant;

use crate::histogram::Histogram;

const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Appends `count` blocks of 4 KiB to a new file, each made durable by itself, and adds how long each took.
pub fn measure(folder: &Path, count: u32, into: &mut Histogram) -> anyhow::Result<()> {
    let path = folder.join("sync-cost");
    let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        into.add(began.elapsed().as_micros() as u64);
    }
    std::fs::remove_file(path)?;
    Ok(())
}
