//! The death of a process while tasks of another one wait, and that of a process whose tasks wait.

use std::pin::pin;
use std::time::Duration;

use futures_util::join;
use sysvring::{Options, RecvError, SendError, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use crate::executor::{PLACES, block_on, poll_once, run, run_for_ever};

/// How late a death may be noticed, beyond what the host excuses.
const PROMPT: Duration = Duration::from_millis(100);

/// Joins as a member of some kind, and waits to be killed.
#[work]
fn member(args: &mut Args) {
    let (name, kind): (String, String) = (args.next(), args.next());
    let options = || Options::named(&*name);
    match kind.as_str() {
        "spsc-sender" => {
            let _tx: spsc::Sender<u64> = options().open().expect("open");
            print_line("ready");
            read_line();
        }
        "mpmc-sender" => {
            let _tx: mpmc::Sender<u64> = options().open().expect("open");
            print_line("ready");
            read_line();
        }
        "spsc-receiver" => {
            let _rx: spsc::Receiver<u64> = options().open().expect("open");
            print_line("ready");
            read_line();
        }
        "mpmc-receiver" => {
            let _rx: mpmc::Receiver<u64> = options().open().expect("open");
            print_line("ready");
            read_line();
        }
        // It holds a message.
        "holder" => {
            let rx: mpmc::Receiver<u64> = options().open().expect("open");
            let _guard = rx.recv_ref().expect("a message");
            print_line("ready");
            read_line();
        }
        // Tasks that wait.
        "waiting-receiver" => {
            let rx: mpmc::Receiver<u64> = options().open().expect("open");
            {
                let (mut one, mut two) = (pin!(rx.recv_async()), pin!(rx.recv_async()));
                assert!(poll_once(one.as_mut()).is_pending());
                assert!(poll_once(two.as_mut()).is_pending());
                print_line("ready");
                run_for_ever(PLACES[0], async { join!(one, two) }).0.expect("it is killed before");
            }
            read_line();
        }
        kind => panic!("{kind}"),
    }
}

fn start(name: &Name, kind: &str) -> Worker {
    let mut worker = Worker::start(&[&"deaths::member", name, &kind]).expect("start");
    worker.expect("ready");
    worker
}

/// Kills a process while a future waits, and returns what the future returns.
macro_rules! killed_while {
    ($worker:ident, $place:ident, $call:expr) => {{
        let mut watch = Watch::start(&[]);
        let killing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            let since = now_ns();
            $worker.kill_and_wait().expect("a child");
            since
        });
        watch.restart();
        let result = run($place, async { $call.await });
        watch.must_be_within(PROMPT + Duration::from_millis(10), now_ns());
        let noticed = now_ns();
        let since = killing.join().expect("no panic");
        let late = Duration::from_nanos(noticed.saturating_sub(since));
        assert!(late < PROMPT + watch.allowance(), "noticed after {late:?}");
        result
    }};
}

#[test]
fn the_peer_is_killed_while_a_task_waits() {
    for &place in PLACES {
        let name = Name::new();
        let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
        let mut sender = start(&name, "spsc-sender");
        let got = killed_while!(sender, place, rx.recv_async());
        assert_eq!(got, Err(RecvError::Disconnected));
        let mut sender = start(&name, "spsc-sender");
        let got = killed_while!(sender, place, rx.recv_ref_async());
        assert_eq!(got.map(drop), Err(RecvError::Disconnected));

        let name = Name::new();
        let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
        let mut sender = start(&name, "mpmc-sender");
        let got = killed_while!(sender, place, async { join!(rx.recv_async(), rx.recv_async()) });
        assert_eq!(got, (Err(RecvError::Disconnected), Err(RecvError::Disconnected)));

        let name = Name::new();
        let mut tx: spsc::Sender<u64> = name.options().capacity(1).open().expect("open");
        let mut receiver = start(&name, "spsc-receiver");
        tx.send(&1).expect("room");
        let sent = killed_while!(receiver, place, tx.send_async(&2));
        assert_eq!(sent, Err(SendError::Disconnected));
        let mut receiver = start(&name, "spsc-receiver");
        assert_eq!(killed_while!(receiver, place, tx.flush_async()), Err(SendError::Disconnected));

        let name = Name::new();
        let tx: mpmc::Sender<u64> = name.options().capacity(1).open().expect("open");
        let mut receiver = start(&name, "mpmc-receiver");
        tx.send(&1).expect("room");
        let sent =
            killed_while!(receiver, place, async { join!(tx.send_async(&2), tx.send_async(&3)) });
        assert_eq!(sent, (Err(SendError::Disconnected), Err(SendError::Disconnected)));
    }
}

/// The message of a receiver that is killed goes to a task that waits.
#[test]
fn a_task_gets_the_message_of_a_receiver_that_is_killed() {
    for &place in PLACES {
        let name = Name::new();
        let tx: mpmc::Sender<u64> = name.options().open().expect("open");
        tx.send(&7).expect("room");
        let mut holder = start(&name, "holder");
        let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
        let got = killed_while!(holder, place, async {
            let guard = rx.recv_ref_async().await.expect("a message");
            let got = (*guard, guard.delivery_count());
            guard.ack().expect("a member");
            got
        });
        assert_eq!(got, (7, 2));
    }
}

/// A process is killed whose tasks wait. It may have been rung for a message: others get it.
#[test]
fn a_process_is_killed_whose_tasks_wait() {
    for &place in PLACES {
        let name = Name::new();
        let tx: mpmc::Sender<u64> = name.options().open().expect("open");
        let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
        for n in 0..10 {
            let mut waiting = start(&name, "waiting-receiver");
            waiting.signal(libc::SIGSTOP);
            let mut here = Box::pin(rx.recv_async());
            // It is rung, and does not look; or this process is.
            assert!(poll_once(here.as_mut()).is_pending());
            tx.send(&n).expect("room");
            waiting.kill_and_wait().expect("a child");
            assert_eq!(run(place, here), Ok(n));
        }
    }
}

/// The end of a process with an armed handle leaves no queue behind that nobody removes.
#[test]
fn a_successor_goes_on() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    for n in 0..3 {
        let mut sender = start(&name, "spsc-sender");
        assert!(poll_once(pin!(rx.recv_async())).is_pending());
        sender.kill_and_wait().expect("a child");
        assert_eq!(block_on(rx.recv_async()), Err(RecvError::Disconnected));
        let mut tx: spsc::Sender<u64> = name.options().open().expect("open");
        tx.send(&n).expect("room");
        assert_eq!(block_on(rx.recv_async()), Ok(n));
    }
}
