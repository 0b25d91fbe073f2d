//! A forked child shares the descriptors and the segments of its parent, and disturbs nothing.

use std::io::pipe;
use std::ptr;
use std::time::{Duration, Instant};

use sysvring::{Error, Fault, Interest, Options, Readiness, RecvError, WaitSet, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use sysvring_support::scheduler_noise::Watch;
use sysvring_support::stopwatch::PROMPT;

use crate::{NOW, is_readable, tokens, wait};

fn is_forked<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Fault(Fault::Forked)))
}

#[work]
fn disturb(args: &mut Args) {
    let options = Options::named(args.next::<String>()).capacity(4);
    let tx: mpmc::Sender<u64> = options.clone().open().expect("open");
    let open = || options.clone().attach::<mpmc::Receiver<u64>>().expect("attach");
    let (rx, single, free) = (open(), open(), open());
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    let readiness = Readiness::of(&single).expect("a descriptor");
    let (read, write) = pipe().expect("a pipe");
    let piped = set.add_fd(&read, Interest::Readable).expect("added");
    let deadline = set.add_deadline(Instant::now() + Duration::from_millis(200));
    let notifier = set.notifier();
    let by = rx.interrupter();
    for handle in [&rx, &single] {
        assert_eq!(handle.try_recv(), Err(RecvError::Empty));
    }
    assert_eq!(tokens(&set, NOW), []);
    assert!(!is_readable(&readiness, Duration::ZERO));
    let child = Fork::start(|| {
        let is_forked_wait = || is_forked(&set.wait(NOW));
        assert!(is_forked_wait());
        assert!(is_forked(&set.add(&free)));
        assert!(is_forked(&set.add(&rx)));
        assert!(is_forked(&Readiness::of(&free)));
        assert!(is_forked(&set.add_fd(&write, Interest::Writable)));
        assert!(matches!(rx.try_recv(), Err(RecvError::Fault(Fault::Forked))));
        set.add_deadline(Instant::now());
        set.notifier().notify();
        notifier.notify();
        by.interrupt();
        readiness.take_interrupt();
        assert!(!set.remove(token) && !set.remove(piped) && !set.remove(deadline));
        let fd = std::os::fd::AsFd::as_fd(&set);
        assert!(std::os::fd::AsRawFd::as_raw_fd(&fd) >= 0);
        // A child has sets of its own, for its own handles.
        let own_rx: mpmc::Receiver<u64> = options.clone().attach().expect("attach");
        let own = WaitSet::new().expect("a set");
        let own_token = own.add(&own_rx).expect("added");
        assert_eq!(own_rx.try_recv(), Err(RecvError::Empty));
        assert_eq!(tokens(&own, NOW), []);
        assert!(own.remove(own_token));
        drop((own_rx, own));
        // SAFETY: the child ends here, and does not use its copies again.
        unsafe {
            drop((ptr::read(&set), ptr::read(&readiness)));
            drop((ptr::read(&rx), ptr::read(&single), ptr::read(&free)));
        }
    });
    child.finish();
    let start = now_ns();
    let watch = Watch::start(&[]);
    // The member that joined and left has rung.
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(single.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
    tx.send_batch(&[1, 2]).expect("room");
    let ready = wait(&set, Some(PROMPT));
    assert_eq!((ready.len(), ready[0].token()), (1, token));
    assert!(!ready[0].is_interrupted(), "that was the child's");
    assert_eq!(rx.try_recv(), Ok(1));
    assert!(is_readable(&readiness, PROMPT), "the ring is passed on");
    assert_eq!(single.try_recv(), Ok(2));
    for handle in [&rx, &single] {
        assert_eq!(handle.try_recv(), Err(RecvError::Empty));
    }
    watch.must_be_within(PROMPT, start);
    drop(write);
    assert_eq!(tokens(&set, Some(PROMPT)), [piped]);
    assert!(set.remove(piped));
    assert_eq!(tokens(&set, Some(Duration::from_secs(20))), [deadline]);
    notifier.notify();
    assert_eq!(tokens(&set, Some(PROMPT)), [notifier.token()]);
    by.interrupt();
    assert!(wait(&set, Some(PROMPT))[0].is_interrupted());
}

#[test]
fn a_forked_child_disturbs_nothing() {
    Worker::run(&[&"forks::disturb", &Name::new()]);
}
