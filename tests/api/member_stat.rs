//! What a snapshot says of members: counters that are exact at any time, also after a death; what
//! each member has in flight; and whether there is room, as a sender sees it.

use std::time::{Duration, SystemTime};

use sysvring::{Member, Options, Role, SendError, Stat, mpmc, spsc};
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
        assert_eq!(receiver.in_flight, None);
    }
}

#[test]
fn in_flight_is_shown_by_member() {
    let name = Name::new();
    let options = || name.options().capacity(8).max_members(8);
    let tx: mpmc::Sender<u64> = options().label("tx").open().expect("open");
    let open =
        |label: &str| -> mpmc::Receiver<u64> { options().label(label).open().expect("open") };
    let (one, two) = (open("one"), open("two"));
    let held = |stat: &Stat, label: &str| {
        let member = stat.members.iter().find(|member| member.label == label).expect("a member");
        (member.in_flight, member.oldest_in_flight)
    };
    let none = (Some(0), None);
    let before = SystemTime::now();
    for round in 0..4 {
        (0..6).for_each(|n| tx.send(&n).expect("room"));
        let first = 12 * round;
        let mut guards: Vec<_> = (0..2).map(|_| one.recv_ref().expect("a message")).collect();
        let other = two.recv_ref().expect("a message");
        guards.push(one.recv_ref().expect("a message"));
        let first_look = stat(&name);
        assert_eq!(held(&first_look, "one"), (Some(3), Some(first)));
        assert_eq!(held(&first_look, "two"), (Some(1), Some(first + 2)));
        assert_eq!((held(&first_look, "tx"), first_look.orphaned), (none, 0));
        assert!(first_look.to_string().contains(&format!(", 3 in flight from {first} on")));
        guards.remove(0).ack().expect("acknowledged");
        assert_eq!(held(&stat(&name), "one"), (Some(2), Some(first + 1)));
        other.ack().expect("acknowledged");
        let second_look = stat(&name);
        assert_eq!(held(&second_look, "two"), none);
        assert!(before <= first_look.taken && first_look.taken <= second_look.taken);
        guards.into_iter().for_each(|guard| guard.ack().expect("acknowledged"));
        let loan = tx.loan().expect("room");
        assert_eq!(held(&stat(&name), "tx"), (Some(1), Some(first + 6)));
        assert!(stat(&name).to_string().contains(&format!(", 1 reserved from {} on", first + 6)));
        drop(loan);
        while one.recv_timeout(Duration::ZERO).is_ok() {}
        // One position was skipped with the loan; five more make it a multiple of twelve.
        (0..5).for_each(|n| tx.send(&n).expect("room"));
        while one.recv_timeout(Duration::ZERO).is_ok() {}
    }
}

/// What a dead receiver held is shown with it, and then as orphaned once its seat is taken again.
#[test]
fn what_a_dead_receiver_held_is_shown() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(8).max_members(2).open().expect("open");
    (0..5).for_each(|n| tx.send(&n).expect("room"));
    let mut worker = Worker::start(&[&"member_stat::hold", &name]).expect("start");
    worker.expect("held");
    worker.kill_and_wait().expect("kill");
    let dead = stat(&name);
    let dead = of(&dead, Role::Receiver);
    assert_eq!((dead.alive, dead.in_flight, dead.oldest_in_flight), (false, Some(3), Some(0)));
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    let heir = stat(&name);
    assert_eq!((of(&heir, Role::Receiver).in_flight, heir.orphaned, heir.depth), (Some(0), 3, 5));
    assert!(heir.to_string().contains("3 messages wait for another receiver"));
    (0..5).for_each(|_| _ = rx.recv_timeout(Duration::from_secs(20)).expect("a message"));
    assert_eq!((stat(&name).orphaned, stat(&name).depth), (0, 0));
}

#[work]
fn hold(args: &mut Args) {
    let name: String = args.next();
    let rx: mpmc::Receiver<u64> = Options::named(&*name).open().expect("open");
    let _held: Vec<_> = (0..3).map(|_| rx.recv_ref().expect("a message")).collect();
    print_line("held");
    read_line();
}

