//! Snapshots as JSON: each field of real channels, by its name and in its unit. `docs/operations.md`
//! promises these names to programs that read them.

// `json!` recurses once for each field.
#![recursion_limit = "256"]

use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sysvring::{
    DeadLetterFailure, Defect, IpcObject, Lifetime, Options, Redelivery, Stat, StreamState,
    broadcast, mpmc, spsc,
};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Key, MARKED, Segment, at};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}

fn json_of(value: &impl serde::Serialize) -> Value {
    // By way of the text: what a program reads.
    let text = serde_json::to_string(value).expect("serialised");
    serde_json::from_str(&text).expect("JSON")
}

/// Takes a time out of an object: a number of seconds since 1970.
#[track_caller]
fn take_time(object: &mut Value, field: &str, expected: SystemTime) {
    let time = object.as_object_mut().expect("an object").remove(field);
    let seconds = time.as_ref().and_then(Value::as_f64).unwrap_or_else(|| panic!("{time:?}"));
    let expected = expected.duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    assert!((seconds - expected).abs() <= 1e-6, "{field}: {seconds} is not {expected}");
}

/// The same for a time that may be missing.
#[track_caller]
fn take_time_option(object: &mut Value, field: &str, expected: Option<SystemTime>) {
    match expected {
        Some(expected) => take_time(object, field, expected),
        None => {
            let time = object.as_object_mut().expect("an object").remove(field);
            assert_eq!(time, Some(Value::Null), "{field}");
        }
    }
}

/// Takes all times out of the JSON of a snapshot, and checks them.
#[track_caller]
fn take_times(json: &mut Value, stat: &Stat) {
    take_time(json, "taken", stat.taken);
    take_time(json, "created", stat.created);
    let segment = &mut json["segment"];
    take_time_option(segment, "attach_time", stat.segment.attach_time);
    take_time_option(segment, "detach_time", stat.segment.detach_time);
    take_time_option(segment, "change_time", stat.segment.change_time);
    if let Some(set) = &stat.set {
        take_time_option(&mut json["set"], "operation_time", set.operation_time);
        take_time_option(&mut json["set"], "change_time", set.change_time);
    }
    for (n, member) in stat.members.iter().enumerate() {
        take_time(&mut json["members"][n], "joined", member.joined);
    }
}

/// Holds the first two messages until it is killed.
#[work]
fn hold(args: &mut Args) {
    let name: String = args.next();
    let rx: mpmc::Receiver<[u32; 3]> =
        Options::named(name).schema(0xfeed).label("worker").open().expect("open");
    let _held = [rx.recv_ref().expect("a message"), rx.recv_ref().expect("a message")];
    print_line("held");
    read_line();
}

#[test]
fn an_mpmc_channel_with_a_dead_member() {
    let (name, letters) = (Name::new(), Name::new());
    let options = || name.options().capacity(8).max_members(4).dead_letters(letters.as_str(), 3);
    let tx: mpmc::Sender<[u32; 3]> =
        options().mode(0o640).schema(0xfeed).label("source").create().expect("create");
    (0..5).for_each(|n| tx.send(&[n; 3]).expect("room"));
    let mut worker = Worker::start(&[&"hold", &name]).expect("start");
    worker.expect("held");
    let pid = worker.pid();
    worker.kill_and_wait().expect("kill");

    let stat = sysvring::stat(name.as_str()).expect("stat");
    let mut json = json_of(&stat);
    take_times(&mut json, &stat);
    let me = std::process::id();
    // SAFETY: takes nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let (segment, set) = (stat.segment, stat.set.expect("a set"));
    let expected = json!({
        "id": stat.id.to_string(),
        "name": name.as_str(),
        "key": stat.key,
        "flavor": "mpmc",
        "lifetime": "kept",
        "lost_without_members": false,
        "capacity": 8,
        "slot_size": 12,
        "stride": 24,
        "variable": false,
        "message_size": 12,
        "message_element": 0,
        "message_align": 4,
        "structure": "[u32; 3]",
        "schema": 0xfeed,
        "depth": 5,
        "depth_is_exact": true,
        "room": 3,
        "in_flight": 2,
        "orphaned": 0,
        "head": stat.head,
        "tail": stat.tail,
        "redelivery": { "policy": "dead_letter", "after": 3 },
        "redelivered": 0,
        "dropped": 0,
        "rejected": 0,
        "dead_letter_channel": letters.as_str(),
        "dead_letters": 0,
        "dead_letter_failures": 0,
        "last_dead_letter_failure": null,
        "poisoned": 0,
        "last_poisoned": null,
        "overslept": 0,
        "overwriting": false,
        "segment": {
            "id": stat.id.segment(),
            "key": stat.key,
            "uid": uid,
            "gid": gid,
            "cuid": uid,
            "cgid": gid,
            "mode": 0o640,
            "raw_mode": segment.raw_mode,
            "size": segment.size,
            "attached": segment.attached,
            "creator_pid": me,
            "last_pid": segment.last_pid,
            "marked_for_removal": false,
            "locked": false,
        },
        "set": {
            "id": set.id,
            "key": stat.key,
            "uid": uid,
            "gid": gid,
            "cuid": uid,
            "cgid": gid,
            "mode": 0o640,
            "raw_mode": set.raw_mode,
            "semaphores": raw_ipc::FIRST_SEAT + 4,
        },
        "missing_set": null,
        "stream": "open",
        "lost_senders": 0,
        "joins": 2,
        "deaths": 1,
        "members": [
            {
                "seat": 0,
                "role": "sender",
                "pid": me,
                "label": "source",
                "alive": true,
                "left": false,
                "position": 5,
                "messages": 5,
                "bytes": 60,
                "in_flight": 0,
                "lag": null,
                "missed": null,
                "oldest_in_flight": null,
                "waiting": 0,
                "armed": false,
                "recovered": 0,
                "parks": 0,
                "wakes": stat.members[0].wakes,
            },
            {
                "seat": 1,
                "role": "receiver",
                "pid": pid,
                "label": "worker",
                "alive": false,
                "left": false,
                "position": 0,
                "messages": 0,
                "bytes": 0,
                "in_flight": 2,
                "lag": null,
                "missed": null,
                "oldest_in_flight": 0,
                "waiting": 0,
                "armed": false,
                "recovered": 0,
                "parks": stat.members[1].parks,
                "wakes": stat.members[1].wakes,
            },
        ],
    });
    assert_eq!(json, expected, "{json:#}");
    assert!(stat.members[1].position == 0 && stat.tail <= 5);
}

