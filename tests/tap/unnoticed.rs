//! A tap changes nothing in the channel: neither in the segment nor in the set.

use std::fs;

use sysvring::{Tap, TapStart};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{seccomp_errno, test, work};

use crate::rest;

/// Returns the line of a table in `/proc/sysvipc` for this identifier.
fn line_of(table: &str, id: i32) -> String {
    let table = fs::read_to_string(format!("/proc/sysvipc/{table}")).expect("a table");
    let is_it = |line: &&str| line.split_whitespace().nth(1) == Some(&id.to_string());
    table.lines().find(is_it).expect("its line").to_owned()
}

fn unnoticed<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(64);
    for n in 0..10 {
        tx.try_send(&n).expect("room");
        assert_eq!(rx.try_recv(), Ok(n));
    }
    for n in 10..20 {
        tx.try_send(&n).expect("room");
    }
    let stat = tx.stat().expect("stat");
    let (segment, set) = (stat.id.segment(), stat.set.expect("a set").id);
    let semaphores = raw_ipc::values(set).len();
    let pids = || (0..semaphores).map(|n| raw_ipc::pid(set, n)).collect::<Vec<i32>>();
    let look = || (raw_ipc::bytes(segment), raw_ipc::values(set), pids(), line_of("sem", set));
    let before = look();
    let mut tapper = Worker::start(&[&"unnoticed::tap", &name]).expect("start");
    tapper.expect("tapped");
    // Only the kernel's count of attachments shows it.
    let [nattch, lpid] = [6, 5].map(|column| {
        let line = line_of("shm", segment);
        line.split_whitespace().nth(column).expect("a column").parse::<i32>().expect("a number")
    });
    assert!(nattch >= 3 && lpid != 0, "{nattch} attachments");
    assert!(look() == before, "during the tap");
    let seats = tx.stat().expect("stat").members.len();
    assert_eq!(seats, 2, "no seat was taken");
    tapper.write_line("leave").expect("tell");
    tapper.finish();
    assert!(look() == before, "after the tap");
    // Nothing was taken.
    assert!((10..20).all(|n| rx.try_recv() == Ok(n)));
}

#[test]
fn neither_segment_nor_set_is_changed() {
    unnoticed::<Spsc>();
    unnoticed::<Mpmc>();
}

/// Taps where every call fails that could change anything.
#[work]
fn tap(args: &mut Args) {
    let name: String = args.next();
    seccomp_errno::fail(&[libc::SYS_semop, libc::SYS_semtimedop], libc::EPERM).expect("a filter");
    // Without SHM_RDONLY.
    seccomp_errno::fail_where(libc::SYS_shmat, (2, libc::SHM_RDONLY as u32, 0), libc::EACCES)
        .expect("a filter");
    let mut tap = Tap::open(name.as_str(), TapStart::Oldest).expect("a tap");
    assert_eq!(rest(&mut tap), (0..20).collect::<Vec<u64>>());
    print_line("tapped");
    read_line();
    assert_eq!(rest(&mut tap), [0; 0]);
}
