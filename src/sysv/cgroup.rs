//! The limits of the control groups of this process on memory and on huge pages, in both versions of
//! control groups. What cannot be read is not known, which is not an error.
//!
//! A group that exceeds its limit on memory gets no error: the kernel kills a process. A group that
//! exceeds its limit on huge pages gets a signal at the first access to a page, although pages are
//! free. Therefore these files are read before memory is used, or to explain a failure.

use std::fs;
use std::path::{Path, PathBuf};

use super::memory;

/// A limit of a control group of this process, or of a group that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The file that states it, which names the group.
    pub(crate) file: PathBuf,
    /// Bytes that the group may have, those in swap included.
    pub(crate) bytes: u64,
}

/// Returns the lowest limit on the memory of this process. `swaps`: whether pages can be moved to
/// swap, which the group may have in addition.
pub(crate) fn memory_limit(swaps: bool) -> Option<Limit> {
    let swap = if swaps { memory::total_swap() } else { 0 };
    Hierarchy::of_this_process("memory")?.memory_limit(swap)
}

/// What a group, and those inside it, may have and have, in bytes, swap included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMemory {
    /// What they may have.
    pub limit: u64,
    /// What they have.
    pub used: u64,
}

impl GroupMemory {
    /// Returns how much more they may have.
    pub fn room(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Returns the memory of the group of a process, by its directory in /proc, and of the groups that
/// contain it: none if there is no limit. For the command line.
///
/// # Errors
/// The reason why this cannot be told.
pub fn group_memory(process: &str) -> Result<Vec<GroupMemory>, String> {
    let read = |file: &str| {
        fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))
    };
    // Its groups, seen from this process, which reads their files.
    let groups = read(&format!("/proc/{process}/cgroup"))?;
    let mounts = read("/proc/self/mountinfo")?;
    let hierarchy = Hierarchy::find("memory", &groups, &mounts)
        .ok_or("the control group that limits its memory is not visible here")?;
    // In the second version, a group to which the controller is not given has no file for memory.
    let any_group = match hierarchy.version {
        Version::One => "memory.limit_in_bytes",
        Version::Two => "cgroup.controllers",
    };
    let directory = hierarchy.mount.join(&hierarchy.group);
    match fs::read_to_string(directory.join(any_group)) {
        Ok(_) => Ok(hierarchy.memory(memory::total_swap())),
        Err(_) => Err(format!("{} cannot be read", directory.display())),
    }
}

/// Returns the lowest limit on the huge pages of this size, in bytes.
pub(crate) fn huge_page_limit(page_size: usize) -> Option<Limit> {
    Hierarchy::of_this_process("hugetlb")?.huge_page_limit(page_size)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where the groups of a controller are mounted, and which of them is that of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    mount: PathBuf,
    /// Relative to the mount.
    group: PathBuf,
}

impl Hierarchy {
    fn of_this_process(controller: &str) -> Option<Hierarchy> {
        let read = |file| fs::read_to_string(file).ok();
        Hierarchy::find(controller, &read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)
    }

