//! What both sides compare: the names of the type, and the version that the user gives.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Deserializer, Serialize};
use sysvring::{Error, Message, Options, Postcard, Structure, spsc};
use sysvring_support::name::Name;
use sysvring_support::test;

use crate::flavors::{Receiver, Sender, ValueFlavor as AnyFlavor};
use crate::sample::{Order, Side, Units};

mod later {
    use serde::{Deserialize, Serialize};

    /// The same names at another path.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Units")]
    pub struct Moved(pub i64);

    /// One more field than the other one.
    #[derive(Serialize, Deserialize)]
    pub struct Pair {
        pub left: u8,
        pub right: u8,
        pub middle: u8,
    }
}

#[derive(Serialize, Deserialize)]
struct Pair {
    left: u8,
    right: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "a name; with <signs>", transparent)]
struct Nested(Vec<Nested>);

#[derive(Serialize, Deserialize)]
#[serde(rename = "a name; with <signs>")]
struct Signs {
    #[serde(rename = "")]
    field: u8,
}

fn text<T: serde::de::DeserializeOwned>() -> String {
    let structure = Postcard::<T>::structure();
    let text = structure.to_string();
    assert_eq!(text.parse::<Structure>().as_ref(), Ok(&structure), "{text}");
    assert_eq!(structure.size(), None);
    let value = text.strip_prefix("struct Postcard { value: ").expect("its name");
    value.strip_suffix(", bytes: [u8] }").expect("its bytes").to_owned()
}

#[test]
fn the_names_of_types() {
    assert_eq!(text::<Pair>(), "struct Pair { left: opaque(0), right: opaque(0) }");
    assert_eq!(
        text::<Side>(),
        "struct Side { Buy: opaque(0), Sell: opaque(0), Quote: opaque(0), Named: opaque(0) }"
    );
    assert!(text::<Order>().starts_with("struct Order { id: opaque(0), side: opaque(0), "));
    assert_eq!(text::<Box<Units>>(), "struct Units {}");
    assert_eq!(text::<later::Moved>(), "struct Units {}");
    assert_eq!(
        text::<Option<Vec<Units>>>(),
        "struct option { value: struct seq { value: struct Units {} } }"
    );
    assert_eq!(text::<(u8, u8)>(), "struct tuple2 {}");
    assert_eq!(text::<String>(), "struct str {}");
    assert_eq!(text::<BTreeMap<u8, u8>>(), "struct map {}");
    assert_eq!(text::<u128>(), "struct u128 {}");
    assert_eq!(text::<()>(), "struct unit {}");
    assert_eq!(text::<Signs>(), "struct a_name__with__signs_ { _: opaque(0) }");
    // A type that contains itself ends, too.
    assert_eq!(text::<Nested>().matches("seq").count(), 8 + 1);
}

#[test]
fn the_first_difference() {
    let difference = |ours: &Structure, other: Structure| {
        let difference = ours.first_difference(&other).expect("they differ");
        (difference.field, difference.expected, difference.found)
    };
    let pair = Postcard::<Pair>::structure();
    assert_eq!(
        difference(&pair, Postcard::<Side>::structure()),
        ("Postcard.value".into(), "struct Pair".into(), "struct Side".into())
    );
    let (field, expected, found) = difference(&pair, Postcard::<later::Pair>::structure());
    assert!(field.starts_with("Postcard.value"), "{field}");
    assert_eq!((&*expected, &*found), ("nothing", "middle: opaque(0)"));
    assert_eq!(difference(&pair, <[u8]>::structure()).1, "struct Postcard");
    assert!(pair.first_difference(&pair).is_none());
    let moved = Postcard::<later::Moved>::structure();
    assert!(Postcard::<Units>::structure().first_difference(&moved).is_none());
}

/// The version is the schema of the channel.
#[test]
fn versions_are_compared() {
    let name = Name::new();
    let _tx: spsc::Sender<Postcard<Pair>> = name.options().schema(2).create().expect("create");
    let attach = |schema| -> Result<spsc::Receiver<Postcard<Pair>>, Error> {
        name.options().schema(schema).attach()
    };
    assert!(matches!(attach(1), Err(Error::TypeMismatch { .. })));
    assert!(attach(2).is_ok());
}

/// Types of other names or fields, and bytes, are not those of the channel, whichever side is first.
#[test]
fn types_are_told_apart<F: AnyFlavor>() {
    let name = Name::new();
    let tx: Sender<F, Pair> = name.options().create().expect("create");
    let mismatch = |error: Option<Error>| match error {
        Some(Error::TypeMismatch { expected, found, .. }) => (expected, found),
        other => panic!("{other:?}"),
    };
    let side: Result<Receiver<F, Side>, Error> = name.options().attach();
    let (expected, found) = mismatch(side.err());
    assert!(expected.contains("Side") && found.contains("Pair"), "{expected}, {found}");
    let later: Result<Receiver<F, later::Pair>, Error> = name.options().attach();
    let (expected, found) = mismatch(later.err());
    assert!(expected.contains("middle") && found == "nothing", "{expected}, {found}");
    let bytes: Result<F::Receiver<[u8]>, Error> = name.options().attach();
    let (expected, found) = mismatch(bytes.err());
    assert!(expected.contains("[u8]") && found.contains("Postcard"), "{expected}, {found}");
    let same: Receiver<F, Pair> = name.options().attach().expect("attach");
    drop((tx, same));
    sysvring::remove(name.as_str()).expect("remove");
    let _rx: F::Receiver<[u8]> = name.options().create().expect("create");
    let pair: Result<Sender<F, Pair>, Error> = name.options().attach();
    mismatch(pair.err());
}

/// A number, or 0 if there is none.
#[derive(Debug, PartialEq, Serialize)]
struct Lenient(u32);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Lenient, D::Error> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        assert!(CALLS.fetch_add(1, Relaxed) < 1000, "it does not end");
        Ok(u32::deserialize(from).map_or(Lenient(0), Lenient))
    }
}

/// The names of a type are asked for with an error, which its elements may ignore.
#[test]
fn a_sequence_of_elements_that_ignore_errors() {
    let mut tx: spsc::Sender<Postcard<Vec<Lenient>>> =
        Options::private().create().expect("a sender");
    let mut rx: spsc::Receiver<Postcard<Vec<Lenient>>> =
        Options::id(tx.id()).attach().expect("a receiver");
    tx.send_value(&vec![Lenient(1)]).expect("sent");
    assert_eq!(rx.recv_value(), Ok(vec![Lenient(1)]));
}