#[test]
fn a_private_spsc_channel_without_a_set() {
    let mut tx: spsc::Sender<str> =
        Options::private().slot_size(50).capacity(4).create().expect("create");
    tx.send("four").expect("room");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    raw_ipc::remove_set(set).expect("IPC_RMID");
    let stat = sysvring::stat(tx.id()).expect("stat");
    let mut json = json_of(&stat);
    take_times(&mut json, &stat);
    for (field, expected) in [
        ("id", json!(tx.id().to_string())),
        ("name", json!("")),
        ("key", json!(0)),
        ("flavor", json!("spsc")),
        ("variable", json!(true)),
        ("message_size", json!(0)),
        ("structure", json!("str")),
        ("depth", json!(1)),
        ("tail", json!(1)),
        ("redelivery", json!({ "policy": "unlimited" })),
        ("dead_letter_channel", json!(null)),
        ("set", json!(null)),
    ] {
        assert_eq!(json[field], expected, "{field}");
    }
    let member = &json["members"][0];
    assert_eq!((&member["in_flight"], &member["bytes"]), (&json!(null), &json!(4)));
    assert_eq!(json["segment"]["marked_for_removal"], true);
}

#[test]
fn a_broadcast_channel_with_two_receivers() {
    let mut tx: broadcast::Sender<u64> = Options::private().capacity(8).create().expect("create");
    let receivers = [(); 2].map(|()| -> broadcast::Receiver<u64> {
        Options::id(tx.id()).attach().expect("a receiver")
    });
    let [mut fast, slow] = receivers;
    tx.send_batch(&[1, 2, 3]).expect("room");
    assert_eq!(fast.try_iter().count(), 3);
    drop(slow);
    let behind: broadcast::Receiver<u64> = Options::id(tx.id()).attach().expect("a receiver");
    fast.recv_timeout(std::time::Duration::ZERO).expect_err("it has received them");
    let json = json_of(&tx.stat().expect("stat"));
    assert_eq!((&json["flavor"], &json["depth"]), (&json!("broadcast"), &json!(3)));
    assert_eq!((&json["room"], &json["in_flight"]), (&json!(5), &json!(null)));
    assert_eq!(json["structure"], "u64");
    let bytes: sysvring::untyped::Sender = Options::private().create().expect("create");
    assert_eq!(json_of(&bytes.stat().expect("stat"))["structure"], json!(null));
    let of = |field: &str| (0..3).map(|n| json["members"][n][field].clone()).collect::<Vec<_>>();
    assert_eq!(of("lag"), [json!(null), json!(0), json!(3)]);
    assert_eq!(of("position"), [json!(3), json!(3), json!(0)]);
    assert_eq!(of("in_flight"), [json!(null), json!(null), json!(null)]);
    drop((fast, behind));
}

