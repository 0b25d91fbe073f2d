//! Objects under a channel's key that are not a channel: foreign, incomplete, truncated, of another
//! version; and headers with every field and every byte changed.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Defect, Error, Observer, Options, RecvError, Tap, TapStart};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::stopwatch::MOMENT as SHORT;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::error_text::{advises, refusal};
use sysvring_support::stopwatch::Stopwatch;

/// The size of the header with the members' table.
const HEADER_USED: usize = at::MEMBERS + 2 * at::MEMBER;
/// Where the text of the structure is, behind the waiting table.
const STRUCTURE: usize = HEADER_USED + 2 * 8;

/// Adds to a semaphore as a creator does, and keeps it until the end.
#[work]
fn hold_semaphore(args: &mut Args) {
    let (set, semaphore): (i32, usize) = (args.next(), args.next());
    raw_ipc::semop(set, &mut [raw_ipc::op(semaphore, 1, true)]);
    print_line("held");
    read_line();
}

/// Every call with this key returns `ForeignObject` and changes nothing.
fn is_not_ours(key: &Key, what_is_there: &str) {
    let before = (key.segment(), key.set());
    let not_ours = |error: Error| match &error {
        Error::ForeignObject { channel, what } => {
            assert_eq!(*channel, format!("{:#010x}", key.0));
            assert!(what.contains(what_is_there), "{what}");
        }
        other => panic!("not ForeignObject but {other:?}"),
    };
    not_ours(refusal(key.options().open::<Sender<u64>>()));
    not_ours(refusal(key.options().open::<Receiver<[u8]>>()));
    not_ours(refusal(key.options().create::<Sender<u64>>()));
    not_ours(refusal(key.options().attach::<Sender<u64>>()));
    not_ours(refusal(Observer::open(key.address())));
    not_ours(refusal(sysvring::stat(key.address())));
    not_ours(refusal(sysvring::remove(key.address())));
    sysvring::reap().expect("reap");
    assert_eq!((key.segment(), key.set()), before);
    let listed = sysvring::list().expect("list");
    assert!(listed.iter().all(|stat| stat.key != key.0));
}

#[test(quiet)]
fn foreign_segments() {
    for (bytes, mode, filler, what) in [
        (1, 0o600, 0u8, "smaller than a channel header"),
        (1023, 0o666, 7, "smaller than a channel header"),
        (1280, 0o600, 0, "no sysvring magic number"),
        (8192, 0o600, 0, "no sysvring magic number"),
        (8192, 0o644, b'S', "no sysvring magic number"),
        // With the mark of this crate, perhaps by chance.
        (100, 0o601, 0, "smaller than a channel header"),
        (8192, 0o601, 0xff, "no sysvring magic number"),
        // Executable not only for others: not the mark.
        (8192, 0o755, 0, "no sysvring magic number"),
    ] {
        let key = Key::new();
        let id = key.make_segment(bytes, mode);
        let memory = Segment::of(id);
        memory.write(0, &vec![filler; bytes]);
        is_not_ours(&key, what);
        assert!(memory.read(0..bytes).iter().all(|byte| *byte == filler));
    }
}

#[test(quiet)]
fn foreign_sets() {
    let (fewest, most) = (raw_ipc::FIRST_SEAT + 2, raw_ipc::FIRST_SEAT + 254);
    for (semaphores, mode) in
        [(1, 0o600), (fewest, 0o600), (fewest, 0o644), (fewest - 1, 0o601), (most + 1, 0o601)]
    {
        let key = Key::new();
        let set = key.make_set(semaphores, mode);
        is_not_ours(&key, "semaphore set");
        raw_ipc::set_value(set, 0, 1).expect("SETVAL");
        is_not_ours(&key, "semaphore set");
        // Beside a marked segment, too.
        key.make_segment(8192, 0o601);
        is_not_ours(&key, "semaphore set");
    }
}

