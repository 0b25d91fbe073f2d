//! What dead processes leave: creators, members and removers that were killed halfway; what the
//! next open takes over, what `reap` removes, and what it never removes.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{ChannelId, Error, Lifetime, Options, Reaped, RecvError};
use sysvring_support::fork::Fork;
use sysvring_support::name::{Name, is_gone};
use sysvring_support::raw_ipc::{Key, MARKED, Segment, at};
use sysvring_support::rng::Rng;
use sysvring_support::shared_counters::{shared_counters, until_at_least};
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

/// The number of semaphores in the set of an SPSC channel.
const SEMAPHORES: usize = raw_ipc::FIRST_SEAT + 2;
/// The maximum time of an open after a death.
const SOON: Duration = Duration::from_secs(1);

/// Reaps. Returns what was reaped of this key.
fn reap(key: i32) -> Vec<Reaped> {
    sysvring::reap().expect("reap").into_iter().filter(|reaped| reaped.key == key).collect()
}

#[test(quiet)]
fn incomplete_channels_are_reaped() {
    for (segment, set) in [(true, true), (true, false), (false, true)] {
        let key = Key::new();
        let segment = segment.then(|| key.make_segment(10_000, MARKED));
        let set = set.then(|| key.make_set(SEMAPHORES, MARKED));
        let expected = Reaped { key: key.0, name: String::new(), segment, set };
        assert_eq!(reap(key.0), [expected]);
        key.assert_free();
        assert_eq!(reap(key.0), []);
    }
    // Without a key: the set of a private channel, and a segment that is not marked for removal
    // yet.
    let private = Key(libc::IPC_PRIVATE);
    let (segment, set) =
        (private.make_segment(9_000, MARKED), private.make_set(SEMAPHORES, MARKED));
    std::mem::forget(private);
    let reaped = reap(0);
    assert!(reaped.iter().any(|r| r.segment == Some(segment)), "{reaped:?}");
    assert!(reaped.iter().any(|r| r.set == Some(set)), "{reaped:?}");
}

#[test(quiet)]
fn a_living_creator_is_left_alone() {
    let key = Key::new();
    let set = key.make_set(SEMAPHORES, MARKED);
    let segment = key.make_segment(10_000, MARKED);
    // The creator holds the lifecycle semaphore.
    raw_ipc::add(set, 0, 1);
    assert_eq!(reap(key.0), []);
    assert_eq!((key.set(), key.segment()), (Some(set), Some(segment)));
    let busy = key.options().open_timeout(Duration::from_millis(20)).open::<Sender<u64>>();
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    // It died.
    raw_ipc::add(set, 0, -1);
    let mut tx: Sender<u64> = key.options().open().expect("open");
    tx.send(&1).expect("send");
    assert_ne!(key.segment(), Some(segment), "its half of a channel was removed");
    drop(tx);
    sysvring::remove(key.address()).expect("removed");
}

/// Is a member until it is killed. The sender sends three messages.
#[work]
fn sit(args: &mut Args) {
    let (name, side): (String, String) = (args.next(), args.next());
    let options = Options::named(name).lifetime(Lifetime::LastMember);
    let mut handles: (Option<Sender<u64>>, Option<Receiver<u64>>) = (None, None);
    match side.as_str() {
        "sender" => {
            let tx = handles.0.insert(options.open().expect("open"));
            tx.send_batch(&[1, 2, 3]).expect("room");
        }
        _ => handles.1 = Some(options.open().expect("open")),
    }
    print_line("here");
    read_line();
}

/// Makes a channel that is removed with its last member, and kills both members.
fn of_the_dead(name: &Name) -> sysvring::Stat {
    let mut members = ["sender", "receiver"]
        .map(|side| Worker::start(&[&"crash_leftovers::sit", name, &side]).expect("start"));
    members.iter_mut().for_each(|member| member.expect("here"));
    members.iter_mut().for_each(|member| member.kill_and_wait().expect("kill"));
    let stat = sysvring::stat(name.as_str()).expect("the kernel keeps it");
    assert!(stat.members.len() == 2 && stat.members.iter().all(|m| !m.alive && !m.left));
    stat
}

#[test(quiet)]
fn a_channel_of_dead_members_is_taken_over() {
    let name = Name::new();
    let dead = of_the_dead(&name);
    let mut rx: Receiver<u64> = name.options().attach().expect("attach");
    assert_eq!(rx.id(), dead.id, "the very same");
    assert_eq!((rx.recv(), rx.recv(), rx.recv()), (Ok(1), Ok(2), Ok(3)));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty), "the sender died before");
    let mut tx: Sender<u64> = name.options().attach().expect("attach");
    tx.send(&4).expect("send");
    assert_eq!(rx.recv(), Ok(4));
    drop((tx, rx));
    assert!(is_gone(name.as_str()), "now its last member left");
}

