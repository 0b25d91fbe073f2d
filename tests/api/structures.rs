//! Both sides of a channel compare how their message types are made up, before either takes a seat.

use sysvring::spsc::{Receiver, Sender};
use sysvring::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use sysvring::{
    DeadLetter, Error, Lifetime, Message, Options, Structure, Tap, TapStart, mpmc, spsc, untyped,
};
use sysvring_support::error_text::{advises, refusal};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnySender};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::Key;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

#[sysvring::message]
#[derive(Debug, PartialEq)]
pub struct Tick {
    id: u64,
    price: f64,
}

/// The text of the structure of [`Tick`].
const TICK: &str = "struct Tick { id: u64, price: f64 }";

#[sysvring::message]
pub struct Quote {
    id: u64,
    price: f64,
}

#[sysvring::message]
pub enum Kind {
    Buy,
    Sell,
}

#[sysvring::message]
pub struct Order {
    kind: Kind,
    count: [u8; 7],
    tick: [Tick; 2],
}

#[sysvring::message]
pub struct Line {
    number: [u8; 4],
    text: [u8],
}

/// As `Tick`, but not described.
#[derive(Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
struct Undescribed {
    id: u64,
    price: f64,
}

impl Message for Undescribed {}

/// The types of a program that was built with other declarations.
mod other {
    #[sysvring::message]
    pub struct Tick {
        price: f64,
        id: u64,
    }

    #[sysvring::message]
    pub enum Kind {
        Buy,
        Lend,
    }

    #[sysvring::message]
    pub struct Order {
        kind: Kind,
        count: [u8; 7],
        tick: [super::Tick; 2],
    }

    #[sysvring::message]
    pub struct Line {
        number: [u8; 4],
        text: [i8],
    }
}

/// The same with another type or name of one field.
mod retyped {
    #[sysvring::message]
    #[derive(Debug)]
    pub struct Tick {
        id: u64,
        price: u64,
    }

    #[sysvring::message]
    pub struct Order {
        kind: super::Kind,
        count: [u8; 7],
        tick: [Tick; 2],
    }

    pub mod larger {
        #[sysvring::message]
        pub struct Tick {
            id: u64,
            price: f64,
            size: u64,
        }
    }

    pub mod renamed {
        #[sysvring::message]
        pub struct Tick {
            id: u64,
            cost: f64,
        }
    }
}

/// Checks that a side with the type `Found` keeps one with the type `Expected` out, whichever role they have,
/// and returns what the error tells.
fn refused<F: AnyFlavor, Expected, Found>() -> [String; 2]
where
    Expected: Message + ?Sized + 'static,
    Found: Message + ?Sized + 'static,
{
    let name = Name::new();
    let of = |error: Error| {
        let text = advises(&error);
        let Error::TypeMismatch { channel, expected, found } = error else { panic!("{error:?}") };
        assert!(text.contains(&channel), "{text}");
        assert!(text.contains(&format!("expected {expected}, found {found};")), "{text}");
        assert!(text.contains("same declaration") && text.contains("remove the channel"), "{text}");
        [expected, found]
    };
    let tx: F::Sender<Found> = name.options().create().expect("create");
    let attached = name.options().attach::<F::Receiver<Expected>>();
    let told = of(attached.map(drop).expect_err("another type"));
    for again in [
        name.options().open::<F::Receiver<Expected>>().map(drop),
        name.options().open::<F::Sender<Expected>>().map(drop),
        Options::id(tx.id()).attach::<F::Receiver<Expected>>().map(drop),
    ] {
        assert_eq!(of(again.expect_err("another type")), told);
    }
    drop(tx);
    // A successor, when nobody is there.
    let opened = name.options().open::<F::Sender<Expected>>();
    assert_eq!(of(opened.map(drop).expect_err("another type")), told);
    let rx: F::Receiver<Found> = name.options().attach().expect("the right type");
    let attached = name.options().attach::<F::Sender<Expected>>();
    assert_eq!(of(attached.map(drop).expect_err("another type")), told);
    // Nothing is left of the refused ones.
    let members = rx.stat().expect("stat").members;
    assert_eq!(members.iter().filter(|member| member.alive).count(), 1);
    told
}

