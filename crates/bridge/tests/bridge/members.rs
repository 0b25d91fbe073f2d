//! The programs on both machines: they send and receive numbered messages, and know nothing of
//! bridges.

use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use sysvring::{Flavor, Options, RecvError, SendError};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, Broadcast, Mpmc, Spsc};
use sysvring_support::work;
use sysvring_support::worker::{Args, Worker, print_line, read_line};

use crate::account::{Account, Figures, Message, message};

/// How long a call waits before its program looks for commands.
const SOON: Duration = Duration::from_millis(20);
/// The number of messages between two pauses of a sender.
const BURST: u64 = 16;

/// A program that sends.
pub struct Sender(Worker);

/// How a sender sends.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The number of the sender among those of the channel.
    pub sender: u64,
    /// The number of its first message.
    pub first: u64,
    /// The number after its last message, if it does not wait for commands.
    pub end: Option<u64>,
    /// The pause after a few messages, in microseconds.
    pub pause: u64,
    pub capacity: usize,
    pub schema: u64,
}

impl Load {
    /// Returns the load of one sender that pauses now and then until it is stopped.
    pub const UNTIL_STOPPED: Load =
        Load { sender: 0, first: 0, end: None, pause: 2_000, capacity: 1_024, schema: 0 };

    /// Returns the load of one sender of so many messages.
    pub const fn of(messages: u64) -> Load {
        Load { end: Some(messages), pause: 0, ..Load::UNTIL_STOPPED }
    }
}

impl Sender {
    pub fn start(channel: &str, flavor: Flavor, load: Load) -> Sender {
        let Load { sender, first, end, pause, capacity, schema } = load;
        let end = end.unwrap_or(u64::MAX);
        let flavor = format!("{flavor:?}");
        let args: &[&dyn ToString] = &[
            &"members::send",
            &channel,
            &flavor,
            &sender,
            &first,
            &end,
            &pause,
            &capacity,
            &schema,
        ];
        Sender(Worker::start(args).expect("a sender"))
    }

    /// Lets it send no more until [`stop`](Sender::stop). Returns the number after its last message.
    pub fn hold(&mut self) -> u64 {
        self.command("hold")
    }

    /// Lets it send a few messages more and end its stream. Returns the number after its last
    /// message.
    pub fn stop(&mut self) -> u64 {
        self.command("stop")
    }

    /// Waits until it has sent all messages of its load and ended its stream.
    pub fn finish(mut self) {
        self.0.read_line().expect("a number");
        self.0.finish();
    }

    fn command(&mut self, command: &str) -> u64 {
        self.0.write_line(command).expect("it lives");
        let [next] = self.0.figures().expect("a number");
        next as u64
    }
}

/// Returns the lines that the parent writes.
fn commands() -> mpsc::Receiver<String> {
    // The watchdog of the suite is enough: long runs are longer than that of a worker.
    // SAFETY: takes a number.
    unsafe { libc::alarm(0) };
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || while tx.send(read_line()).is_ok() {});
    rx
}

/// Calls a function that is generic over the flavor with the one that a text names.
macro_rules! with_flavor {
    ($text:expr, $function:ident($($arg:expr),*)) => {
        match $text.as_str() {
            "Spsc" => $function::<Spsc>($($arg),*),
            "Mpmc" => $function::<Mpmc>($($arg),*),
            _ => $function::<Broadcast>($($arg),*),
        }
    };
}

#[work]
fn send(args: &mut Args) {
    let (channel, flavor): (String, String) = (args.next(), args.next());
    let load = Load {
        sender: args.next(),
        first: args.next(),
        end: Some(args.next()),
        pause: args.next(),
        capacity: args.next(),
        schema: args.next(),
    };
    with_flavor!(flavor, send_to(&channel, load));
}

fn send_to<F: AnyFlavor>(channel: &str, load: Load) {
    let commands = commands();
    let options = Options::named(channel).capacity(load.capacity).schema(load.schema);
    let mut tx: F::Sender<Message> = options.open().expect("a sender");
    if F::FLAVOR == Flavor::Broadcast {
        // What is sent to nobody is lost.
        while tx.wait_for_peer(SOON).is_err() {}
    }
    let mut next = load.first;
    let mut end = load.end.expect("a number");
    let mut is_held = false;
    while next < end {
        match if is_held { commands.recv().ok() } else { commands.try_recv().ok() }.as_deref() {
            Some("hold") => {
                is_held = true;
                print_line(next);
                continue;
            }
            Some("stop") => {
                is_held = false;
                end = next + 3 * BURST;
            }
            _ => {}
        }
        match tx.send_timeout(&message(load.sender, next), SOON) {
            Ok(()) => next += 1,
            Err(SendError::Timeout | SendError::Blocked { .. } | SendError::Behind { .. }) => {
                continue;
            }
            Err(SendError::Disconnected) => {
                let _ = tx.wait_for_peer(SOON);
                continue;
            }
            Err(error) => panic!("{error}"),
        }
        if load.pause > 0 && next.is_multiple_of(BURST) {
            thread::sleep(Duration::from_micros(load.pause));
        }
    }
    tx.finish().expect("the end of the stream");
    print_line(next);
}

/// A program that receives.
pub struct Receiver(Worker);

/// What a receiver expects.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    pub senders: usize,
    /// The number of the first message of each sender.
    pub first: u64,
    pub capacity: usize,
    pub schema: u64,
}

impl Expect {
    pub const ONE_SENDER: Expect = Expect { senders: 1, first: 0, capacity: 256, schema: 0 };
}

impl Receiver {
    pub fn start(channel: &str, flavor: Flavor, expect: Expect) -> Receiver {
        let Expect { senders, first, capacity, schema } = expect;
        let flavor = format!("{flavor:?}");
        let args: &[&dyn ToString] =
            &[&"members::receive", &channel, &flavor, &senders, &first, &capacity, &schema];
        let mut worker = Worker::start(args).expect("a receiver");
        worker.expect("open");
        Receiver(worker)
    }

    /// Returns the account so far.
    pub fn figures(&mut self) -> Figures {
        self.0.write_line("figures").expect("it lives");
        Figures::parse(self.0.figures().expect("figures"))
    }

    /// Stops it, or lets it go on.
    pub fn signal(&self, signal: i32) {
        self.0.signal(signal);
    }
}

#[work]
fn receive(args: &mut Args) {
    let (channel, flavor): (String, String) = (args.next(), args.next());
    let (senders, first, capacity, schema) = (args.next(), args.next(), args.next(), args.next());
    let expect = Expect { senders, first, capacity, schema };
    with_flavor!(flavor, receive_from(&channel, expect));
}

fn receive_from<F: AnyFlavor>(channel: &str, expect: Expect) {
    let commands = commands();
    let options = Options::named(channel).capacity(expect.capacity).schema(expect.schema);
    let mut rx: F::Receiver<Message> = options.open().expect("a receiver");
    print_line("open");
    let mut account = Account::new(expect.senders, expect.first);
    loop {
        match rx.recv_timeout(SOON) {
            Ok(message) => account.enter(message),
            Err(RecvError::Timeout | RecvError::Blocked { .. } | RecvError::Behind { .. }) => {}
            Err(RecvError::Disconnected) => {
                let _ = rx.wait_for_peer(SOON);
            }
            Err(error) => panic!("{error}"),
        }
        match commands.try_recv() {
            Ok(_) => print_line(account.figures()),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
    }
}
