//! `ls` and `stat`.

use std::process::Command;

use serde_json::Value;
use sysvring::{Options, mpmc, spsc};

use crate::ipc_fixture::IpcFixture;
use crate::tool::{Name, run, run_on_terminal};

/// Returns the channel that the golden outputs show: 3 of 64 messages, of which one is in flight.
fn jobs(name: &Name) -> (mpmc::Sender<[u8]>, mpmc::Receiver<[u8]>) {
    let tx: mpmc::Sender<[u8]> =
        name.options().capacity(64).slot_size(256).label("feeder").create().expect("a sender");
    let rx = name.options().label("worker").attach().expect("a receiver");
    for message in [&b"one"[..], b"two", b"three"] {
        tx.send(message).expect("sent");
    }
    (tx, rx)
}

const COLUMNS: &str =
    "CHANNEL,KIND,STATE,DEPTH,CAPACITY,ROOM,SENDERS,RECEIVERS,IN-FLIGHT,MESSAGE,SIZE,MODE";

#[test]
fn ls_prints_a_table() {
    let ipc = IpcFixture::new();
    let name = Name::fixed("golden-jobs");
    let handles = jobs(&name);
    let ticks = Name::fixed("golden-ticks");
    drop(ticks.options().capacity(8).mode(0o640).create::<spsc::Sender<u64>>().expect("a sender"));
    let _held = handles.1.recv_ref().expect("a message");
    let out = run(&["ls", "-o", COLUMNS]).ok().out;
    assert_eq!(
        out,
        "\
CHANNEL      KIND STATE DEPTH CAPACITY ROOM SENDERS RECEIVERS IN-FLIGHT MESSAGE  SIZE MODE
golden-jobs  mpmc live      3       64   61       1         1         1    256B 29.5K 0600
golden-ticks spsc idle      0        8    8       0         0                8B  4.1K 0640
"
    );
    drop(_held);
    drop(handles);
    drop((name, ticks));
    ipc.assert_clean();
}

#[test]
fn ls_prints_raw_lines_and_exact_numbers() {
    let _ipc = IpcFixture::new();
    let name = Name::fixed("golden jobs");
    let _handles = jobs(&name);
    let out = run(&["ls", "-r", "-o", "NAME,SIZE,KEY,DEAD-LETTER-CHANNEL,LIFETIME"]).ok().out;
    let stat = name.stat();
    let line = format!("golden\\x20jobs {} {:#010x} - kept", stat.segment.size, stat.key);
    assert_eq!(out, format!("NAME SIZE KEY DEAD-LETTER-CHANNEL LIFETIME\n{line}\n"));
    let out = run(&["ls", "-r", "--noheadings", "-o", "NAME"]).ok().out;
    assert_eq!(out, "golden\\x20jobs\n");
    let out = run(&["ls", "-b", "--noheadings", "-o", "SIZE"]).ok().out;
    assert_eq!(out, format!("{}\n", stat.segment.size));
    // A name that is a hyphen is not taken for an empty one.
    let hyphen = Name::fixed("-");
    drop(hyphen.options().create::<spsc::Sender<u64>>().expect("a channel"));
    let out = run(&["ls", "-r", "--noheadings", "-o", "NAME"]).ok().out;
    assert!(out.lines().any(|name| name == "\\x2d"), "{out}");
}

#[test]
fn ls_prints_json_with_a_version() {
    let _ipc = IpcFixture::new();
    let name = Name::fixed("golden-jobs");
    let _handles = jobs(&name);
    let out = run(&["ls", "-J", "-o", "CHANNEL,DEPTH,SIZE,VARIABLE,DEAD-LETTER-CHANNEL"]).ok().out;
    let size = name.stat().segment.size;
    assert_eq!(
        out,
        format!(
            "{{\n  \"schema_version\": 1,\n  \"channels\": [\n    {{\n      \"channel\": \
             \"golden-jobs\",\n      \"depth\": 3,\n      \"size\": {size},\n      \"variable\": \
             true,\n      \"dead_letter_channel\": null\n    }}\n  ]\n}}\n"
        )
    );
    // Without -o, everything.
    let all: Value = serde_json::from_str(&run(&["ls", "-J"]).ok().out).expect("JSON");
    let keys = all["channels"][0].as_object().expect("an object").len();
    assert!(keys > 35, "{keys}");
    assert_eq!(all["channels"][0]["lost_senders"], 0);
}

#[test]
fn ls_of_nothing_is_nothing() {
    let _ipc = IpcFixture::new();
    let out = run(&["ls", "-J"]).ok().out;
    assert_eq!(out, "{\n  \"schema_version\": 1,\n  \"channels\": []\n}\n");
    assert_eq!(run(&["ls", "--noheadings"]).ok().out, "");
}

#[test]
fn ls_sorts_and_selects() {
    let _ipc = IpcFixture::new();
    let names = ["a", "b", "c"].map(Name::fixed);
    for (name, depth) in names.iter().zip([1, 3, 2]) {
        let mut tx: spsc::Sender<u64> = name.options().create().expect("a sender");
        (0..depth).for_each(|n| tx.send(&n).expect("sent"));
    }
    let order = |args: &[&str]| {
        let args = [&["ls", "--noheadings", "-o", "NAME"], args].concat();
        run(&args).ok().out.replace('\n', " ")
    };
    assert_eq!(order(&[]), "a b c ");
    assert_eq!(order(&["--reverse"]), "c b a ");
    assert_eq!(order(&["--sort", "depth"]), "b c a ");
    assert_eq!(order(&["--owner", "4000000000"]), "");
    assert_eq!(run(&["ls", "--noheadings", "-o", "+HEAD"]).ok().out.lines().count(), 3);
}

