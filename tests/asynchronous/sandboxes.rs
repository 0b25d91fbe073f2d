//! Seccomp filters, where the thread that wakes tasks is under them too.

use std::time::Duration;

use sysvring::{Options, RecvError, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::seccomp_errno::{self, Refusal, answer_sigsys};
use sysvring_support::single_step::trace_calls;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::executor::{block_on, block_on_for};

/// What the memory allocator, the threads and the end of every program need.
const OF_EVERY_PROGRAM: [libc::c_long; 10] = [
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_madvise, // at the end of a thread, with all signals blocked
    libc::SYS_futex,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
];

/// Receives a message that is sent while the task waits.
fn exchange() -> Result<u64, RecvError> {
    let tx: mpmc::Sender<u64> = Options::private().create().expect("create");
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    let sending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        tx.send(&7).expect("a receiver");
        // It stays until the message was received, however late.
        let _ = tx.flush(Duration::from_secs(5));
    });
    let received = block_on(rx.recv_async());
    drop(rx);
    sending.join().expect("no panic");
    received
}

/// A handler answers each call that the thread makes, instead of the kernel: the process lives on.
#[work]
fn refuse_each(_: &mut Args) {
    let traced = trace_calls(&[], || assert_eq!(exchange(), Ok(7)));
    assert!(traced.end.success(), "{traced:?}");
    let of_threads = traced.calls.difference(&traced.calls_of_first);
    let calls: Vec<libc::c_long> =
        of_threads.copied().filter(|call| !OF_EVERY_PROGRAM.contains(call)).collect();
    assert!(calls.contains(&libc::SYS_epoll_wait), "{calls:?}");
    for call in calls {
        let mut child = Fork::start(|| {
            answer_sigsys(libc::ENOSYS);
            seccomp_errno::refuse(&[call], Refusal::Trap).expect("a filter");
            // Without a wait, messages come late or not at all.
            let tx: mpmc::Sender<u64> = Options::private().create().expect("create");
            let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
            let _ = block_on_for(Duration::from_millis(300), rx.recv_async());
        });
        let end = child.wait();
        assert!(end.success(), "call {call}: {end}");
    }
    sysvring::reap().expect("reap");
}

#[test]
fn no_call_of_the_thread_ends_the_process() {
    Worker::run(&[&"sandboxes::refuse_each"]);
}

/// A thread that the kernel ended at its first wait is an error, not a task that waits for ever.
#[work]
fn lose_the_thread(_: &mut Args) {
    let end = Refusal::KillThread;
    seccomp_errno::refuse(&[libc::SYS_epoll_wait, libc::SYS_epoll_pwait], end).expect("a filter");
    let tx: mpmc::Sender<u64> = Options::private().create().expect("create");
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    let received = block_on(rx.recv_async());
    let Err(error @ RecvError::NotRegistered { .. }) = received else { panic!("{received:?}") };
    assert!(error.to_string().contains("epoll_wait"), "{error}");
    tx.send(&7).expect("a receiver");
    assert_eq!(rx.recv(), Ok(7));
}

#[test]
fn a_thread_that_a_filter_ends_is_reported() {
    Worker::run(&[&"sandboxes::lose_the_thread"]);
}
