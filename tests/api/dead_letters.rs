//! Messages that are moved to a dead-letter channel: rejected ones, and those that reached the
//! limit of deliveries.

use std::time::{Duration, Instant};

use sysvring::{
    DeadLetter, DeadLetterFailure, Error, Lifetime, Options, RecvError, Redelivery, StreamState,
    mpmc, spsc,
};
use sysvring_support::handle::{
    AnyGuard, AnyHandle, AnyReceiver, AnySender, Mpmc, Spsc, TakingFlavor,
};
use sysvring_support::name::Name;
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);
/// Longer than the pause after a failure.
const RETRY: Duration = Duration::from_millis(300);

type Letters = mpmc::Receiver<DeadLetter>;

fn pair<F: TakingFlavor>(
    name: &Name,
    letters: &Name,
    after: u8,
) -> (F::Sender<u64>, F::Receiver<u64>) {
    let options = || name.options().capacity(8).dead_letters(letters.as_str(), after);
    (options().open().expect("a sender"), options().attach().expect("a receiver"))
}

/// The receiver makes the dead-letter channel, which keeps the letters without any member.
#[test]
fn a_message_at_its_limit_is_moved<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 2);
    tx.try_send_batch(&[&1, &2]).expect("room");
    drop(rx.try_recv_ref().expect("first"));
    drop(rx.try_recv_ref().expect("second"));
    assert_eq!((rx.try_recv(), tx.len()), (Ok(2), 0));
    let stat = rx.stat().expect("stat");
    assert_eq!(stat.redelivery, Redelivery::DeadLetter { after: 2 });
    assert_eq!(stat.dead_letter_channel.as_deref(), Some(letters.as_str()));
    assert_eq!((stat.dead_letters, stat.dead_letter_failures, stat.poisoned), (1, 0, 0));
    assert!(stat.to_string().contains("1 moved to"), "{stat}");
    let id = rx.id().to_string();
    drop((tx, rx));
    let letters: Letters = letters.options().attach().expect("it was made");
    let letter = letters.try_recv_ref().expect("a letter");
    assert_eq!((letter.message::<u64>(), letter.bytes()), (Some(&1), &1u64.to_ne_bytes()[..]));
    assert_eq!((letter.source_position(), letter.deliveries()), (0, 2));
    assert!(id.ends_with(&format!(":{:08x}", letter.source_nonce())), "{id}");
    assert!(format!("{letter:?}").contains("source_position: 0"), "{letter:?}");
    letter.ack().expect("acknowledged");
    assert_eq!(letters.len(), 0);
}

#[test]
fn a_rejected_message_is_moved<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 15);
    tx.try_send_batch(&[&1, &2]).expect("room");
    rx.try_recv_ref().expect("a message").reject().expect("rejected");
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(2), Err(RecvError::Empty)));
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.dead_letters, stat.rejected), (1, 1));
    let letters: Letters = letters.options().attach().expect("it was made");
    let letter = letters.recv_boxed_timeout(LONG).expect("a letter");
    assert_eq!((letter.message::<u64>(), letter.source_position()), (Some(&1), 0));
    assert_eq!(letter.deliveries(), 1);
}

/// Messages of variable length are moved with their length.
#[test]
fn text_is_moved() {
    let (name, letters) = (Name::new(), Name::new());
    let options = || name.options().slot_size(16).dead_letters(letters.as_str(), 1);
    let tx: mpmc::Sender<str> = options().open().expect("open");
    let rx: mpmc::Receiver<str> = options().attach().expect("attach");
    for text in ["", "grüße", "0123456789abcdef"] {
        tx.send(text).expect("room");
        drop(rx.recv_ref().expect("a message"));
        assert_eq!(rx.try_recv_ref().err(), Some(RecvError::Empty));
    }
    let letters: Letters = letters.options().attach().expect("it was made");
    let texts: Vec<_> = (0..3).map(|_| letters.recv_boxed().expect("a letter")).collect();
    let texts: Vec<_> = texts.iter().map(|text| text.message::<str>().expect("text")).collect();
    assert_eq!(texts, ["", "grüße", "0123456789abcdef"]);
}