/// Does the same in both directions.
fn differ<F: AnyFlavor, One, Other>(one: &str, other: &str, place: &str)
where
    One: Message + ?Sized + 'static,
    Other: Message + ?Sized + 'static,
{
    assert_eq!(refused::<F, One, Other>(), [format!("{one}{place}"), other.into()]);
    assert_eq!(refused::<F, Other, One>(), [format!("{other}{place}"), one.into()]);
}

#[test]
fn types_of_one_size_are_told_apart<F: AnyFlavor>() {
    assert_eq!(size_of::<Tick>(), size_of::<other::Tick>());
    differ::<F, Tick, retyped::Tick>("f64", "u64", " in the field Tick.price");
    differ::<F, Tick, Quote>("struct Tick", "struct Quote", "");
    differ::<F, Order, retyped::Order>("f64", "u64", " in the field Order.tick[].price");
    differ::<F, u64, i64>("u64", "i64", "");
    differ::<F, [u8], str>("[u8]", "str", "");
    differ::<F, Line, other::Line>("u8", "i8", " in the field Line.text[]");
}

#[test]
fn the_first_field_is_named() {
    let swapped = refused::<sysvring_support::handle::Spsc, Tick, other::Tick>();
    assert_eq!(swapped, ["id: u64 in the field Tick.id", "price: f64"]);
    let swapped = refused::<sysvring_support::handle::Mpmc, other::Tick, Tick>();
    assert_eq!(swapped, ["price: f64 in the field Tick.price", "id: u64"]);
    let renamed = refused::<sysvring_support::handle::Spsc, Tick, retyped::renamed::Tick>();
    assert_eq!(renamed, ["price: f64 in the field Tick.price", "cost: f64"]);
    // Their sizes differ, too; the field tells more.
    let larger = refused::<sysvring_support::handle::Spsc, Tick, retyped::larger::Tick>();
    assert_eq!(larger, ["nothing in the field Tick.size", "size: u64"]);
    let smaller = refused::<sysvring_support::handle::Spsc, retyped::larger::Tick, Tick>();
    assert_eq!(smaller, ["size: u64 in the field Tick.size", "nothing"]);
    let variant = refused::<sysvring_support::handle::Spsc, Order, other::Order>();
    assert_eq!(variant, ["1 for the variant Order.kind::Sell", "nothing"]);
    let variant = refused::<sysvring_support::handle::Spsc, other::Order, Order>();
    assert_eq!(variant, ["1 for the variant Order.kind::Lend", "nothing"]);
    let kind = refused::<sysvring_support::handle::Spsc, Kind, other::Kind>();
    assert_eq!(kind, ["1 for the variant Kind::Sell", "nothing"]);
}

/// The rule is the same for the creator and for who joins: the layouts decide.
#[test]
fn a_type_that_does_not_describe_itself_is_compared_by_its_layout<F: AnyFlavor>() {
    for described_first in [true, false] {
        let name = Name::new();
        let (tx, rx): (Box<dyn std::any::Any>, Box<dyn std::any::Any>) = match described_first {
            true => (
                Box::new(name.options().create::<F::Sender<Tick>>().expect("create")),
                Box::new(name.options().attach::<F::Receiver<Undescribed>>().expect("attach")),
            ),
            false => (
                Box::new(name.options().create::<F::Sender<Undescribed>>().expect("create")),
                Box::new(name.options().attach::<F::Receiver<Tick>>().expect("attach")),
            ),
        };
        // The creator's is stored, and stays what it was.
        let stored = sysvring::stat(name.as_str()).expect("stat").structure;
        assert_eq!(stored, described_first.then(Tick::structure));
        drop((tx, rx));
    }
    let layouts = refused::<F, Undescribed, u64>();
    assert_eq!(layouts, ["16 bytes aligned to 8", "8 bytes aligned to 8"]);
    let layouts = refused::<F, u64, Undescribed>();
    assert_eq!(layouts, ["8 bytes aligned to 8", "16 bytes aligned to 8"]);
}

