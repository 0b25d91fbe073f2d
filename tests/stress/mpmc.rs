//! MPMC: senders and receivers of one channel are killed over and over.

use std::fs;
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::rng::Rng;
use sysvring_support::shared_counters::until;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::ledger::{Account, Ledger};
use crate::member::{Flaw, options, receive_on, send_on};
use crate::scale::{Scale, scale};
use crate::stall_detector::Stall;

/// The minimum number of kills per second of the requested duration. A busy host takes longer for
/// them.
const KILLS: u64 = 50;

#[test(quiet)]
fn mpmc_survives_random_kills() {
    let report = run(3, 3, 256, Flaw::None, scale());
    report.must_be_clean();
}

#[test(quiet)]
fn a_ring_of_four_slots_survives_random_kills() {
    let Scale { seconds, kills, messages, .. } = scale();
    let tenth =
        Scale { seconds: seconds / 4, kills: kills / 10, messages: messages / 100, ..scale() };
    run(4, 4, 4, Flaw::None, tenth).must_be_clean();
}

#[test(quiet)]
fn lost_messages_are_detected() {
    let short = Scale { seconds: 2, kills: 500, messages: 0, ..scale() };
    let report = run(3, 3, 256, Flaw::EarlyAcknowledgement, short);
    assert!(report.lost > 0.0, "no message was lost although receivers mark too late");
    // A lost message among a dead sender's last ones leaves a gap, which counts as out of order.
    assert_eq!([report.torn, report.twice], [0.0; 2]);
}

#[test(quiet)]
fn wrong_messages_are_detected() {
    let short = Scale { seconds: 2, kills: 300, messages: 0, ..scale() };
    let Report { torn, twice, disordered, stuck, .. } = run(3, 3, 256, Flaw::WrongMessages, short);
    let seen = [torn, twice, disordered, stuck].map(|n| n > 0.0);
    assert_eq!(seen, [true; 4], "torn, twice, out of order, stuck");
}

/// The result of a run.
struct Report {
    lost: f64,
    torn: f64,
    twice: f64,
    disordered: f64,
    stuck: f64,
}

impl Report {
    fn must_be_clean(&self) {
        let bad = [self.lost, self.torn, self.twice, self.disordered, self.stuck];
        assert_eq!(bad, [0.0; 5], "lost, torn, twice, out of order, stuck");
    }
}

fn run(senders: usize, receivers: usize, capacity: usize, flaw: Flaw, scale: Scale) -> Report {
    let name = Name::new();
    let Scale { seconds, kills, messages, .. } = scale;
    let kills = kills.max(KILLS * seconds);
    let mut worker = Worker::start(&[
        &"mpmc::kill_at_random",
        &name,
        &senders,
        &receivers,
        &capacity,
        &(flaw as usize),
        &seconds,
        &kills,
        &messages,
    ])
    .expect("start");
    let line: [f64; 11] = loop {
        let line = worker.read_line().expect("a line");
        match line.strip_prefix("over ") {
            None => println!("{line}"),
            Some(numbers) => {
                let numbers = numbers.split(' ').map(|n| n.parse().expect("a number"));
                break numbers.collect::<Vec<_>>().try_into().expect("all of them");
            }
        }
    };
    worker.finish();
    let [
        seconds,
        kills,
        stops,
        messages,
        redelivered,
        lost,
        torn,
        twice,
        disordered,
        longest,
        stuck,
    ] = line;
    println!(
        "random kills: {senders} senders, {receivers} receivers, {capacity} slots, {seconds:.0} s: {kills} \
         kills, {stops} stops, {messages} messages received, {redelivered} of them redelivered, \
         {lost} lost, {torn} torn, {twice} twice, {disordered} out of order, longest stall \
         {longest:.0} ms, {stuck} stuck{}",
        match flaw {
            Flaw::None => "",
            Flaw::EarlyAcknowledgement => " (receivers acknowledge too early)",
            Flaw::WrongMessages => " (senders send wrong messages, all are stopped once)",
        }
    );
    Report { lost, torn, twice, disordered, stuck }
}

/// The members, and the records of the dead.
struct Crew<'a> {
    name: &'a str,
    ledger: &'static Ledger,
    senders: usize,
    flaw: Flaw,
    members: Vec<Fork>,
    doubtful: Vec<Vec<Range<u64>>>,
    rng: Rng,
    kills: u64,
}

impl Crew<'_> {
    fn start(&self, member: usize) -> Fork {
        // The child's generator is a new one: it is another process at another time.
        let (ledger, senders, flaw) = (self.ledger, self.senders, self.flaw);
        if member < senders {
            let lives = &ledger.sent[member].lives;
            lives.store(lives.load(Acquire) + 1, Release);
        }
        Fork::start(|| {
            let mut rng = Rng::new();
            let options = options(self.name, &mut rng);
            match member.checked_sub(senders) {
                None => send_on(options, ledger, member, flaw, rng),
                Some(receiver) => receive_on(options, ledger, receiver, flaw, rng),
            }
        })
    }

    /// Returns what the members are doing, for a report.
    fn state(&self) -> String {
        let stat = match sysvring::stat(self.name) {
            Ok(stat) => stat,
            Err(error) => return error.to_string(),
        };
        let set = stat.set.as_ref().map(|set| set.id);
        let values = set.map(raw_ipc::values);
        let asleep = set.map(|set| {
            [WAKE_RECEIVERS, WAKE_SENDERS].map(|semaphore| raw_ipc::waiting(set, semaphore))
        });
        let states = self.members.iter().map(|member| {
            let line = fs::read_to_string(format!("/proc/{}/stat", member.pid()));
            let line = line.unwrap_or_default();
            line.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?')
        });
        format!(
            "head {} tail {} depth {}, semaphores {values:?}, asleep {asleep:?}, processes {}",
            stat.head,
            stat.tail,
            stat.depth,
            states.collect::<String>(),
        )
    }

    /// Kills all of these at once, and restarts them in any order.
    fn kill(&mut self, mut victims: Vec<usize>) {
        victims.iter().for_each(|&victim| self.members[victim].kill());
        while !victims.is_empty() {
            let victim = victims.swap_remove(self.rng.below(victims.len() as u64) as usize);
            self.kills += u64::from(self.members[victim].kill_and_wait());
            if victim < self.senders {
                let doubtful = self.ledger.take_doubtful(victim);
                if !doubtful.is_empty() {
                    self.doubtful[victim].push(doubtful);
                }
            }
            self.members[victim] = self.start(victim);
        }
    }
}