/// While the dead-letter channel is full, the message stays, is not handed out, and is moved once
/// there is room. Other messages of an MPMC channel are delivered meanwhile.
#[test]
fn a_full_dead_letter_channel_loses_nothing<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let one = letters.options().capacity(1).slot_size(64);
    let dead: Letters = one.create().expect("create");
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 1);
    tx.try_send_batch(&[&1, &2, &3]).expect("room");
    rx.try_recv_ref().expect("a message").reject().expect("room for one");
    let failed = rx.try_recv_ref().expect("a message").reject();
    let full = DeadLetterFailure::Full;
    assert_eq!(failed, Err(RecvError::NotMoved { reason: full }));
    assert!(RecvError::NotMoved { reason: full }.to_string().contains("full; receive"));
    assert_eq!(tx.len(), 2, "it is still here");
    let is_mpmc = F::FLAVOR == sysvring::Flavor::Mpmc;
    // In an SPSC channel, it holds up the others, which is no end of the stream.
    let stuck = Err(RecvError::NotMoved { reason: full });
    assert_eq!(rx.try_recv(), if is_mpmc { Ok(3) } else { stuck });
    let none = if is_mpmc { Err(RecvError::Timeout) } else { stuck };
    assert_eq!(rx.recv_timeout(RETRY), none, "it is not handed out");
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.dead_letters, stat.last_dead_letter_failure), (1, Some(full)));
    assert!(stat.dead_letter_failures >= 2, "tried again: {}", stat.dead_letter_failures);
    assert_eq!(stat.depth, if is_mpmc { 1 } else { 2 });
    assert_eq!(dead.recv_boxed().expect("a letter").message::<u64>(), Some(&1));
    let expected = if is_mpmc { Err(RecvError::Timeout) } else { Ok(3) };
    assert_eq!(rx.recv_timeout(RETRY), expected);
    assert_eq!(dead.recv_boxed_timeout(LONG).expect("a letter").message::<u64>(), Some(&2));
    assert_eq!(tx.len(), 0);
}

/// A message that cannot be moved is no end of the stream.
#[test]
fn a_stuck_message_does_not_end_the_stream() {
    let (name, letters) = (Name::new(), Name::new());
    let dead: Letters = letters.options().capacity(1).slot_size(64).create().expect("create");
    let (mut tx, mut rx) = pair::<Spsc>(&name, &letters, 1);
    tx.send_batch(&[1, 2, 3]).expect("room");
    tx.finish().expect("finished");
    rx.recv_ref().expect("a message").reject().expect("room for one");
    drop(rx.recv_ref().expect("a message"));
    let reason = DeadLetterFailure::Full;
    assert_eq!(rx.recv_timeout(RETRY), Err(RecvError::NotMoved { reason }));
    assert_eq!(rx.try_recv(), Err(RecvError::NotMoved { reason }));
    dead.recv_boxed().expect("a letter");
    assert_eq!((rx.recv(), rx.recv()), (Ok(3), Err(RecvError::Disconnected)));
}

/// A message that cannot be moved keeps no other one from being moved.
#[test]
fn a_stuck_message_stays_alone() {
    let (name, letters) = (Name::new(), Name::new());
    let dead: Letters = letters.options().capacity(16).slot_size(24).create().expect("create");
    let options = || name.options().slot_size(64).dead_letters(letters.as_str(), 1);
    let tx: mpmc::Sender<[u8]> = options().open().expect("open");
    let rx: mpmc::Receiver<[u8]> = options().attach().expect("attach");
    for len in [64, 8, 7, 6] {
        tx.send(&vec![0; len]).expect("room");
    }
    drop((0..4).map(|_| rx.recv_ref().expect("a message")).collect::<Vec<_>>());
    let start = Instant::now();
    while dead.len() < 3 {
        let _ = rx.recv_ref_timeout(Duration::from_millis(10)).map(drop);
        assert!(start.elapsed() < LONG, "{}", rx.stat().expect("stat"));
    }
    assert_eq!(tx.len(), 1);
}

