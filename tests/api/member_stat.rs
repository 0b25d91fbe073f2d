//! What a snapshot says of members: counters that are exact at any time, also after a death.

use sysvring::{Member, Options, Role, Stat, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

fn stat(name: &Name) -> Stat {
    sysvring::stat(name.as_str()).expect("stat")
}

fn of(stat: &Stat, role: Role) -> &Member {
    stat.members.iter().find(|member| member.role == role).expect("a member")
}

/// Sends 12 messages, or receives 7, by value and in place, and lives on until it is killed.
#[work]
fn exchange(args: &mut Args) {
    let (name, role): (String, String) = (args.next(), args.next());
    let options = || Options::named(&*name).slot_size(40).capacity(64).prefault(false);
    match &*role {
        "sender" => {
            let tx: mpmc::Sender<[u8]> = options().open().expect("open");
            (0..10).for_each(|n| tx.send(&[1; 40][..n]).expect("room"));
            let mut loan = tx.loan_with(20).expect("room");
            loan.truncate(10);
            loan.commit().expect("room");
            tx.send_batch([&[0; 3][..]]).expect("room");
            print_line("done");
            read_line();
        }
        _ => {
            let rx: mpmc::Receiver<[u8]> = options().open().expect("open");
            (0..4).for_each(|n| assert_eq!(rx.recv_boxed().expect("a message").len(), n));
            for n in 4..7 {
                let message = rx.recv_ref().expect("a message");
                assert_eq!(message.len(), n);
                message.ack().expect("acknowledged");
            }
            print_line("done");
            read_line();
        }
    }
}

#[test]
fn counters_of_mpmc_members_are_exact_while_they_live_and_after() {
    let name = Name::new();
    let start = |role: &str| {
        let mut worker = Worker::start(&[&"member_stat::exchange", &name, &role]).expect("start");
        worker.expect("done");
        worker
    };
    let (mut sender, mut receiver) = (start("sender"), start("receiver"));
    for alive in [true, false] {
        let stat = stat(&name);
        let (tx, rx) = (of(&stat, Role::Sender), of(&stat, Role::Receiver));
        assert_eq!((tx.alive, tx.left, rx.alive, rx.left), (alive, false, alive, false));
        assert_eq!((tx.messages, tx.bytes, tx.position), (12, 45 + 10 + 3, 12));
        assert_eq!((rx.messages, rx.bytes, rx.position), (7, 21, 7));
        sender.kill_and_wait().expect("kill");
        receiver.kill_and_wait().expect("kill");
    }
}

/// A batch is counted with each of its messages.
#[test]
fn a_batch_is_counted() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(64).open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    tx.send_batch(&[7; 50]).expect("room");
    assert_eq!(rx.recv_batch(&mut Vec::new(), 40), Ok(40));
    let stat = stat(&name);
    let (tx, rx) = (of(&stat, Role::Sender), of(&stat, Role::Receiver));
    assert_eq!((tx.messages, tx.bytes, tx.position), (50, 400, 50));
    assert_eq!((rx.messages, rx.bytes, rx.position), (40, 320, 40));
}

/// SPSC: the ring itself is exact, and so are the bytes of messages of variable length.
#[test]
fn counters_of_spsc_members_are_exact() {
    let name = Name::new();
    let options = || name.options().capacity(64).slot_size(16);
    let mut tx: spsc::Sender<str> = options().open().expect("open");
    let mut rx: spsc::Receiver<str> = options().open().expect("open");
    for n in 1..=40 {
        tx.send("four").expect("room");
        let sender = stat(&name);
        let sender = of(&sender, Role::Sender);
        assert_eq!((sender.messages, sender.bytes, sender.position), (n, 4 * n, n));
    }
    for n in 1..=9 {
        assert_eq!(&*rx.recv_boxed().expect("a message"), "four");
        let receiver = stat(&name);
        let receiver = of(&receiver, Role::Receiver);
        assert_eq!((receiver.messages, receiver.bytes, receiver.position), (n, 4 * n, n));
    }
}
