//! Eight senders and eight receivers on few processors: all make progress; a process that is
//! stopped in the middle of a message is not considered dead. A stopped sender is named by its PID
//! and waited for; a stopped receiver delays no other member.

use std::time::{Duration, Instant};

use sysvring::{Options, RecvError, SendError, mpmc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const EACH_SIDE: u64 = 8;
const CAPACITY: usize = 64;
/// The number of messages of each sender: some hundred laps of the ring.
const EACH: u64 = 2_000;
/// The time after which a blocked member reports which process it waits for.
const CALL_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a process stays stopped after all others have reported it.
const STOPPED: Duration = Duration::from_millis(500);

type Message = [u64; 3];

fn message(own: u64, n: u64) -> Message {
    [own, n, own ^ n]
}

fn open<H: sysvring::Handle>(args: &mut Args) -> H {
    let name: String = args.next();
    Options::named(name).capacity(CAPACITY).max_members(20).open().expect("open")
}

/// Reports which process it waits for, if that is another one than before.
fn tell_of(pid: u32, known: &mut u32) {
    if *known != pid {
        *known = pid;
        print_line(format!("behind {pid}"));
    }
}

#[work]
fn send(args: &mut Args) {
    let tx: mpmc::Sender<Message> = open(args);
    send_all(&tx, args.next(), 0);
}

fn send_all(tx: &mpmc::Sender<Message>, own: u64, first: u64) {
    let mut known = 0;
    for n in first..EACH {
        loop {
            match tx.send_timeout(&message(own, n), CALL_TIMEOUT) {
                Ok(()) => break,
                Err(SendError::Blocked { pid }) => tell_of(pid, &mut known),
                Err(SendError::Timeout) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    print_line("done");
}

/// Receives until the end, checks the order, and reports the number of messages and their sum.
#[work]
fn receive(args: &mut Args) {
    receive_all(&open(args), false);
}

fn receive_all(rx: &mpmc::Receiver<Message>, holds: bool) {
    let (mut last, mut count, mut sum) = ([None::<u64>; EACH_SIDE as usize], 0, 0);
    let mut take = |[own, n, both]: Message| {
        assert_eq!(own ^ n, both, "torn");
        assert!(last[own as usize].is_none_or(|last| last < n), "out of order");
        last[own as usize] = Some(n);
        (count, sum) = (count + 1, sum + n);
    };
    print_line("here");
    if holds {
        let guard = rx.recv_ref().expect("a message");
        print_line("holds");
        read_line();
        take(*guard);
        guard.ack().expect("acknowledged");
    }
    let mut known = 0;
    loop {
        match rx.recv_timeout(CALL_TIMEOUT) {
            Ok(message) => take(message),
            Err(RecvError::Blocked { pid }) => tell_of(pid, &mut known),
            Err(RecvError::Timeout) => {}
            Err(RecvError::Disconnected) => break,
            Err(error) => panic!("{error}"),
        }
    }
    print_line(format!("{count} {sum}"));
}

/// Holds a claimed slot until told to continue.
#[work]
fn stop_sending(args: &mut Args) {
    let tx: mpmc::Sender<Message> = open(args);
    let own = args.next();
    let mut loan = tx.loan().expect("a slot");
    print_line("holds");
    read_line();
    *loan = message(own, 0);
    loan.commit().expect("no member took it over");
    send_all(&tx, own, 1);
}

/// Holds a message until told to continue.
#[work]
fn stop_receiving(args: &mut Args) {
    receive_all(&open(args), true);
}

/// All senders and receivers. Some of them may have started earlier, with other work.
struct Crowd {
    /// Open until the others have sent, so that the stream does not end between two of them.
    last: mpmc::Sender<Message>,
    senders: Vec<Worker>,
    receivers: Vec<Worker>,
    name: Name,
}

impl Crowd {
    fn new() -> Crowd {
        let name = Name::new();
        let options = name.options().capacity(CAPACITY).max_members(20);
        Crowd { last: options.open().expect("open"), senders: vec![], receivers: vec![], name }
    }

    fn sender(&mut self, work: &str) {
        let own = self.senders.len();
        self.senders.push(Worker::start(&[&work, &self.name, &own]).expect("start"));
    }

    fn receiver(&mut self, work: &str) {
        let mut worker = Worker::start(&[&work, &self.name]).expect("start");
        worker.expect("here");
        self.receivers.push(worker);
    }

    fn fill_up(&mut self) {
        while (self.receivers.len() as u64) < EACH_SIDE {
            self.receiver("mpmc_contention::receive");
        }
        while (self.senders.len() as u64) < EACH_SIDE {
            self.sender("mpmc_contention::send");
        }
    }

    /// Waits until all end. Every message was received once.
    fn finish(self) {
        let finish = |mut worker: Worker| loop {
            match worker.read_line().expect("an end") {
                line if line.starts_with("behind") => {}
                line => {
                    worker.finish();
                    return line;
                }
            }
        };
        self.senders.into_iter().for_each(|tx| assert_eq!(finish(tx), "done"));
        let stat = self.last.stat().expect("stat");
        drop(self.last);
        let (mut count, mut sum) = (0, 0);
        for rx in self.receivers {
            let line = finish(rx);
            let (n, of) = line.split_once(' ').expect("two numbers");
            count += n.parse::<u64>().expect("a number");
            sum += of.parse::<u64>().expect("a number");
        }
        assert_eq!((count, sum), (EACH_SIDE * EACH, EACH_SIDE * (EACH * (EACH - 1) / 2)));
        assert_eq!((stat.redelivered, stat.dropped, stat.poisoned), (0, 0, 0), "considered dead");
    }
}

/// Waits until some worker reports that it waits for this process.
fn hear_of(workers: &mut [&mut Worker], pid: i32) {
    let start = Instant::now();
    loop {
        for worker in workers.iter_mut().filter(|worker| worker.has_line()) {
            // A preempted process may have been named before.
            if worker.read_line().expect("a line") == format!("behind {pid}") {
                return;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(30), "no member names it");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// No member considers it dead while it is stopped; then it continues.
fn go_on(last: &mpmc::Sender<Message>, stopped: &mut Worker) {
    std::thread::sleep(STOPPED);
    assert_eq!(last.deaths().expect("deaths"), []);
    stopped.signal(libc::SIGCONT);
    stopped.write_line("go on").expect("tell");
}

#[test]
fn all_members_make_progress() {
    let mut crowd = Crowd::new();
    crowd.fill_up();
    crowd.finish();
}

#[test]
fn a_stopped_sender_is_waited_for() {
    let mut crowd = Crowd::new();
    crowd.sender("mpmc_contention::stop_sending");
    crowd.senders[0].expect("holds");
    crowd.senders[0].signal(libc::SIGSTOP);
    crowd.fill_up();
    let (stopped, others) = crowd.senders.split_at_mut(1);
    let pid = stopped[0].pid();
    // Receivers wait for its message, and senders for its slot.
    crowd.receivers.iter_mut().for_each(|rx| hear_of(&mut [rx], pid));
    hear_of(&mut others.iter_mut().collect::<Vec<_>>(), pid);
    go_on(&crowd.last, &mut stopped[0]);
    crowd.finish();
}

#[test]
fn a_stopped_receiver_is_not_waited_for() {
    let mut crowd = Crowd::new();
    crowd.receiver("mpmc_contention::stop_receiving");
    crowd.sender("mpmc_contention::send");
    crowd.receivers[0].expect("holds");
    crowd.receivers[0].signal(libc::SIGSTOP);
    crowd.fill_up();
    // The others send and receive everything else, and step over its slot in each lap.
    for mut sender in std::mem::take(&mut crowd.senders) {
        while sender.read_line().expect("an end") != "done" {}
        sender.finish();
    }
    go_on(&crowd.last, &mut crowd.receivers[0]);
    crowd.finish();
}
