use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;
use sysvring::{ByteOrder, Field, Number, NumberType, Structure, Variant};

use super::{has_repeated_names, read, text_max, write};

fn structure(text: &str) -> Structure {
    text.parse().expect(text)
}

fn render(structure: &Structure, message: &[u8]) -> String {
    let mut out = Vec::new();
    write::render(structure, message, &mut out);
    String::from_utf8(out).expect("a text")
}

fn parse(structure: &Structure, json: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let read = read::parse(structure, json.as_bytes(), 4096, &mut out);
    read.map(|()| out).map_err(|mismatch| mismatch.to_string())
}

/// Checks that these bytes are this text, and this text these bytes.
#[track_caller]
fn is(text: &str, bytes: &[u8], json: &str) {
    let structure = structure(text);
    assert_eq!(render(&structure, bytes), json);
    assert_eq!(parse(&structure, json).as_deref(), Ok(bytes), "{json}");
}

/// Checks that this text is refused with these words.
#[track_caller]
fn is_refused(text: &str, json: &str, words: &str) {
    let error = parse(&structure(text), json).expect_err(json);
    assert!(error.contains(words), "{json}: {error}");
}

const TICK: &str = "struct Tick { id: u64, price: f64 }";

#[test]
fn a_struct_is_an_object() {
    let bytes = [7u64.to_le_bytes(), 9.5f64.to_le_bytes()].concat();
    is(TICK, &bytes, r#"{"id":7,"price":9.5}"#);
    // In any order, with blanks.
    assert_eq!(parse(&structure(TICK), r#" { "price": 9.5, "id": 7 } "#), Ok(bytes));
    is("struct Unit {}", b"", "{}");
    is(
        "struct Outer { inner: struct Inner { a: u8 }, b: u8 }",
        b"\x01\x02",
        r#"{"inner":{"a":1},"b":2}"#,
    );
}

#[test]
fn a_tuple_struct_is_an_array_or_its_only_field() {
    is("struct Pair { 0: u8, 1: bool }", &[7, 1], "[7,true]");
    is("struct Id { 0: u16 }", &[7, 0], "7");
    is("struct Text { 0: struct Inner { 0: str } }", b"a", r#""a""#);
    is_refused("struct Pair { 0: u8, 1: bool }", "[7]", "1 element, and not 2");
    is_refused("struct Pair { 0: u8, 1: bool }", "[7, 3.5]", "field [1]: 3.5 is not of type bool");
}

#[test]
fn numbers_keep_every_digit() {
    is("u64", &[0xff; 8], "18446744073709551615");
    is("u64", &9_007_199_254_740_993u64.to_le_bytes(), "9007199254740993");
    is("i64", &i64::MIN.to_le_bytes(), "-9223372036854775808");
    is("u128", &[0xff; 16], "340282366920938463463374607431768211455");
    is("i128", &i128::MIN.to_le_bytes(), "-170141183460469231731687303715884105728");
    is("i128", &[0xff; 16], "-1");
    is("usize", &[1, 0, 0, 0, 0, 0, 0, 0], "1");
    is("u32be", &[0, 0, 1, 2], "258");
    is("i16be", &[0xff, 0xfe], "-2");
    is("i16le", &[0xfe, 0xff], "-2");
    is("f32", &0.1f32.to_le_bytes(), "0.1");
    is("f64be", &(-0.0f64).to_be_bytes(), "-0.0");
    is("f64", &1e300f64.to_le_bytes(), "1e300");
    is("f64", &5e-324f64.to_le_bytes(), "5e-324");
    is("f64", &f64::NAN.to_le_bytes(), r#""NaN""#);
    is("f32", &f32::INFINITY.to_le_bytes(), r#""inf""#);
    is("f32be", &f32::NEG_INFINITY.to_be_bytes(), r#""-inf""#);
    assert_eq!(render(&structure("f64"), &[0xff; 8]), r#""NaN""#);
}

#[test]
fn values_that_are_none_are_numbers() {
    is("bool", &[1], "true");
    is("bool", &[7], "7");
    is("char", &[0x1b, 0, 0, 0], r#""\u001b""#);
    is("char", &[b'"', 0, 0, 0], r#""\"""#);
    is("char", &[0, 0xd8, 0, 0], "55296");
    is("enum Kind: u8 { Code = 0, Text = 1 }", &[1], r#""Text""#);
    is("enum Kind: u8 { Code = 0, Text = 1 }", &[2], "2");
    is("enum Kind: i16 { Below = -3 }", &[0xfd, 0xff], r#""Below""#);
    is("enum Kind: u64 { Last = 18446744073709551615 }", &[0xff; 8], r#""Last""#);
    is("str", "naïve \"数\"\n".as_bytes(), r#""naïve \"数\"\n""#);
    is("str", b"a\\", r#""a\\""#);
    is("str", b"a\xff", "[97,255]");
}

#[test]
fn bytes_are_a_string() {
    is("[u8]", b"plain", r#""plain""#);
    is("[u8]", b"\xff\\x\0", r#""\\xff\\\\x\u0000""#);
    is("[u8; 6]", b"AAPL\0\0", r#""AAPL""#);
    is("[u8; 6]", b"A\0PL\0\0", r#""A\u0000PL""#);
    is("[u8; 2]", b"\0\0", r#""""#);
    is("[u8; 2]", b"\xc3\xa4", r#""ä""#);
    is("[i8; 2]", b"\xff\0", "[-1,0]");
    is("[[u8; 2]]", b"ab\0\0", r#"["ab",""]"#);
    is("[u16; 2]", &[1, 0, 2, 0], "[1,2]");
    is("[u32]", &[], "[]");
    is("struct Line { n: u8, text: [u8] }", b"\x07hello", r#"{"n":7,"text":"hello"}"#);
    is("struct Any { n: u8, rest: opaque(..) }", b"\x07\0\xff", r#"{"n":7,"rest":"00ff"}"#);
    is("struct Any { a: opaque(2), b: opaque(0) }", b"\0\xff", r#"{"a":"00ff"}"#);
    // What other programs are more likely to write.
    assert_eq!(parse(&structure("[u8; 2]"), "[1, 2]"), Ok(vec![1, 2]));
    assert_eq!(parse(&structure("[u8]"), "[1, 2]"), Ok(vec![1, 2]));
}

#[test]
fn gaps_may_be_left_out() {
    let text = "struct Gap { a: u8, _pad: [u8; 3], b: u32, _rest: [u8] }";
    is(text, &[1, 0, 0, 0, 2, 0, 0, 0], r#"{"a":1,"b":2}"#);
    is(text, &[1, 0, 9, 0, 2, 0, 0, 0, 0], r#"{"a":1,"_pad":"\u0000\t","b":2,"_rest":"\u0000"}"#);
}

#[test]
fn a_wrong_text_is_refused_with_its_place() {
    for (json, words) in [
        ("", "it is not JSON: EOF while parsing a value at column 0"),
        ("{", "it is not JSON"),
        (r#"{"id":1,"price":2} x"#, "it is not JSON"),
        ("[1,2]", "[1,2] is not an object"),
        (r#"{"id":1}"#, "field price of Tick is missing"),
        (r#"{"id":1,"price":2,"size":3}"#, r#"Tick has no field "size"; its fields are id, price"#),
        (r#"{"id":-1,"price":2}"#, "field id: -1 is out of range for u64"),
        (
            r#"{"id":18446744073709551616,"price":2}"#,
            "field id: 18446744073709551616 is out of range",
        ),
        (r#"{"id":1.0,"price":2}"#, "field id: 1.0 is not of type u64"),
        (r#"{"id":"1","price":2}"#, r#"field id: "1" is not of type u64"#),
        (r#"{"id":null,"price":2}"#, "field id: null is not of type u64"),
        (r#"{"id":1,"price":true}"#, "field price: true is not of type f64"),
        (r#"{"id":1,"price":1e400}"#, "field price: 1e400 is out of range for f64"),
        (r#"{"id":1,"price":"2"}"#, r#"field price: "2" is not of type f64"#),
    ] {
        is_refused(TICK, json, words);
    }
    is_refused("f32", "1e39", "out of range");
    is_refused("i8", "128", "out of range");
    is_refused("i8", "-129", "out of range");
    is_refused("u128", "340282366920938463463374607431768211456", "out of range");
    is_refused("bool", "256", "out of range");
    is_refused("char", r#""ab""#, "not one character");
    is_refused("str", "7", "7 is not a string");
    is_refused("[u8; 2]", r#""abc""#, "a text of 3 bytes, and at most 2 fit");
    is_refused("[u8; 2]", "[1]", "1 byte, and not 2");
    is_refused("[u8; 2]", r#""\\q""#, "an escape that is none");
    is_refused("[u8]", "[256]", "field [0]: 256 is out of range for u8");
    is_refused("[u16; 2]", "[1,2,3]", "3 elements, and not 2");
    is_refused("opaque(2)", r#""00""#, "1 byte, and not 2");
    is_refused("opaque(2)", r#""0g00""#, "not hexadecimal");
    is_refused("enum Kind: u8 { Code = 0 }", r#""Text""#, r#"no variant "Text"; there are Code"#);
    is_refused("enum Kind: u8 { Code = 300 }", r#""Code""#, "out of range");
    let many: Vec<_> = (0..17).map(|n| format!("V{n} = {n}")).collect();
    let many = format!("enum Many: u8 {{ {} }}", many.join(", "));
    is_refused(&many, r#""X""#, "there are V0, V1, ");
    is_refused(&many, r#""X""#, ", V15, ...");
    let nested = "struct Order { lines: [struct Line { price: u8 }] }";
    is_refused(
        nested,
        r#"{"lines":[{"price":1},{"price":256}]}"#,
        "field lines[1].price: 256 is out",
    );
    let long = format!("\"{}\"", "x".repeat(100));
    is_refused("u8", &long, "xxx... is not of type u8");
}

/// What is larger than a message of the channel is not allocated first.
#[test]
fn a_text_does_not_make_more_than_a_message() {
    let text = "struct Huge { _gap: [u8; 1000000000000], rest: [u8] }";
    is_refused(text, r#"{"rest":""}"#, "exceeds the 4096 bytes");
    is_refused("[[u8; 1000000000000]]", r#"[""]"#, "exceeds the 4096 bytes");
    is_refused("str", &format!("\"{}\"", "x".repeat(4097)), "exceeds the 4096 bytes");
}

/// A structure that another process wrote makes no more of a message than a little text.
#[test]
fn a_malicious_structure_ends_with_the_bytes() {
    let hex = |text: &str, bytes: &[u8]| {
        let written = render(&structure(text), bytes);
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, format!("\"{digits}\""), "{text:.60}");
    };
    hex("[u16; 18446744073709551615]", &[1, 2]);
    hex("[u8; 1000000000000]", &[1, 2]);
    hex("struct Far { a: [u8; 18446744073709551615], b: [u16] }", &[1, 2]);
    hex("struct Short { a: u16, b: [u16] }", &[1]);
    hex("[u16]", &[1, 2, 3]);
    hex("u64", &[]);
    let bytes = vec![0; 100_000];
    let long = format!("[struct A {{ {}: u8 }}]", "x".repeat(3000));
    hex(&long, &bytes);
    let empty = |name: &str| (0..300).map(|n| format!(", {name}{n}: [u16; 0]")).collect::<String>();
    hex(&format!("[struct A {{ a: u8{} }}]", empty("a")), &bytes);
    hex(&format!("[struct A {{ _a: u8{} }}]", empty("_")), &bytes);
    let variants: Vec<_> = (0..5000).map(|n| format!("V{n} = {n}")).collect();
    hex(&format!("[enum A: u8 {{ {} }}]", variants.join(", ")), &bytes);
    // Two variants of one name or one value.
    is("enum A: u8 { B = 1, B = 2, C = 1 }", &[1], r#""B""#);
    is("enum A: u8 { B = 1, B = 2, C = 1 }", &[2], "2");
    is("enum A: f64 { B = 1, NaN = 2 }", &f64::NAN.to_le_bytes(), r#""NaN""#);
    is("enum A: bool { B = 1 }", &[1], "true");
    // The same field twice is written, and cannot be read.
    assert_eq!(render(&structure("struct A { a: u8, a: u8 }"), &[1, 2]), r#"{"a":1,"a":2}"#);
}

fn number() -> impl Strategy<Value = NumberType> {
    use Number::*;
    let number = proptest::sample::select(vec![
        U8, U16, U32, U64, U128, Usize, I8, I16, I32, I64, I128, Isize, F32, F64, Bool, Char,
    ]);
    let order =
        proptest::sample::select(vec![ByteOrder::Native, ByteOrder::Little, ByteOrder::Big]);
    (number, order).prop_map(|(number, order)| NumberType { number, order })
}

/// Any structure with a size.
fn sized() -> impl Strategy<Value = Structure> {
    let value = vec(("[A-D]", -3i128..300), 0..4).prop_map(|variants| {
        variants.into_iter().map(|(name, value)| Variant { name, value }).collect()
    });
    let leaf = prop_oneof![
        number().prop_map(Structure::Number),
        (0usize..5).prop_map(|size| Structure::Opaque { size: Some(size) }),
        (number(), value).prop_map(|(number, variants)| Structure::Enum {
            name: "E".into(),
            number,
            variants
        }),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            (inner.clone(), 0usize..6).prop_map(|(element, len)| match element.size() {
                Some(1..) => Structure::Array { element: Box::new(element), len },
                _ => element,
            }),
            (Just(Structure::Number(NumberType::native(Number::U8))), 0usize..9)
                .prop_map(|(byte, len)| Structure::Array { element: Box::new(byte), len }),
            (vec(inner, 0..5), names()).prop_map(|(parts, names)| of_struct(parts, names)),
        ]
    })
}

/// How the fields of a struct are named.
fn names() -> impl Strategy<Value = [&'static str; 2]> {
    proptest::sample::select(vec![["", ""], ["a", "a"], ["_a", "_a"], ["a", "_a"]])
}

fn of_struct(parts: Vec<Structure>, names: [&str; 2]) -> Structure {
    let name = |n: usize| format!("{}{n}", names[n % 2]);
    let field = |(n, structure)| Field { name: name(n), structure };
    Structure::Struct {
        name: "S".into(),
        fields: parts.into_iter().enumerate().map(field).collect(),
    }
}

/// Any structure, and bytes that are a message of it.
fn message() -> impl Strategy<Value = (Structure, Vec<u8>)> {
    let last = prop_oneof![
        Just(None),
        Just(Some(Structure::Str)),
        Just(Some(Structure::Opaque { size: None })),
        sized().prop_map(|element| match element.size() {
            Some(1..) => Some(Structure::Slice { element: Box::new(element) }),
            _ => Some(structure("[u8]")),
        }),
    ];
    (vec(sized(), 0..4), last, names(), 0usize..4).prop_flat_map(|(mut parts, last, names, n)| {
        let sum: usize = parts.iter().filter_map(Structure::size).sum();
        let element = match &last {
            None => 0,
            Some(Structure::Slice { element }) => element.size().expect("a size"),
            Some(_) => 2,
        };
        parts.extend(last);
        let structure = match parts.len() {
            1 => parts.remove(0),
            _ => of_struct(parts, names),
        };
        (Just(structure), bytes(sum + n * element))
    })
}

fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let favoured = b"\0\0\0\0\x01\x02\\x20\"'\n\x1b\x7f\xff\xc3\xa4\xe2\x80\xae";
    vec(prop_oneof![any::<u8>(), proptest::sample::select(&favoured[..])], len)
}

proptest! {
    /// Whatever the structure and the bytes of a message are, its text is read back as the same bytes; of
    /// what is no number, only that it is none.
    #[test]
    fn messages_are_read_back_as_they_were_written((structure, message) in message()) {
        let json = render(&structure, &message);
        let read = parse(&structure, &json);
        prop_assert!(read.is_ok(), "{read:?} of {json}");
        let read = read.unwrap_or_default();
        prop_assert_eq!(render(&structure, &read), &*json);
        prop_assert!(read == message || json.contains("NaN"), "{json}");
    }

    /// Bytes that do not fit the structure, too, are JSON without anything that a terminal would act on.
    #[test]
    fn any_bytes_are_visible_json((structure, _) in message(), message in (0usize..40).prop_flat_map(bytes)) {
        let json = render(&structure, &message);
        prop_assert!(serde_json::from_str::<&RawValue>(&json).is_ok(), "{json}");
        prop_assert!(!json.contains(|c: char| c.is_control() || c == '\u{202e}'), "{json}");
        prop_assert!(json.len() <= text_max(message.len()));
    }

    /// No text is read without an end, or as more than a message.
    #[test]
    fn any_text_is_read_or_refused((structure, _) in message(), json in "[\\[\\]{}\",:\\\\a-c0-9eE.+-]{0,30}") {
        let mut out = vec![7];
        if read::parse(&structure, json.as_bytes(), 64, &mut out).is_ok() {
            prop_assert!(out.len() <= 65 && out[0] == 7);
        }
    }

    /// The text of one structure, changed in one place, is read as another message or refused.
    #[test]
    fn changed_texts_are_read_or_refused((structure, message) in message(), at: prop::sample::Index, byte: u8) {
        let mut json = render(&structure, &message).into_bytes();
        let at = at.index(json.len());
        json[at] = byte;
        let mut out = Vec::new();
        if read::parse(&structure, &json, message.len(), &mut out).is_ok() {
            prop_assert!(out.len() <= message.len());
        }
    }
}

#[test]
fn fields_without_bytes_are_left_out() {
    let postcard =
        "struct Postcard { value: struct Job { Stop: opaque(0), Run: opaque(0) }, bytes: [u8] }";
    is(postcard, b"\x01", r#"{"bytes":"\u0001"}"#);
    is("struct Mark { unit: struct Unit {}, none: [u32; 0], n: u8 }", &[7], r#"{"n":7}"#);
    is("struct Pair { 0: struct Unit {}, 1: u8 }", &[7], "[{},7]");
}

/// The size of a field that is not shown is computed all the same.
#[test]
fn hidden_fields_take_time_in_proportion() {
    let empty = ",a:[u8;0]".repeat(7_000);
    let many = structure(&format!("[struct A {{ _: struct B {{ a: u8{empty} }} }}]"));
    let message = vec![0; 64 << 10];
    assert!(render(&many, &message).starts_with("\"00"), "it is not a message of this structure");
    let few = structure("[struct A { _: struct B { a: u8 } }]");
    assert!(render(&few, &message).starts_with("[{},{}"));
}

#[test]
fn repeated_names_are_found() {
    for (text, is_repeated) in [
        ("struct A { a: u8, a: u8 }", true),
        ("[struct B { b: struct A { a: u8, a: u8 } }]", true),
        ("struct A { a: u8, b: struct B { a: u8 } }", false),
    ] {
        assert_eq!(has_repeated_names(&structure(text)), is_repeated, "{text}");
    }
}
