//! Checks every byte of a new channel.

use std::time::{SystemTime, UNIX_EPOCH};

use sysvring::{Lifetime, spsc};
use sysvring_support::name::Name;

use crate::page::{self, place};
use crate::raw::Raw;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64
}

/// The parts that were compared with the document.
struct Comparison {
    raw: Raw,
    seen: Vec<(usize, usize)>,
}

impl Comparison {
    /// Checks that a field holds this number.
    fn is(&mut self, structure: &str, n: usize, field: &str, right: u64) {
        self.seen.push(place(structure, n, field));
        assert_eq!(self.raw.value(structure, n, field), right, "{structure} {n} {field}");
    }

    /// Checks that a field holds this text.
    fn says(&mut self, structure: &str, n: usize, field: &str, right: &str) {
        self.seen.push(place(structure, n, field));
        assert_eq!(self.raw.text(structure, n, field), right, "{structure} {n} {field}");
    }

    /// Checks that a field holds a time since `then`.
    fn is_since(&mut self, structure: &str, n: usize, field: &str, then: u64) {
        self.seen.push(place(structure, n, field));
        let time = self.raw.value(structure, n, field);
        assert!((then..=now()).contains(&time), "{structure} {n} {field}: {time}");
    }

    /// Checks that every field of the document was compared, and that no other byte is set.
    fn finish(self) {
        for structure in page::structures().iter().filter(|s| s.name != "Header") {
            for (n, field) in
                (0..structure.at.len()).flat_map(|n| structure.fields.iter().map(move |f| (n, f)))
            {
                let place = place(&structure.name, n, &field.name);
                assert!(self.seen.contains(&place), "{} {n} {}", structure.name, field.name);
            }
        }
        for (offset, byte) in self.raw.bytes(0, self.raw.len()).into_iter().enumerate() {
            let named = self.seen.iter().any(|(at, bytes)| (*at..at + bytes).contains(&offset));
            assert!(
                named || byte == 0,
                "byte {offset} is {byte:#x}; the document does not name it"
            );
        }
    }
}

#[test]
fn every_byte_matches_the_document() {
    let name = Name::new();
    let options = || name.options().capacity(16).schema(0x5eed).lifetime(Lifetime::LastMember);
    let before = now();
    let mut tx: spsc::Sender<u64> = options().label("the sender").create().expect("create");
    let mut rx: spsc::Receiver<u64> = options().label("the receiver").attach().expect("attach");
    for message in [11, 22, 33] {
        tx.send(&message).expect("send");
    }
    assert_eq!(rx.recv(), Ok(11));
    let set = tx.stat().expect("stat").set.expect("its set");
    let id = tx.id().to_string();
    let (_, nonce) = id.split_once(':').expect("segment:nonce");
    let nonce = u64::from_str_radix(nonce, 16).expect("hexadecimal");

    let mut page = Comparison { raw: Raw::attach(tx.id().segment()), seen: Vec::new() };
    for (field, right) in [
        ("magic", u64::from_le_bytes(*b"SYSVRING")),
        ("version", 4),
        ("header_size", 4096),
        ("flavor", 1),
        ("seats", 2),
        ("capacity", 16),
        ("slot_size", 8),
        ("stride", 16),
        ("shape", 1),
        ("align", 8),
        ("size", 8),
        ("element", 0),
        ("schema", 0x5eed),
        ("set", set.id as u64),
        ("nonce", nonce),
        ("lifetime", 2),
        ("name_len", name.as_str().len() as u64),
        ("total", 4096 + 16 * 16),
        ("redelivery", 1),
        ("deliveries", 0),
        ("dead_letters_len", 0),
        ("overwrites", 0),
    ] {
        page.is("Identity", 0, field, right);
    }
    page.is_since("Identity", 0, "created", before);
    page.says("Header", 0, "name", name.as_str());
    // The first run of slots is not used up.
    page.is("Header", 0, "tail", 0);
    page.is("Header", 0, "head", 1);
    // Less than a quarter of the ring was received.
    page.is("Header", 0, "credit", 0);
    for (side, role, label) in [(0, 1, "the sender"), (1, 2, "the receiver")] {
        // No thread was parked.
        page.is("Parking", side, "word", 0);
        page.is("Parking", side, "joins", 1);
        page.is("Parking", side, "woken_at", 0);
        page.is("Parking", side, "overslept", 0);
        page.is("Parking", side, "couriers", 0);
        page.is("Member", side, "pid", std::process::id().into());
        page.is("Member", side, "role", role);
        page.is("Member", side, "state", 1);
        page.is("Member", side, "label_len", label.len() as u64);
        page.says("Member", side, "label", label);
        page.is_since("Member", side, "joined", before);
        page.is("Member", side, "first", 0);
        page.is("Member", side, "last", u64::MAX);
        for counter in ["bytes", "parks", "wakes", "repairs", "messages", "doorbell", "armed"] {
            page.is("Member", side, counter, 0);
        }
    }
    // These are the first holders of their seats, and none of their threads waits.
    for (seat, side) in [(0, 0), (1, 1)] {
        let at = page::find("Member").at[1] + 128 + 8 * seat;
        assert_eq!(page.raw.word(at, 8), 1 << 33 | side << 32);
        page.seen.push((at, 8));
    }
    for counter in ["orphaned", "redelivered", "dropped", "poisoned", "last_poisoned"] {
        page.is("Repairs", 0, counter, 0);
    }
    for counter in ["rejected", "dead_letters", "dead_letter_failures", "last_failure"] {
        page.is("Repairs", 0, counter, 0);
    }
    page.is("Repairs", 0, "delivery", 0);
    page.says("Header", 0, "dead_letters", "");
    page.is("Description", 0, "structure_len", 3);
    let text = page::text_at(false, 2);
    assert_eq!(page.raw.bytes(text, 3), b"u64");
    page.seen.push((text, 3));
    for (position, message) in [(0, 11), (1, 22), (2, 33)] {
        let at = page.raw.slot(position);
        let word = page.raw.word(at, 8);
        let bits = ["phase", "owner", "deliveries", "lap"].map(|field| page::bits(field, word));
        assert_eq!(bits, [2, 0, 0, 0]);
        assert_eq!(page.raw.word(at + 8, 8), message);
        page.seen.push((at, 16));
    }
    page.finish();
}
