//! Deaths of other processes: the wait returns as soon as the kernel has ended them.

use std::time::{Duration, Instant};

use sysvring::{Flavor, Options, RecvError, SendError, WaitSet, broadcast, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, Mpmc, Spsc, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::seccomp_errno;
use sysvring_support::shared_counters::{now_ns, shared_counters, until_at_least};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use crate::{LONG, NOW, tokens, wait};

/// How late a death may be noticed, beyond what the host excuses. It takes a fraction of this.
const SOON: Duration = Duration::from_millis(100);
const KILLS: usize = if cfg!(debug_assertions) { 5 } else { 20 };

/// Is a member of the other side until it is killed.
#[work]
pub fn sit(args: &mut Args) {
    let (name, flavor, side): (String, String, String) = (args.next(), args.next(), args.next());
    let options = Options::named(name);
    let _member: Box<dyn std::any::Any> = match (flavor.as_str(), side.as_str()) {
        ("Spsc", "sender") => Box::new(options.attach::<spsc::Sender<u64>>().expect("attach")),
        ("Broadcast", "sender") => {
            Box::new(options.attach::<broadcast::Sender<u64>>().expect("attach"))
        }
        ("Broadcast", _) => Box::new(options.attach::<broadcast::Receiver<u64>>().expect("attach")),
        ("Spsc", _) => Box::new(options.attach::<spsc::Receiver<u64>>().expect("attach")),
        (_, "sender") => Box::new(options.attach::<mpmc::Sender<u64>>().expect("attach")),
        (_, _) => Box::new(options.attach::<mpmc::Receiver<u64>>().expect("attach")),
    };
    print_line("here");
    read_line();
}

pub fn seated(name: &Name, flavor: Flavor, side: &str) -> Worker {
    let flavor = format!("{flavor:?}");
    let mut worker = Worker::start(&[&"deaths::sit", name, &flavor, &side]).expect("start");
    worker.expect("here");
    worker
}

/// Prints a distribution of times.
fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort();
    eprintln!(
        "{what}: {} deaths, from the kill to the return: min {:?}, median {:?}, max {:?}",
        times.len(),
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

/// Waits for a victim's death, and returns the time from SIGKILL to the return of the wait.
#[track_caller]
fn killed(set: &WaitSet, victim: &mut Worker) -> Duration {
    let watch = Watch::start(&[victim.pid() as u32]);
    let (start, since) = (Instant::now(), now_ns());
    victim.kill().expect("kill");
    assert!(!wait(set, LONG).is_empty(), "the death is not noticed");
    let took = start.elapsed();
    watch.must_be_within(SOON, since);
    took
}

#[test(quiet)]
fn the_death_of_a_sender_makes_a_receiver_ready<F: AnyFlavor>() {
    let name = Name::new();
    let mut rx: F::Receiver<u64> = name.options().capacity(2).open().expect("open");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let mut victim = seated(&name, F::FLAVOR, "sender");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        assert_eq!(tokens(&set, NOW), []);
        times.push(killed(&set, &mut victim));
        assert_eq!(tokens(&set, NOW), [token]);
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    }
    print_times(&format!("{:?} sender", F::FLAVOR), times);
}

#[test(quiet)]
fn the_death_of_a_receiver_makes_a_sender_ready<F: TakingFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(2).open().expect("open");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&tx).expect("added");
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let mut victim = seated(&name, F::FLAVOR, "receiver");
        while tx.try_send(&1).is_ok() {}
        assert_eq!(tx.try_send(&1), Err(SendError::Full));
        assert_eq!(tokens(&set, NOW), []);
        times.push(killed(&set, &mut victim));
        assert_eq!(tokens(&set, NOW), [token]);
        assert_eq!(tx.try_send(&1), Err(SendError::Disconnected));
    }
    print_times(&format!("{:?} receiver", F::FLAVOR), times);
}

/// One process that is in many channels is watched once, and its death makes all of them ready.
#[test]
fn one_death_concerns_many_channels() {
    let names: Vec<Name> = (0..10).map(|_| Name::new()).collect();
    let open = |name: &Name| name.options().capacity(2).open().expect("open");
    let mut all: Vec<spsc::Receiver<u64>> = names.iter().map(open).collect();
    let set = WaitSet::new().expect("a set");
    let mut wanted: Vec<_> = all.iter().map(|rx| set.add(rx).expect("added")).collect();
    let list: Vec<&str> = names.iter().map(Name::as_str).collect();
    let mut victim = Worker::start(&[&"deaths::send_to_all", &list.join(",")]).expect("start");
    victim.expect("here");
    let before = crate::descriptors();
    for rx in &mut all {
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    }
    assert_eq!(crate::descriptors(), before + 1, "one pidfd");
    assert_eq!(tokens(&set, NOW), []);
    killed(&set, &mut victim);
    let mut ready = tokens(&set, NOW);
    ready.sort();
    wanted.sort();
    assert_eq!(ready, wanted);
    for rx in &mut all {
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    }
    assert_eq!(crate::descriptors(), before, "it is closed");
}

