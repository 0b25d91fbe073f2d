//! Seccomp filters that refuse one system call each: with an errno, by a signal, or by ending the
//! thread. Which calls there are to refuse is not listed here but traced.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use sysvring::{Lifetime, Options, WaitSet};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender};
use sysvring_support::handle::{Broadcast, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{queues, unlink_queue};
use sysvring_support::seccomp_errno::{self, Refusal, answer_sigsys};
use sysvring_support::shared_counters::{shared_counters, until};
use sysvring_support::single_step::trace_calls;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{ipc_namespace, test, work};

/// The longest time that a call waits for something that does not come.
const MOMENT: Duration = Duration::from_millis(2);

const LONG: Duration = Duration::from_secs(20);

/// What the memory allocator, the threads, the output and the end of every program need: a filter
/// that refuses these refuses the program.
const OF_EVERY_PROGRAM: [libc::c_long; 16] = [
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What only the probe of undo records calls. It is left out under a filter.
const OF_THE_PROBE: [libc::c_long; 2] = [libc::SYS_unshare, libc::SYS_clone3];

/// Checks that an error has a text; success is as good.
fn told<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| assert!(error.to_string().len() > 10)).ok()
}

/// Makes each call that can make a system call, in a channel that exists and in one that does not.
/// Nothing panics, whatever fails.
fn use_channel<F: AnyFlavor>(existing: &str) {
    let keyed = || Options::named(existing).open_timeout(MOMENT);
    let made = || Options::private().capacity(2).lifetime(Lifetime::LastMember);
    for options in [keyed(), made()] {
        let Some(mut tx) = told(options.open::<F::Sender<u64>>()) else { continue };
        let Some(mut rx) = told(Options::id(tx.id()).attach::<F::Receiver<u64>>()) else {
            continue;
        };
        for _ in 0..3 {
            told(tx.send_timeout(&7, MOMENT));
        }
        for _ in 0..4 {
            told(rx.recv_timeout(MOMENT));
        }
        told(rx.try_recv());
        told(tx.try_send(&7));
        told(tx.stat());
        told(rx.deaths());
        if let Some(set) = told(WaitSet::new())
            && told(set.add(&rx)).is_some()
        {
            told(set.wait(Some(MOMENT)));
        }
        told(tx.finish());
        drop(rx);
    }
    told(sysvring::stat(existing));
    told(sysvring::list());
    told(sysvring::unusable());
    told(sysvring::reapable());
    told(sysvring::remove("a name that no channel has"));
}

fn use_everything(names: &[String; 3]) {
    use_channel::<Spsc>(&names[0]);
    use_channel::<Mpmc>(&names[1]);
    use_channel::<Broadcast>(&names[2]);
}

fn under_a_filter(call: libc::c_long, refusal: Refusal, names: &[String; 3]) {
    seccomp_errno::refuse(&[call], refusal).expect("a filter");
    use_everything(names);
}

/// Uses everything in a thread that a refused call ends, while the process lives on.
fn in_a_thread(call: libc::c_long, names: &[String; 3]) {
    let [is_done] = shared_counters::<1>();
    std::thread::scope(|scope| {
        // Not joined by its handle: a thread that the kernel ended has no result.
        scope.spawn(|| {
            under_a_filter(call, Refusal::KillThread, names);
            is_done.store(1, Release);
        });
        until(|| std::fs::read_dir("/proc/self/task").expect("this process").count() == 1);
        if is_done.load(Acquire) == 0 {
            // The scope would wait for ever.
            // SAFETY: ends this child.
            unsafe { libc::_exit(ENDED_EARLY) };
        }
    });
}

/// Opens both ends of a channel, sends and receives.
fn is_as_before<F: AnyFlavor>(name: &str) {
    let mut tx: F::Sender<u64> = Options::named(name).attach().expect("a sender");
    let mut rx: F::Receiver<u64> = Options::named(name).attach().expect("a receiver");
    while rx.try_recv().is_ok() {}
    tx.send_timeout(&9, LONG).expect("room");
    assert_eq!(rx.recv_timeout(LONG), Ok(9));
}

