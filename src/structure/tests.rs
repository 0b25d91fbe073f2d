//! Structures and their texts: from one to the other and back, texts that another process could write, and
//! the first difference of two structures.

use proptest::prelude::*;

use super::compare::Difference;
use super::parse::ParseStructureError;
use super::*;

/// The maximum number of structures inside one another.
const DEPTH_MAX: usize = 64;

fn of(text: &str) -> Structure {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Returns where a text is wrong, and what was expected there.
fn wrong(text: &str) -> (usize, &'static str) {
    match text.parse::<Structure>() {
        Ok(structure) => panic!("{text:?} is {structure}"),
        Err(ParseStructureError { at, expected }) => (at, expected),
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z_][A-Za-z0-9_]{0,9}", "[0-9]{1,3}", "[a-zäöüñ数_]{1,6}", Just("str".into())]
}

fn number() -> impl Strategy<Value = NumberType> {
    let word = prop_oneof![
        Just("u8"),
        Just("u64"),
        Just("usize"),
        Just("i128be"),
        Just("f32"),
        Just("f64le"),
        Just("u16be"),
        Just("bool"),
        Just("char"),
        Just("isizele"),
    ];
    word.prop_map(|word| NumberType::from_word(word).expect("a number"))
}

fn an_enum() -> impl Strategy<Value = Structure> {
    let value = prop_oneof![
        -3..300i128,
        Just(u64::MAX.into()),
        Just(i64::MIN.into()),
        Just(-i128::from(u64::MAX))
    ];
    let variants = prop::collection::vec((name(), value), 0..5);
    (name(), number(), variants).prop_map(|(name, number, variants)| Structure::Enum {
        name,
        number,
        variants: variants.into_iter().map(|(name, value)| Variant { name, value }).collect(),
    })
}

fn fields(fields: Vec<(String, Structure)>) -> Vec<Field> {
    fields.into_iter().map(|(name, structure)| Field { name, structure }).collect()
}

/// A structure with a size.
fn sized() -> impl Strategy<Value = Structure> {
    let leaf = prop_oneof![
        number().prop_map(Structure::Number),
        an_enum(),
        (0..100usize).prop_map(|size| Structure::Opaque { size: Some(size) }),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let element = inner.clone().prop_filter("elements have a size", |s| s.size() != Some(0));
        let array = (element, 0..1000usize)
            .prop_map(|(element, len)| Structure::Array { element: Box::new(element), len });
        let parts = prop::collection::vec((name(), inner), 0..5);
        let of_parts = (name(), parts)
            .prop_map(|(name, parts)| Structure::Struct { name, fields: fields(parts) });
        prop_oneof![array, of_parts]
    })
}

/// Any structure of a message.
fn any_structure() -> impl Strategy<Value = Structure> {
    let element = sized().prop_filter("elements have a size", |s| s.size() != Some(0));
    let tail = prop_oneof![
        Just(Structure::Str),
        Just(Structure::Opaque { size: None }),
        element.prop_map(|element| Structure::Slice { element: Box::new(element) }),
    ];
    let parts = prop::collection::vec((name(), sized()), 0..4);
    let ends_in_a_slice = (name(), parts, name(), tail.clone());
    prop_oneof![
        sized(),
        tail,
        ends_in_a_slice.prop_map(|(name, mut parts, last, tail)| {
            parts.push((last, tail));
            Structure::Struct { name, fields: fields(parts) }
        }),
    ]
}

