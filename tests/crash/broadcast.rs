//! Members of broadcast channels at chosen instructions: killed there, or stopped there while the
//! others go on.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use sysvring::broadcast::{Receiver, Sender};
use sysvring::{Lifetime, Options, RecvError, SendError, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::shared_counters::{shared_counters, until_at_least};
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::suite::Test;
use sysvring_support::work;
use sysvring_support::worker::{Args, print_line};

use crate::steps::driver::{self, OVER, fail};
use crate::steps::every_instruction::{KILLED, PLAN, Plan};
use crate::steps::trace::Trace;
use crate::steps::{case::Point, one_for_each};

const CAPACITY: u64 = 4;
/// The messages before the victim starts: the ring is in its second lap.
const BEFORE: u64 = 6;
/// The messages that the others send and receive afterwards: three laps.
const AFTER: u64 = 3 * CAPACITY;

/// The same number three times, its position.
type Message = [u64; 3];

/// What the victim does between two marks.
struct Operation {
    name: &'static str,
    act: fn(&Options, &AtomicU64),
    /// Whether it is the sender; otherwise the driver is.
    sends: bool,
    /// Whether a receiver with its label died before, and holds up the ring.
    after_death: bool,
}

const OPERATIONS: [Operation; 4] = [
    Operation { name: "receive", act: receive, sends: false, after_death: false },
    Operation { name: "receive_as_heir", act: receive, sends: false, after_death: true },
    Operation { name: "send", act: send, sends: true, after_death: false },
    Operation { name: "send_past_the_dead", act: send, sends: true, after_death: true },
];

/// Joins, receives in each way, and leaves. Every message must be the one of its position.
fn receive(options: &Options, _: &AtomicU64) {
    let mut rx: Receiver<Message> = options.clone().label("victim").attach().expect("a receiver");
    let check = |position, message: Message| assert_eq!(message, [position; 3]);
    for _ in 0..2 {
        let position = rx.position();
        match rx.try_recv() {
            Ok(message) => check(position, message),
            Err(RecvError::Empty | RecvError::Lagged { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    if let Ok(guard) = rx.try_recv_ref() {
        check(guard.position(), *guard);
        guard.ack().expect("acknowledged");
    }
    let mut batch = Vec::new();
    let position = rx.position();
    if rx.try_recv_batch(&mut batch, 10).is_ok() {
        (position..).zip(batch).for_each(|(position, message)| check(position, message));
    }
    rx.close().expect("left");
}

/// Joins, sends in each way, and leaves.
fn send(options: &Options, sent: &AtomicU64) {
    let mut tx: Sender<Message> = options.clone().attach().expect("a sender");
    for _ in 0..2 {
        tx.try_send(&[tx.position(); 3]).expect("nobody that lives holds it up");
        sent.fetch_add(1, Release);
    }
    let position = tx.position();
    let mut loan = tx.try_loan().expect("nobody that lives holds it up");
    *loan = [position; 3];
    loan.commit().expect("sent");
    sent.fetch_add(1, Release);
    tx.close().expect("left");
}

/// A channel, and the members that the driver holds.
struct Channel {
    options: Options,
    tx: Option<Sender<Message>>,
    rx: Receiver<Message>,
    /// The next position that the receiver expects.
    next: u64,
    /// The messages of the victim whose call returned.
    sent: &'static AtomicU64,
}

impl Channel {
    fn new(operation: &Operation, sent: &'static AtomicU64) -> Channel {
        let name = format!("crash-broadcast-{}", std::process::id());
        let options = Options::named(name)
            .capacity(CAPACITY as usize)
            .lifetime(Lifetime::LastMember)
            .wait(Wait::Park);
        let mut tx: Sender<Message> = options.clone().open().expect("a sender");
        let rx = options.clone().attach().expect("a receiver");
        let mut channel = Channel { options, tx: None, rx, next: 0, sent };
        (0..BEFORE).for_each(|_| channel.pass_one(&mut tx));
        if operation.after_death {
            channel.kill_receiver();
            channel.pass_one(&mut tx);
        }
        sent.store(0, Release);
        channel.tx = (!operation.sends).then_some(tx);
        channel
    }

    /// Sends a message, which the driver's receiver gets.
    fn pass_one(&mut self, tx: &mut Sender<Message>) {
        tx.try_send(&[tx.position(); 3]).expect("room");
        self.drain();
    }

    /// A receiver dies that holds the next message.
    fn kill_receiver(&self) {
        let [here] = shared_counters::<1>();
        let mut child = Fork::start(|| {
            let options = self.options.clone().label("victim");
            let mut rx: Receiver<Message> = options.attach().expect("a receiver");
            while rx.try_recv().is_ok() {}
            here.store(1, Release);
            std::thread::sleep(std::time::Duration::from_secs(60));
        });
        until_at_least(here, 1);
        assert!(child.kill_and_wait());
    }

    /// Receives all that is there.
    fn drain(&mut self) {
        loop {
            match self.rx.try_recv() {
                Ok(message) => assert_eq!(message, [self.next; 3], "at {}", self.next),
                Err(RecvError::Empty | RecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            }
            self.next += 1;
        }
    }

    /// The others go on while the victim stands still. A living receiver may hold up the sender.
    fn go_on(&mut self) {
        match self.tx.take() {
            Some(mut tx) => {
                for _ in 0..AFTER {
                    match tx.try_send(&[tx.position(); 3]) {
                        Ok(()) => self.drain(),
                        Err(SendError::Full) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                self.tx = Some(tx);
            }
            None => {
                self.drain();
                self.late_receiver();
            }
        }
    }

    /// A receiver joins, gets what is in the ring, in order, and leaves.
    fn late_receiver(&self) {
        let mut late: Receiver<Message> = self.options.clone().attach().expect("a receiver");
        let mut position = late.position();
        while let Ok(message) = late.try_recv() {
            assert_eq!(message, [position; 3], "late, at {position}");
            position += 1;
        }
        assert!(position >= self.next, "it misses {position} and more");
    }

    /// Checks what a dead or departed victim leaves.
    fn survive(mut self) {
        self.drain();
        let sent = self.sent.load(Acquire);
        let tx = self.tx.take().unwrap_or_else(|| self.options.clone().attach().expect("a sender"));
        let mut tx = tx;
        assert!(self.next >= BEFORE + sent, "{sent} were sent, and {} arrived", self.next);
        assert_eq!(tx.position(), self.next, "a successor goes on there");
        (0..AFTER).for_each(|_| self.pass_one(&mut tx));
        let heir = self.options.clone().label("victim").attach::<Receiver<Message>>();
        drop(heir.expect("a receiver"));
        self.late_receiver();
        assert_eq!((tx.receivers(), tx.len()), (Ok(1), 0));
        let alive = tx.stat().expect("stat").members.iter().filter(|member| member.alive).count();
        assert_eq!(alive, 2, "the dead hold nothing");
    }
}

fn start(operation: &Operation, channel: &Channel) -> Stepper {
    let (act, options, sent) = (operation.act, channel.options.clone(), channel.sent);
    let stepper = Stepper::start(|| {
        mark();
        act(&options, sent);
        mark();
    });
    stepper.expect("the victim gets to its start")
}

/// Returns the trace of an undisturbed victim.
fn recorded(operation: &Operation, sent: &'static AtomicU64) -> Trace {
    let channel = Channel::new(operation, sent);
    let mut victim = start(operation, &channel);
    let mut trace = Trace::default();
    loop {
        trace.push(victim.place());
        match victim.step(&mut || false) {
            Stop::There => {}
            Stop::Marked => break,
            stop => panic!("undisturbed, after {} instructions: {stop:?}", trace.len()),
        }
    }
    victim.kill();
    channel.survive();
    trace
}

/// Brings a victim to a point of its trace. Returns false if it reaches its end instead.
fn bring(victim: &mut Stepper, trace: &Trace, n: usize) -> bool {
    let (mut at, mut stop) = match trace.landmark(n) {
        Some((0, _)) => (0, Stop::There),
        Some((landmark, place)) => (landmark, victim.run_to(place, &mut || false)),
        None => (trace.len(), victim.run(&mut || false)),
    };
    let mut last = None;
    loop {
        match stop {
            Stop::There => {}
            Stop::Marked => return false,
            stop => panic!("before instruction {n}: {stop:?}"),
        }
        let place = victim.place();
        at += usize::from(last.replace(place).is_some_and(|last| last != place));
        if at == n {
            return true;
        }
        stop = victim.step(&mut || false);
    }
}

/// Kills a victim at a point, or lets the others go on while it is stopped there. Returns whether it
/// got there.
fn try_point(
    operation: &Operation,
    trace: &Trace,
    n: usize,
    kills: bool,
    sent: &'static AtomicU64,
) -> bool {
    let mut channel = Channel::new(operation, sent);
    let mut victim = start(operation, &channel);
    let is_there = bring(&mut victim, trace, n);
    if !kills && is_there {
        channel.go_on();
        match victim.run(&mut || false) {
            Stop::Marked => {}
            stop => panic!("stopped at instruction {n}, and afterwards: {stop:?}"),
        }
    }
    victim.kill();
    channel.survive();
    is_there
}

/// Returns one test for each operation.
pub fn tests() -> Vec<Test> {
    let names = OPERATIONS.iter().map(|operation| operation.name.to_owned()).collect();
    one_for_each(module_path!(), names, crash_everywhere)
}

fn crash_everywhere(operation: &str) {
    let outcome = driver::drive("broadcast::try_points", &[&operation, PLAN.get().expect("set")]);
    let [instructions, killed, diverged] = [0, 1, 2].map(|at| outcome.sum(at));
    KILLED.fetch_add(killed, std::sync::atomic::Ordering::Relaxed);
    println!(
        "broadcast {operation:<19}{instructions:>7} instructions {killed:>6} killed, as many stopped, \
         {diverged:>3} diverged"
    );
    outcome.must_be_clean();
    assert!(killed > 0, "nothing was tried");
}

#[work]
fn try_points(args: &mut Args) {
    driver::begin(args);
    let (name, plan): (String, Plan) = (args.next(), args.next());
    let operation =
        OPERATIONS.iter().find(|operation| operation.name == name).expect("one of them");
    let [sent] = shared_counters::<1>();
    let trace = recorded(operation, sent);
    let (mut killed, mut diverged) = (0, 0);
    for point in plan.points(&trace) {
        let Point::After(n) = point else { continue };
        for kills in [true, false] {
            let tried = || try_point(operation, &trace, n, kills, sent);
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(tried)) {
                Ok(true) => killed += u64::from(kills),
                Ok(false) => diverged += 1,
                Err(_) => {
                    let what = if kills { "killed" } else { "stopped" };
                    let at = trace.place(n);
                    print_line(fail(format!("{name}, {what} after {n} instructions, at {at}")));
                    // What it left would be in the way of the next victim.
                    let channel = format!("crash-broadcast-{}", std::process::id());
                    let _ = sysvring::remove(&*channel);
                }
            }
        }
    }
    print_line(format!("{} {killed} {diverged}", trace.len()));
    print_line(OVER);
}
