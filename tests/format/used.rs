//! Checks what changes in a channel that is used.

use sysvring::zerocopy::{FromBytes, IntoBytes};
use sysvring::{Message, Options, broadcast, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc;

use crate::page::{self, flag};
use crate::raw::Raw;

#[sysvring::message]
#[repr(C, align(64))]
struct Wide([u64; 8]);

#[sysvring::message]
struct Lines {
    file: u32,
    first: u32,
    lengths: [u32],
}

/// Sends a message through a channel of `slots` slots. Returns the segment, the offset of its
/// payload, and the values of `size`, `element`, `align`, `slot_size`, `stride` and `total`.
fn slot_of<T: Message + ?Sized>(
    message: &T,
    slots: usize,
    slot_size: Option<usize>,
) -> (Raw, usize, [u64; 6]) {
    let name = Name::new();
    let mut options = name.options().capacity(slots);
    if let Some(bytes) = slot_size {
        options = options.slot_size(bytes);
    }
    let mut tx: spsc::Sender<T> = options.create().expect("create");
    tx.send(message).expect("send");
    let raw = Raw::attach(tx.id().segment());
    let facts = ["size", "element", "align", "slot_size", "stride", "total"]
        .map(|field| raw.value("Identity", 0, field));
    // The values as the document computes them.
    let variable = raw.value("Identity", 0, "shape") == 2;
    let align = facts[2].max(8);
    let payload_at = if variable { 16u64 } else { 8 }.next_multiple_of(align);
    let stride = (payload_at + facts[3]).next_multiple_of(align);
    let header = raw.value("Identity", 0, "header_size");
    assert_eq!(facts[4..], [stride, header + stride * raw.value("Identity", 0, "capacity")]);
    assert_eq!(page::bits("phase", raw.word(raw.slot(0), 8)), 2);
    let at = raw.slot(0) + payload_at as usize;
    if variable {
        assert_eq!(raw.word(at - 8, 8), size_of_val(message) as u64);
    }
    (raw, at, facts)
}

#[test]
fn messages_are_at_the_documented_offsets() {
    let (raw, at, facts) = slot_of(&Wide([7, 8, 9, 10, 11, 12, 13, 14]), 3, None);
    assert_eq!(facts, [64, 0, 64, 64, 128, 4096 + 4 * 128]);
    assert_eq!((raw.word(at, 8), raw.word(at + 56, 8)), (7, 14));

    let (raw, at, facts) = slot_of::<[u8]>(b"some text", 2, Some(100));
    assert_eq!(facts, [0, 1, 1, 100, 120, 4096 + 2 * 120]);
    assert_eq!(raw.bytes(at, 9), b"some text");

    let bytes: Vec<u8> = (1u32..=5).flat_map(u32::to_le_bytes).collect();
    let mut words = [0u32; 5];
    words.as_mut_bytes().copy_from_slice(&bytes);
    let lines = Lines::ref_from_bytes(words.as_bytes()).expect("two words and three more");
    let (raw, at, facts) = slot_of(lines, 1, Some(30));
    assert_eq!(facts, [8, 4, 4, 30, 48, 4096 + 48]);
    assert_eq!(raw.bytes(at, 20), bytes);
}

#[test]
fn laps_credit_and_counters_advance() {
    let name = Name::new();
    let mut tx: spsc::Sender<[u8]> = name.options().capacity(8).create().expect("create");
    let mut rx: spsc::Receiver<[u8]> = name.options().attach().expect("attach");
    let raw = Raw::attach(tx.id().segment());
    for n in 0..20u8 {
        tx.send(&[n; 3]).expect("send");
        assert_eq!(*rx.recv_boxed().expect("receive"), [n; 3]);
        // A quarter of eight slots.
        let told = u64::from(n + 1) / 2 * 2;
        assert_eq!(raw.value("Header", 0, "credit"), told, "after {n}");
    }
    for position in 12..20 {
        assert_eq!(page::bits("lap", raw.word(raw.slot(position), 8)), position / 8);
    }
    for side in 0..2 {
        assert_eq!(raw.value("Member", side, "bytes"), 60);
    }
}

/// The records of a broadcast channel, and the grant of its sender.
#[test]
fn receivers_of_a_broadcast_channel_have_records() {
    const SEATS: usize = 4;
    let name = Name::new();
    let mut tx: broadcast::Sender<u64> =
        name.options().capacity(16).max_members(SEATS).create().expect("create");
    let attach =
        |options: Options| -> broadcast::Receiver<u64> { options.attach().expect("attach") };
    let (mut fast, slow) = (attach(name.options()), attach(name.options()));
    let raw = Raw::attach(tx.id().segment());
    let (record, first) = (page::progress(), page::progress_at(SEATS));
    let at = |seat: usize, field: &str| first + seat * record.bytes + record.field(field).offset;
    let value = |seat: usize, field: &str| raw.word(at(seat, field), 8);
    assert_eq!(["flavor", "seats"].map(|fact| raw.value("Identity", 0, fact)), [3, SEATS as u64]);
    let header = (first + SEATS * record.bytes).next_multiple_of(4096) as u64;
    assert_eq!(raw.value("Identity", 0, "header_size"), header);
    for n in 0..6 {
        tx.send(&n).expect("room");
        assert_eq!(fast.recv(), Ok(n));
    }
    assert_eq!([1, 2].map(|seat| value(seat, "head")), [6, 0]);
    // Credit is due after a quarter of the ring.
    assert_eq!([1, 2].map(|seat| value(seat, "credit")), [4, 0]);
    assert_eq!(raw.value("Header", 0, "credit"), 8);
    assert_eq!(raw.value("Header", 0, "head"), 2 << 32 | 3, "two receivers, in the seats 1 and 2");
    let joined = |seat: usize| raw.word(page::find("Member").at[0] + 128 * seat + 16, 8);
    for seat in [1, 2] {
        assert!(value(seat, "holder") != 0);
        assert_eq!(value(seat, "holder"), joined(seat));
    }
    assert_eq!([0, 3].map(|seat| value(seat, "holder")), [0, 0], "nobody is there");
    tx.send(&6).expect("room");
    let held = fast.recv_ref().expect("a message");
    drop(held);
    assert_eq!(value(1, "delivery") >> 8, 6, "of the message that was given back");
    drop(slow);
    assert_eq!((value(2, "head"), value(2, "holder")), (0, 0));
    let documented: Vec<usize> = (0..SEATS)
        .flat_map(|seat| record.fields.iter().map(move |field| (seat, field)))
        .flat_map(|(seat, field)| (0..field.bytes).map(move |byte| (seat, field, byte)))
        .map(|(seat, field, byte)| first + seat * record.bytes + field.offset + byte)
        .collect();
    let table = first..first + SEATS * record.bytes;
    for at in table.filter(|at| !documented.contains(at)) {
        assert_eq!(raw.bytes(at, 1), [0], "byte {at} is not documented");
    }
    let text = page::text_at(true, SEATS);
    assert_eq!(text, first + SEATS * record.bytes);
    assert_eq!(raw.bytes(text, 3), b"u64");
    let after = text + 3;
    assert!(raw.bytes(after, header as usize - after).iter().all(|byte| *byte == 0));
}

#[test]
fn leaving_and_removal_are_recorded() {
    let name = Name::new();
    let tx: spsc::Sender<u64> = name.options().create().expect("create");
    let rx: spsc::Receiver<u64> = name.options().attach().expect("attach");
    let raw = Raw::attach(tx.id().segment());
    let says = |side, name| raw.value("Parking", side, "word") & u64::from(flag(name)) != 0;
    let (receivers, senders) = (0, 1);
    assert!(!says(senders, "LEFT") && !says(receivers, "LEFT"));
    drop(tx);
    assert!(says(senders, "LEFT") && !says(receivers, "LEFT"));
    assert_eq!([0, 1].map(|seat| raw.value("Member", seat, "state")), [2, 1]);
    let tx: spsc::Sender<u64> = name.options().attach().expect("attach");
    assert!(!says(senders, "LEFT"));
    assert_eq!(raw.value("Member", 0, "state"), 1);
    assert_eq!([senders, receivers].map(|side| raw.value("Parking", side, "joins")), [2, 1]);

    assert!(!says(senders, "REMOVED") && !says(receivers, "REMOVED"));
    sysvring::remove(name.as_str()).expect("remove");
    assert!(says(senders, "REMOVED") && says(receivers, "REMOVED"));
    drop((tx, rx));
}

#[test]
fn the_set_matches_the_document() {
    let name = Name::new();
    let tx: spsc::Sender<u64> = name.options().create().expect("create");
    let stat = tx.stat().expect("stat");
    let set = stat.set.expect("its set");
    assert_eq!((stat.segment.raw_mode & 0o777, set.raw_mode & 0o777), (0o601, 0o601));
    let nonce = Raw::attach(tx.id().segment()).value("Identity", 0, "nonce") as usize;
    let rows = page::rows(page::TEXT, "| semaphore | name | value |");
    assert_eq!(rows.len(), set.semaphores as usize);
    let check = |users, receivers, [to_senders, to_receivers]: [usize; 2]| {
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(page::number(row[0]), n);
            let right = match row[1] {
                "lifecycle" | "finished" | "died" => 0,
                "interrupt receivers" | "interrupt senders" => 0,
                "users" => users,
                "wake senders" => to_senders,
                "wake receivers" => to_receivers,
                "nonce, low" => nonce & 0x7fff,
                "nonce, high" => nonce >> 15,
                "senders" | "seat 0" => 1,
                "receivers" => receivers,
                "seat 1" => receivers * raw_ipc::RECEIVER_TOKEN as usize,
                other => panic!("unknown semaphore {other}"),
            };
            let value = raw_ipc::value(set.id, n).expect("GETVAL");
            assert_eq!(value as usize, right, "{}", row[1]);
        }
    };
    check(1, 0, [0, 0]);
    let rx: spsc::Receiver<u64> = name.options().attach().expect("attach");
    check(2, 1, [0, 0]);
    drop(rx);
    // A member that leaves posts to both sides.
    check(1, 0, [2, 2]);
}

