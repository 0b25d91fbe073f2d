//! What else a set waits for: file descriptors, points in time, notifiers.

use std::io::{Read, Write, pipe};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use std::{fs, thread};

use sysvring::{Error, Interest, WaitSet};
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

#[test]
fn a_pipe_is_ready_as_long_as_it_holds_bytes() {
    let (mut read, mut write) = pipe().expect("a pipe");
    let set = WaitSet::new().expect("a set");
    let token = set.add_fd(&read, Interest::Readable).expect("added");
    assert_eq!(tokens(&set, NOW), []);
    write.write_all(b"x").expect("room");
    for _ in 0..2 {
        let events = wait(&set, LONG);
        assert_eq!((events.len(), events[0].token()), (1, token));
        assert!(events[0].is_readable() && !events[0].is_writable());
    }
    read.read_exact(&mut [0]).expect("a byte");
    assert_eq!(tokens(&set, NOW), []);
    drop(write);
    assert!(wait(&set, LONG)[0].is_readable(), "the end");
    assert!(set.remove(token) && !set.remove(token));
    assert_eq!(tokens(&set, NOW), []);
}

#[test]
fn a_socket_has_two_directions() {
    let (mut near, mut far) = UnixStream::pair().expect("a pair");
    let set = WaitSet::new().expect("a set");
    let token = set.add_fd(&near, Interest::Both).expect("added");
    let directions = || {
        let events = wait(&set, NOW);
        assert!(events.iter().all(|event| event.token() == token));
        events.first().map(|event| (event.is_readable(), event.is_writable()))
    };
    assert_eq!(directions(), Some((false, true)));
    far.write_all(b"x").expect("room");
    assert_eq!(directions(), Some((true, true)));
    near.read_exact(&mut [0]).expect("a byte");
    assert_eq!(directions(), Some((false, true)));
    near.set_nonblocking(true).expect("a socket");
    while near.write(&[0; 4096]).is_ok() {}
    assert_eq!(directions(), None);
    drop(far);
    assert_eq!(directions(), Some((true, true)), "it has lost its other side");
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let set = WaitSet::new().expect("a set");
    let file = fs::File::open("/proc/self/exe").expect("this program");
    let error = set.add_fd(&file, Interest::Readable).expect_err("a regular file");
    assert!(matches!(&error, Error::System { source, .. }
        if source.raw_os_error() == Some(libc::EPERM)));
    let (read, _write) = pipe().expect("a pipe");
    set.add_fd(&read, Interest::Readable).expect("added");
    let error = set.add_fd(&read, Interest::Readable).expect_err("twice");
    assert!(matches!(&error, Error::System { source, .. }
        if source.raw_os_error() == Some(libc::EEXIST)));
}

/// More descriptors than one call of the kernel returns.
#[test]
fn many_ready_descriptors_are_all_returned() {
    let set = WaitSet::new().expect("a set");
    let mut wanted = Vec::new();
    let pipes: Vec<_> = (0..200)
        .map(|_| {
            let (read, mut write) = pipe().expect("a pipe");
            write.write_all(b"x").expect("room");
            wanted.push(set.add_fd(&read, Interest::Readable).expect("added"));
            (read, write)
        })
        .collect();
    // Each gets its turn before any other returns twice.
    let mut seen: Vec<_> = (0..pipes.len().div_ceil(64)).flat_map(|_| tokens(&set, LONG)).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, wanted);
}

#[test]
fn deadlines_come_in_order_and_once() {
    let set = WaitSet::new().expect("a set");
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    let start = Instant::now();
    let (late, early, never) =
        (set.add_deadline(at(900)), set.add_deadline(at(300)), set.add_deadline(at(600)));
    assert_eq!(tokens(&set, NOW), []);
    assert!(set.remove(never) && !set.remove(never));
    assert_eq!(tokens(&set, LONG), [early]);
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(tokens(&set, LONG), [late]);
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert_eq!(tokens(&set, Some(Duration::from_millis(5))), []);
    assert!(!set.remove(late), "it has left the set");
    let past = set.add_deadline(start);
    assert_eq!(tokens(&set, NOW), [past]);
    // A time that the clock does not have.
    let far = set.add_deadline(start + Duration::from_secs(u64::MAX / 4_000_000_000));
    assert_eq!(tokens(&set, Some(Duration::from_millis(2))), []);
    assert!(set.remove(far));
}

/// A deadline that is added while another thread waits ends that wait in time.
#[test]
fn a_deadline_is_added_while_a_thread_waits() {
    let set = WaitSet::new().expect("a set");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| tokens(&set, LONG));
        thread::sleep(Duration::from_millis(10));
        let (watch, since) = (Watch::start(&[]), now_ns());
        let token = set.add_deadline(Instant::now() + Duration::from_millis(5));
        assert_eq!(waiting.join().expect("events"), [token]);
        watch.must_be_within(PROMPT, since);
    });
}

#[test]
fn the_timeout_of_a_wait_is_kept() {
    let set = WaitSet::new().expect("a set");
    for ms in [0, 1, 3, 30, 450] {
        let (start, time) = (Instant::now(), Duration::from_millis(ms));
        let watch = Watch::start(&[]);
        let since = now_ns();
        assert_eq!(tokens(&set, Some(time)), []);
        assert!(start.elapsed() >= time);
        watch.must_be_within(time + Duration::from_millis(20), since);
    }
}

#[test]
fn a_notifier_ends_a_wait_once() {
    let set = WaitSet::new().expect("a set");
    let notifier = set.notifier();
    assert_eq!(notifier.token(), set.notifier().token());
    assert_eq!(tokens(&set, NOW), []);
    notifier.notify();
    notifier.notify();
    assert_eq!(tokens(&set, LONG), [notifier.token()]);
    assert_eq!(tokens(&set, NOW), [], "they count as one");
    thread::scope(|scope| {
        for _ in 0..200 {
            let waiting = scope.spawn(|| tokens(&set, LONG));
            notifier.clone().notify();
            assert_eq!(waiting.join().expect("events"), [notifier.token()]);
        }
    });
}
