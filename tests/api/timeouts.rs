//! Timeouts of zero and of many years, with every `Wait`.

use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Peer, RecvError, SendError, Wait};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use sysvring_support::error_text::advises;
use sysvring_support::stopwatch::Stopwatch;

const WAITS: [Wait; 3] = [Wait::Spin, Wait::Balanced, Wait::Park];

/// Longer than any clock reaches, longer than the kernel's maximum, and years.
const AGES: [Duration; 4] = [
    Duration::MAX,
    Duration::from_nanos(u64::MAX),
    Duration::from_secs(1 << 40),
    Duration::from_secs(86_400 * 365 * 100),
];

/// Fails if a call that should not wait took long.
fn at_once<T>(what: impl FnOnce() -> T) -> T {
    let watch = Stopwatch::start();
    let result = what();
    assert!(watch.took() < Duration::from_millis(50), "it took {:?}", watch.took());
    result
}

fn pair<F: AnyFlavor>(name: &Name, wait: Wait) -> (F::Sender<u64>, F::Receiver<u64>) {
    let options = || name.options().capacity(2).wait(wait);
    (options().open().expect("open"), options().open().expect("open"))
}

#[test]
fn a_timeout_of_zero<F: TakingFlavor>() {
    for wait in WAITS {
        let name = Name::new();
        let (mut tx, mut rx) = pair::<F>(&name, wait);
        for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
            assert_eq!(at_once(|| rx.recv_timeout(timeout)), Err(RecvError::Timeout));
            assert_eq!(at_once(|| rx.recv_boxed_timeout(timeout)), Err(RecvError::Timeout));
            let lent = at_once(|| rx.recv_ref_timeout(timeout).map(|guard| *guard));
            assert_eq!(lent, Err(RecvError::Timeout));
            let batch = at_once(|| rx.recv_batch_timeout(&mut Vec::new(), 2, timeout));
            assert_eq!(batch, Err(RecvError::Timeout));
            // A message that is there takes no time.
            assert_eq!(at_once(|| tx.send_timeout(&1, timeout)), Ok(()));
            assert_eq!(at_once(|| tx.send_timeout(&2, timeout)), Ok(()));
            assert_eq!(at_once(|| tx.send_timeout(&3, timeout)), Err(SendError::Timeout));
            let lent = at_once(|| tx.loan_timeout(timeout).map(|loan| *loan));
            assert_eq!(lent, Err(SendError::Timeout));
            assert_eq!(at_once(|| tx.flush(timeout)), Err(SendError::Timeout));
            assert_eq!(at_once(|| rx.recv_timeout(timeout)), Ok(1));
            assert_eq!(at_once(|| rx.recv_timeout(timeout)), Ok(2));
            assert_eq!(at_once(|| tx.flush(timeout)), Ok(()));
            assert_eq!(at_once(|| tx.wait_for_peer(timeout)), Ok(()));
            assert_eq!(at_once(|| rx.wait_for_peer(timeout)), Ok(()));
        }
        drop(rx);
        assert_eq!(at_once(|| tx.wait_for_peer(Duration::ZERO)), Err(SendError::Timeout));
    }
    // The error text fits whatever the call waited for.
    advises(&SendError::Timeout);
    advises(&RecvError::Timeout);
}

#[test]
fn a_short_timeout<F: TakingFlavor>() {
    let time = Duration::from_millis(30);
    for wait in WAITS {
        let name = Name::new();
        let (mut tx, mut rx) = pair::<F>(&name, wait);
        let took = |what: &mut dyn FnMut()| {
            let (start, watch) = (Instant::now(), Stopwatch::start());
            what();
            let (all, own) = (start.elapsed(), watch.took());
            assert!(all >= time && own < time + Duration::from_millis(100), "{wait:?}: {own:?}");
        };
        took(&mut || assert_eq!(rx.recv_timeout(time), Err(RecvError::Timeout)));
        assert_eq!((tx.try_send(&1), tx.try_send(&2)), (Ok(()), Ok(())));
        took(&mut || assert_eq!(tx.send_timeout(&3, time), Err(SendError::Timeout)));
        took(&mut || assert_eq!(tx.flush(time), Err(SendError::Timeout)));
        drop(tx);
        took(&mut || assert_eq!(rx.wait_for_peer(time), Err(RecvError::Timeout)));
    }
}