#[test(quiet)]
fn a_channel_of_dead_members_is_reaped() {
    let name = Name::new();
    let dead = of_the_dead(&name);
    let (segment, set) = (Some(dead.segment.id), Some(dead.set.expect("a set").id));
    let expected = Reaped { key: dead.key, name: name.to_string(), segment, set };
    assert_eq!(reap(dead.key), [expected]);
    assert!(is_gone(name.as_str()) && is_gone(dead.id));
    drop(name.options().create::<Receiver<u64>>().expect("the name is free"));
}

/// Has both ends of a private channel until it is killed.
#[work]
fn sit_in_private(_: &mut Args) {
    let mut tx: Sender<u64> = Options::private().open().expect("open");
    let _rx: Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    tx.send(&1).expect("send");
    print_line(tx.id());
    print_line(tx.stat().expect("stat").set.expect("a set").id);
    read_line();
}

#[test(quiet)]
fn private_sets_of_the_dead_are_reaped() {
    let mut member = Worker::start(&[&"crash_leftovers::sit_in_private"]).expect("start");
    let id: ChannelId = member.read_line().expect("its id").parse().expect("an id");
    let set: i32 = member.read_line().expect("its set").parse().expect("a number");
    assert!(reap(0).iter().all(|reaped| reaped.set != Some(set)), "it lives");
    member.kill_and_wait().expect("kill");
    assert!(is_gone(id), "the kernel removed the segment");
    assert_ne!(raw_ipc::waiting(set, 0), -1, "and not the set");
    let expected = Reaped { key: 0, name: String::new(), segment: None, set: Some(set) };
    assert!(reap(0).contains(&expected));
    assert_eq!(raw_ipc::waiting(set, 0), -1);
}

#[test(quiet)]
fn foreign_objects_and_kept_channels_are_never_reaped() {
    let kept = Name::new();
    drop(kept.pair::<u64>(4));
    let killed = Name::new();
    let mut tx: Sender<u64> = killed.options().open().expect("open");
    tx.send_batch(&[1, 2]).expect("room");
    let living = Name::new();
    let options = living.options().lifetime(Lifetime::LastMember);
    let mut alone: Receiver<u64> = options.open().expect("open");

    let foreign: Vec<(Key, u32)> = [0o600, 0o666, 0o700, 0o777, 0o611]
        .map(|mode| (Key::new(), mode))
        .into_iter()
        .inspect(|(key, mode)| {
            key.make_segment(10_000, *mode);
            key.make_set(SEMAPHORES, *mode);
        })
        .collect();
    // Objects that have this mode by chance.
    let by_chance = Key::new();
    let with_text = by_chance.make_segment(10_000, MARKED);
    Segment::of(with_text).u64(at::MAGIC).store(7, Relaxed);
    let short_set = by_chance.make_set(3, MARKED);

    let reaped = sysvring::reap().expect("reap");
    // Leftovers of other tests may be reaped as well, but none of these.
    let names = [&kept, &killed, &living].map(Name::as_str);
    assert!(reaped.iter().all(|r| !names.contains(&&*r.name)), "{reaped:?}");
    assert!(
        reaped.iter().all(|r| r.key != by_chance.0 && foreign.iter().all(|(k, _)| k.0 != r.key))
    );
    for (key, mode) in &foreign {
        assert!(key.segment().is_some() && key.set().is_some(), "a foreign one of {mode:o}");
    }
    assert_eq!(by_chance.segment(), Some(with_text));
    assert_eq!(by_chance.set(), Some(short_set));
    assert_eq!(sysvring::stat(kept.as_str()).expect("it stays").depth, 0);
    assert_eq!(alone.try_recv(), Err(RecvError::Empty), "a member's channel");
    let mut rx: Receiver<u64> = killed.options().attach().expect("it stays");
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
}

/// The set was removed, which its members do not know yet, and a creator died after it made another
/// one.
#[test(quiet)]
fn a_segment_that_names_another_set_is_not_reaped_with_this_one() {
    let key = Key::new();
    let options = || key.options().lifetime(Lifetime::LastMember);
    let mut tx: Sender<u64> = options().create().expect("create");
    let mut rx: Receiver<u64> = options().attach().expect("attach");
    raw_ipc::remove_set(key.set().expect("a set")).expect("IPC_RMID");
    let (segment, set) = (key.segment(), key.make_set(SEMAPHORES, MARKED));
    let expected = Reaped { key: key.0, name: String::new(), segment: None, set: Some(set) };
    assert_eq!(reap(key.0), [expected]);
    assert_eq!((key.segment(), key.set()), (segment, None));
    assert_eq!((tx.send(&1), rx.recv()), (Ok(()), Ok(1)));
    drop((tx, rx));
}