/// Returns what creators leave when they are killed at several points.
fn leftovers() -> Vec<fn(&Key)> {
    fn segment(key: &Key) {
        key.make_segment(8192, 0o601);
    }
    fn set(key: &Key) {
        key.make_set(raw_ipc::FIRST_SEAT + 2, 0o601);
    }
    fn both(key: &Key) {
        set(key);
        segment(key);
    }
    fn all_but_the_magic(key: &Key) {
        let tx: Sender<u64> = key.options().create().expect("create");
        Segment::of(tx.id().segment()).u64(at::MAGIC).store(0, Relaxed);
    }
    vec![segment, set, both, all_but_the_magic]
}

#[test(quiet)]
fn incomplete_channels() {
    for leave in leftovers() {
        let key = Key::new();
        leave(&key);
        let error = refusal(key.options().attach::<Sender<u64>>());
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");

        leave_afresh(&key, leave);
        assert!(matches!(refusal(sysvring::stat(key.address())), Error::NotFound { .. }));
        sysvring::remove(key.address()).expect("remove");
        key.assert_free();

        leave_afresh(&key, leave);
        let mut tx: Sender<u64> = key.options().create().expect("create over it");
        let mut rx: Receiver<u64> = key.options().attach().expect("attach");
        tx.send(&5).expect("send");
        assert_eq!(rx.recv(), Ok(5));
        drop((tx, rx));

        leave_afresh(&key, leave);
        sysvring::reap().expect("reap");
        key.assert_free();
    }
}

fn leave_afresh(key: &Key, leave: fn(&Key)) {
    if key.segment().is_some() || key.set().is_some() {
        sysvring::remove(key.address()).expect("remove");
    }
    leave(key);
}

/// A creator that is stopped halfway, and dies later.
#[test(quiet)]
fn incomplete_channels_whose_creator_lives() {
    let key = Key::new();
    let set = key.make_set(raw_ipc::FIRST_SEAT + 2, 0o601);
    let mut builder =
        Worker::start(&[&"objects::hold_semaphore", &set, &raw_ipc::LIFECYCLE]).expect("start");
    builder.expect("held");
    let options = || key.options().open_timeout(Duration::from_millis(100));
    let busy = |error: Error| match error {
        Error::Busy { channel, pid } => {
            assert_eq!(channel, format!("{:#010x}", key.0));
            assert_eq!(pid, builder.pid() as u32);
        }
        other => panic!("not Busy but {other:?}"),
    };
    for with_segment in [false, true] {
        if with_segment {
            key.make_segment(8192, 0o601);
        }
        for how in [Options::open::<Sender<u64>>, Options::create, Options::attach] {
            let (start, watch) = (Instant::now(), Stopwatch::start());
            busy(refusal(how(options())));
            assert!(start.elapsed() >= Duration::from_millis(100));
            assert!(watch.took() < Duration::from_secs(1), "{:?}", watch.took());
        }
        busy(refusal(key.options().open_timeout(Duration::ZERO).open::<Sender<u64>>()));
    }
    // Reaping leaves it alone, because its creator lives.
    sysvring::reap().expect("reap");
    assert!(key.set() == Some(set) && key.segment().is_some());
    // The creator dies, and blocks no other process.
    builder.kill_and_wait().expect("kill");
    let tx: Sender<u64> = key.options().create().expect("create");
    // A process that holds the lifecycle semaphore of a complete channel.
    let set = key.set().expect("a set");
    let mut builder =
        Worker::start(&[&"objects::hold_semaphore", &set, &raw_ipc::LIFECYCLE]).expect("start");
    builder.expect("held");
    match refusal(options().open::<Receiver<u64>>()) {
        Error::Busy { pid, .. } => assert_eq!(pid, builder.pid() as u32),
        other => panic!("not Busy but {other:?}"),
    }
    builder.kill_and_wait().expect("kill");
    drop(key.options().attach::<Receiver<u64>>().expect("attach"));
    drop(tx);
}

