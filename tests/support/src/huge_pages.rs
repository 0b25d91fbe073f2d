//! Huge pages, which the system usually has none of until somebody reserves them.

use std::fs::{self, File};
use std::io;

const RESERVED: &str = "/proc/sys/vm/nr_hugepages";

/// One huge page that is free, unless another process takes it; on drop, the system has as many as
/// before.
#[derive(Debug)]
pub struct HugePage(());

impl HugePage {
    /// Reserves a page, as root may. The memory may be too fragmented for it.
    pub fn reserve() -> io::Result<HugePage> {
        change(1)?;
        let page = HugePage(());
        match is_one_free() {
            true => Ok(page),
            false => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }
}

impl Drop for HugePage {
    fn drop(&mut self) {
        if let Err(error) = change(-1) {
            eprintln!("a huge page stays reserved: {error}");
        }
    }
}

fn is_one_free() -> bool {
    let Ok(text) = fs::read_to_string("/proc/meminfo") else { return false };
    let free = text.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
    free.is_some_and(|free| free.trim() != "0")
}

/// Changes the number of reserved pages. Other tests do that at the same time.
fn change(by: i64) -> io::Result<()> {
    let lock = File::open(RESERVED)?;
    lock.lock()?;
    let reserved: i64 = fs::read_to_string(RESERVED)?.trim().parse().map_err(io::Error::other)?;
    fs::write(RESERVED, (reserved + by).max(0).to_string())
}