/// Kills a child that repeats an action, at random moments, and runs a check after each.
fn kill_over_and_over(kills: u64, over_and_over: impl Fn(), look: impl Fn()) {
    let [turns] = shared_counters::<1>();
    let (mut rng, mut killed) = (Rng::new(), 0);
    // On a busy host, many are killed in their first turn.
    while killed < kills || turns.load(Acquire) <= kills {
        killed += 1;
        let before = turns.load(Acquire);
        let mut victim = Fork::start(|| {
            loop {
                over_and_over();
                turns.fetch_add(1, Relaxed);
            }
        });
        if rng.below(4) != 0 {
            until_at_least(turns, before + 1);
        }
        rng.pause(20);
        assert!(victim.kill_and_wait(), "it ended before it was killed");
        look();
    }
}

#[test]
fn the_next_open_succeeds_after_a_creator_was_killed() {
    let (name, key) = (Name::new(), Key::new());
    Worker::run(&[&"crash_leftovers::kill_creators", &name, &key.0]);
    assert!(is_gone(name.as_str()), "the last member removed it");
    key.assert_free();
}

/// A process that creates and closes channels is killed; the next open succeeds at once.
#[work]
fn kill_creators(args: &mut Args) {
    let (name, key): (String, i32) = (args.next(), args.next());
    let options = || Options::named(&name).capacity(4).lifetime(Lifetime::LastMember);
    let keyed = || Options::key(key).capacity(4).lifetime(Lifetime::LastMember);
    let over_and_over = || {
        let mut tx: Sender<u64> = options().open().expect("open");
        let mut rx: Receiver<u64> = keyed().open().expect("open");
        tx.send(&7).expect("send");
        assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvError::Timeout));
        drop(rx);
        tx.close().expect("closed");
    };
    kill_over_and_over(500, over_and_over, || {
        let watch = Stopwatch::start();
        let mut tx: Sender<u64> = options().open().expect("open");
        let mut rx: Receiver<u64> = options().attach().expect("attach");
        let other: Receiver<u64> = keyed().open().expect("open");
        assert!(watch.took() < SOON, "opened after {:?}", watch.took());
        tx.send(&8).expect("send");
        // The dead sender's message may be there, and nothing else.
        let got: Vec<u64> = rx.try_iter().map(|n| n.expect("a message")).collect();
        assert!(got == [8] || got == [7, 8], "{got:?}");
        drop((tx, rx));
        assert!(is_gone(&*name));
        other.close().expect("closed");
    });
}

#[test]
fn the_next_open_succeeds_after_a_remover_was_killed() {
    let name = Name::new();
    Worker::run(&[&"crash_leftovers::kill_removers", &name]);
}

/// A process that opens and removes a kept channel is killed; the next open succeeds at once.
#[work]
fn kill_removers(args: &mut Args) {
    let name: String = args.next();
    let over_and_over = || {
        let tx: Sender<u64> = Options::named(&name).capacity(4).open().expect("open");
        sysvring::remove(&*name).expect("removed");
        drop(tx);
    };
    kill_over_and_over(200, over_and_over, || {
        let watch = Stopwatch::start();
        let mut tx: Sender<u64> = Options::named(&name).capacity(4).open().expect("open");
        let mut rx: Receiver<u64> = Options::named(&name).attach().expect("attach");
        assert!(watch.took() < SOON, "opened after {:?}", watch.took());
        tx.send(&8).expect("send");
        assert_eq!(rx.recv(), Ok(8));
    });
}

#[test(quiet)]
fn the_next_reap_succeeds_after_a_reaper_was_killed() {
    let key = Key::new();
    Worker::run(&[&"crash_leftovers::kill_reapers", &key.0]);
    key.assert_free();
}

/// A process that leaves halves of channels and reaps is killed; the next `reap` removes the rest.
#[work]
fn kill_reapers(args: &mut Args) {
    let key: i32 = args.next();
    let over_and_over = || {
        // A process that was killed may have left them.
        let _ = raw_ipc::create_set(key, SEMAPHORES, MARKED);
        let _ = raw_ipc::create_segment(key, 10_000, MARKED);
        sysvring::reap().expect("reap");
    };
    let key = std::mem::ManuallyDrop::new(Key(key));
    kill_over_and_over(200, over_and_over, || {
        sysvring::reap().expect("reap");
        key.assert_free();
    });
}