/// Parts of texts, in any order.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("struct "),
        Just("enum "),
        Just("S "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("u8"),
        Just("a: "),
        Just("A = "),
        Just(", "),
        Just("; "),
        Just("7"),
        Just("-"),
        Just("str"),
        Just("opaque("),
        Just(".."),
        Just(")"),
        Just("\0"),
        Just("é"),
    ];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_text_reads_as_its_structure(structure in any_structure()) {
        let text = structure.to_string();
        prop_assert_eq!(text.parse::<Structure>().expect("its text"), structure.clone());
        prop_assert_eq!(structure.first_difference(&structure), None);
        // Spaces between the parts are optional.
        for sign in ["{", "}", "[", "]", ",", ";", ":", "=", "(", ")"] {
            prop_assert_eq!(&text.replace(sign, &format!("  {sign} ")).parse(), &Ok(structure.clone()));
        }
    }

    /// No part of a text is the text of a structure, so one that is cut off is noticed. That of a number may
    /// be another number.
    #[test]
    fn a_text_that_is_cut_off_is_wrong(structure in any_structure()) {
        let text = structure.to_string();
        let ends = text.char_indices().map(|(at, _)| at);
        for end in ends.filter(|_| !matches!(structure, Structure::Number(_))) {
            // As in `struct`.
            prop_assert!(&text[..end] == "str" || text[..end].parse::<Structure>().is_err(), "{}", &text[..end]);
        }
        for longer in [text.clone() + "\0", text.clone() + " " + &text] {
            prop_assert!(longer.parse::<Structure>().is_err(), "{}", longer);
        }
    }

    /// Any text is refused, or is that of a structure.
    #[test]
    fn any_text_is_parsed_or_refused(text in prop_oneof![any_text(), ".{0,40}"]) {
        match text.parse::<Structure>() {
            Ok(structure) => {
                prop_assert_eq!(structure.to_string().parse(), Ok(structure.clone()));
                let _ = (structure.size(), structure.short_name());
            }
            Err(error) => {
                prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at));
                prop_assert!(error.to_string().contains(error.expected));
            }
        }
    }

    /// A byte of the text of one structure is another one.
    #[test]
    fn a_changed_text_is_parsed_or_refused(
        structure in any_structure(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = structure.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(changed) = text.parse::<Structure>()
        {
            prop_assert_eq!(changed.to_string().parse(), Ok(changed.clone()));
            // A space more or less is no difference.
            let equal = changed == structure;
            prop_assert!(!equal || structure.first_difference(&changed).is_none());
        }
    }

    /// What one side expects and finds, the other one finds and expects.
    #[test]
    fn a_difference_is_the_same_from_both_sides(one in any_structure(), other in any_structure()) {
        let (there, back) = (one.first_difference(&other), other.first_difference(&one));
        match (there, back) {
            (None, None) => prop_assert_eq!(one.size(), other.size()),
            // Variants are compared in the order of one side.
            (Some(there), Some(_)) if there.field.contains("::") => {}
            (Some(there), Some(back)) => prop_assert!(
                there.expected != there.found
                    && (&there.expected, &there.found) == (&back.found, &back.expected)
            ),
            (there, back) => prop_assert!(false, "{there:?}, {back:?}"),
        }
    }
}

/// `levels` structures inside one another.
fn nested(levels: usize) -> [String; 2] {
    let inner = levels - 1;
    [
        format!("{}u8{}", "[".repeat(inner), "; 1]".repeat(inner)),
        format!("{}u8{}", "struct S { a: ".repeat(inner), " }".repeat(inner)),
    ]
}

#[test]
fn the_depth_is_limited() {
    for text in nested(DEPTH_MAX) {
        assert_eq!(of(&text).size(), Some(1));
    }
    for text in nested(DEPTH_MAX + 1) {
        assert_eq!(wrong(&text).1, "type of less depth");
    }
    for text in ["[".repeat(60_000), "struct S { a: ".repeat(4_000), nested(10_000)[1].clone()] {
        assert_eq!(wrong(&text).1, "type of less depth");
    }
}

#[test]
fn counts_are_limited() {
    assert_eq!(of("[u64; 1000000000000]").size(), Some(8_000_000_000_000));
    // A size beyond the address space is none.
    assert_eq!(of("[u64; 18446744073709551615]").size(), None);
    assert_eq!(wrong("[u8; 18446744073709551616]"), (5, "number of elements"));
    assert_eq!(wrong("[u8; -1]"), (5, "number of elements"));
    assert_eq!(wrong("opaque(18446744073709551616)"), (7, "size"));
    assert_eq!(wrong("enum E: u8 { A = 18446744073709551616 }"), (17, "value of a variant"));
    // So it is no element and no field but the last.
    assert_eq!(wrong("[[u64; 18446744073709551615]; 2]"), (1, "element with a size"));
    let half = "[u8; 9223372036854775808]";
    assert_eq!(of(&format!("struct S {{ a: {half}, b: {half} }}")).size(), None);
    assert_eq!(
        wrong("struct S { a: [u64; 18446744073709551615], b: u8 }").1,
        "size of each field but the last"
    );
    // As many fields as a segment can state.
    let fields: Vec<String> = (0..10_000).map(|n| format!("a{n}: u8")).collect();
    assert_eq!(of(&format!("struct S {{ {} }}", fields.join(", "))).size(), Some(10_000));
}

