//! Which calls report a death, how fast, and which processes are never considered dead.

use std::os::unix::process::parent_id;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Peer, RecvError, SendError, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until, until_at_least};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);
/// Shorter than the interval at which a parked waiter polls.
const SLICE: Duration = Duration::from_millis(150);

/// Is the other side until told to leave.
#[work]
fn sit(args: &mut Args) {
    let (name, side): (String, String) = (args.next(), args.next());
    match side.as_str() {
        "sender" => {
            let _tx: Sender<u64> = Options::named(name).open().expect("open");
            print_line("here");
            read_line();
        }
        _ => {
            let _rx: Receiver<u64> = Options::named(name).open().expect("open");
            print_line("here");
            read_line();
        }
    }
}

fn seated(name: &Name, side: &str) -> Worker {
    let mut worker = Worker::start(&[&"crash_detection::sit", name, &side]).expect("start");
    worker.expect("here");
    worker
}

#[test]
fn calls_that_do_not_wait_report_a_death() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().capacity(1).open().expect("open");
    assert_eq!(rx.peer(), Ok(Peer::Absent));
    let mut sender = seated(&name, "sender");
    let pid = sender.pid() as u32;
    assert_eq!(rx.peer(), Ok(Peer::Present { pid }));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    sender.kill_and_wait().expect("kill");
    assert_eq!(rx.peer(), Ok(Peer::Died { pid }));
    let (start, watch) = (now_ns(), Watch::start(&[]));
    until(|| rx.try_recv() == Err(RecvError::Disconnected));
    watch.must_be_within(SOON, start);
    let mut tx: Sender<u64> = name.options().attach().expect("the seat is free");
    drop(rx);
    let mut receiver = seated(&name, "receiver");
    let pid = receiver.pid() as u32;
    assert_eq!(tx.peer(), Ok(Peer::Present { pid }));
    receiver.kill_and_wait().expect("kill");
    assert_eq!(tx.peer(), Ok(Peer::Died { pid }));
    assert_eq!(tx.try_send(&1), Ok(()), "there is room, and another may come");
    until(|| tx.try_send(&2) == Err(SendError::Disconnected));
    assert_eq!(tx.flush(LONG), Err(SendError::Disconnected));
}

#[test]
fn every_blocking_call_reports_a_death() {
    for wait in [Wait::Spin, Wait::Balanced, Wait::Park] {
        for side in ["sender", "receiver"] {
            let name = Name::new();
            let options = || name.options().capacity(1).wait(wait);
            let mut victim = seated(one_slot(&name), side);
            let watch = Watch::start(&[victim.pid() as u32]);
            let killer = std::thread::spawn(move || {
                std::thread::sleep(SOON);
                let killed_at = now_ns();
                victim.kill().expect("kill");
                (killed_at, victim)
            });
            if side == "sender" {
                let mut rx: Receiver<u64> = options().open().expect("open");
                assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected), "{wait:?}");
            } else {
                let mut tx: Sender<u64> = options().open().expect("open");
                tx.send(&1).expect("room");
                assert_eq!(tx.send_timeout(&2, LONG), Err(SendError::Disconnected), "{wait:?}");
            }
            let (killed_at, _victim) = killer.join().expect("killed");
            watch.must_be_within(SLICE, killed_at);
        }
    }
}

/// Makes the channel, so that the next open joins it.
fn one_slot(name: &Name) -> &Name {
    drop(name.options().capacity(1).open::<Receiver<u64>>().expect("open"));
    name
}