/// A receiver that could not move a message does not keep it from others while it is busy.
#[test]
fn what_one_could_not_move_another_moves() {
    let (name, letters) = (Name::new(), Name::new());
    let dead: Letters = letters.options().capacity(1).slot_size(64).create().expect("create");
    let (tx, rx) = pair::<Mpmc>(&name, &letters, 1);
    let other: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    tx.send_batch(&[1, 2]).expect("room");
    rx.recv_ref().expect("a message").reject().expect("room for one");
    drop(rx.recv_ref().expect("a message"));
    assert_eq!(other.recv_timeout(Duration::ZERO), Err(RecvError::Timeout), "searched");
    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvError::Timeout), "full");
    dead.recv_boxed().expect("a letter");
    std::thread::sleep(RETRY);
    assert_eq!(other.recv_timeout(Duration::ZERO), Err(RecvError::Timeout));
    assert_eq!(dead.try_recv_boxed().expect("a letter").message::<u64>(), Some(&2));
    assert_eq!(tx.len(), 0);
}

/// Giving many messages up takes one pass over the slots, and not one for each.
#[test]
fn many_messages_are_given_up_fast() {
    const MANY: usize = 1 << 14;
    let name = Name::new();
    let options = || name.options().capacity(MANY).redelivery(Redelivery::Never);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().attach().expect("attach");
    (0..MANY as u64).for_each(|n| tx.send(&n).expect("room"));
    drop((0..MANY).map(|_| rx.recv_ref().expect("a message")).collect::<Vec<_>>());
    let watch = Stopwatch::start();
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout));
    assert!(watch.took() < Duration::from_millis(500), "{:?}", watch.took());
    assert_eq!(tx.len(), 0);
}

/// A receiver that moves a letter is no sender of the letters: their stream stays as it is, and it
/// keeps no seat there.
#[test]
fn moving_does_not_touch_the_stream_of_the_letters<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let first: mpmc::Sender<DeadLetter> =
        letters.options().max_members(2).slot_size(64).create().expect("create");
    first.finish().expect("finished");
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 1);
    tx.try_send_batch(&[&1, &2]).expect("room");
    for _ in 0..2 {
        rx.try_recv_ref().expect("a message").reject().expect("moved");
    }
    let stat = sysvring::stat(letters.as_str()).expect("stat");
    assert_eq!((stat.stream, stat.lost_senders), (StreamState::Ended, 0));
    assert!(stat.members.iter().all(|member| !member.alive));
    let dead: Letters = letters.options().attach().expect("attach");
    let got = [(); 3].map(|()| dead.recv_boxed().map(|letter| letter.message().copied()));
    assert_eq!(got, [Ok(Some(1u64)), Ok(Some(2)), Err(RecvError::Disconnected)]);
}

/// Every failure names its reason.
#[test]
fn failures_are_reported<F: TakingFlavor>() {
    let reason = |options: &dyn Fn(&Name) -> Options, expected| {
        let (name, letters) = (Name::new(), Name::new());
        let _dead: Letters = options(&letters).create().expect("create");
        let (mut tx, mut rx) = pair::<F>(&name, &letters, 1);
        tx.try_send(&7).expect("room");
        let failed = rx.try_recv_ref().expect("a message").reject();
        assert_eq!(failed, Err(RecvError::NotMoved { reason: expected }));
        assert_eq!(rx.stat().expect("stat").last_dead_letter_failure, Some(expected));
        assert_eq!(tx.len(), 1);
    };
    reason(&|letters| letters.options().slot_size(17), DeadLetterFailure::TooLong);
    // Another type of messages.
    let (name, letters) = (Name::new(), Name::new());
    let _other: spsc::Receiver<u64> = letters.options().create().expect("create");
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 1);
    tx.try_send(&7).expect("room");
    let failed = rx.try_recv_ref().expect("a message").reject();
    let reason = DeadLetterFailure::Unavailable;
    assert_eq!(failed, Err(RecvError::NotMoved { reason }));
    assert_eq!(tx.len(), 1);
}