/// Six digits, not the seventeen of the nearest floating-point number.
#[test]
fn times_are_rounded_to_microseconds() {
    let tx: spsc::Sender<u64> = Options::private().create().expect("create");
    let segment = Segment::of(tx.id().segment());
    for (nanos, text) in [
        (0, "0.0"),
        (1_796_025_600_123_456_000, "1796025600.123456"),
        (1_796_025_600_123_456_499, "1796025600.123456"),
        (1_796_025_600_123_456_501, "1796025600.123457"),
        (1_796_025_600_999_999_999, "1796025601.0"),
        (1_796_025_600_000_001_000, "1796025600.000001"),
    ] {
        segment.u64(at::CREATED).store(nanos, Relaxed);
        let json = serde_json::to_string(&sysvring::stat(tx.id()).expect("stat")).expect("JSON");
        assert!(json.contains(&format!("\"created\":{text},")), "{text} in {json}");
    }
}

/// Each variant by its name.
#[test]
fn names_of_variants() {
    assert_eq!(json_of(&[Lifetime::Kept, Lifetime::LastMember]), json!(["kept", "last_member"]));
    let states = [StreamState::Open, StreamState::Finished, StreamState::Ended];
    assert_eq!(json_of(&states), json!(["open", "finished", "ended"]));
    let failures = [
        DeadLetterFailure::Full,
        DeadLetterFailure::TooLong,
        DeadLetterFailure::PermissionDenied,
        DeadLetterFailure::NoSeat,
        DeadLetterFailure::Unavailable,
    ];
    let names = json!(["full", "too_long", "permission_denied", "no_seat", "unavailable"]);
    assert_eq!(json_of(&failures), names);
    let policies = [Redelivery::Discard { after: 2 }, Redelivery::Never];
    let expected = json!([{ "policy": "discard", "after": 2 }, { "policy": "never" }]);
    assert_eq!(json_of(&policies), expected);
}

#[test(quiet)]
fn leftovers_and_unusable_objects() {
    let key = Key::new();
    let segment = key.make_segment(10_000, MARKED);
    let reported = sysvring::reapable().expect("a report");
    let left = reported.iter().find(|left| left.segment == Some(segment)).expect("it is reported");
    let expected = json!({ "key": key.0, "name": "", "segment": segment, "set": null });
    assert_eq!(json_of(left), expected);

    Segment::of(segment).u64(at::MAGIC).store(u64::from_le_bytes(*b"SYSVRING"), Relaxed);
    Segment::of(segment).u32(at::VERSION).store(77, Relaxed);
    let set = key.make_set(raw_ipc::FIRST_SEAT + 2, MARKED);
    let found = sysvring::unusable().expect("the kernel's tables");
    let found: Vec<_> = found.iter().filter(|found| found.object.key() == key.0).collect();
    let [IpcObject::Segment(stat), IpcObject::Set(_)] = [found[0].object, found[1].object] else {
        panic!("{found:#?}")
    };
    let json = json_of(&found);
    assert_eq!(json[0]["object"]["segment"], json_of(&stat));
    assert_eq!(json[0]["defect"], json!({ "kind": "layout_version", "found": 77 }));
    assert_eq!(json[1]["object"]["set"]["id"], set);
    assert_eq!(json[1]["defect"], json!({ "kind": "no_segment" }));
    let unreadable = Defect::Unreadable { call: "shmat", errno: 13 };
    let expected = json!({ "kind": "unreadable", "call": "shmat", "errno": 13 });
    assert_eq!(json_of(&unreadable), expected);
}

#[test]
fn rates_of_an_mpmc_channel() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(16).create().expect("create");
    let first = tx.stat().expect("stat");
    tx.send_batch(&[1; 6]).expect("room");
    let rates = tx.stat().expect("stat").since(&first).expect("the same channel");
    let is_close = |rate: f64, count: f64| (rate * rates.seconds - count).abs() < 1e-6;
    let member = &rates.members[0];
    assert!(is_close(rates.sent, 6.0) && is_close(rates.bytes_sent, 48.0), "{rates:?}");
    assert!(is_close(member.messages, 6.0) && is_close(member.bytes, 48.0), "{rates:?}");
    let expected = json!({
        "seconds": rates.seconds,
        "sent": rates.sent,
        "received": 0.0,
        "bytes_sent": rates.bytes_sent,
        "bytes_received": 0.0,
        "redelivered": 0,
        "dropped": 0,
        "rejected": 0,
        "poisoned": 0,
        "dead_letters": 0,
        "dead_letter_failures": 0,
        "overslept": 0,
        "joined": 0,
        "gone": 0,
        "deaths": 0,
        "members": [{
            "seat": 0,
            "messages": member.messages,
            "bytes": member.bytes,
            "parks": 0.0,
            "wakes": 0.0,
        }],
    });
    // Both by way of a text, from which numbers are not read back to the last digit.
    assert_eq!(json_of(&rates), json_of(&expected));
}