#[test]
fn a_restarted_peer_is_waited_for() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().wait(Wait::Park).open().expect("open");
    let start = Instant::now();
    assert_eq!(rx.wait_for_peer(SOON), Err(RecvError::Timeout));
    assert!(start.elapsed() >= SOON);
    assert_eq!(rx.wait_for_peer(Duration::ZERO), Err(RecvError::Timeout));
    for _ in 0..5 {
        let (met, killing) = std::sync::mpsc::channel();
        let starter = {
            let name = name.to_string();
            // The thread keeps the child alive, which would end with it.
            std::thread::spawn(move || {
                std::thread::sleep(SOON);
                let mut sender =
                    Worker::start(&[&"crash_detection::sit", &name, &"sender"]).expect("start");
                sender.expect("here");
                let here = now_ns();
                killing.recv().expect("it met the receiver");
                sender.kill_and_wait().expect("kill");
                (sender.pid() as u32, here)
            })
        };
        let watch = Watch::start(&[]);
        rx.wait_for_peer(LONG).expect("another sender");
        let (told, allowance) = (now_ns(), watch.allowance());
        met.send(()).expect("the thread waits");
        assert_eq!(rx.recv(), Err(RecvError::Disconnected), "it was killed again");
        let (pid, here) = starter.join().expect("started and killed");
        assert_eq!(rx.peer(), Ok(Peer::Died { pid }));
        let late = Duration::from_nanos(told.saturating_sub(here));
        assert!(late < SLICE + allowance, "told after {late:?}");
    }
}

#[test]
fn a_stopped_peer_is_not_dead() {
    let name = Name::new();
    let mut rx: Receiver<u64> = name.options().open().expect("open");
    let mut sender = seated(&name, "sender");
    let pid = sender.pid() as u32;
    sender.signal(libc::SIGSTOP);
    // Longer than every wait slice and every interval of liveness checks.
    for _ in 0..3 {
        assert_eq!(rx.recv_timeout(Duration::from_millis(300)), Err(RecvError::Timeout));
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        assert_eq!(rx.peer(), Ok(Peer::Present { pid }));
        assert_eq!(rx.wait_for_peer(Duration::ZERO), Ok(()));
    }
    let taken = name.options().attach::<Sender<u64>>();
    assert!(matches!(taken, Err(sysvring::Error::SeatTaken { pid: p, .. }) if p == pid));
    let stat = rx.stat().expect("stat");
    let member = stat.members.iter().find(|m| m.pid == pid).expect("its line");
    assert!(member.alive && !member.left);
    sender.signal(libc::SIGCONT);
    sender.write_line("leave").expect("tell");
    assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
    assert_eq!(rx.peer(), Ok(Peer::Left));
    sender.finish();
}

#[test]
fn a_killed_parked_waiter_consumes_no_wake_up() {
    Worker::run(&[&"crash_detection::sleep_and_die", &Name::new()]);
}

/// A receiver is killed while it is parked, or when it is being woken; the next one parks and is
/// woken all the same.
#[work]
fn sleep_and_die(args: &mut Args) {
    let name: String = args.next();
    let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let sleep = |for_ever: bool| {
        let options = Options::named(&name).wait(Wait::Park);
        let receiver = Fork::start(move || {
            let mut rx: Receiver<u64> = options.open().expect("the seat is free");
            let watch = Watch::start(&[parent_id()]);
            loop {
                let sent_at = rx.recv().expect("a message");
                if !for_ever {
                    watch.must_be_within(SLICE, sent_at);
                    break;
                }
            }
        });
        until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 1);
        receiver
    };
    for round in 0..100 {
        let mut victim = sleep(true);
        if round % 2 == 0 {
            tx.send(&round).expect("send");
        }
        assert!(victim.kill_and_wait());
        // The dead receiver's message is received, then the next receiver parks and is woken.
        let mut left: Receiver<u64> = Options::named(&name).open().expect("open");
        left.try_iter().for_each(|n| assert_eq!(n, Ok(round)));
        drop(left);
        assert_eq!(tx.peer(), Ok(Peer::Left));
        let woken = sleep(false);
        tx.send(&now_ns()).expect("send");
        woken.finish();
    }
}

#[test]
fn posts_of_deaths_do_not_accumulate_without_a_parked_waiter() {
    let name = Name::new();
    let _rx: Receiver<u64> = name.options().open().expect("open");
    Worker::run(&[&"crash_detection::die_in_crowds", &name]);
}