/// A channel that was removed meanwhile is made anew.
#[test]
fn a_removed_dead_letter_channel_is_made_anew<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 1);
    for n in 0..2 {
        tx.try_send(&n).expect("room");
        rx.try_recv_ref().expect("a message").reject().expect("moved");
        assert_eq!(sysvring::stat(letters.as_str()).expect("it is there").depth, 1);
        sysvring::remove(letters.as_str()).expect("removed");
    }
}

#[test]
fn wrong_options_are_refused() {
    let name = Name::new();
    let open = |options: Options| options.open::<mpmc::Sender<u64>>();
    let refused = |options: Options, option| match open(options) {
        Err(Error::InvalidOption { option: found, .. }) => assert_eq!(found, option),
        other => panic!("{other:?}"),
    };
    refused(name.options().dead_letters("dead", 0), "redelivery");
    refused(name.options().dead_letters("dead", 16), "redelivery");
    refused(name.options().dead_letters("", 3), "dead_letters");
    refused(name.options().dead_letters("x".repeat(129), 3), "dead_letters");
    refused(name.options().dead_letters("a\0b", 3), "dead_letters");
    refused(name.options().dead_letters(name.as_str(), 3), "dead_letters");
    refused(name.options().redelivery(Redelivery::DeadLetter { after: 3 }), "redelivery");
    let last = name.options().lifetime(Lifetime::LastMember);
    let _open = open(last.dead_letters("dead", 3)).expect("it is the first");
    match open(name.options().dead_letters("others", 3)) {
        Err(Error::OptionMismatch { option: "dead_letters", .. }) => {}
        other => panic!("{other:?}"),
    }
    open(name.options()).expect("it takes the channel's");
}

/// A worker that dies of a message in its hand.
#[work]
fn die_of_poison(args: &mut Args) {
    let (name, poison): (String, u64) = (args.next(), args.next());
    let rx: mpmc::Receiver<u64> = Options::named(name).attach().expect("attach");
    print_line("here");
    loop {
        let job = rx.recv_ref().expect("a message");
        if *job == poison {
            print_line("dies");
            read_line();
        }
        job.ack().expect("acknowledged");
    }
}

/// A message that kills its receivers ends in the dead-letter channel, and only that one.
#[test]
fn poison_ends_in_the_dead_letter_channel() {
    const COUNT: u64 = 20;
    let (name, letters) = (Name::new(), Name::new());
    let options = || name.options().capacity(4).dead_letters(letters.as_str(), 3);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    // For a moment there is no worker.
    let _present: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let start = || Worker::start(&[&"dead_letters::die_of_poison", &name, &7]).expect("start");
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            (0..COUNT).for_each(|n| tx.send(&n).expect("sent"));
            tx.flush(LONG)
        });
        for _ in 0..3 {
            let mut worker = start();
            worker.expect("here");
            worker.expect("dies");
            worker.kill_and_wait().expect("kill");
        }
        let mut last = start();
        last.expect("here");
        assert_eq!(sent.join().expect("no panic"), Ok(()));
        last.kill_and_wait().expect("kill");
    });
    let stat = tx.stat().expect("stat");
    assert_eq!((stat.dead_letters, stat.depth), (1, 0));
    let letters: Letters = letters.options().attach().expect("it was made");
    let letter = letters.try_recv_ref().expect("a letter");
    assert_eq!((letter.message::<u64>(), letter.source_position()), (Some(&7), 7));
    letter.ack().expect("acknowledged");
    assert_eq!(letters.len(), 0);
}

/// The dead-letter channel is taken as it is, also if more users may read it than the channel.
#[test]
fn letters_go_to_a_channel_of_a_wider_mode<F: TakingFlavor>() {
    let (name, letters) = (Name::new(), Name::new());
    let options = letters.options().mode(0o666).slot_size(64);
    let dead: Letters = options.create().expect("create");
    let (mut tx, mut rx) = pair::<F>(&name, &letters, 1);
    tx.try_send_batch(&[&1, &2]).expect("room");
    rx.try_recv_ref().expect("a message").reject().expect("moved");
    assert_eq!(dead.recv_boxed().expect("a letter").message::<u64>(), Some(&1));
    assert_eq!(rx.try_recv(), Ok(2));
}