/// `is_full` of both ends and `Stat::room` say what `try_send` does next, at every state.
#[test]
fn full_is_what_a_sender_sees_in_spsc() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(8);
    for step in 0..200u64 {
        let room = stat(&name).room;
        assert_eq!((tx.is_full(), rx.is_full()), (room == 0, room == 0), "step {step}");
        assert_eq!((tx.len(), rx.len()), (8 - room as usize, 8 - room as usize));
        match tx.try_send(&step) {
            Ok(()) => assert_ne!(room, 0, "step {step}"),
            Err(error) => {
                assert_eq!((error, room), (SendError::Full, 0), "step {step}");
                (0..=step % 8).for_each(|_| _ = rx.recv().expect("a message"));
                // Without the credit, which is published later.
                assert!(!tx.is_full() && !rx.is_full());
            }
        }
    }
    // A message that is being read counts.
    while tx.try_send(&0).is_ok() {}
    let guard = rx.recv_ref().expect("a message");
    assert!(tx.is_full() && tx.len() == 8);
    guard.ack().expect("acknowledged");
    assert!(!tx.is_full() && tx.len() == 7);
}

#[test]
fn full_is_what_a_sender_sees_in_mpmc() {
    let name = Name::new();
    let options = || name.options().capacity(8);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let look = || (tx.is_full(), rx.is_full(), stat(&name).room);
    for _ in 0..5 {
        assert_eq!(look(), (false, false, 8));
        (0..8).for_each(|n| tx.send(&n).expect("room"));
        assert_eq!((look(), tx.len()), ((true, true, 0), 8));
        // One message is held, and the seven behind it are acknowledged.
        let held = rx.recv_ref().expect("a message");
        (1..8).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        assert_eq!((look(), tx.len(), rx.len()), ((false, false, 7), 1, 1));
        (0..7).for_each(|n| tx.try_send(&n).expect("room"));
        assert_eq!((look(), tx.try_send(&8)), ((true, true, 0), Err(SendError::Full)));
        held.ack().expect("acknowledged");
        assert_eq!((look(), tx.len()), ((false, false, 1), 7));
        (0..7).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        assert_eq!((look(), tx.len()), ((false, false, 8), 0));
        // A message is held where the ring is not full yet.
        (0..4).for_each(|n| tx.send(&n).expect("room"));
        let held = rx.recv_ref().expect("a message");
        (1..4).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        assert_eq!(look(), (false, false, 7));
        (0..7).for_each(|n| tx.send(&n).expect("room"));
        assert_eq!((look(), tx.len()), ((true, true, 0), 8));
        // Its turn comes after the messages that were sent since.
        held.ack().expect("acknowledged");
        assert_eq!((look(), tx.len()), ((true, true, 0), 7));
        (0..7).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        // So that the next round begins at another slot.
        tx.send(&0).expect("room");
        assert_eq!(rx.recv(), Ok(0));
    }
}

/// The claim of a dead sender is no obstacle to the next one.
#[test]
fn a_dead_claim_is_room() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(2).open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    let mut worker = Worker::start(&[&"member_stat::reserve", &name]).expect("start");
    worker.expect("reserved");
    tx.send(&1).expect("room");
    let behind = Err(SendError::Behind { pid: worker.pid() as u32 });
    assert_eq!((tx.is_full(), rx.is_full(), tx.try_send(&2)), (true, true, behind));
    worker.kill_and_wait().expect("kill");
    assert_eq!((tx.is_full(), rx.is_full(), stat(&name).room), (false, false, 1));
    assert_eq!(tx.try_send(&2), Ok(()));
}

#[work]
fn reserve(args: &mut Args) {
    let name: String = args.next();
    let tx: mpmc::Sender<u64> = Options::named(&*name).open().expect("open");
    let _loan = tx.loan().expect("room");
    print_line("reserved");
    read_line();
}