#[test]
fn another_version() {
    for members in [false, true] {
        let key = Key::new();
        let tx: Sender<u64> = key.options().create().expect("create");
        let memory = Segment::of(tx.id().segment());
        memory.u32(at::VERSION).store(7, Relaxed);
        let kept = members.then_some(tx);
        let version = |error: Error| match error {
            Error::LayoutVersion { expected: 4, found: 7, .. } => {}
            other => panic!("not LayoutVersion but {other:?}"),
        };
        version(refusal(key.options().open::<Receiver<u64>>()));
        version(refusal(key.options().create::<Receiver<u64>>()));
        version(refusal(key.options().attach::<Receiver<[u8]>>()));
        version(refusal(sysvring::stat(key.address())));
        // The advice can be followed.
        sysvring::remove(key.address()).expect("remove");
        key.assert_free();
        drop(kept);
    }
}

/// If there are members, no process is creating it, so an open does not wait for one.
#[test]
fn a_magic_number_overwritten_under_a_member() {
    for (magic, members) in [(0, true), (1, true), (u64::MAX, false)] {
        let key = Key::new();
        let tx: Sender<u64> = key.options().create().expect("create");
        let memory = Segment::of(tx.id().segment());
        memory.u64(at::MAGIC).store(magic, Relaxed);
        let kept = members.then_some(tx);
        let watch = Stopwatch::start();
        let error = refusal(key.options().attach::<Receiver<u64>>());
        match magic {
            0 => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
            _ => assert!(matches!(error, Error::ForeignObject { .. }), "{error:?}"),
        }
        assert!(watch.took() < SHORT, "{:?}", watch.took());
        drop(kept);
    }
}

/// System V segments cannot shrink, but a header can be in a segment that is too small.
#[test]
fn a_header_in_a_segment_that_is_too_small() {
    let (whole, cut) = (Key::new(), Key::new());
    let tx: Sender<u64> = whole.options().capacity(1024).create().expect("create");
    let total = 4096 + 1024 * 16;
    let header = Segment::of(tx.id().segment()).read(0..4096);
    for (bytes, mode) in [(1280, 0o601), (4096, 0o600), (total - 1, 0o601)] {
        let id = cut.make_segment(bytes, mode);
        Segment::of(id).write(0, &header[..bytes.min(4096)]);
        let truncated = |error: Error| match error {
            Error::Truncated { expected, found, .. } => {
                assert_eq!((expected, found), (total as u64, bytes as u64));
            }
            other => panic!("not Truncated but {other:?}"),
        };
        truncated(refusal(cut.options().open::<Sender<u64>>()));
        truncated(refusal(cut.options().attach::<Receiver<u64>>()));
        truncated(refusal(cut.options().create::<Receiver<u64>>()));
        truncated(refusal(Observer::open(cut.address())));
        // The advice can be followed.
        sysvring::remove(cut.address()).expect("remove");
        cut.assert_free();
    }
}

#[test]
fn two_names_with_one_key() {
    let name = Name::new();
    let tx: Sender<u64> = name.options().create().expect("create");
    let memory = Segment::of(tx.id().segment());
    memory.u8(at::NAME).store(b'S', Relaxed);
    let other = format!("S{}", &name.as_str()[1..]);
    let collides = |error: Error| match error {
        Error::NameCollision { wanted, found } => {
            assert_eq!((wanted.as_str(), found.as_str()), (name.as_str(), other.as_str()));
        }
        error => panic!("not NameCollision but {error:?}"),
    };
    collides(refusal(name.options().open::<Receiver<u64>>()));
    collides(refusal(name.options().attach::<Receiver<u64>>()));
    collides(refusal(sysvring::stat(name.as_str())));
    // Above all, it does not remove another channel.
    collides(refusal(sysvring::remove(name.as_str())));
    assert!(sysvring::stat(tx.id()).is_ok());
    memory.u8(at::NAME).store(name.as_str().as_bytes()[0], Relaxed);
}

