//! Options that no channel can have, and options that this channel does not have.

use std::path::Path;
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use sysvring::{Address, ChannelId, Error, Lifetime, Message, Options, Stat};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::Key;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

use sysvring_support::error_text::{advises, refusal};

fn invalid(error: Error) -> &'static str {
    match error {
        Error::InvalidOption { option, reason, .. } => {
            assert!(!reason.is_empty());
            option
        }
        other => panic!("not Invalid but {other:?}"),
    }
}

#[test]
fn a_capacity_of_zero_or_too_much() {
    let key = Key::new();
    for slots in [0, (1 << 40) + 1, usize::MAX / 2 + 2, usize::MAX] {
        for how in [Options::open::<Sender<u64>>, Options::create, Options::attach] {
            let error = refusal(how(key.options().capacity(slots)));
            let text = error.to_string();
            assert!(text.contains(&slots.to_string()) && text.contains("1 to"), "{text}");
            assert_eq!(invalid(error), "capacity");
        }
        let error = refusal(Options::private().capacity(slots).open::<Receiver<[u8]>>());
        assert_eq!(invalid(error), "capacity");
        key.assert_free();
    }
    // More than any address space, in a product that would wrap.
    let error = refusal(key.options().capacity(1 << 40).slot_size(1 << 24).open::<Sender<[u8]>>());
    assert_eq!(invalid(error), "capacity");
    key.assert_free();
}

#[sysvring::message]
#[derive(Debug)]
struct Letter {
    from: [u8; 8],
    to: [u8; 8],
    text: [u8],
}

#[derive(Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(transparent)]
struct Undescribed(u16);

impl Message for Undescribed {}

#[sysvring::message]
#[derive(Debug)]
#[repr(C, align(8192))]
struct Page([u8; 8192]);

#[test]
fn slots_that_no_message_fits() {
    let key = Key::new();
    let of = |bytes| key.options().slot_size(bytes);
    assert_eq!(invalid(refusal(of(0).open::<Sender<[u8]>>())), "slot_size");
    assert_eq!(invalid(refusal(of(15).open::<Sender<Letter>>())), "slot_size");
    assert_eq!(invalid(refusal(of(9).open::<Sender<u64>>())), "slot_size");
    assert_eq!(invalid(refusal(of(0).open::<Receiver<u64>>())), "slot_size");
    // With the least default of 16 slots.
    assert_eq!(invalid(refusal(of(usize::MAX).open::<Receiver<str>>())), "capacity");
    assert_eq!(invalid(refusal(of(usize::MAX - 64).open::<Receiver<str>>())), "capacity");
    assert_eq!(invalid(refusal(key.options().open::<Sender<Page>>())), "message");
    key.assert_free();
}

#[test]
fn memory_that_no_slot_fits_in() {
    let key = Key::new();
    // A slot of these messages takes 16 bytes.
    for bytes in [0, 1, 15] {
        let error = refusal(key.options().memory(bytes).open::<Sender<u64>>());
        assert!(error.to_string().contains(&format!("{bytes} bytes")), "{error}");
        assert_eq!(invalid(error), "memory");
    }
    key.assert_free();
}

/// Sizes that are possible on another host.
#[test]
fn more_memory_than_there_is() {
    let key = Key::new();
    // 2^48 bytes: more than a process can map, however much memory the kernel promises.
    for lifetime in [Lifetime::Kept, Lifetime::LastMember] {
        let wish = key.options().capacity(1 << 40).slot_size(240).lifetime(lifetime);
        let error = refusal(wish.create::<Sender<[u8]>>());
        let Error::Limit { call, errno, advice, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(*call, "shmget" | "shmat"), "{call}");
        assert!(matches!(*errno, libc::ENOMEM | libc::ENOSPC | libc::EINVAL), "{errno}");
        assert!(advice.contains("fewer or smaller slots") || advice.contains("reap"), "{advice}");
        key.assert_free();
    }
}

