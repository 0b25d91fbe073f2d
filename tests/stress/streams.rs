//! Streams that end, one after another. Senders finish, leave, or are killed. Receivers wait
//! without a time limit, some of them from before the first sender, some only after the last one,
//! and are killed and restarted. At the end of each stream every receiver gets `Disconnected`; none
//! gets it while a sender that it saw is there, or, having seen none, while a death has no
//! successor.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sysvring::{Options, RecvError, SendError, StreamState};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyGuard, AnyReceiver, AnySender, Mpmc, Spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, DIED, FINISHED, SENDERS};
use sysvring_support::rng::Rng;
use sysvring_support::shared_counters::{shared_counters, until};
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::scale::scale;

/// The maximum numbers of senders, receivers and messages of a sender in a round.
const SENDERS_MAX: usize = 32;
const RECEIVERS_MAX: usize = 128;
const MESSAGES: u64 = 12;

/// How far a sender got.
const JOINED: u64 = 1;
const SENT: u64 = 2;
const DEPARTS: u64 = 3;
const DEPARTED: u64 = 4;

/// What the processes of a round share.
#[repr(C)]
struct Shared {
    round: AtomicU64,
    steps: [AtomicU64; SENDERS_MAX],
    /// Whether a receiver got `Disconnected`.
    told: [AtomicU64; RECEIVERS_MAX],
    sent: [[AtomicU64; MESSAGES as usize]; SENDERS_MAX],
    received: [[AtomicU64; MESSAGES as usize]; SENDERS_MAX],
}

impl Shared {
    fn new() -> &'static Shared {
        const N: usize = size_of::<Shared>() / 8;
        // SAFETY: numbers, as many as this consists of, never unmapped; zeros are valid.
        unsafe { &*shared_counters::<N>().as_ptr().cast() }
    }

    /// Returns whether the first `receivers` receivers got `Disconnected`.
    fn is_all_told(&self, receivers: usize) -> bool {
        self.told[..receivers].iter().all(|told| told.load(Acquire) != 0)
    }

    /// Forgets the last round.
    fn begin(&self, round: u64) {
        self.round.store(round, Release);
        let messages = self.sent.iter().chain(&self.received).flatten();
        self.steps.iter().chain(&self.told).chain(messages).for_each(|n| n.store(0, Release));
    }
}

/// What a sender does at last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Finish,
    Leave,
}

/// What happened in all rounds.
#[derive(Default)]
struct Counts {
    ended: u64,
    died: u64,
    left: u64,
    heirs: u64,
    late: u64,
    kills: u64,
}

#[test(quiet)]
fn spsc_streams_end() {
    streams_end("spsc");
}

#[test(quiet)]
fn mpmc_streams_end() {
    streams_end("mpmc");
}

fn streams_end(flavor: &str) {
    let name = Name::new();
    let rounds = scale().rounds;
    let mut worker = Worker::start(&[&"streams::run", &name, &flavor, &rounds]).expect("start");
    let [ended, died, left, heirs, late, kills] = worker.figures().expect("figures");
    worker.finish();
    println!(
        "{rounds} {flavor} streams: {ended} ended at once, {died} after {heirs} successors of dead \
         senders, {left} after all had left; {late} late receivers, {kills} kills"
    );
    assert!(ended > 0.0 && died > 0.0 && left > 0.0 && late > 0.0, "a kind of end is missing");
    assert_eq!(sysvring::stat(name.as_str()).expect("stat").overslept, 0);
}

#[work]
fn run(args: &mut Args) {
    let (name, flavor, rounds): (String, String, u64) = (args.next(), args.next(), args.next());
    // SAFETY: takes a number only. The suite has a watchdog of its own, for any number of rounds.
    unsafe { libc::alarm(0) };
    let shared = Shared::new();
    let (mut counts, mut rng) = (Counts::default(), Rng::new());
    let is_all_seen = |counts: &Counts| {
        [counts.ended, counts.died, counts.left, counts.late].iter().all(|seen| *seen > 0)
    };
    // Which end a round has is by chance, and on a busy host some ends are rare.
    let mut round = 0;
    while round < rounds || !is_all_seen(&counts) && round < 20 * rounds {
        round += 1;
        shared.begin(round);
        match flavor.as_str() {
            "spsc" => Round::<Spsc>::new(&name, shared).run(&mut rng, &mut counts),
            _ => Round::<Mpmc>::new(&name, shared).run(&mut rng, &mut counts),
        }
    }
    let Counts { ended, died, left, heirs, late, kills } = counts;
    print_line(format!("{ended} {died} {left} {heirs} {late} {kills}"));
}

/// A sender's process, what it is to do, and its number.
struct Sending {
    process: Fork,
    action: Action,
    number: usize,
}

struct Round<F: AnyFlavor> {
    name: String,
    shared: &'static Shared,
    /// Keeps the stream of an MPMC channel open until all senders have joined.
    guard: Option<F::Sender<u64>>,
    receivers: Vec<Fork>,
    senders: usize,
}