#[test]
fn it_may_be_attached_anywhere_and_twice() {
    let name = Name::new();
    // Each handle attaches separately, so these two are at two addresses already.
    let mut tx: spsc::Sender<u64> = name.options().create().expect("create");
    let mut rx: spsc::Receiver<u64> = name.options().attach().expect("attach");
    let (one, two) = (Raw::attach(tx.id().segment()), Raw::attach(tx.id().segment()));
    assert_ne!(one.address(), two.address());
    assert_eq!(rx.stat().expect("stat").segment.attached, 4);
    for n in 0..5_000 {
        tx.send(&n).expect("send");
        assert_eq!(rx.recv(), Ok(n));
    }
    assert_eq!(one.words(), two.words());
    assert_eq!(two.value("Header", 0, "head"), 5_000);
    // This attaches at a third address, because the receiver's old one is not released first.
    tx.send(&5_000).expect("send");
    let id = tx.id().segment();
    drop(rx);
    let between = Raw::attach(id);
    let mut rx: spsc::Receiver<u64> = name.options().attach().expect("attach");
    assert_eq!(rx.recv(), Ok(5_000));
    assert_eq!(between.value("Header", 0, "head"), 5_001);
    // No word is an address: none is near where the segment is attached.
    let near = |word: u64| (word as usize).abs_diff(one.address()) < 1 << 30;
    assert!(!one.words().into_iter().any(near));
}