#[test]
fn texts_that_are_none() {
    for (text, at, expected) in [
        ("", 0, "type"),
        (" ", 1, "type"),
        ("u7", 0, "type"),
        ("u8le", 0, "type"),
        ("charbe", 0, "type"),
        ("u8 u8", 3, "end of the text"),
        ("[u8", 3, "`;`"),
        ("[str]", 1, "element with a size"),
        ("[str; 2]", 1, "element with a size"),
        ("[[u8]]", 1, "element with a size"),
        // Any number of elements without bytes would be the same.
        ("[struct S {}; 2]", 1, "element with a size"),
        ("[opaque(..)]", 1, "element with a size"),
        ("opaque", 6, "`(`"),
        ("opaque(.)", 7, "size"),
        ("struct", 6, "name"),
        ("struct S", 8, "`{`"),
        ("struct S { a }", 13, "`:`"),
        ("struct S { a: u8", 16, "`,` or `}`"),
        ("struct S { a: u8, }", 18, "name of a field"),
        ("struct S { a: str, b: u8 }", 26, "size of each field but the last"),
        ("enum E { A = 1 }", 7, "`:`"),
        ("enum E: str { A = 1 }", 8, "type of a number"),
        ("enum E: u8 { A }", 15, "`=`"),
        ("enum E: u8 { A = }", 17, "value of a variant"),
    ] {
        assert_eq!(wrong(text), (at, expected), "{text}");
    }
}

