//! Structs of every shape.

use sysvring::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};
use sysvring::zerocopy::{big_endian, native_endian};
use sysvring::{Options, spsc};

use crate::{sent, structure};

fn is_from_bytes<T: FromBytes + ?Sized>() {}

#[sysvring::message]
struct Tick {
    id: u64,
    price: f64,
}

#[test]
fn one_line_declares_a_message() {
    assert_eq!(structure::<Tick>(), "struct Tick { id: u64, price: f64 }");
    assert_eq!(sent(&Tick { id: 1, price: 9.5 }).price.to_bits(), 9.5f64.to_bits());
    is_from_bytes::<Tick>();
}

#[sysvring::message]
struct Line {
    number: native_endian::U64,
    kind: [big_endian::U16; 2],
    text: [u8],
}

#[sysvring::message]
struct Words {
    flag: bool,
    _pad: [u8; 7],
    words: [Pair],
}

#[sysvring::message]
#[derive(Clone, Copy)]
struct Pair(u64, u64);

#[test]
fn a_struct_may_end_in_a_slice() -> Result<(), sysvring::Error> {
    is_from_bytes::<Line>();
    assert_eq!(structure::<Line>(), "struct Line { number: u64le, kind: [u16be; 2], text: [u8] }");
    assert_eq!(
        structure::<Words>(),
        "struct Words { flag: bool, _pad: [u8; 7], words: [struct Pair { 0: u64, 1: u64 }] }"
    );
    let mut tx: spsc::Sender<Line> = Options::private().create()?;
    let mut rx: spsc::Receiver<Line> = Options::id(tx.id()).attach()?;
    let mut line = tx.loan_with(5)?;
    line.number.set(7);
    line.text.copy_from_slice(b"hello");
    line.commit()?;
    let line = rx.recv_boxed()?;
    assert_eq!((line.number.get(), &line.text), (7, &b"hello"[..]));
    Ok(())
}

#[sysvring::message]
struct Nothing;

#[sysvring::message]
struct Braces {}

#[sysvring::message]
struct Nested {
    ticks: [Tick; 2],
    nothing: Nothing,
    pair: Pair,
    r#type: u64,
}