impl<F: AnyFlavor> Round<F> {
    fn new(name: &str, shared: &'static Shared) -> Round<F> {
        Round { name: name.into(), shared, guard: None, receivers: Vec::new(), senders: 0 }
    }

    fn is_mpmc(&self) -> bool {
        F::FLAVOR == sysvring::Flavor::Mpmc
    }

    fn options(&self) -> Options {
        Options::named(&*self.name).capacity(4)
    }

    /// Returns whether a sender has finished, how many died, and how many are there.
    fn state(&self) -> (bool, u64, u64) {
        let set = sysvring::stat(&*self.name).expect("stat").set.expect("a set").id;
        let values = raw_ipc::values(set);
        (values[FINISHED] != 0, values[DIED].into(), values[SENDERS].into())
    }

    fn send(&mut self, action: Action, rng: &mut Rng) -> Sending {
        let (number, messages) = (self.senders, rng.below(MESSAGES + 1));
        self.senders += 1;
        let (options, shared, pause) = (self.options(), self.shared, rng.time(18));
        let process = Fork::start(|| {
            let step = |n| shared.steps[number].store(n, Release);
            let mut tx: F::Sender<u64> = options.open().expect("a seat");
            step(JOINED);
            for n in 0..messages {
                send_one(&mut tx, shared.round.load(Acquire) << 16 | (number as u64) << 8 | n);
                shared.sent[number][n as usize].store(1, Release);
            }
            step(SENT);
            std::thread::sleep(pause);
            step(DEPARTS);
            match action {
                Action::Finish => tx.finish().expect("finish"),
                Action::Leave => drop(tx),
            }
            step(DEPARTED);
        });
        Sending { process, action, number }
    }

    /// Starts a receiver, unless the only seat is taken.
    fn receive(&mut self) {
        let number = self.receivers.len();
        let busy = |n: usize| self.shared.told[n].load(Acquire) == 0;
        if !self.is_mpmc() && number > 0 && busy(number - 1) || number == RECEIVERS_MAX {
            return;
        }
        let (options, shared) = (self.options(), self.shared);
        self.receivers.push(Fork::start(|| {
            // The last receiver of an SPSC channel may still be leaving.
            let mut rx: F::Receiver<u64> = options.open().expect("a seat");
            receive_all(&mut rx, shared);
            drop(rx);
            shared.told[number].store(1, Release);
        }));
    }

    /// Waits until a sender has departed. If every receiver was told of an earlier end, for there
    /// were no senders for a moment, another one receives what this one sends.
    fn await_departure(&mut self, sending: Sending) {
        until(|| {
            if self.receivers.len() < RECEIVERS_MAX && self.shared.is_all_told(self.receivers.len())
            {
                self.receive();
            }
            self.shared.steps[sending.number].load(Acquire) == DEPARTED
        });
        sending.process.finish();
    }

    /// Kills a receiver, unless it was told already, and starts another one, which joins late.
    fn replace_receiver(&mut self, rng: &mut Rng, counts: &mut Counts) {
        let number = rng.below(self.receivers.len() as u64) as usize;
        if self.shared.told[number].load(Acquire) == 0 {
            counts.kills += u64::from(self.receivers[number].kill_and_wait());
            self.shared.told[number].store(1, Release);
            self.receive();
        }
    }

    fn run(&mut self, rng: &mut Rng, counts: &mut Counts) {
        if self.is_mpmc() {
            self.guard = Some(self.options().open().expect("a seat"));
        }
        let mut senders = Vec::new();
        for _ in 0..if self.is_mpmc() { 1 + rng.below(4) } else { 1 } {
            if rng.below(2) == 0 && self.is_mpmc() {
                self.receive();
            }
            let action = rng.of(&[Action::Finish, Action::Leave]);
            senders.push((self.send(action, rng), rng.below(4) == 0));
        }
        let joined = |sending: &Sending| self.shared.steps[sending.number].load(Acquire) != 0;
        // Otherwise one of them may join as the successor of another one.
        let all_join_first = !self.is_mpmc() || rng.below(2) == 0;
        if all_join_first {
            senders.iter().for_each(|(sending, _)| until(|| joined(sending)));
        }
        self.receive();
        self.receive();
        // Some are killed at a random moment, and stay dead.
        let (mut dead, mut in_doubt, mut finished, mut may_have_finished) = (0, 0, 0, 0);
        for (sending, dies) in &mut senders {
            if *dies {
                rng.pause(20);
                counts.kills += u64::from(sending.process.kill_and_wait());
                match self.shared.steps[sending.number].load(Acquire) {
                    JOINED | SENT => dead += 1,
                    0 => in_doubt += 1,
                    DEPARTS => {
                        in_doubt += 1;
                        may_have_finished += u64::from(sending.action == Action::Finish);
                    }
                    _ => finished += u64::from(sending.action == Action::Finish),
                }
            }
        }
        if rng.below(4) == 0 {
            self.replace_receiver(rng, counts);
        }
        senders.retain(|(_, dies)| !dies);
        for (sending, _) in &senders {
            until(|| self.shared.steps[sending.number].load(Acquire) != 0);
        }
        if let Some(guard) = self.guard.take() {
            let told = self.shared.told.iter().zip(&self.receivers).enumerate();
            for (n, (told, receiver)) in told {
                let is_early = told.load(Acquire) != 0 && !receiver.has_ended();
                assert!(!is_early, "receiver {n} got `Disconnected` beside a sender");
            }
            drop(guard);
        }
        for (sending, _) in senders {
            finished += u64::from(sending.action == Action::Finish);
            self.await_departure(sending);
        }
        let (has_finished, died, there) = self.state();
        let at_least = if all_join_first { dead } else { 0 };
        assert!(
            (at_least..=dead + in_doubt).contains(&died) && there == 0,
            "{died} died, {at_least} to {} of them unfinished",
            dead + in_doubt
        );
        assert!(has_finished || finished == 0, "{finished} have finished");
        let all = finished + may_have_finished;
        assert!(!has_finished || all > 0 || !self.is_mpmc(), "nobody has finished");
        self.end(rng, counts);
    }