    /// `groups` and `mounts` are the files `cgroup` and `mountinfo` of a process. A controller that
    /// no hierarchy of the first version has belongs to the second.
    fn find(controller: &str, groups: &str, mounts: &str) -> Option<Hierarchy> {
        let names_it = |list: &str| list.split(',').any(|name| name == controller);
        let group = |is_it: &dyn Fn(&str) -> bool| {
            groups.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                is_it(controllers).then_some(path)
            })
        };
        let (version, path) = match group(&names_it) {
            Some(path) => (Version::One, path),
            None => (Version::Two, group(&str::is_empty)?),
        };
        // The last one hides those before it.
        let (root, mount) = mounts.lines().rev().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let mut kind = kind.split(' ');
            let is_it = match (kind.next()?, version) {
                ("cgroup", Version::One) => kind.nth(1).is_some_and(names_it),
                (kind, version) => (kind, version) == ("cgroup2", Version::Two),
            };
            is_it.then_some((place.next()?, place.next()?))
        })?;
        // Only a part of the hierarchy may be visible, and the group of this process may be outside it.
        let group = Path::new(path).strip_prefix(root).ok()?;
        let is_below = !group.components().any(|part| part.as_os_str() == "..");
        is_below.then(|| Hierarchy { version, mount: mount.into(), group: group.into() })
    }

    /// Returns the directories of the group and of those that contain it.
    fn directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let version = self.version;
        let all = self.group.ancestors().map(|group| self.mount.join(group)).enumerate();
        // In the first version, a group can be set to leave those inside it alone.
        all.take_while(move |(inside, directory)| {
            let counts = |directory| number(directory, "memory.use_hierarchy") != Some(0);
            version == Version::Two || *inside == 0 || counts(directory)
        })
        .map(|(_, directory)| directory)
    }

    /// `swap`: the bytes of all swap that pages can be moved to.
    fn memory_limit(&self, swap: u64) -> Option<Limit> {
        lowest(self.directories().filter_map(|directory| self.memory_limit_of(&directory, swap)))
    }

    fn memory_limit_of(&self, directory: &Path, swap: u64) -> Option<Limit> {
        let (file, more, both) = match self.version {
            Version::One => ("memory.limit_in_bytes", None, "memory.memsw.limit_in_bytes"),
            Version::Two => ("memory.max", number(directory, "memory.swap.max"), ""),
        };
        let memory = number(directory, file).map(|memory| {
            let bytes = memory.saturating_add(more.map_or(swap, |more| more.min(swap)));
            Limit { file: directory.join(file), bytes }
        });
        let both = (self.version == Version::One)
            .then(|| number(directory, both))
            .flatten()
            .map(|bytes| Limit { file: directory.join(both), bytes });
        lowest(memory.into_iter().chain(both))
    }

    /// Returns the memory of each group that has a limit. `swap`: the bytes of all swap.
    fn memory(&self, swap: u64) -> Vec<GroupMemory> {
        let of = |directory: PathBuf| {
            let limit = self.memory_limit_of(&directory, swap)?.bytes;
            let number = |file| number(&directory, file);
            let used = match self.version {
                Version::One => {
                    let both = number("memory.memsw.usage_in_bytes");
                    both.or(number("memory.usage_in_bytes")).unwrap_or(0)
                }
                Version::Two => {
                    let swapped = number("memory.swap.current").unwrap_or(0);
                    number("memory.current").unwrap_or(0).saturating_add(swapped)
                }
            };
            Some(GroupMemory { limit, used })
        };
        self.directories().filter_map(of).collect()
    }

    fn huge_page_limit(&self, page_size: usize) -> Option<Limit> {
        let end = match self.version {
            Version::One => "limit_in_bytes",
            Version::Two => "max",
        };
        let file = format!("hugetlb.{}.{end}", short(page_size));
        lowest(self.directories().filter_map(|directory| {
            let bytes = number(&directory, &file)?;
            Some(Limit { file: directory.join(&file), bytes })
        }))
    }
}

fn lowest(limits: impl Iterator<Item = Limit>) -> Option<Limit> {
    limits.min_by_key(|limit| limit.bytes)
}

/// Reads a number of bytes; `None` if there is no limit.
fn number(directory: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(directory.join(file)).ok()?;
    let bytes: u64 = text.trim().parse().ok()?;
    // The first version writes a number close to 2^63 for none.
    (bytes < 1 << 62).then_some(bytes)
}