#[test]
fn segment_and_set_of_different_channels() {
    let (one, two) = (Key::new(), Key::new());
    let tx: Sender<u64> = one.options().create().expect("create");
    let other: Sender<u64> = two.options().create().expect("create");
    let memory = Segment::of(tx.id().segment());
    let set = memory.u32(at::SET).swap(two.set().expect("a set") as u32, Relaxed);
    let error = refusal(one.options().open_timeout(SHORT).open::<Receiver<u64>>());
    let Error::Corrupt { what, .. } = error else { panic!("{error:?}") };
    assert!(what.contains("do not match"), "{what}");
    // Observing it does no harm.
    let stat = sysvring::stat(one.address()).expect("stat");
    assert!(stat.set.is_none() && stat.members.iter().all(|member| !member.alive));
    // Removing it removes nothing of the other one.
    sysvring::remove(one.address()).expect("remove");
    one.assert_free();
    drop(two.options().attach::<Receiver<u64>>().expect("attach"));
    assert_ne!(set, two.set().expect("a set") as u32);
    drop((tx, other));
}

/// With two seats, the numbers of an SPSC channel can be those of a broadcast channel.
#[test]
fn a_header_that_says_it_is_of_another_kind() {
    let key = Key::new();
    drop(key.options().create::<Sender<u64>>().expect("create"));
    let memory = Segment::of(key.segment().expect("a segment"));
    memory.u32(at::FLAVOR).store(3, Relaxed);
    // The structure would be elsewhere.
    let error = refusal(key.options().open::<Sender<u64>>());
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    // Of a type that does not describe itself.
    memory.u32(at::DESCRIPTION).store(0, Relaxed);
    for error in [
        refusal(key.options().open::<Sender<u64>>()),
        refusal(key.options().attach::<Receiver<u64>>()),
    ] {
        let Error::TypeMismatch { expected, found, .. } = error else { panic!("{error:?}") };
        assert_eq!((&*expected, &*found), ("an SPSC channel", "a broadcast channel"));
    }
    memory.u32(at::FLAVOR).store(1, Relaxed);
    drop(key.options().attach::<Receiver<u64>>().expect("as good as before"));
}

#[test]
fn each_field_of_the_header() {
    let key = Key::new();
    drop(key.options().capacity(8).create::<Sender<u64>>().expect("create"));
    let memory = Segment::of(key.segment().expect("a segment"));
    let corrupt = |at: usize, wide: bool, values: &[u64]| {
        let good = memory.read(0..HEADER_USED);
        for &value in values {
            match wide {
                true => memory.u64(at).store(value, Relaxed),
                false => memory.u32(at).store(value as u32, Relaxed),
            }
            let unusable = |error: Error| match error {
                Error::Corrupt { what, .. } => assert!(!what.is_empty()),
                other => panic!("{value:#x} at {at}: not Corrupt but {other:?}"),
            };
            unusable(refusal(key.options().open::<Sender<u64>>()));
            unusable(refusal(key.options().attach::<Receiver<u64>>()));
            unusable(refusal(sysvring::stat(key.address())));
            memory.write(0, &good);
        }
        drop(key.options().attach::<Receiver<u64>>().expect("as good as before"));
    };
    const HALF: u64 = 1 << 31;
    corrupt(at::HEADER_SIZE, false, &[0, 1, 4095, 8192, u32::MAX.into()]);
    corrupt(at::FLAVOR, false, &[0, 4, 5, u32::MAX.into()]);
    // Only broadcast channels can be overwriting.
    corrupt(at::OVERWRITES, false, &[1, 2, u32::MAX.into()]);
    corrupt(at::SEATS, false, &[0, 1, 3, HALF, u32::MAX.into()]);
    let sizes = [0, 1, 7, 1 << 32, 1 << 40, 1 << 63, u64::MAX - 7, u64::MAX];
    corrupt(at::CAPACITY, true, &sizes);
    corrupt(at::SLOT_SIZE, true, &sizes);
    corrupt(at::STRIDE, true, &sizes);
    corrupt(at::SHAPE, false, &[0, 2, 3, u32::MAX.into()]);
    corrupt(at::ALIGN, false, &[0, 3, 16, 8192, HALF, u32::MAX.into()]);
    corrupt(at::SIZE, true, &sizes);
    corrupt(at::LIFETIME, false, &[0, 3, u32::MAX.into()]);
    corrupt(at::TOTAL, true, &sizes);
    corrupt(at::NONCE, false, &[0, 1 << 30, HALF, u32::MAX.into()]);

    // 65,536 bytes are the longest text; the header would be larger.
    corrupt(at::DESCRIPTION, false, &[1, 2, 4, 65_536, 65_537, HALF, u32::MAX.into()]);

    // A field that makes it another type, and fields that may have any value.
    memory.u64(at::ELEMENT).store(8, Relaxed);
    let error = refusal(key.options().attach::<Sender<u64>>());
    assert!(matches!(error, Error::TypeMismatch { .. }), "{error:?}");
    memory.u64(at::ELEMENT).store(0, Relaxed);
    for garbage in [1, HALF, u64::MAX - 1, u64::MAX] {
        memory.u64(at::SCHEMA).store(garbage, Relaxed);
        memory.u64(at::CREATED).store(garbage, Relaxed);
        memory.u32(at::NAME_LEN).store(garbage as u32, Relaxed);
        let stat = sysvring::stat(key.address()).expect("stat");
        assert_eq!(stat.schema, garbage);
        assert!(!stat.to_string().is_empty() && stat.name.len() <= 128);
        drop(key.options().schema(garbage).attach::<Receiver<u64>>().expect("attach"));
    }
}