    /// Ends the stream: every dead sender gets a successor, and one finishes.
    fn end(&mut self, rng: &mut Rng, counts: &mut Counts) {
        let (mut has_finished, mut died, _) = self.state();
        match (has_finished, died) {
            (true, 0) => counts.ended += 1,
            (_, 0) => counts.left += 1,
            _ => counts.died += 1,
        }
        if died > 0 || !has_finished {
            // One that joins now waits.
            let number = self.receivers.len();
            self.receive();
            if self.receivers.len() > number {
                rng.pause(20);
                assert_eq!(
                    self.shared.told[number].load(Acquire),
                    0,
                    "{died} died, it did not end"
                );
            }
        }
        while died > 0 || !has_finished {
            counts.heirs += u64::from(died > 0);
            let action = match died {
                0 | 1 if !has_finished => Action::Finish,
                _ => rng.of(&[Action::Finish, Action::Leave]),
            };
            let mut sending = self.send(action, rng);
            if self.senders < SENDERS_MAX / 2 && rng.below(4) == 0 {
                rng.pause(20);
                counts.kills += u64::from(sending.process.kill_and_wait());
            } else {
                self.await_departure(sending);
            }
            (has_finished, died, _) = self.state();
        }
        assert_eq!(sysvring::stat(&*self.name).expect("stat").stream, StreamState::Ended);
        if rng.below(3) == 0 {
            self.replace_receiver(rng, counts);
        }
        let started = self.receivers.len();
        for n in 0..started {
            until(|| self.shared.told[n].load(Acquire) != 0);
        }
        // One that joins after all that is told at once, and receives what a killed one left.
        self.receive();
        counts.late += self.receivers.len() as u64 - started as u64;
        for n in started..self.receivers.len() {
            until(|| self.shared.told[n].load(Acquire) != 0);
        }
        for (n, receiver) in self.receivers.drain(..).enumerate() {
            if !receiver.has_ended() {
                receiver.finish();
            }
            assert_eq!(self.shared.told[n].load(Acquire), 1);
        }
        for (number, (sent, received)) in
            self.shared.sent.iter().zip(&self.shared.received).enumerate()
        {
            for (n, (sent, received)) in sent.iter().zip(received).enumerate() {
                let is_lost = sent.load(Acquire) != 0 && received.load(Acquire) == 0;
                assert!(!is_lost, "message {n} of sender {number} is lost");
            }
        }
    }
}

fn send_one<H: AnySender<u64>>(tx: &mut H, message: u64) {
    loop {
        match tx.send_timeout(&message, Duration::from_millis(50)) {
            Ok(()) => return,
            // The receivers are dead at this moment.
            Err(SendError::Disconnected) => _ = tx.wait_for_peer(Duration::from_millis(50)),
            Err(SendError::Timeout | SendError::Blocked { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Receives without a time limit until the stream has ended.
fn receive_all<H: AnyReceiver<u64>>(rx: &mut H, shared: &Shared) {
    loop {
        let guard = match rx.recv_ref_timeout(Duration::MAX) {
            Ok(guard) => guard,
            Err(RecvError::Disconnected) => return,
            Err(error) => panic!("{error}"),
        };
        let (round, number, n) = (*guard >> 16, *guard >> 8 & 0xff, *guard & 0xff);
        assert_eq!(round, shared.round.load(Acquire), "a message of another round");
        shared.received[number as usize][n as usize].fetch_add(1, Ordering::AcqRel);
        guard.ack().expect("acknowledge");
    }
}