#[test]
fn invalid_modes() {
    let key = Key::new();
    // Bits without a meaning, and a channel that its own creator could neither use nor remove.
    // Who may write but not read can neither send nor receive.
    let blind = [0o620, 0o602, 0o642, 0o624, 0o622];
    let others = [0o601, 0o700, 0o1000, 0o10600, u32::MAX, 0, 0o400, 0o066, 0o266];
    for mode in blind.into_iter().chain(others) {
        assert_eq!(invalid(refusal(key.options().mode(mode).open::<Sender<u64>>())), "mode");
    }
    key.assert_free();
}

/// A channel that grants more than was asked for is refused, by whatever way it came to its mode.
#[test]
fn wider_modes_are_refused() {
    let key = Key::new();
    let tx: Sender<u64> = key.options().mode(0o644).create().expect("create");
    for (asked, fits) in [(0o600, false), (0o640, false), (0o644, true), (0o666, true)] {
        match key.options().mode(asked).attach::<Receiver<u64>>() {
            Ok(_) => assert!(fits, "{asked:o}"),
            Err(error) => {
                let text = advises(&error);
                assert!(!fits && text.contains("mode = 0o644, not 0o6"), "{text}");
                assert!(matches!(error, Error::OptionMismatch { option: "mode", .. }), "{error:?}");
            }
        }
    }
    // Unset, it is taken as it is.
    drop(key.options().attach::<Receiver<u64>>().expect("attach"));
    drop(tx);
}

#[test]
fn invalid_addresses() {
    let option = |options: Options| invalid(refusal(options.open::<Sender<u64>>()));
    assert_eq!(option(Options::named("")), "name");
    assert_eq!(option(Options::named("x".repeat(129))), "name");
    assert_eq!(option(Options::named("a\0b")), "name");
    assert_eq!(option(Options::key(0)), "key");
    assert_eq!(option(Options::file("/no/such/file", 1)), "file");
    assert_eq!(option(Options::file("/", 0)), "file");
    let error = refusal(Options::file("/no/such/file", 7).open::<Sender<u64>>());
    assert!(error.to_string().contains("/no/such/file"), "{error}");

    let parsed = |text: &str| text.parse::<ChannelId>().map(drop);
    for text in ["", "12", "12:", ":12", "12:xyz", "99999999999:1", "1:2:3"] {
        assert_eq!(invalid(refusal(parsed(text))), "id", "{text:?}");
    }
    for text in ["0x", "0xnonsense", "0x123456789"] {
        assert_eq!(invalid(refusal(text.parse::<Address>().map(drop))), "key", "{text:?}");
    }
    // The same for calls that only observe or remove.
    for address in [Address::named(""), Address::Key(0)] {
        assert!(matches!(refusal(sysvring::stat(&address)), Error::InvalidOption { .. }));
        assert!(matches!(refusal(sysvring::remove(&address)), Error::InvalidOption { .. }));
    }
    let path = Path::new("/no/such/file").into();
    let error = refusal(sysvring::remove(Address::File { path, project: 1 }));
    assert_eq!(invalid(error), "file");
    // Impossible combinations.
    assert_eq!(invalid(refusal(Options::private().attach::<Sender<u64>>())), "private");
    let id: ChannelId = "1:1".parse().expect("an identifier");
    assert_eq!(invalid(refusal(Options::id(id).create::<Sender<u64>>())), "id");
}

