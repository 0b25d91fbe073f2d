//! Many deaths: while no member is parked, so that their posts pile up, and of all members of a
//! channel during its creation.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use sysvring::{Error, Lifetime, Options, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, Object, WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::scale::scale;

/// The kernel's limit of a semaphore's value.
const LIMIT: u16 = 32_767;
/// A semaphore that starts at this value reaches the limit in short runs, too.
const NEARLY: i16 = 30_000;
/// The minimum that a trim takes away.
const TRIM: u16 = 10_000;
/// The maximum time of a call, on a busy host.
const SOON: Duration = Duration::from_secs(20);
/// No parked waiter polls by itself before this time.
const SLICE: Duration = Duration::from_millis(150);

#[test(quiet)]
fn deaths_without_parked_waiters() {
    let name = Name::new();
    let mpmc_name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    let mpmc_rx: mpmc::Receiver<u64> = mpmc_name.options().open().expect("open");
    let deaths = scale().deaths;
    let mut worker =
        Worker::start(&[&"token_pileup::die", &name, &mpmc_name, &deaths]).expect("start");
    let [highest, trims] = worker.figures().expect("figures");
    println!(
        "{deaths} deaths without parked waiters: at most {highest} posts left by them, \
         trimmed {trims} times"
    );
    assert!(trims >= 2.0, "neither channel reached the limit");
    // After all these deaths, a parked waiter is woken at once.
    let watch = Watch::start(&[worker.pid() as u32]);
    worker.write_line("send").expect("tell");
    // Without a sender, receiving would end with `Disconnected`. The first wait ends for those that came
    // and died.
    for _ in 0..2 {
        rx.wait_for_peer(SOON).expect("a sender");
        mpmc_rx.wait_for_peer(SOON).expect("a sender");
    }
    for _ in 0..2 {
        watch.must_be_within(SLICE, rx.recv_timeout(SOON).expect("SPSC"));
        watch.must_be_within(SLICE, mpmc_rx.recv_timeout(SOON).expect("MPMC"));
    }
    worker.finish();
}

fn attach_and_die<F: AnyFlavor>(name: &str) {
    let _tx: F::Sender<u64> = Options::named(name).attach().expect("attach");
    // SAFETY: kills the calling process.
    unsafe { libc::raise(libc::SIGKILL) };
}

/// Causes half of the deaths in each channel, one after the other.
#[work]
fn die(args: &mut Args) {
    let (name, mpmc_name): (String, String) = (args.next(), args.next());
    let deaths: u64 = args.next();
    // SAFETY: takes a number only. The suite has a watchdog of its own, for any number of deaths.
    unsafe { libc::alarm(0) };
    let sets = [&name, &mpmc_name]
        .map(|name| sysvring::stat(&**name).expect("stat").set.expect("a set").id);
    // In MPMC channels a death is posted to both sides, in SPSC channels only to the receiver.
    let watched = [(sets[0], WAKE_RECEIVERS), (sets[1], WAKE_RECEIVERS), (sets[1], WAKE_SENDERS)];
    watched.iter().for_each(|&(set, wake)| raw_ipc::add(set, wake, NEARLY));
    let (mut before, mut highest, mut trims) = ([0; 3], 0, 0);
    for n in 0..deaths {
        let mut victim = Fork::start(|| match n % 2 {
            0 => attach_and_die::<Spsc>(&name),
            _ => attach_and_die::<Mpmc>(&mpmc_name),
        });
        let status = victim.wait();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "death {n}: it could not attach");
        for (&(set, wake), before) in watched.iter().zip(&mut before) {
            let posts = raw_ipc::values(set)[wake];
            trims += u64::from(posts + TRIM < *before);
            highest = highest.max(posts);
            *before = posts;
        }
    }
    assert!(highest <= LIMIT);
    print_line(format!("{highest} {trims}"));
    sysvring_support::worker::read_line();
    let mut tx: spsc::Sender<u64> = Options::named(&name).attach().expect("attach");
    let mpmc_tx: mpmc::Sender<u64> = Options::named(&mpmc_name).attach().expect("attach");
    for _ in 0..2 {
        // By now the receivers are parked.
        std::thread::sleep(Duration::from_millis(20));
        tx.send(&now_ns()).expect("send");
        std::thread::sleep(Duration::from_millis(20));
        mpmc_tx.send(&now_ns()).expect("send");
    }
}

#[test(quiet)]
fn all_members_are_killed_during_creation() {
    let name = Name::new();
    let cycles = scale().cycles;
    let mut worker =
        Worker::start(&[&"token_pileup::make_and_die", &name, &cycles]).expect("start");
    let [whole, parts, left] = worker.figures().expect("figures");
    worker.finish();
    println!(
        "{cycles} times all members were killed during creation: {whole} times two \
         segments or sets were left, {parts} times one; after the next open or reap {left}"
    );
    assert!(whole + parts > 0.3 * cycles as f64, "killed before they made anything");
    assert!(whole < 0.98 * cycles as f64, "killed after creation was complete");
    assert_eq!(left, 0.0);
}