#[test]
fn everybody_can_read_the_structure<F: AnyFlavor>() {
    let mut tx: F::Sender<Tick> = Options::private().create().expect("create");
    tx.try_send(&Tick { id: 7, price: 1.5 }).expect("room");
    let expected: Structure = TICK.parse().expect("a structure");
    let id = tx.id();
    assert_eq!(tx.stat().expect("stat").structure.as_ref(), Some(&expected));
    assert_eq!(sysvring::stat(id).expect("stat").structure.as_ref(), Some(&expected));
    let rx: untyped::Receiver = Options::id(id).attach().expect("attach");
    assert_eq!(rx.structure(), Some(&expected));
    let tap = Tap::open(id, TapStart::Oldest).expect("a tap");
    assert_eq!(tap.structure().map(Structure::to_string).as_deref(), Some(TICK));
    drop(tx);
    // An untyped sender takes its place.
    let tx: untyped::Sender = Options::id(id).attach().expect("attach");
    assert_eq!((tx.structure(), tx.schema()), (Some(&expected), 0));
}

/// An untyped handle does not describe what it creates: any type of that layout joins.
#[test]
fn channels_that_untyped_handles_make_are_not_described() {
    for is_text in [true, false] {
        let tx: untyped::Sender = Options::private().create().expect("create");
        assert_eq!((tx.structure(), tx.stat().expect("stat").structure), (None, None));
        match is_text {
            true => drop(Options::id(tx.id()).attach::<mpmc::Receiver<str>>().expect("attach")),
            false => drop(Options::id(tx.id()).attach::<mpmc::Receiver<[u8]>>().expect("attach")),
        }
        let tap = Tap::open(tx.id(), TapStart::Now).expect("a tap");
        assert_eq!(tap.structure(), None);
    }
}

/// A type that says of itself what cannot be stored.
#[derive(Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(transparent)]
struct Odd<const WHAT: u8>([u8; 4]);

impl<const WHAT: u8> Message for Odd<WHAT> {
    fn structure() -> Structure {
        let part = |name: &str| Structure::of_struct(name, [("a", <[u8; 4]>::structure())]);
        match WHAT {
            0 => u64::structure(),
            1 => part("Odd Name"),
            2 => part(&"a".repeat(70_000)),
            3 => (0..70)
                .fold(<[u8; 4]>::structure(), |inner, _| Structure::of_struct("S", [("a", inner)])),
            _ => part("Odd"),
        }
    }
}

/// Neither creates or joins a channel, by the same error.
fn cannot_be_stored<const WHAT: u8>(reason: &str) {
    let key = Key::new();
    let invalid = |error: Error| {
        assert!(advises(&error).contains(reason), "{error}");
        assert!(matches!(error, Error::InvalidOption { option: "message", .. }), "{error:?}");
    };
    invalid(refusal(key.options().create::<Sender<Odd<WHAT>>>()));
    key.assert_free();
    let tx: Sender<[u8; 4]> = key.options().create().expect("create");
    invalid(refusal(key.options().attach::<Receiver<Odd<WHAT>>>()));
    invalid(refusal(Options::id(tx.id()).attach::<Receiver<Odd<WHAT>>>()));
}

#[test]
fn a_structure_that_cannot_be_stored() {
    cannot_be_stored::<0>("its structure has 8 bytes, and the type has 4 bytes aligned to 1");
    cannot_be_stored::<1>("cannot be read from its text");
    cannot_be_stored::<2>("at most 65536");
    cannot_be_stored::<3>("less depth");
    let tx: Sender<Odd<9>> = Options::private().create().expect("create");
    drop(Options::id(tx.id()).attach::<Receiver<Odd<9>>>().expect("attach"));
}

/// A long structure makes the header longer, and nothing else.
#[sysvring::message]
#[derive(Debug, PartialEq, Clone, Copy)]
struct ALongNameThatIsRepeatedManyTimesSoThatTheTextOfTheStructureNeedsMoreThanOnePage {
    a_first_field_with_a_long_name: u64,
    another_field_with_a_long_name: [u32; 2],
}

type Long = ALongNameThatIsRepeatedManyTimesSoThatTheTextOfTheStructureNeedsMoreThanOnePage;

#[sysvring::message]
#[derive(Debug, PartialEq, Clone, Copy)]
struct Eight(Long, Long, Long, Long, Long, Long, Long, Long);