/// Returns a size as it is written in the names of these files.
fn short(size: usize) -> String {
    match size >> 10 {
        kib if kib >= 1 << 20 => format!("{}GB", kib >> 20),
        kib if kib >= 1 << 10 => format!("{}MB", kib >> 10),
        kib => format!("{kib}KB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
        9:name=systemd:/\n4:memory,hugetlb:/jobs/one\n0::/jobs.slice/two\n";
    const MOUNTS: &str = "\
        23 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        35 31 0:32 / /groups/memory rw,relatime - cgroup cgroup rw,memory,hugetlb\n\
        41 31 0:38 / /groups/unified rw shared:4 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_hierarchy_of_a_controller_is_found() {
        let found = |controller, groups, mounts| {
            Hierarchy::find(controller, groups, mounts)
                .map(|found| (found.version, found.mount.join(found.group)))
        };
        let in_memory = |group| Some((Version::One, Path::new("/groups/memory").join(group)));
        assert_eq!(found("memory", HYBRID, MOUNTS), in_memory("jobs/one"));
        assert_eq!(found("hugetlb", HYBRID, MOUNTS), in_memory("jobs/one"));
        let unified = Path::new("/groups/unified/jobs.slice/two").to_owned();
        assert_eq!(found("pids", HYBRID, MOUNTS), Some((Version::Two, unified)));
        assert_eq!(found("memory", HYBRID, ""), None);
        assert_eq!(found("memory", "", MOUNTS), None);
        // A container that sees its own group as the root, or that is outside what it sees.
        let inside = MOUNTS.replace("0:32 / ", "0:32 /jobs ");
        assert_eq!(found("memory", HYBRID, &inside), in_memory("one"));
        let elsewhere = MOUNTS.replace("0:32 / ", "0:32 /others ");
        assert_eq!(found("memory", HYBRID, &elsewhere), None);
        let above = "4:memory:/../one\n";
        assert_eq!(found("memory", above, MOUNTS), None);
    }

    /// A directory of groups, removed on drop.
    struct Groups(PathBuf);

    impl Groups {
        fn new(name: &str, files: &[(&str, &str)]) -> Groups {
            let root = std::env::temp_dir().join(format!("sysvring-{name}-{}", std::process::id()));
            for (file, text) in files {
                let file = root.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            Groups(root)
        }

        fn at(&self, version: Version, group: &str) -> Hierarchy {
            Hierarchy { version, mount: self.0.clone(), group: group.into() }
        }
    }

    impl Drop for Groups {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn is(limit: Option<Limit>, file: &str, bytes: u64) {
        let limit = limit.expect("a limit");
        assert!(limit.file.ends_with(file), "{limit:?}");
        assert_eq!(limit.bytes, bytes, "{limit:?}");
    }

    #[test]
    fn the_lowest_limit_of_the_second_version_counts() {
        let groups = Groups::new(
            "cgroup2",
            &[
                ("outer/memory.max", "1000\n"),
                ("outer/memory.swap.max", "0\n"),
                ("outer/inner/memory.max", "max\n"),
                ("outer/inner/own/memory.max", "900\n"),
                ("outer/inner/own/memory.swap.max", "500\n"),
                ("outer/hugetlb.2MB.max", "4096"),
                ("outer/inner/hugetlb.2MB.max", "0"),
            ],
        );
        let own = groups.at(Version::Two, "outer/inner/own");
        is(own.memory_limit(0), "own/memory.max", 900);
        is(own.memory_limit(50), "own/memory.max", 950);
        is(own.memory_limit(10_000), "outer/memory.max", 1000);
        is(own.huge_page_limit(2 << 20), "inner/hugetlb.2MB.max", 0);
        assert_eq!(own.huge_page_limit(1 << 30), None);
        assert_eq!(groups.at(Version::Two, "").memory_limit(0), None);
    }

    #[test]
    fn the_lowest_limit_of_the_first_version_counts() {
        let groups = Groups::new(
            "cgroup1",
            &[
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("outer/memory.limit_in_bytes", "1000\n"),
                ("outer/memory.use_hierarchy", "1\n"),
                ("outer/own/memory.limit_in_bytes", "2000\n"),
                ("outer/own/memory.memsw.limit_in_bytes", "2100\n"),
                ("outer/own/hugetlb.1GB.limit_in_bytes", "77\n"),
                ("alone/memory.use_hierarchy", "0\n"),
                ("alone/memory.limit_in_bytes", "5\n"),
                ("alone/own/memory.limit_in_bytes", "6\n"),
            ],
        );
        let own = groups.at(Version::One, "outer/own");
        is(own.memory_limit(0), "outer/memory.limit_in_bytes", 1000);
        is(own.memory_limit(5000), "own/memory.memsw.limit_in_bytes", 2100);
        is(own.huge_page_limit(1 << 30), "own/hugetlb.1GB.limit_in_bytes", 77);
        is(groups.at(Version::One, "alone/own").memory_limit(0), "own/memory.limit_in_bytes", 6);
        assert_eq!(groups.at(Version::One, "").memory_limit(0), None);
    }

    #[test]
    fn what_is_used_counts_swap() {
        let groups = Groups::new(
            "used",
            &[
                ("a/b/memory.max", "1000"),
                ("a/b/memory.current", "7"),
                ("a/b/memory.swap.max", "20"),
                ("a/b/memory.swap.current", "3"),
                ("a/memory.max", "500"),
                ("a/b/memory.limit_in_bytes", "900"),
                ("a/b/memory.usage_in_bytes", "9"),
                ("a/memory.limit_in_bytes", "9223372036854771712"),
                ("memory.limit_in_bytes", "99"),
                ("one/memory.limit_in_bytes", "900"),
                ("one/memory.memsw.limit_in_bytes", "905"),
                ("one/memory.memsw.usage_in_bytes", "11"),
                ("memory.use_hierarchy", "0"),
            ],
        );
        let memory = |version, group| groups.at(version, group).memory(50);
        let two = [GroupMemory { limit: 1020, used: 10 }, GroupMemory { limit: 550, used: 0 }];
        assert_eq!(memory(Version::Two, "a/b"), two);
        assert_eq!(memory(Version::One, "a/b"), [GroupMemory { limit: 950, used: 9 }]);
        assert_eq!(memory(Version::One, "one"), [GroupMemory { limit: 905, used: 11 }]);
    }

    #[test]
    fn sizes_are_written_as_in_file_names() {
        let names = [64 << 10, 2 << 20, 32 << 20, 1 << 30, 16 << 30].map(short);
        assert_eq!(names, ["64KB", "2MB", "32MB", "1GB", "16GB"]);
    }

    /// Whatever they are here, reading them succeeds or tells that they are not known.
    #[test]
    fn the_limits_of_this_process_are_read() {
        let (with, without) = (memory_limit(true), memory_limit(false));
        assert_eq!(with.is_some(), without.is_some());
        if let (Some(with), Some(without)) = (with, without) {
            assert!(with.bytes >= without.bytes && without.bytes > 0);
        }
        if let Some(limit) = huge_page_limit(2 << 20) {
            assert!(limit.file.is_file());
        }
    }
}
