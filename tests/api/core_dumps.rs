//! What a core dump of a member includes: of each attachment, the kernel states it in
//! `/proc/self/smaps`.

use sysvring::{Options, Tap, TapStart, spsc};
use sysvring_support::handle::AnyFlavor;
use sysvring_support::raw_ipc::Key;
use sysvring_support::test;

/// Returns for each attachment of a segment whether it is left out of core dumps.
fn left_out(segment: i32) -> Vec<bool> {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    let (mut is_it, mut found) = (false, Vec::new());
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("VmFlags:") if is_it => found.push(words.any(|flag| flag == "dd")),
            // The inode of a segment is its identifier.
            Some(first) if !first.ends_with(':') => {
                is_it = line.contains("/SYSV")
                    && words.nth(3).is_some_and(|inode| inode == segment.to_string());
            }
            _ => {}
        }
    }
    found
}

fn options(key: &Key, mib: usize) -> Options {
    key.options().capacity(mib).prefault(false)
}

/// A message of almost 1 MiB.
type Large = [u64; (1 << 17) - 64];

#[test]
fn large_rings_are_left_out<F: AnyFlavor>() {
    for (mib, is_left_out) in [(4, false), (8, false), (32, true)] {
        let key = Key::new();
        let tx: F::Sender<Large> = options(&key, mib).create().expect("create");
        let segment = key.segment().expect("a segment");
        assert_eq!(left_out(segment), [is_left_out], "{mib} MiB");
        let rx: F::Receiver<Large> = options(&key, mib).attach().expect("attach");
        assert_eq!(left_out(segment), [is_left_out; 2], "{mib} MiB");
        let tap = Tap::open(key.address(), TapStart::Now).expect("tap");
        assert_eq!(left_out(segment), [is_left_out; 3], "{mib} MiB");
        drop((tx, rx, tap));
    }
}

#[test]
fn each_handle_decides() {
    let key = Key::new();
    let _tx: spsc::Sender<Large> = options(&key, 32).core_dumps(true).create().expect("create");
    let segment = key.segment().expect("a segment");
    assert_eq!(left_out(segment), [false]);
    let rx: spsc::Receiver<Large> = options(&key, 32).attach().expect("attach");
    let mut both = left_out(segment);
    both.sort_unstable();
    assert_eq!(both, [false, true]);
    drop(rx);
    let small = Key::new();
    let _tx: spsc::Sender<u64> = small.options().core_dumps(false).create().expect("create");
    assert_eq!(left_out(small.segment().expect("a segment")), [true]);
}