/// Three thousand deaths post two tokens each to a member that is not parked. The semaphore starts
/// near the kernel's limit of 32,767, so that these posts reach it.
#[work]
fn die_in_crowds(args: &mut Args) {
    let name: String = args.next();
    let set = sysvring::stat(&*name).expect("stat").set.expect("a set").id;
    raw_ipc::add(set, WAKE_RECEIVERS, 27_000);
    for n in 0..3_000 {
        let mut victim = Fork::start(|| {
            let _tx: Sender<u64> = Options::named(&name).attach().expect("still possible");
            // SAFETY: kills this very process.
            unsafe { libc::raise(libc::SIGKILL) };
        });
        victim.wait();
        if n == 2_700 {
            assert!(raw_ipc::values(set)[2] > 32_000, "no post was missing");
        }
    }
    let posts = raw_ipc::values(set)[2];
    assert!(posts < 1_000, "trimmed, not just stopped at the limit: {posts}");
    let mut tx: Sender<u64> = Options::named(&name).attach().expect("still possible");
    tx.send(&1).expect("send");
}

#[test(quiet)]
fn a_blocked_receiver_reports_a_death_at_once() {
    told_at_once("receiver");
}

#[test(quiet)]
fn a_blocked_sender_reports_a_death_at_once() {
    told_at_once("sender");
}

/// Kills the peer of a blocked process two hundred times.
fn told_at_once(side: &str) {
    let name = Name::new();
    let mut worker =
        Worker::start(&[&"crash_detection::tell_of_deaths", &name, &side]).expect("start");
    let [p50, p99, unexcused] = worker.figures().expect("three figures");
    println!("a blocked {side} is told of a death after {p50:.0} us (p50), {p99:.0} us (p99)");
    assert!(p50 < 1_000.0, "p50 is {p50} us");
    assert!(
        unexcused < 50_000.0,
        "p99 is {p99} us, of which the host does not allowance {unexcused}"
    );
    worker.finish();
}

/// Blocks while victims at the other side are killed; reports how long it took until the call
/// returned, and how much of that the host does not excuse.
#[work]
fn tell_of_deaths(args: &mut Args) {
    const KILLS: u64 = 200;
    let (name, side): (String, String) = (args.next(), args.next());
    let [here, told, told_at] = shared_counters::<3>();
    let options = || Options::named(&name).capacity(1);
    let sender_blocks = side == "sender";
    let note = || {
        told_at.store(now_ns(), Release);
        told.store(told.load(Acquire) + 1, Release);
    };
    let blocked = Fork::start(|| match sender_blocks {
        true => {
            let mut tx: Sender<u64> = options().open().expect("open");
            tx.send(&1).expect("room");
            loop {
                tx.wait_for_peer(LONG).expect("a receiver");
                here.store(1, Release);
                assert_eq!(tx.send(&2), Err(SendError::Disconnected));
                note();
            }
        }
        false => {
            let mut rx: Receiver<u64> = options().open().expect("open");
            loop {
                rx.wait_for_peer(LONG).expect("a sender");
                here.store(1, Release);
                assert_eq!(rx.recv(), Err(RecvError::Disconnected));
                note();
            }
        }
    });
    let (mut micros, mut unexcused) = (Vec::new(), Vec::new());
    for n in 1..=KILLS {
        here.store(0, Release);
        let victim = Fork::start(|| {
            let mut handles: (Option<Sender<u64>>, Option<Receiver<u64>>) = (None, None);
            match sender_blocks {
                true => handles.1 = Some(options().open().expect("the seat is free")),
                false => handles.0 = Some(options().open().expect("the seat is free")),
            }
            loop {
                std::thread::sleep(LONG);
            }
        });
        // It has seen its peer, and is parked in the call that reports the death.
        until_at_least(here, 1);
        let set = sysvring::stat(&*name).expect("stat").set.expect("a set").id;
        let gate = if sender_blocks { WAKE_SENDERS } else { WAKE_RECEIVERS };
        until(|| raw_ipc::waiting(set, gate) == 1);
        let (watch, killed_at) = (Watch::start(&[blocked.pid(), victim.pid()]), now_ns());
        victim.kill();
        until_at_least(told, n);
        let took = (told_at.load(Acquire) - killed_at) as f64 / 1e3;
        micros.push(took);
        unexcused.push(took - watch.allowance().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    unexcused.sort_by(f64::total_cmp);
    let at = |percent: usize| micros.len() * percent / 100;
    print_line(format!("{} {} {}", micros[at(50)], micros[at(99)], unexcused[at(99)]));
}