#[work]
fn send_to_all(args: &mut Args) {
    let names: String = args.next();
    let attach = |name: &str| Options::named(name).attach().expect("attach");
    let _all: Vec<spsc::Sender<u64>> = names.split(',').map(attach).collect();
    print_line("here");
    read_line();
}

/// The messages of a dead receiver are delivered to one that waits in a set.
#[test]
fn messages_in_flight_of_a_dead_receiver_make_another_ready() {
    let name = Name::new();
    let (tx, rx): (mpmc::Sender<u64>, mpmc::Receiver<u64>) = name.pair_of::<Mpmc, u64>(4);
    tx.send(&5).expect("room");
    let mut victim = Worker::start(&[&"deaths::hold", &name]).expect("start");
    victim.expect("held");
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(tokens(&set, NOW), []);
    killed(&set, &mut victim);
    assert_eq!(tokens(&set, NOW), [token]);
    assert_eq!(rx.try_recv(), Ok(5));
}

#[work]
fn hold(args: &mut Args) {
    let rx: mpmc::Receiver<u64> = Options::named(args.next::<String>()).attach().expect("attach");
    let _guard = rx.recv_ref().expect("a message");
    print_line("held");
    read_line();
}

/// Waits in a process that cannot have pidfds, and reports how long deaths took.
fn blind<F: AnyFlavor>(name: &str, victim: impl Fn() -> (Fork, u64), within: Duration) {
    let mut rx: F::Receiver<u64> = Options::named(name).capacity(2).open().expect("open");
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    let mut times = Vec::new();
    for _ in 0..5 {
        let (victim, _) = victim();
        while rx.try_recv() != Err(RecvError::Empty) {}
        assert_eq!(tokens(&set, NOW), []);
        let watch = Watch::start(&[]);
        let (start, since) = (Instant::now(), now_ns());
        victim.kill();
        loop {
            assert!(!wait(&set, LONG).is_empty(), "the death is not noticed");
            if rx.try_recv() == Err(RecvError::Disconnected) {
                break;
            }
        }
        times.push(start.elapsed());
        watch.must_be_within(within, since);
    }
    print_times(&format!("{:?} without pidfd", F::FLAVOR), times);
}

fn blind_victim<F: AnyFlavor>(name: &str) -> (Fork, u64) {
    let [here] = shared_counters::<1>();
    let fork = Fork::start(|| {
        let _tx: F::Sender<u64> = Options::named(name).attach().expect("attach");
        here.store(1, std::sync::atomic::Ordering::Release);
        std::thread::sleep(Duration::from_secs(20));
    });
    until_at_least(here, 1);
    (fork, 1)
}

#[work]
fn without_pidfd(args: &mut Args) {
    let (name, errno): (String, i32) = (args.next(), args.next());
    seccomp_errno::fail(&[libc::SYS_pidfd_open], errno).expect("a filter");
    let within = Duration::from_millis(60);
    blind::<Spsc>(&name, || blind_victim::<Spsc>(&name), within);
    let many = format!("{name}-many");
    blind::<Mpmc>(&many, || blind_victim::<Mpmc>(&many), within);
    sysvring::remove(&*many).expect("removed");
}

#[test(quiet)]
fn deaths_are_noticed_without_pidfd() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EMFILE] {
        Worker::run(&[&"deaths::without_pidfd", &Name::new(), &errno]);
    }
}

/// The victim is in a PID namespace of its own, and is seen by this process, but not the other way
/// round: it waits, and this process's child dies.
#[work]
fn in_a_namespace(args: &mut Args) {
    let name: String = args.next();
    let [here, pid, noticed] = shared_counters::<3>();
    let outer = Fork::start(|| {
        let _tx: spsc::Sender<u64> = Options::named(&name).capacity(2).open().expect("open");
        here.store(1, std::sync::atomic::Ordering::Release);
        std::thread::sleep(Duration::from_secs(20));
    });
    until_at_least(here, 1);
    // SAFETY: a number; the next child is the first process of the new namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "as root");
    let inner = Fork::start(|| {
        pid.store(std::process::id().into(), std::sync::atomic::Ordering::Release);
        let mut rx: spsc::Receiver<u64> = Options::named(&name).attach().expect("attach");
        let set = WaitSet::new().expect("a set");
        set.add(&rx).expect("added");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        here.store(2, std::sync::atomic::Ordering::Release);
        while rx.try_recv() == Err(RecvError::Empty) {
            assert!(!wait(&set, LONG).is_empty());
        }
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
        noticed.store(now_ns(), std::sync::atomic::Ordering::Release);
    });
    until_at_least(here, 2);
    std::thread::sleep(Duration::from_millis(50));
    let (watch, start) = (Watch::start(&[]), now_ns());
    outer.kill();
    until_at_least(noticed, 1);
    let late = watch.late(start);
    let took = noticed.load(std::sync::atomic::Ordering::Acquire) - start;
    eprintln!("a death outside of the PID namespace: {} us", took / 1_000);
    assert!(late < SOON, "{late:?}");
    inner.finish();
}

#[test(root)]
fn deaths_in_another_pid_namespace_are_noticed() {
    Worker::run(&[&"deaths::in_a_namespace", &Name::new()]);
}