/// The wrong key, the wrong name, the identifier of a removed channel.
#[test]
fn addresses_without_a_channel() {
    let (key, name) = (Key::new(), Name::new());
    let gone = {
        let tx: Sender<u64> = Options::private().create().expect("create");
        tx.id()
    };
    let nothing = |error: Error| match &error {
        Error::NotFound { channel } => channel.clone(),
        other => panic!("not NotFound but {other:?}"),
    };
    let wrong = [
        (Address::Key(key.0), format!("{:#010x}", key.0)),
        (name.as_str().into(), format!("{:?}", name.as_str())),
        (gone.into(), gone.to_string()),
    ];
    for (address, text) in wrong {
        let options = || Options::address(&address);
        assert_eq!(nothing(refusal(options().attach::<Receiver<u64>>())), text);
        assert_eq!(nothing(refusal(sysvring::stat(&address))), text);
        assert_eq!(nothing(refusal(sysvring::Observer::open(&address))), text);
        assert_eq!(nothing(refusal(sysvring::remove(&address))), text);
    }
    // An identifier never creates, and nobody is told to.
    let error = refusal(Options::id(gone).open::<Sender<u64>>());
    let text = error.to_string();
    assert!(!text.contains("open()") && text.contains("ask its creator"), "{text}");
    assert_eq!(nothing(error), gone.to_string());
    key.assert_free();

    // Another channel's segment with this one's nonce, and the reverse.
    let one: Sender<u64> = Options::private().create().expect("create");
    let two: Sender<u64> = Options::private().create().expect("create");
    let nonce = two.id().to_string().split_once(':').expect("two parts").1.to_owned();
    let mixed: ChannelId = format!("{}:{nonce}", one.id().segment()).parse().expect("an id");
    assert_eq!(nothing(refusal(Options::id(mixed).attach::<Receiver<u64>>())), mixed.to_string());
    assert_eq!(nothing(refusal(sysvring::remove(mixed))), mixed.to_string());
}

#[test]
fn another_capacity_slot_size_or_lifetime() {
    let name = Name::new();
    let tx: Sender<[u8]> = name.options().capacity(16).slot_size(100).create().expect("create");
    let differs = |options: Options, wanted: (&str, &str, &str)| {
        for how in [Options::open::<Receiver<[u8]>>, Options::attach] {
            let error = refusal(how(options.clone()));
            let Error::OptionMismatch { option, expected, found, channel } = &error else {
                panic!("{error:?}")
            };
            assert_eq!((*option, expected.as_str(), found.as_str()), wanted);
            assert!(error.to_string().contains(channel) && channel.contains(name.as_str()));
        }
    };
    differs(name.options().capacity(32), ("capacity", "32", "16"));
    // A slot takes 120 bytes.
    differs(name.options().memory(32 * 120), ("memory", "32", "16"));
    differs(name.options().memory(15 * 120), ("memory", "8", "16"));
    differs(name.options().slot_size(99), ("slot_size", "99", "100"));
    differs(name.options().slot_size(101), ("slot_size", "101", "100"));
    let lifetime = name.options().lifetime(Lifetime::LastMember);
    differs(lifetime, ("lifetime", "until its last member leaves", "kept"));
    // Rounded options are compared after rounding; unset options are accepted as they are.
    let memory = name.options().memory(32 * 120 - 1);
    // Of these two, the last one counts.
    let both = name.options().memory(1 << 20).capacity(16);
    let equal = [name.options().capacity(9), name.options().slot_size(100), memory, both];
    for options in equal.into_iter().chain([name.options()]) {
        let rx: Receiver<[u8]> = options.attach().expect("attach");
        assert_eq!((rx.capacity(), rx.slot_size()), (16, 100));
    }
    // The refused calls took no seat and left no trace.
    assert_eq!(tx.stat().expect("stat").members.iter().filter(|m| m.alive).count(), 1);
}

#[test]
fn another_message_type() {
    let name = Name::new();
    let _tx: Sender<u64> = name.options().schema(7).create().expect("create");
    let differs = |error: Error, wanted: (&str, &str)| match &error {
        Error::TypeMismatch { expected, found, .. } => {
            assert_eq!((expected.as_str(), found.as_str()), wanted);
            let text = advises(&error);
            assert!(text.contains(wanted.0) && text.contains(wanted.1), "{text}");
        }
        other => panic!("not TypeMismatch but {other:?}"),
    };
    let eight = "8 bytes aligned to 8";
    let attach = || name.options().schema(7);
    let error = refusal(attach().open::<Receiver<u32>>());
    differs(error, ("u32", "u64"));
    let error = refusal(attach().attach::<Receiver<[u8; 8]>>());
    differs(error, ("[u8; 8]", "u64"));
    let error = refusal(attach().attach::<Receiver<i64>>());
    differs(error, ("i64", "u64"));
    let error = refusal(attach().open::<Receiver<[u64; 2]>>());
    differs(error, ("[u64; 2]", "u64"));
    let error = refusal(attach().open::<Receiver<[u8]>>());
    differs(error, ("[u8]", "u64"));
    let error = refusal(attach().open::<Receiver<Letter>>());
    differs(error, ("struct Letter", "u64"));
    // One that does not describe itself is compared by its layout.
    let error = refusal(attach().open::<Receiver<Undescribed>>());
    differs(error, ("2 bytes aligned to 2", eight));
    let error = refusal(name.options().schema(8).open::<Receiver<u64>>());
    differs(error, ("schema 0x8", "schema 0x7"));
    // A wrong type is reported even if the seat is taken; and the correct one fits.
    let error = refusal(attach().open::<Sender<u32>>());
    differs(error, ("u32", "u64"));
    drop(attach().attach::<Receiver<u64>>().expect("the same type"));
}