#[sysvring::message]
#[derive(Debug, PartialEq, Clone, Copy)]
struct Longest(Eight, Eight, Eight, Eight);

#[test]
fn a_structure_of_several_pages<F: AnyFlavor>() {
    let text = Longest::structure().to_string();
    assert!(text.len() > 5_000, "{}", text.len());
    let name = Name::new();
    let mut tx: F::Sender<Longest> = name.options().capacity(4).create().expect("create");
    let mut rx: F::Receiver<Longest> = name.options().attach().expect("attach");
    let part = |n| Long {
        a_first_field_with_a_long_name: n,
        another_field_with_a_long_name: [n as u32, !n as u32],
    };
    for lap in 0..9 {
        let eight = [0; 8].map(|_| part(lap));
        let [a, b, c, d, e, f, g, h] = eight;
        let eight = Eight(a, b, c, d, e, f, g, h);
        let sent = Longest(eight, eight, eight, eight);
        tx.try_send(&sent).expect("room");
        let got = sysvring_support::handle::AnyReceiver::try_recv(&mut rx).expect("a message");
        assert_eq!(got, sent);
    }
    let stat = tx.stat().expect("stat");
    assert_eq!(stat.structure.map(|structure| structure.to_string()), Some(text));
}

/// Creates a channel of ticks, sends one, and waits for the end.
#[work]
fn send_a_tick(args: &mut Args) {
    let name: String = args.next();
    let mut tx: spsc::Sender<Tick> =
        Options::named(name).lifetime(Lifetime::LastMember).create().expect("create");
    tx.send(&Tick { id: 7, price: 1.5 }).expect("room");
    print_line("sent");
    read_line();
}

/// Of two programs, one dies.
#[test]
fn the_structure_outlives_its_creator() {
    let name = Name::new();
    let mut creator = Worker::start(&[&"structures::send_a_tick", &name]).expect("start");
    creator.expect("sent");
    let attach = || name.options();
    let error = refusal(attach().attach::<spsc::Receiver<retyped::Tick>>());
    let text = advises(&error);
    assert!(text.contains("expected u64 in the field Tick.price, found f64;"), "{text}");
    creator.kill_and_wait().expect("it was there");
    // Taken over by its successors, and not by others.
    for _ in 0..2 {
        let error = refusal(attach().open::<spsc::Sender<retyped::Tick>>());
        assert!(matches!(error, Error::TypeMismatch { .. }), "{error:?}");
        let stat = sysvring::stat(name.as_str()).expect("stat");
        assert_eq!(stat.structure.map(|s| s.to_string()).as_deref(), Some(TICK));
    }
    let mut rx: spsc::Receiver<Tick> =
        attach().lifetime(Lifetime::LastMember).open().expect("the channel of the dead one");
    assert_eq!(rx.recv(), Ok(Tick { id: 7, price: 1.5 }));
    let tx: spsc::Sender<Tick> = attach().attach().expect("a successor");
    assert_eq!(tx.stat().expect("stat").structure, Some(Tick::structure()));
}

/// A dead-letter channel is one of `DeadLetter`, which describes itself, whatever the schema of its readers.
#[test]
fn dead_letters_are_described() {
    let letters = Name::new();
    let readers: mpmc::Receiver<DeadLetter> =
        letters.options().schema(5).slot_size(64).create().expect("create");
    let jobs: mpmc::Sender<Tick> =
        Options::private().dead_letters(letters.as_str(), 1).create().expect("create");
    let worker: mpmc::Receiver<Tick> = Options::id(jobs.id()).attach().expect("attach");
    jobs.send(&Tick { id: 7, price: 1.5 }).expect("room");
    worker.recv_ref().expect("a message").reject().expect("moved");
    let letter = readers.recv_ref().expect("a letter");
    assert_eq!(letter.message::<Tick>().map(|tick| tick.id), Some(7));
    letter.ack().expect("acknowledged");
    let structure = readers.stat().expect("stat").structure.expect("described");
    assert!(
        structure.to_string().starts_with("struct DeadLetter { position: u64le"),
        "{structure}"
    );
}
