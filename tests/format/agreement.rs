//! Compares the document with the code: the fields and their offsets, and the drawings of them.

use crate::page::{self, find};

/// Returns the names in the body of a struct of `src/layout.rs`, in order.
fn declared<'a>(code: &'a str, structure: &str) -> Vec<&'a str> {
    let (_, body) = code.split_once(&format!("struct {structure} {{")).expect("its declaration");
    let (body, _) = body.split_once("\n}").expect("its end");
    body.lines()
        .map(|line| line.trim().trim_start_matches("pub(crate) "))
        .filter(|line| !line.starts_with("//"))
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect()
}

/// Returns the names and offsets asserted for a struct in `src/layout.rs`, and its size.
fn asserted<'a>(code: &'a str, structure: &str) -> (Vec<(&'a str, usize)>, usize) {
    let (_, rest) = code.split_once(&format!("at!({structure} {{")).expect("its assertion");
    let (fields, rest) = rest.split_once("} size ").expect("its size");
    let (size, _) = rest.split_once(')').expect("the end");
    let field = |text: &'a str| {
        let (name, offset) = text.trim().split_once(": ")?;
        Some((name, page::number(offset)))
    };
    (fields.split(',').filter_map(field).collect(), page::number(size))
}

#[test]
fn no_field_is_missing_on_either_side() {
    let code = include_str!("../../src/layout.rs");
    for structure in page::structures() {
        let drawn: Vec<(&str, usize)> =
            structure.fields.iter().map(|field| (&*field.name, field.offset)).collect();
        assert_eq!(asserted(code, &structure.name), (drawn, structure.bytes), "{}", structure.name);
        let names: Vec<&str> = structure.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(declared(code, &structure.name), names, "{}", structure.name);
    }
}

/// The record has a line of its own for each of two groups of words.
#[test]
fn the_progress_record_matches_the_code() {
    let code = include_str!("../../src/layout.rs");
    let record = page::progress();
    let drawn: Vec<(&str, usize)> =
        record.fields.iter().map(|field| (&*field.name, field.offset)).collect();
    let (outer, size) = asserted(code, "Progress");
    assert_eq!((outer.as_slice(), size), (&[("head", 0), ("shown", 128)][..], record.bytes));
    let (shown, size) = asserted(code, "Shown");
    let shown = shown.into_iter().map(|(name, offset)| (name, 128 + offset));
    assert_eq!(drawn, [("head", 0)].into_iter().chain(shown).collect::<Vec<_>>());
    assert_eq!(size, 128);
    let names: Vec<&str> = record.fields.iter().map(|field| &*field.name).collect();
    assert_eq!([&["head"], &declared(code, "Shown")[..]].concat(), names);
    // Its drawing leaves out the rows that are not used.
    let rows = page::draw_rows(&record);
    let drawing = record.drawing.expect("a drawing");
    for field in &record.fields {
        let row = &rows[field.offset / 16];
        assert!(drawing.contains(row.as_str()), "the document does not draw\n{row}");
    }
    for seats in [2, 22, 254] {
        let at = page::progress_at(seats);
        assert!(at.is_multiple_of(128) && at - (1280 + 136 * seats) < 128, "{at}");
    }
}

#[test]
fn drawings_of_structures_match_their_tables() {
    for structure in page::structures() {
        let mut end = 0;
        for field in &structure.fields {
            assert!(field.offset >= end, "{} overlaps another field", field.name);
            end = field.offset + field.bytes;
        }
        assert!(end <= structure.bytes);
        match &structure.drawing {
            Some(drawing) => {
                let right = page::draw(&structure);
                assert_eq!(*drawing, right, "{} must be drawn as:\n{right}", structure.name);
            }
            None => assert_eq!(structure.name, "Header", "only the header is drawn elsewhere"),
        }
    }
}

#[test]
fn the_drawing_of_the_segment_matches_the_tables() {
    // A line with an offset, followed by one with the name of what begins there.
    let lines: Vec<&str> = page::TEXT.lines().collect();
    let drawn: Vec<(usize, &str)> = lines
        .windows(2)
        .filter_map(|pair| {
            let offset = pair[0].trim_start().split_once("  +-----")?.0.parse().ok()?;
            Some((offset, pair[1].trim_start().strip_prefix("| ")?.split_whitespace().next()?))
        })
        .take_while(|(_, name)| *name != "slot")
        .collect();
    let (header, member) = (find("Header"), find("Member"));
    let mut right: Vec<(usize, &str)> =
        header.fields.iter().map(|field| (field.offset, &*field.name)).collect();
    right.extend(member.at.iter().map(|&at| (at, "member")));
    let waiting = member.at[1] + member.bytes;
    right.extend([(waiting, "waiting"), (waiting + 2 * size_of::<u64>(), "structure")]);
    assert_eq!(drawn, right);

    assert_eq!(find("Description").at, [header.field("description").offset]);
    let parking = ["receivers", "senders"].map(|side| header.field(side).offset);
    assert_eq!(find("Parking").at, parking);
    assert_eq!(member.at, [header.bytes, header.bytes + member.bytes]);
}

#[test]
fn flags_and_bits_match_the_code() {
    let code = include_str!("../../src/wait/parking.rs");
    for (flag, value) in page::flags() {
        let declared = format!("{flag}: u32 = 1 << {};", value.trailing_zeros());
        assert!(code.contains(&declared), "{declared}");
    }
    for code in [
        include_str!("../../src/ring/slot_state.rs"),
        include_str!("../../src/wait/waiting_table.rs"),
    ] {
        let drawing = code.lines().filter_map(|line| line.strip_prefix("//! "));
        for line in drawing.filter(|line| line.starts_with(['6', '+', '|'])) {
            assert!(page::TEXT.contains(line), "a word is drawn differently in the code: {line}");
        }
    }
}

#[test]
fn the_offsets_that_other_tests_use_match_the_document() {
    let code = include_str!("../support/src/raw_ipc.rs");
    let (_, constants) = code.split_once("pub mod at {").expect("the offsets");
    let (constants, _) = constants.split_once("\n}").expect("their end");
    let mut compared = 0;
    for line in constants.lines().filter_map(|line| line.trim().strip_prefix("pub const ")) {
        let (name, offset) = line.split_once(": usize = ").expect("an offset");
        let offset: usize = offset.trim_end_matches(';').parse().expect("a number");
        let documented = match name {
            "MEMBERS" => find("Member").at[0],
            "MEMBER" => find("Member").bytes,
            "SLOTS" => 4096,
            _ => {
                ["Identity", "Header", "Parking", "Member"]
                    .into_iter()
                    .flat_map(|structure| find(structure).fields)
                    .find(|field| field.name == name.to_lowercase())
                    .unwrap_or_else(|| panic!("{name} is not documented"))
                    .offset
            }
        };
        assert_eq!(offset, documented, "{name}");
        compared += 1;
    }
    assert!(compared > 30, "{compared} offsets");
}