#[test]
fn create_and_attach() {
    let key = Key::new();
    let error = refusal(key.options().attach::<Sender<u64>>());
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    // Not even a set.
    key.assert_free();
    let tx: Sender<u64> = key.options().create().expect("create");
    let exists = |result: Result<Receiver<u64>, Error>| match refusal(result) {
        Error::AlreadyExists { channel } => assert_eq!(channel, format!("{:#010x}", key.0)),
        other => panic!("not AlreadyExists but {other:?}"),
    };
    exists(key.options().create());
    drop(tx);
    // With members or without.
    exists(key.options().create());
    drop(key.options().attach::<Receiver<u64>>().expect("attach"));
}

/// Takes the sender's seat of a name and keeps it until told otherwise.
#[work]
fn sit(args: &mut Args) {
    let tx: Sender<u64> = Options::named(args.next::<String>()).open().expect("open");
    print_line("sitting");
    read_line();
    tx.close().expect("close");
}

#[test]
fn a_seat_that_is_taken() {
    let name = Name::new();
    let mut sitter = Worker::start(&[&"options::sit", &name]).expect("start");
    sitter.expect("sitting");
    let taken = |error: Error, who: u32, what: &str| match &error {
        Error::SeatTaken { channel, role, pid } => {
            assert_eq!((channel, *role, *pid), (&format!("{:?}", name.as_str()), what, who));
        }
        other => panic!("not SeatTaken but {other:?}"),
    };
    let child = sitter.pid() as u32;
    taken(refusal(name.options().open::<Sender<u64>>()), child, "sender");
    taken(refusal(name.options().attach::<Sender<u64>>()), child, "sender");
    let rx: Receiver<u64> = name.options().open().expect("the other seat is free");
    taken(refusal(name.options().open::<Receiver<u64>>()), std::process::id(), "receiver");
    sitter.write_line("go").expect("it listens");
    sitter.finish();
    drop(name.options().open::<Sender<u64>>().expect("its seat is free"));
    drop(rx);
}

#[test]
fn an_open_timeout_of_zero_and_of_years() {
    let stat = |key: &Key| -> Option<Stat> { sysvring::stat(key.address()).ok() };
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let key = Key::new();
        let options = || key.options().open_timeout(timeout);
        // No other process is creating it, so no time is needed.
        let mut tx: Sender<u64> = options().create().expect("create");
        let mut rx: Receiver<u64> = options().attach().expect("attach");
        tx.send(&1).expect("send");
        assert_eq!(rx.recv(), Ok(1));
        drop((tx, rx));
        let tx: Sender<u64> = options().open().expect("open a channel without members");
        drop(tx);
        let error = refusal(options().attach::<Sender<u32>>());
        assert!(matches!(error, Error::TypeMismatch { .. }), "{error:?}");
        assert!(stat(&key).is_some());
        sysvring::remove(key.address()).expect("remove");
        assert!(stat(&key).is_none());
        // The leftovers of a dead creator cause no wait either.
        key.make_segment(4096, 0o601);
        let tx: Sender<u64> = options().open().expect("open half a channel");
        assert_eq!(tx.capacity(), 1024);
    }
}
