//! Parses `docs/design/memory-layout.md`.

/// The text of the document.
pub const TEXT: &str = include_str!("../../docs/design/memory-layout.md");

/// One row of a structure's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub offset: usize,
    pub bytes: usize,
    pub name: String,
}

/// One structure: its heading, its table, its drawing.
#[derive(Clone, Debug)]
pub struct Structure {
    pub name: String,
    pub bytes: usize,
    /// Its offsets in a segment.
    pub at: Vec<usize>,
    pub fields: Vec<Field>,
    pub drawing: Option<String>,
}

impl Structure {
    /// Returns the field of this name.
    pub fn field(&self, name: &str) -> &Field {
        self.fields.iter().find(|field| field.name == name).unwrap_or_else(|| {
            panic!("the document has no field {name} in {}", self.name);
        })
    }
}

/// Returns the structures of the document: headings such as "### `Member`: 128 bytes at 1280 and
/// 1408".
pub fn structures() -> Vec<Structure> {
    let structures: Vec<_> = sections().iter().filter_map(|section| structure(section)).collect();
    assert_eq!(structures.len(), 6, "the document draws six structures");
    structures
}

/// Returns the record of the progress table of a broadcast channel, whose heading is "### `Progress`:
/// 256 bytes for each seat".
pub fn progress() -> Structure {
    let heading = "`Progress`: 256 bytes for each seat";
    let section = sections().into_iter().find_map(|section| section.strip_prefix(heading));
    let section = format!("`Progress`: 256 bytes at 0{}", section.expect("the progress table"));
    structure(&section).expect("a structure")
}

/// Returns the offset of the progress table of a channel with so many seats.
pub fn progress_at(seats: usize) -> usize {
    (1280 + 136 * seats).next_multiple_of(128)
}

/// Returns the offset of the text of the structure in a channel with so many seats.
pub fn text_at(is_broadcast: bool, seats: usize) -> usize {
    match is_broadcast {
        true => progress_at(seats) + seats * progress().bytes,
        false => 1280 + 136 * seats,
    }
}

/// Returns the structure of this name.
pub fn find(name: &str) -> Structure {
    structures().into_iter().find(|s| s.name == name).expect("a structure of the document")
}

/// Returns the offset of a field in the segment, in the `n`th structure of that name, and its
/// number of bytes. A line that holds one word counts as that word.
pub fn place(structure: &str, n: usize, field: &str) -> (usize, usize) {
    let structure = find(structure);
    let &Field { offset, bytes, .. } = structure.field(field);
    let word = bytes == 128 && field != "name";
    (structure.at[n] + offset, if word { 8 } else { bytes })
}

fn sections() -> Vec<&'static str> {
    TEXT.split("\n## ").flat_map(|part| part.split("\n### ")).collect()
}

fn structure(section: &str) -> Option<Structure> {
    let (heading, body) = section.split_once('\n')?;
    let (name, rest) = heading.strip_prefix('`')?.split_once("`: ")?;
    let (bytes, at) = rest.split_once(" bytes at ")?;
    let fields = rows(body, "| offset | bytes | field | what |").into_iter();
    Some(Structure {
        name: name.to_owned(),
        bytes: number(bytes),
        at: at.split(" and ").map(number).collect(),
        fields: fields
            .map(|row| Field {
                offset: number(row[0]),
                bytes: number(row[1]),
                name: row[2].trim_matches('`').to_owned(),
            })
            .collect(),
        drawing: body
            .split_once("```text\n")
            .and_then(|(_, rest)| rest.split_once("```"))
            .map(|(drawing, _)| drawing.to_owned()),
    })
}

/// Returns the rows of the table with this heading.
pub fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let mut lines = text.lines().skip_while(|line| *line != heading).skip(2);
    let mut rows = Vec::new();
    while let Some(row) = lines.next().and_then(|line| line.strip_prefix("| ")) {
        rows.push(row.trim_end_matches(" |").split(" | ").collect());
    }
    assert!(!rows.is_empty(), "the document has no table {heading}");
    rows
}

pub fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is not a number of the document"))
}

/// Returns the flags of a parking word: name and bits.
pub fn flags() -> Vec<(String, u32)> {
    let bits = |text: &str| match text.split_once(" to ") {
        Some((low, high)) => (u32::MAX >> (31 - number(high))) & (u32::MAX << number(low)),
        None => 1 << number(text),
    };
    rows(TEXT, "| bit | flag | means |")
        .iter()
        .map(|row| (row[1].trim_matches('`').to_owned(), bits(row[0])))
        .collect()
}

/// Returns the flag of this name.
pub fn flag(name: &str) -> u32 {
    flags().into_iter().find(|(flag, _)| flag == name).expect("a flag of the document").1
}

/// Returns one field of a slot's word.
pub fn bits(name: &str, word: u64) -> u64 {
    let rows = rows(TEXT, "| bits | field | SPSC, broadcast | MPMC |");
    let row =
        rows.iter().find(|row| row[1].trim_matches('`') == name).expect("bits of the document");
    let (low, high) = row[0].split_once(" to ").expect("two bits");
    let (low, high) = (number(low), number(high));
    (word >> low) & (u64::MAX >> (63 - (high - low)))
}

/// Draws a structure as the document does: sixteen bytes a row, up to the first unused row.
pub fn draw(structure: &Structure) -> String {
    let mut text =
        "      +0                  +4                  +8                  +12\n".to_owned();
    for row in draw_rows(structure) {
        text += &format!("{row}\n");
        if row.ends_with(&format!("| {:<78}|", "-")) {
            break;
        }
    }
    text
}

/// Draws each row of sixteen bytes.
pub fn draw_rows(structure: &Structure) -> Vec<String> {
    let owner = |byte: usize| {
        let holds = |field: &&Field| (field.offset..field.offset + field.bytes).contains(&byte);
        structure.fields.iter().find(holds).map_or("-", |field| &*field.name)
    };
    let row = |row: usize| {
        let mut text = format!("{row:4}  |");
        let mut column = 0;
        while column < 16 {
            let name = owner(row + column);
            let words = (column..16).step_by(4).take_while(|c| owner(row + c) == name).count();
            text += &format!(" {name:<width$}|", width = words * 20 - 2);
            column += words * 4;
        }
        text
    };
    (0..structure.bytes).step_by(16).map(row).collect()
}