/// What another process writes may be shown on a terminal.
#[test]
fn names_have_no_other_characters() {
    let names = [
        "{}",
        "struct {} { a: u8 }",
        "struct S { {}: u8 }",
        "enum {}: u8 { A = 1 }",
        "enum E: u8 { {} = 1 }",
    ];
    let mut refused = 0;
    for c in
        ('\0'..='\u{2fff}').chain(['\u{feff}', '\u{fffd}', '\u{e0001}', '\u{202e}', '\u{2066}'])
    {
        if c.is_alphanumeric() || c == '_' {
            continue;
        }
        for text in names {
            for name in [format!("a{c}b"), format!("{c}a"), format!("a{c}")] {
                // A space is no part of a name.
                if c != ' ' || name.starts_with("a ") && name.ends_with('b') {
                    assert!(
                        text.replace("{}", &name).parse::<Structure>().is_err(),
                        "{name:?} in {text}"
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused}");
    let shown = of("struct Größe { 数: u8, _0: u8 }").to_string();
    assert_eq!(shown, "struct Größe { 数: u8, _0: u8 }");
}

#[test]
fn sizes() {
    for (text, size) in [
        ("u128be", Some(16)),
        ("bool", Some(1)),
        ("char", Some(4)),
        ("str", None),
        ("[u32]", None),
        ("[[u16; 3]; 4]", Some(24)),
        ("[u8; 0]", Some(0)),
        ("struct S { a: u8, b: [u32le; 2], c: opaque(7) }", Some(16)),
        ("struct S {}", Some(0)),
        ("struct S { a: u8, b: struct T { c: u8, d: [u8] } }", None),
        ("enum E: i16 { A = -1 }", Some(2)),
        ("opaque(5)", Some(5)),
        ("opaque(..)", None),
    ] {
        let structure = of(text);
        assert_eq!((structure.size(), structure.to_string().as_str()), (size, text));
        assert_eq!(structure.is_described(), !text.starts_with("opaque"));
    }
}

/// Each row: one structure, the other one, the field that differs, and what is there in each.
#[test]
fn the_first_difference() {
    let tick = "struct Tick { id: u64, price: f64 }";
    let order = "struct Order { kind: enum Kind: u8 { Buy = 0, Sell = 1 }, lines: [struct Line { price: u32 }; 3] }";
    for (ours, other, field, expected, found) in [
        ("u64", "i64", "message", "u64", "i64"),
        ("u64", "u64be", "message", "u64", "u64be"),
        ("[u8]", "str", "message", "[u8]", "str"),
        ("[u8]", "[u16]", "message[]", "u8", "u16"),
        ("[u8; 4]", "[u8; 5]", "message", "[u8; 4]", "[u8; 5]"),
        ("[u8; 4]", "u32", "message", "[u8; 4]", "u32"),
        (tick, "u128", "Tick", "struct Tick", "u128"),
        (tick, "struct Quote { id: u64, price: f64 }", "Tick", "struct Tick", "struct Quote"),
        (tick, "struct Tick { id: u64, price: u64 }", "Tick.price", "f64", "u64"),
        (tick, "struct Tick { price: f64, id: u64 }", "Tick.id", "id: u64", "price: f64"),
        (tick, "struct Tick { id: u64, cost: f64 }", "Tick.price", "price: f64", "cost: f64"),
        (tick, "struct Tick { id: u64 }", "Tick.price", "price: f64", "nothing"),
        ("struct Tick { id: u64 }", tick, "Tick.price", "nothing", "price: f64"),
        // The first one of several.
        (tick, "struct Tick { id: i64, price: u64 }", "Tick.id", "u64", "i64"),
        (order, &order.replace("u32", "f32"), "Order.lines[].price", "u32", "f32"),
        (order, &order.replace("3]", "4]"), "Order.lines", "[struct Line; 3]", "[struct Line; 4]"),
        (order, &order.replace("Line", "Row"), "Order.lines[]", "struct Line", "struct Row"),
        (order, &order.replace("Sell = 1", "Sell = 2"), "Order.kind::Sell", "1", "2"),
        (order, &order.replace("Sell", "Lend"), "Order.kind::Sell", "1", "nothing"),
        (
            order,
            &order.replace("Sell = 1", "Sell = 1, Lend = 2"),
            "Order.kind::Lend",
            "nothing",
            "2",
        ),
        (
            order,
            &order.replace("Kind: u8", "Kind: i8"),
            "Order.kind",
            "enum Kind: u8",
            "enum Kind: i8",
        ),
        (order, &order.replace("Kind", "Side"), "Order.kind", "enum Kind: u8", "enum Side: u8"),
        // What does not describe itself is compared by its size.
        (tick, "struct Tick { id: opaque(4), price: f64 }", "Tick.id", "u64", "opaque(4)"),
        ("opaque(8)", "opaque(9)", "message", "opaque(8)", "opaque(9)"),
        ("struct S { a: opaque(..) }", "struct S { a: u8 }", "S.a", "opaque(..)", "u8"),
    ] {
        let (one, two) = (of(ours), of(other));
        let difference = one.first_difference(&two).unwrap_or_else(|| panic!("{ours} and {other}"));
        let Difference { field: at, expected: here, found: there } = &difference;
        assert_eq!((&**at, &**here, &**there), (field, expected, found), "{ours} and {other}");
        let back = two.first_difference(&one).expect("as different");
        // Variants are compared in the order of one side.
        if !field.contains("::") {
            assert_eq!((&*back.expected, &*back.found), (found, expected), "{ours} and {other}");
        }
    }
    for (ours, other) in [
        (tick, tick),
        (tick, "opaque(16)"),
        (tick, "struct Tick { id: opaque(8), price: f64 }"),
        ("str", "opaque(..)"),
        // The order of variants is not in the bytes.
        ("enum E: u8 { A = 1, B = 2 }", "enum E: u8 { B = 2, A = 1 }"),
    ] {
        assert_eq!(of(ours).first_difference(&of(other)), None, "{ours} and {other}");
        assert_eq!(of(other).first_difference(&of(ours)), None, "{ours} and {other}");
    }
}

#[test]
fn expectations_name_the_place() {
    for (ours, other, expectation) in [
        ("u64", "i64", "u64"),
        ("[u8]", "[u16]", "u8 in message[]"),
        ("struct A {}", "struct B {}", "struct A"),
        ("struct A { b: u8 }", "struct A { b: i8 }", "u8 in the field A.b"),
        ("struct A { b: u8 }", "struct A { c: u8 }", "b: u8 in the field A.b"),
        ("enum E: u8 { A = 1 }", "enum E: u8 { A = 2 }", "1 for the variant E::A"),
    ] {
        let difference = of(ours).first_difference(&of(other)).expect("a difference");
        assert_eq!(difference.expectation(), expectation);
    }
}

#[test]
fn long_names_are_cut_in_a_difference() {
    let long = "a".repeat(1000);
    let of = |number| {
        Structure::of_struct(&long, [(&*long, Structure::Number(NumberType::native(number)))])
    };
    let difference = of(Number::U8).first_difference(&of(Number::I8)).expect("a difference");
    assert_eq!(difference.field, format!("{}...", "a".repeat(200)));
    assert_eq!((&*difference.expected, &*difference.found), ("u8", "i8"));
}