/// The text of the structure, which is `u64` as it was made.
#[test]
fn the_text_of_the_structure() {
    let key = Key::new();
    drop(key.options().capacity(8).create::<Sender<u64>>().expect("create"));
    let memory = Segment::of(key.segment().expect("a segment"));
    assert_eq!(memory.read(STRUCTURE..STRUCTURE + 4), b"u64\0");
    let refusals = || {
        [
            refusal(key.options().open::<Sender<u64>>()),
            refusal(key.options().attach::<Receiver<u64>>()),
        ]
    };
    let write = |text: &[u8]| {
        memory.u32(at::DESCRIPTION).store(text.len() as u32, Relaxed);
        memory.write(STRUCTURE, text);
    };
    let deep = format!("{}u64{}", "[".repeat(200), "; 1]".repeat(200));
    for (text, expected) in [
        (&b"u6"[..], "not that of a structure"),
        (b"u64\0", "not that of a structure"),
        (b"u64u64", "not that of a structure"),
        (b"\xffu4", "not UTF-8"),
        (b"u65", "not that of a structure"),
        (b"struct \x1b { a: u64 }", "not that of a structure"),
        (deep.as_bytes(), "not that of a structure"),
        (b"[u64; 99999999999999999999]", "not that of a structure"),
        (b"[u64; 18446744073709551615]", "does not fit"),
        (b"u32", "does not fit"),
        (b"str", "does not fit"),
        (b"opaque(8)", "does not fit"),
    ] {
        write(text);
        for error in refusals() {
            let Error::Corrupt { what, .. } = error else { panic!("{text:?}: {error:?}") };
            assert!(what.contains(expected), "{text:?}: {what}");
        }
        // What inspects channels passes it over, or reports it.
        assert!(matches!(refusal(sysvring::stat(key.address())), Error::Corrupt { .. }));
        assert!(matches!(refusal(Tap::open(key.address(), TapStart::Now)), Error::Corrupt { .. }));
        assert!(sysvring::list().expect("list").iter().all(|stat| stat.key != key.0));
        let unusable = sysvring::unusable().expect("unusable");
        let own = unusable.iter().find(|unusable| unusable.object.key() == key.0);
        assert!(matches!(own.map(|own| &own.defect), Some(Defect::Corrupt { .. })), "{own:?}");
    }
    // Another type of the same size, and no description: then the layouts decide.
    write(b"i64");
    for error in refusals() {
        let Error::TypeMismatch { expected, found, .. } = error else { panic!("{error:?}") };
        assert_eq!((&*expected, &*found), ("u64", "i64"));
    }
    write(b"");
    drop(key.options().attach::<Receiver<i64>>().expect("of the same layout"));
    write(b"u64");
    drop(key.options().attach::<Receiver<u64>>().expect("as good as before"));
    // A corrupt channel can be removed.
    write(b"u63");
    sysvring::remove(key.address()).expect("remove");
    key.assert_free();
}

