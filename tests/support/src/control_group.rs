//! Control groups of the first and the second version, for tests of their limits.

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// A new group inside that of this process, removed on drop.
#[derive(Debug)]
pub struct ControlGroup {
    directory: PathBuf,
    is_first_version: bool,
}

impl ControlGroup {
    /// Makes a group with this controller, of whichever version has it here.
    pub fn new(controller: &str) -> io::Result<ControlGroup> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let (parent, is_first_version) = own(controller)?;
        if !is_first_version {
            // In the second version, a group passes on what it is told to; not all can.
            let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        let directory = parent.join(format!("sysvring-test-{}-{n}", std::process::id()));
        fs::create_dir(&directory)?;
        let group = ControlGroup { directory, is_first_version };
        let file = format!("{controller}.");
        let has_it = fs::read_dir(&group.directory)?.flatten().any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with(&file)
        });
        match has_it {
            true => Ok(group),
            false => Err(Error::new(ErrorKind::Unsupported, "the controller is not passed on")),
        }
    }

    /// Returns whether such groups can be made here.
    pub fn is_possible(controller: &str) -> bool {
        ControlGroup::new(controller).is_ok()
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sets the limit on memory, and that on memory and swap together if there is one.
    pub fn limit_memory(&self, bytes: u64) -> io::Result<()> {
        match self.is_first_version {
            true => {
                // One must not be above the other at any time.
                let set = |file| fs::write(self.directory.join(file), bytes.to_string());
                let (both, memory) = ("memory.memsw.limit_in_bytes", "memory.limit_in_bytes");
                let _ = set(both);
                set(memory)?;
                let _ = set(both);
                Ok(())
            }
            false => {
                let set =
                    |file, bytes: u64| fs::write(self.directory.join(file), bytes.to_string());
                let _ = set("memory.swap.max", 0);
                set("memory.max", bytes)
            }
        }
    }

    /// Sets the limit on huge pages of this size, as it is written in the names of the files.
    pub fn limit_huge_pages(&self, size: &str, bytes: u64) -> io::Result<()> {
        let end = if self.is_first_version { "limit_in_bytes" } else { "max" };
        fs::write(self.directory.join(format!("hugetlb.{size}.{end}")), bytes.to_string())
    }

    /// Moves the calling process into the group at this directory.
    pub fn enter(directory: &Path) -> io::Result<()> {
        fs::write(directory.join("cgroup.procs"), std::process::id().to_string())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // A process that has just ended may still count.
        for _ in 0..200 {
            match fs::remove_dir(&self.directory) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    sleep(Duration::from_millis(10));
                }
                _ => return,
            }
        }
        eprintln!("left behind: {}", self.directory.display());
    }
}

/// Returns the directory of the group of this process that has a controller, and whether it is of
/// the first version.
fn own(controller: &str) -> io::Result<(PathBuf, bool)> {
    let missing = || Error::new(ErrorKind::Unsupported, "no such controller");
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let group_of = |is_it: &dyn Fn(&str) -> bool| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            is_it(controllers).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let first = group_of(&|list| list.split(',').any(|name| name == controller));
    let is_first = first.is_some();
    let group = first.or_else(|| group_of(&str::is_empty)).ok_or_else(missing)?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (directory, kind, options) = (words.next()?, words.next()?, words.next()?);
        let has_it = match is_first {
            true => kind == "cgroup" && options.split(',').any(|name| name == controller),
            false => kind == "cgroup2",
        };
        has_it.then(|| PathBuf::from(directory))
    });
    let mount = mount.ok_or_else(missing)?;
    // A container may see its own group as the root.
    let whole = mount.join(group);
    Ok((if whole.is_dir() { whole } else { mount }, is_first))
}
