//! The memory of the control group of a process, in both versions of control groups. The group is found
//! by the rules by which the library finds it before it creates a channel (`src/sysv/cgroup.rs`).

use std::fs;
use std::path::{Path, PathBuf};

/// What a group, and those inside it, may have and have, in bytes, swap included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub limit: u64,
    pub used: u64,
}

impl Memory {
    pub fn room(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Returns the limits of the group of a process and of those that contain it: none if there are none.
///
/// # Errors
/// The reason why this cannot be told.
pub fn memory(process: &str) -> Result<Vec<Memory>, String> {
    let read = |file: &str| {
        fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))
    };
    // Its groups, seen from this process, which reads their files.
    let groups = read(&format!("/proc/{process}/cgroup"))?;
    let mounts = read("/proc/self/mountinfo")?;
    let swap = total_swap(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let hierarchy = Hierarchy::find(&groups, &mounts)
        .ok_or("the control group that limits its memory is not visible here")?;
    if !hierarchy.is_readable() {
        return Err(format!("{} cannot be read", hierarchy.directory().display()));
    }
    Ok(hierarchy.limits(swap))
}

fn total_swap(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("SwapTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where the groups that limit memory are mounted, and which of them is that of the process.
#[derive(Debug)]
struct Hierarchy {
    version: Version,
    mount: PathBuf,
    /// Relative to the mount.
    group: PathBuf,
}

impl Hierarchy {
    /// `groups` and `mounts` are files `cgroup` and `mountinfo` of /proc. Memory belongs to the second
    /// version if no hierarchy of the first one has it.
    fn find(groups: &str, mounts: &str) -> Option<Hierarchy> {
        let has_memory = |list: &str| list.split(',').any(|name| name == "memory");
        let group = |is_it: &dyn Fn(&str) -> bool| {
            groups.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                is_it(controllers).then_some(path)
            })
        };
        let (version, path) = match group(&has_memory) {
            Some(path) => (Version::One, path),
            None => (Version::Two, group(&str::is_empty)?),
        };
        // The last one hides those before it.
        let (root, mount) = mounts.lines().rev().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let mut kind = kind.split(' ');
            let is_it = match (kind.next()?, version) {
                ("cgroup", Version::One) => kind.nth(1).is_some_and(has_memory),
                (kind, version) => (kind, version) == ("cgroup2", Version::Two),
            };
            is_it.then_some((place.next()?, place.next()?))
        })?;
        // Only a part of the hierarchy may be visible, and the group of the process may be outside it.
        let group = Path::new(path).strip_prefix(root).ok()?;
        let is_below = !group.components().any(|part| part.as_os_str() == "..");
        is_below.then(|| Hierarchy { version, mount: mount.into(), group: group.into() })
    }

    /// Returns the directory of the group.
    fn directory(&self) -> PathBuf {
        self.mount.join(&self.group)
    }

    /// Returns whether the files of the group can be read. In the second version, a group to which the
    /// controller is not given has none for memory.
    fn is_readable(&self) -> bool {
        let file = match self.version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "cgroup.controllers",
        };
        fs::read_to_string(self.directory().join(file)).is_ok()
    }

    /// Returns the limits of the group and of those that contain it. `swap`: the bytes of all swap.
    fn limits(&self, swap: u64) -> Vec<Memory> {
        let mut limits = Vec::new();
        for (inside, group) in self.group.ancestors().enumerate() {
            let directory = self.mount.join(group);
            let number = |file| number(&directory, file);
            match self.version {
                Version::Two => limits.extend(number("memory.max").map(|limit| Memory {
                    limit:
                        limit.saturating_add(number("memory.swap.max").unwrap_or(swap).min(swap)),
                    used: sum(number("memory.current"), number("memory.swap.current")),
                })),
                // A group can be set to leave those inside it alone.
                Version::One if inside > 0 && number("memory.use_hierarchy") == Some(0) => break,
                Version::One => {
                    let both = number("memory.memsw.usage_in_bytes");
                    let used = both.or(number("memory.usage_in_bytes")).unwrap_or(0);
                    let memory = number("memory.limit_in_bytes").map(|n| n.saturating_add(swap));
                    let with_swap = number("memory.memsw.limit_in_bytes");
                    let lowest = memory.into_iter().chain(with_swap).min();
                    limits.extend(lowest.map(|limit| Memory { limit, used }));
                }
            }
        }
        limits
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> u64 {
    a.unwrap_or(0).saturating_add(b.unwrap_or(0))
}

/// Reads a number of bytes; `None` if there is no limit.
fn number(directory: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(directory.join(file)).ok()?;
    let bytes: u64 = text.trim().parse().ok()?;
    // The first version writes a number close to 2^63 for none.
    (bytes < 1 << 62).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        23 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        35 31 0:32 / /groups/memory rw,relatime - cgroup cgroup rw,memory,hugetlb\n\
        41 31 0:38 / /groups/unified rw shared:4 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_group_is_found_in_both_versions() {
        let found = |groups, mounts| {
            Hierarchy::find(groups, mounts).map(|found| (found.version, found.directory()))
        };
        let one = |group| Some((Version::One, Path::new("/groups/memory").join(group)));
        let two = Some((Version::Two, Path::new("/groups/unified/two").to_owned()));
        let hybrid = "4:memory,hugetlb:/jobs/one\n0::/two\n";
        assert_eq!(found(hybrid, MOUNTS), one("jobs/one"));
        assert_eq!(found("9:pids:/x\n0::/two\n", MOUNTS), two);
        assert_eq!(found(hybrid, ""), None);
        assert_eq!(found("", MOUNTS), None);
        let inside = MOUNTS.replace("0:32 / ", "0:32 /jobs ");
        assert_eq!(found(hybrid, &inside), one("one"));
        assert_eq!(found("4:memory:/../one\n", MOUNTS), None);
        let elsewhere = MOUNTS.replace("0:32 / ", "0:32 /others ");
        assert_eq!(found(hybrid, &elsewhere), None);
    }

    #[test]
    fn swap_counts() {
        let root = std::env::temp_dir().join(format!("sysvring-groups-{}", std::process::id()));
        let write = |files: &[(&str, u64)]| {
            for (file, bytes) in files {
                let file = root.join(file);
                fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
                fs::write(file, format!("{bytes}\n")).expect("a file");
            }
        };
        let limits =
            |version| Hierarchy { version, mount: root.clone(), group: "a/b".into() }.limits(50);
        write(&[("a/b/memory.max", 1000), ("a/b/memory.current", 7), ("a/memory.max", 500)]);
        write(&[("a/b/memory.swap.max", 20), ("a/b/memory.swap.current", 3)]);
        let two = [Memory { limit: 1020, used: 10 }, Memory { limit: 550, used: 0 }];
        assert_eq!(limits(Version::Two), two);
        write(&[("a/b/memory.limit_in_bytes", 900), ("a/b/memory.usage_in_bytes", 9)]);
        write(&[("a/memory.limit_in_bytes", 0x7fff_ffff_ffff_f000), ("memory.limit_in_bytes", 99)]);
        let one = [Memory { limit: 950, used: 9 }, Memory { limit: 149, used: 0 }];
        assert_eq!(limits(Version::One), one);
        write(&[("a/b/memory.memsw.limit_in_bytes", 905), ("a/b/memory.memsw.usage_in_bytes", 11)]);
        write(&[("memory.use_hierarchy", 0)]);
        assert_eq!(limits(Version::One), [Memory { limit: 905, used: 11 }]);
        fs::remove_dir_all(&root).expect("removed");
    }
}