/// A message that is held while the ring goes round: the phase, the lap that was skipped, and the
/// entry of its slot behind the slots.
#[test]
fn a_held_slot_has_an_origin() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(2).create().expect("create");
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let raw = Raw::attach(tx.id().segment());
    let fact = |field| raw.value("Identity", 0, field);
    let origins = fact("header_size") + fact("stride") * fact("capacity");
    assert_eq!(fact("total"), origins + 8 * fact("capacity"));
    [1, 2].iter().for_each(|n| tx.send(n).expect("send"));
    assert_eq!(rx.recv(), Ok(1));
    let held = rx.recv_ref().expect("a message");
    tx.send(&3).expect("send");
    assert_eq!(rx.recv(), Ok(3));
    // Position 3 is skipped.
    tx.send(&4).expect("send");
    let word = raw.word(raw.slot(1), 8);
    let bits = ["phase", "owner", "deliveries", "lap"].map(|field| page::bits(field, word));
    assert_eq!(bits, [5, 1, 1, 1]);
    assert_eq!(raw.word(origins as usize + 8, 8), 1, "the position of the message");
    held.ack().expect("acknowledged");
    let word = raw.word(raw.slot(1), 8);
    assert_eq!(["phase", "lap"].map(|field| page::bits(field, word)), [0, 2]);
}