#[test]
fn stat_prints_the_channel_and_its_members() {
    let _ipc = IpcFixture::new();
    let name = Name::fixed("golden-jobs");
    let (_tx, rx) = jobs(&name);
    let _held = rx.recv_ref().expect("a message");
    let out = run(&["stat", &name]).ok().out;
    for line in [
        "channel               golden-jobs",
        "depth                 3",
        "stream                open",
    ] {
        assert!(out.lines().any(|found| found == line), "{line} is not in\n{out}");
    }
    let columns =
        ["stat", &name, "-m", "-o", "ROLE,STATE,LABEL,SEAT,MESSAGES,BYTES,IN-FLIGHT,OLDEST"];
    assert_eq!(
        run(&columns).ok().out,
        "\
ROLE     STATE LABEL  SEAT MESSAGES BYTES IN-FLIGHT OLDEST
sender   live  feeder    0        3   11B         0
receiver live  worker    1        0    0B         1      0
"
    );
    let all: Value = serde_json::from_str(&run(&["stat", "-J", &name]).ok().out).expect("JSON");
    let channel = &all["channel"];
    assert_eq!((&all["schema_version"], &channel["depth"]), (&1.into(), &3.into()));
    assert_eq!(channel["members"][1]["label"], "worker");
    assert_eq!(channel["members"][0]["pid"], std::process::id());
}

#[test]
fn a_channel_is_found_by_all_its_names() {
    let _ipc = IpcFixture::new();
    let name = Name::fixed("golden/jobs");
    let _handles = jobs(&name);
    let stat = name.stat();
    let me = Command::new("id").arg("-un").output().expect("id").stdout;
    let me = String::from_utf8(me).expect("a name");
    for channel in [
        format!("name:{}", &*name),
        format!("{}/{}", stat.segment.uid, &*name),
        format!("{}/{}", me.trim(), &*name),
        format!("id:{}", stat.id),
        format!("key:{:#x}", stat.key),
    ] {
        let out = run(&["stat", "-J", &channel]).ok().out;
        assert!(out.contains("\"name\": \"golden/jobs\""), "{channel}: {out}");
    }
    // What ls prints can be used.
    let printed = run(&["ls", "--noheadings", "-o", "CHANNEL"]).ok().out;
    assert_eq!(printed, "name:golden/jobs\n");
    run(&["stat", printed.trim()]).ok();
    // Private channels have their identifier only, and those of a file or key the key.
    let private: spsc::Sender<u64> = Options::private().create().expect("a channel");
    let printed = run(&["ls", "--noheadings", "-o", "CHANNEL"]).ok().out;
    assert!(printed.contains(&format!("id:{}\n", private.id())), "{printed}");
    let file = format!("file:{}:7", env!("CARGO_MANIFEST_DIR"));
    let by_file: spsc::Sender<u64> =
        Options::file(env!("CARGO_MANIFEST_DIR"), 7).create().expect("a channel");
    run(&["stat", &file]).ok();
    run(&["rm", "--force", &file]).ok();
    drop(by_file);
}

/// What `ls` prints in the column CHANNEL names the channel in other commands, whatever its name is.
#[test]
fn every_listed_channel_can_be_named() {
    let _ipc = IpcFixture::new();
    for strange in ["plain", "e\x1b[31mred", "new\nline", "-n", "a b", "\u{202e}back", "id:1", "\\"]
    {
        let name = Name::fixed(strange);
        let tx: spsc::Sender<u64> = name.options().create().expect("a channel");
        let id = tx.id().to_string();
        let listed = run(&["ls", "-o", "ID,CHANNEL", "--noheadings"]).ok().out;
        let line = listed.lines().find_map(|line| line.strip_prefix(&id)).expect("it is listed");
        let shown = line.trim();
        assert!(run(&["stat", "-J", shown]).ok().out.contains(&id), "{strange:?} as {shown:?}");
        drop((tx, name));
    }
}

#[test]
fn a_channel_that_does_not_exist_is_an_error_with_a_remedy() {
    let _ipc = IpcFixture::new();
    let run = run(&["stat", "no-such-channel"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.starts_with("sysvring: "), "{}", run.err);
    assert!(run.err.contains("sysvring ls"), "{}", run.err);
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
}

/// Colour is for terminals, and for those who want it.
#[test]
fn only_a_terminal_gets_colours() {
    let _ipc = IpcFixture::new();
    let name = Name::fixed("golden-jobs");
    let _handles = jobs(&name);
    assert!(!run(&["ls"]).ok().out.contains('\x1b'));
    let on_terminal = |variables: &[(&str, &str)]| run_on_terminal("ls", variables).ok().out;
    assert!(on_terminal(&[]).contains("\x1b[32mlive\x1b[0m"), "{:?}", on_terminal(&[]));
    assert!(!on_terminal(&[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!on_terminal(&[("TERM", "dumb")]).contains('\x1b'));
    // Set to nothing, it says nothing.
    assert!(on_terminal(&[("NO_COLOR", "")]).contains('\x1b'));
}