#[work]
fn kill_at_random(args: &mut Args) {
    let name: String = args.next();
    let [senders, receivers, capacity] = [args.next(), args.next(), args.next()];
    let flaw = Flaw::ALL[args.next::<usize>()];
    let [seconds, kills_asked, messages]: [u64; 3] = [args.next(), args.next(), args.next()];
    // SAFETY: takes a number only. The suite has a watchdog of its own, for runs of any length.
    unsafe { libc::alarm(0) };
    let ledger = Ledger::new();
    let options = options(&name, &mut Rng::new());
    let options = options.capacity(capacity).max_members(16);
    drop(options.create::<sysvring::mpmc::Sender<crate::member::Message>>().expect("create"));
    let mut crew = Crew {
        name: &name,
        ledger,
        senders,
        flaw,
        members: Vec::new(),
        doubtful: vec![Vec::new(); senders],
        rng: Rng::new(),
        kills: 0,
    };
    for member in 0..senders + receivers {
        crew.members.push(crew.start(member));
    }
    if flaw == Flaw::WrongMessages {
        std::thread::sleep(Duration::from_millis(100));
        crew.members.iter().for_each(|member| member.signal(libc::SIGSTOP));
    }
    let (start, mut stall, mut stops) = (Instant::now(), Stall::new(), 0);
    let mut stopped: Option<(usize, Instant)> = None;
    let mut reported = start;
    if flaw == Flaw::WrongMessages {
        for millis in [0, 500] {
            std::thread::sleep(Duration::from_millis(millis));
            stall.look(ledger.sum(|line| &line.fresh), 0, || crew.state());
        }
        crew.members.iter().for_each(|member| member.signal(libc::SIGCONT));
    }
    loop {
        let received = ledger.sum(|line| &line.fresh);
        stall.look(received, crew.kills, || crew.state());
        let elapsed = start.elapsed();
        let enough = crew.kills >= kills_asked && received >= messages;
        if enough && elapsed >= Duration::from_secs(seconds) && stopped.is_none() {
            break;
        }
        if reported.elapsed() > Duration::from_secs(30) {
            reported = Instant::now();
            let (kills, seconds) = (crew.kills, elapsed.as_secs());
            print_line(format!("{seconds} s: {kills} kills, {stops} stops, {received} messages"));
        }
        crew.rng.pause(22);
        let all = crew.members.len() as u64;
        let one = crew.rng.below(all) as usize;
        let other = (one + 1 + crew.rng.below(all - 1) as usize) % all as usize;
        let victims = match crew.rng.below(100) {
            0 => (0..all as usize).collect(),
            1..=9 => vec![one, other],
            10 if stopped.is_none() => {
                crew.members[one].signal(libc::SIGSTOP);
                stall.stop();
                stops += 1;
                stopped = Some((one, Instant::now() + crew.rng.time(26)));
                continue;
            }
            _ => vec![one],
        };
        if let Some((victim, until)) = stopped
            && (victims.contains(&victim) || Instant::now() > until)
        {
            crew.members[victim].signal(libc::SIGCONT);
            stopped = None;
            stall.go_on();
        }
        crew.kill(victims);
    }
    let seconds = start.elapsed().as_secs_f64();
    ledger.over.store(1, Release);
    let rest = crew.members.split_off(senders);
    crew.members.into_iter().for_each(Fork::finish);
    let depth = || sysvring::stat(&*name).expect("stat").depth;
    until(|| depth() == 0);
    ledger.over.store(2, Release);
    rest.into_iter().for_each(Fork::finish);
    let mut total = Account::default();
    for (sender, doubtful) in crew.doubtful.iter().enumerate() {
        let account = ledger.close(sender, doubtful);
        total.lost += account.lost;
        total.disordered += account.disordered;
        total.sent += account.sent;
        total.doubtful += account.doubtful;
        assert_eq!(account.invented, 0, "received and never sent, from sender {sender}");
    }
    let stat = sysvring::stat(&*name).expect("stat");
    assert_eq!((stat.poisoned, stat.dropped), (0, 0), "discarded as poison and dropped");
    // No process is stopped for as long as a parked waiter's slice plus its grace period.
    assert_eq!(stat.overslept, 0, "waiters found work that they were not woken for");
    let Account { sent, doubtful, .. } = total;
    print_line(format!("{sent} certainly sent, {doubtful} begun by senders that died"));
    print_line(format!(
        "over {seconds} {} {stops} {} {} {} {} {} {} {} {}",
        crew.kills,
        ledger.sum(|line| &line.fresh),
        ledger.sum(|line| &line.redelivered),
        total.lost,
        ledger.sum(|line| &line.torn),
        ledger.sum(|line| &line.twice),
        ledger.sum(|line| &line.disordered) + total.disordered,
        stall.longest.as_secs_f64() * 1e3,
        stall.stuck,
    ));
}