/// Sends messages, each of which is delivered, unless a call returns an error.
fn converse(tx: &mut Sender<u64>, rx: &mut Receiver<u64>) -> Result<(), String> {
    for n in 100..103 {
        tx.send_timeout(&n, SHORT).map_err(|error| advises(&error))?;
        // Older messages may be in the ring.
        for _ in 0..=rx.capacity() {
            match rx.recv_timeout(SHORT) {
                Ok(got) if got == n => break,
                Ok(_) => {}
                Err(RecvError::Timeout) => panic!("{n} was sent and is never received"),
                Err(error) => return Err(advises(&error)),
            }
        }
    }
    Ok(())
}

/// Returns what a byte is changed to.
fn changes(byte: u8) -> Vec<u8> {
    let mut values = vec![0, 0xff, byte ^ 1, byte ^ 0x40, byte.wrapping_add(3)];
    values.retain(|value| *value != byte);
    values.dedup();
    values
}

/// Makes a new channel of eight slots under the key, with two messages in it.
fn sample(key: &Key) -> Segment {
    key.clear();
    let mut tx: Sender<u64> = key.options().capacity(8).label("sample").create().expect("create");
    for n in 0..2 {
        tx.send(&n).expect("send");
    }
    Segment::of(tx.id().segment())
}

/// Every byte of the header gets other values while the channel has no member or one. Then messages
/// are delivered, or an error states the reason. The suite `corruption` changes more bits, and also
/// while both sides use the channel, but accepts timeouts.
fn change_each_byte(has_member: bool) {
    let key = Key::new();
    let good = sample(&key).read(0..HEADER_USED);
    let changes = good
        .iter()
        .enumerate()
        .flat_map(|(at, old)| changes(*old).into_iter().map(move |value| (at, value)));
    let (mut works, mut refused) = (0, 0);
    for (n, (at, value)) in changes.enumerate() {
        let memory = sample(&key);
        let watch = Stopwatch::start();
        let options = || key.options().open_timeout(SHORT);
        let change = || memory.u8(at).store(value, Relaxed);
        let ends = (|| -> Result<(Sender<u64>, Receiver<u64>), Error> {
            if !has_member {
                change();
                // Inspecting does no harm and never panics.
                let _ = sysvring::stat(key.address()).map(|stat| stat.to_string());
                let rx = options().open()?;
                Ok((options().open()?, rx))
            } else if n % 2 == 0 {
                let rx = options().open().expect("not changed yet");
                change();
                Ok((options().open()?, rx))
            } else {
                let tx = options().open().expect("not changed yet");
                change();
                Ok((tx, options().open()?))
            }
        })();
        let result = match ends {
            Err(error) => Err(advises(&error)),
            Ok((mut tx, mut rx)) => converse(&mut tx, &mut rx),
        };
        let took = watch.took();
        assert!(took < Duration::from_secs(2), "{value:#x} at {at}: {result:?} took {took:?}");
        *if result.is_ok() { &mut works } else { &mut refused } += 1;
    }
    // Most bytes are texts, counters or reserved.
    assert!(works > 3000 && refused > 300, "{works} worked, {refused} were refused");
}

#[test]
fn each_byte_of_the_header_without_members() {
    change_each_byte(false);
}

#[test]
fn each_byte_of_the_header_under_a_member() {
    change_each_byte(true);
}