/// Opens the sender, and sends when told.
#[work]
fn send_late(args: &mut Args) {
    let mut tx: Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    print_line("open");
    while read_line() == "send" {
        std::thread::sleep(Duration::from_millis(20));
        tx.send(&9).expect("send");
    }
}

#[test]
fn years_of_waiting_for_a_message() {
    for wait in WAITS {
        let name = Name::new();
        let mut rx: Receiver<u64> = name.options().wait(wait).open().expect("open");
        let mut child = Worker::start(&[&"timeouts::send_late", &name]).expect("start");
        child.expect("open");
        for timeout in AGES {
            let mut batch = Vec::new();
            for way in 0..4 {
                child.write_line("send").expect("it listens");
                let received = match way {
                    0 => rx.recv_timeout(timeout),
                    1 => rx.recv_boxed_timeout(timeout).map(|message| *message),
                    2 => rx.recv_ref_timeout(timeout).and_then(|guard| guard.read(|n| *n)),
                    _ => rx.recv_batch_timeout(&mut batch, 8, timeout).map(|_| batch[0]),
                };
                assert_eq!(received, Ok(9), "{wait:?} {timeout:?}");
            }
        }
        child.write_line("end").expect("it listens");
        // The end of the sender also ends such a wait.
        assert_eq!(rx.recv_timeout(Duration::MAX), Err(RecvError::Disconnected));
        child.finish();
    }
}

/// Opens the receiver, and receives when told.
#[work]
fn receive_late(args: &mut Args) {
    let mut rx: Receiver<u64> = Options::named(args.next::<String>()).open().expect("open");
    print_line("open");
    while read_line() == "receive" {
        std::thread::sleep(Duration::from_millis(20));
        rx.recv().expect("recv");
    }
}

#[test]
fn years_of_waiting_for_room() {
    for wait in WAITS {
        let name = Name::new();
        let options = name.options().capacity(1).wait(wait);
        let mut tx: Sender<u64> = options.open().expect("open");
        let mut child = Worker::start(&[&"timeouts::receive_late", &name]).expect("start");
        child.expect("open");
        tx.send(&0).expect("send");
        for timeout in AGES {
            child.write_line("receive").expect("it listens");
            assert_eq!(tx.send_timeout(&1, timeout), Ok(()), "{wait:?} {timeout:?}");
            child.write_line("receive").expect("it listens");
            tx.loan_timeout(timeout).expect("a slot").commit().expect("committed");
        }
        for timeout in AGES {
            child.write_line("receive").expect("it listens");
            assert_eq!(tx.flush(timeout), Ok(()), "{wait:?} {timeout:?}");
            tx.send(&2).expect("send");
        }
        child.write_line("end").expect("it listens");
        assert_eq!(tx.send_timeout(&3, Duration::MAX), Err(SendError::Disconnected));
        child.finish();
    }
}

#[test]
fn years_of_waiting_for_a_peer() {
    for (wait, timeout) in [(Wait::Spin, AGES[0]), (Wait::Balanced, AGES[1]), (Wait::Park, AGES[3])]
    {
        let name = Name::new();
        let mut rx: Receiver<u64> = name.options().wait(wait).open().expect("open");
        let mut child = Worker::start(&[&"timeouts::send_late", &name]).expect("start");
        assert_eq!(rx.wait_for_peer(timeout), Ok(()));
        assert_eq!(rx.peer(), Ok(Peer::Present { pid: child.pid() as u32 }));
        child.expect("open");
        child.write_line("end").expect("it listens");
        child.finish();
        drop(rx);
        let mut tx: Sender<u64> = name.options().wait(wait).open().expect("open");
        let mut child = Worker::start(&[&"timeouts::receive_late", &name]).expect("start");
        assert_eq!(tx.wait_for_peer(timeout), Ok(()));
        assert_eq!(tx.peer(), Ok(Peer::Present { pid: child.pid() as u32 }));
        child.expect("open");
        child.write_line("end").expect("it listens");
        child.finish();
    }
}