/// How a child ends whose thread was ended by the kernel.
const ENDED_EARLY: libc::c_int = 77;

/// Refuses each call that is made, one after the other, in this way.
#[work]
fn refuse_each(args: &mut Args) {
    let way: String = args.next();
    // The queues of other tests would be taken for those that were left.
    let alone = ipc_namespace::enter();
    let names = [Name::new(), Name::new(), Name::new()];
    // In a child: once in a process, undo records are probed, and its children know the result.
    let made = Fork::start(|| {
        let options = |n: usize| names[n].options().capacity(2);
        drop(options(0).create::<<Spsc as AnyFlavor>::Sender<u64>>().expect("create"));
        drop(options(1).create::<<Mpmc as AnyFlavor>::Sender<u64>>().expect("create"));
        drop(options(2).create::<<Broadcast as AnyFlavor>::Sender<u64>>().expect("create"));
    });
    made.finish();
    let texts = names.each_ref().map(Name::to_string);
    let traced = trace_calls(&[], || use_everything(&texts));
    assert!(traced.end.success(), "{traced:?}");
    let mut calls: BTreeSet<libc::c_long> = traced.calls;
    OF_THE_PROBE.iter().for_each(|call| assert!(calls.contains(call), "{call} in {calls:?}"));
    calls.retain(|call| !OF_EVERY_PROGRAM.contains(call));
    for &call in &calls {
        let is_of_the_probe = OF_THE_PROBE.contains(&call);
        // Without a handler, the signal ends a program that needs the call.
        if way == "SIGSYS" && !is_of_the_probe {
            continue;
        }
        let mut child = Fork::start(|| match &*way {
            "EPERM" => under_a_filter(call, Refusal::Errno(libc::EPERM), &texts),
            "ENOSYS" => under_a_filter(call, Refusal::Errno(libc::ENOSYS), &texts),
            "SIGSYS" => under_a_filter(call, Refusal::Trap, &texts),
            "a handler" => {
                answer_sigsys(libc::ENOSYS);
                under_a_filter(call, Refusal::Trap, &texts);
            }
            _ => in_a_thread(call, &texts),
        });
        let end = child.wait();
        let may_end = way == "the end of the thread" && !is_of_the_probe;
        let ended = may_end && end.code() == Some(ENDED_EARLY);
        assert!(end.success() || ended, "call {call}, refused by {way}: {end}");
        // The next member and `reap` find every seat free, and remove what they can.
        let next = Fork::start(|| {
            is_as_before::<Spsc>(&texts[0]);
            is_as_before::<Mpmc>(&texts[1]);
            is_as_before::<Broadcast>(&texts[2]);
        });
        next.finish();
        sysvring::reap().expect("reap");
        // A queue stays if its removal is refused, or if only a private channel named it, whose
        // process ended; `reap` does not see it where no file system shows the queues.
        for queue in queues().into_iter().flatten().filter(|_| alone) {
            assert!(call == libc::SYS_mq_unlink || ended, "call {call}, refused by {way}: {queue}");
            unlink_queue(&queue);
        }
    }
    print_line(calls.len());
}

fn refused_by(way: &str) {
    let mut worker = Worker::start(&[&"sandboxes::refuse_each", &way]).expect("start");
    let calls: u32 = worker.read_line().expect("a number").parse().expect("a number");
    worker.finish();
    assert!(calls > 15, "{calls} calls");
}

#[test]
fn calls_that_fail_with_eperm() {
    refused_by("EPERM");
}

#[test]
fn calls_that_fail_with_enosys() {
    refused_by("ENOSYS");
}

#[test]
fn calls_that_a_handler_answers() {
    refused_by("a handler");
}

#[test]
fn calls_that_end_the_process() {
    refused_by("SIGSYS");
}

#[test]
fn calls_that_end_the_thread() {
    refused_by("the end of the thread");
}