fn forever(mut call: impl FnMut()) -> ! {
    loop {
        call();
    }
}

/// Runs one side of one channel until it is killed. The first process to arrive makes the channel.
fn take_part<F: AnyFlavor>(options: Options, sends: bool) {
    if sends {
        let mut tx: F::Sender<u64> = options.open().expect("open");
        forever(|| _ = tx.try_send(&1));
    }
    let mut rx: F::Receiver<u64> = options.open().expect("open");
    forever(|| _ = rx.try_recv());
}

/// Runs both sides of a channel without a key, until it is killed.
fn take_both_parts<F: AnyFlavor>() {
    let mut tx: F::Sender<u64> = Options::private().open().expect("open");
    let mut rx: F::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    forever(|| _ = (tx.try_send(&1), rx.try_recv()));
}

/// Opens the channel as the next members do, checks that it takes a negligible time, and uses it.
fn open_and_use<F: AnyFlavor>(options: &dyn Fn() -> Options) {
    let options = || options().open_timeout(Duration::ZERO);
    let mut rx: F::Receiver<u64> = options().open().expect("open");
    let mut tx: F::Sender<u64> = options().open().expect("open");
    while rx.try_recv().is_ok() {}
    tx.send_timeout(&2, SOON).expect("send");
    assert_eq!(rx.recv_timeout(SOON), Ok(2));
}

/// The maximum time in ns that a process gets to start and make a channel. It adapts to the
/// results, so that deaths happen during creation on a busy host, too.
struct Lifetimes(u64);

impl Lifetimes {
    /// Waits without a sleep, which would always take longer.
    fn linger(&self, rng: &mut Rng) {
        let time = Duration::from_nanos(rng.below(self.0));
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    fn adapt(&mut self, objects_made: usize) {
        match objects_made {
            0 => self.0 = (self.0 + self.0 / 10).min(50_000_000),
            1 => {}
            _ => self.0 = (self.0 - self.0 / 10).max(50_000),
        }
    }
}

/// What the processes of a flavor do.
type Parts = (fn(Options, bool), fn(), fn(&dyn Fn() -> Options));

#[work]
fn make_and_die(args: &mut Args) {
    let (name, cycles): (String, u64) = (args.next(), args.next());
    // SAFETY: takes a number only. The suite has a watchdog of its own, for any number of cycles.
    unsafe { libc::alarm(0) };
    let (mut rng, mut lifetimes) = (Rng::new(), Lifetimes(400_000));
    let (mut whole, mut parts, mut left) = (0, 0, 0);
    let before = raw_ipc::marked();
    let remaining = || -> Vec<Object> {
        raw_ipc::marked().into_iter().filter(|object| !before.contains(object)).collect()
    };
    for n in 0..cycles {
        // The channel is kept or not and then opened, or not kept and reaped, or private and
        // reaped.
        let end = n / 2 % 4;
        let lifetime = [Lifetime::Kept, Lifetime::LastMember][usize::from(end != 0)];
        let options = || Options::named(&name).capacity(8).lifetime(lifetime);
        let (take_part, take_both_parts, open_and_use): Parts = match n % 2 {
            0 => (take_part::<Spsc>, take_both_parts::<Spsc>, open_and_use::<Spsc>),
            _ => (take_part::<Mpmc>, take_both_parts::<Mpmc>, open_and_use::<Mpmc>),
        };
        let start = |sends: bool| match end {
            3 => Fork::start(take_both_parts),
            _ => Fork::start(|| take_part(options(), sends)),
        };
        // Each dies at a random step: one process alone, or while the other one also runs.
        let first_sends = rng.below(2) == 0;
        let mut first = start(first_sends);
        let alone = rng.below(2) == 0;
        if alone {
            lifetimes.linger(&mut rng);
            first.kill();
        }
        let mut second = start(!first_sends);
        lifetimes.linger(&mut rng);
        second.kill();
        first.kill();
        assert!(first.kill_and_wait() && second.kill_and_wait(), "one process ended by itself");
        let made = remaining().len();
        lifetimes.adapt(made);
        whole += u64::from(made >= 2);
        parts += u64::from(made == 1);
        match end {
            0 | 1 => Fork::start(|| open_and_use(&options)).finish(),
            _ => _ = sysvring::reap().expect("reap"),
        }
        if end == 0 {
            sysvring::remove(&*name).expect("the channel exists");
        }
        let there = sysvring::stat(&*name);
        assert!(matches!(there, Err(Error::NotFound { .. })), "cycle {n}: {there:?}");
        let remaining = remaining();
        if !remaining.is_empty() {
            eprintln!("cycle {n}: {remaining:?}");
            left += remaining.len();
            sysvring::reap().expect("reap");
        }
    }
    print_line(format!("{whole} {parts} {left}"));
}