#[test]
fn messages_contain_messages() {
    assert_eq!(
        (structure::<Nothing>(), structure::<Braces>()),
        ("struct Nothing {}".into(), "struct Braces {}".into())
    );
    let _: (Nothing, Braces) = (sent(&Nothing), sent(&Braces {}));
    assert_eq!(
        structure::<Nested>(),
        "struct Nested { ticks: [struct Tick { id: u64, price: f64 }; 2], nothing: struct Nothing {}, \
         pair: struct Pair { 0: u64, 1: u64 }, type: u64 }"
    );
    let ticks = || [Tick { id: 1, price: 2.0 }, Tick { id: 3, price: 4.0 }];
    let nested = sent(&Nested { ticks: ticks(), nothing: Nothing, pair: Pair(5, 6), r#type: 7 });
    assert_eq!((nested.ticks[1].id, nested.pair.1, nested.r#type), (3, 6, 7));
    let Nothing = nested.nothing;
}

#[sysvring::message]
#[repr(packed)]
struct Packed {
    flag: u8,
    number: u64,
}

#[sysvring::message]
#[repr(C, packed(2))]
struct HalfPacked {
    flag: u16,
    number: u64,
}

#[sysvring::message]
#[repr(transparent)]
struct Transparent(u64);

#[sysvring::message]
#[repr(align(64))]
struct CacheLine([u64; 8]);

#[sysvring::message]
#[repr(C, align(16))]
struct Aligned([u8; 32]);

#[test]
fn representations_are_kept() {
    // The order of the fields is fixed, although the declaration does not name `C`.
    let packed = Packed { flag: 1, number: 0x0908_0706_0504_0302 };
    assert_eq!(packed.as_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!({ sent(&packed).number }, { packed.number });
    assert_eq!((size_of::<HalfPacked>(), align_of::<HalfPacked>()), (10, 2));
    assert_eq!({ sent(&HalfPacked { flag: 1, number: 2 }).number }, 2);
    assert_eq!(sent(&Transparent(3)).0, 3);
    assert_eq!((align_of::<CacheLine>(), sent(&CacheLine([4; 8])).0), (64, [4; 8]));
    assert_eq!((align_of::<Aligned>(), sent(&Aligned([5; 32])).0), (16, [5; 32]));
}

#[sysvring::message]
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, Immutable)]
#[zerocopy(crate = "sysvring::zerocopy")]
struct OwnDerives {
    is_set: u8,
}

#[derive(Clone, Debug)]
#[sysvring::message]
struct DerivesAbove(u8);

#[test]
fn derives_of_the_program_are_kept() {
    is_from_bytes::<OwnDerives>();
    assert_eq!(sent(&OwnDerives::default()), OwnDerives { is_set: 0 });
    assert_eq!(format!("{:?}", sent(&DerivesAbove(1)).clone()), "DerivesAbove(1)");
}

#[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "sysvring::zerocopy")]
#[repr(C)]
struct ByHand(u32);

#[sysvring::message]
struct WithOpaque {
    number: u32,
    #[message(opaque)]
    by_hand: ByHand,
}

#[sysvring::message]
struct OpaqueSlice {
    number: u16,
    #[sysvring::message(opaque)]
    rest: [u16],
}

#[test]
fn a_field_may_be_opaque() {
    assert_eq!(structure::<WithOpaque>(), "struct WithOpaque { number: u32, by_hand: opaque(4) }");
    assert_eq!(structure::<OpaqueSlice>(), "struct OpaqueSlice { number: u16, rest: opaque(..) }");
    assert_eq!(sent(&WithOpaque { number: 1, by_hand: ByHand(2) }).by_hand.0, 2);
}

#[sysvring::message(from_bytes)]
struct Pairs {
    pairs: [Pair; 2],
}

#[test]
fn an_argument_tells_that_all_bytes_are_values() {
    is_from_bytes::<Pairs>();
    assert_eq!(structure::<Pairs>(), "struct Pairs { pairs: [struct Pair { 0: u64, 1: u64 }; 2] }");
}

#[sysvring::message]
#[cfg_attr(unix, repr(C))]
struct Chosen {
    a: u32,
    #[cfg(any())]
    absent: u64,
    #[cfg(unix)]
    #[cfg_attr(unix, allow(dead_code))]
    b: u32,
}

#[test]
fn fields_that_are_configured_out_are_absent() {
    assert_eq!(structure::<Chosen>(), "struct Chosen { a: u32, b: u32 }");
    assert_eq!(sent(&Chosen { a: 1, b: 2 }).a, 1);
}

#[sysvring::message]
struct Numbered(u32, #[cfg(any())] u16, #[cfg(unix)] u32, #[message(opaque)] [u8; 2], [u8; 2]);

#[test]
fn fields_without_names_are_numbered_as_the_compiler_does() {
    assert_eq!(
        structure::<Numbered>(),
        "struct Numbered { 0: u32, 1: u32, 2: opaque(2), 3: [u8; 2] }"
    );
    let numbered = sent(&Numbered(1, 2, [3; 2], [4; 2]));
    assert_eq!((numbered.0, numbered.1, numbered.2, numbered.3), (1, 2, [3; 2], [4; 2]));
}

#[sysvring::message]
struct WithoutSome {
    a: u8,
    #[cfg(any())]
    absent: String,
    #[cfg(any())]
    pair: (u8, u16),
    #[cfg(unix)]
    is_there: bool,
}

#[test]
fn types_of_absent_fields_are_not_judged() {
    assert_eq!(structure::<WithoutSome>(), "struct WithoutSome { a: u8, is_there: bool }");
    assert!(sent(&WithoutSome { a: 1, is_there: true }).is_there);
}

#[sysvring::message]
struct OfItself {
    words: [u16; Self::LEN],
    last: u16,
}

impl OfItself {
    const LEN: usize = 3;
}

#[test]
fn a_field_may_name_its_struct_self() {
    assert_eq!(structure::<OfItself>(), "struct OfItself { words: [u16; 3], last: u16 }");
    assert_eq!(sent(&OfItself { words: [1; 3], last: 2 }).last, 2);
}

#[test]
fn a_function_may_declare_a_message() {
    const LEN: usize = 3;
    #[sysvring::message]
    struct Local([u8; LEN]);
    assert_eq!(structure::<Local>(), "struct Local { 0: [u8; 3] }");
}

macro_rules! declare {
    ($name:ident, $field:ident: $type:ty, $align:literal) => {
        #[sysvring::message]
        #[repr(align($align))]
        pub(crate) struct $name {
            pub(crate) $field: $type,
            rest: [$type; 3],
        }
    };
}

declare!(Declared, first: u32, 16);

#[test]
fn a_macro_may_declare_a_message() {
    is_from_bytes::<Declared>();
    assert_eq!(structure::<Declared>(), "struct Declared { first: u32, rest: [u32; 3] }");
    assert_eq!(sent(&Declared { first: 1, rest: [2; 3] }).first, 1);
}
